"""Users on two servers change a board in any order, at any time: it is what a dict says (T2.2, T2.4, T2.5, T2.9)."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from presence_engine import board_input
from presence_engine.board import BoardEngine
from presence_engine.board_models import (
    ActionSaved,
    ActionsReplaced,
    BoardFilled,
    BoardFull,
    BoardGrouped,
    BoardSnapshot,
    BoardStale,
    GroupsReplaced,
    Move,
    PositionsFilled,
    PositionsMoved,
    VotesReplaced,
)
from presence_engine.board_replies import decode_board_change
from presence_engine.keys import Keyspace
from presence_engine.store import Store
from presence_engine.times import iso_time

START_MS = 1_800_000_000_000
LIMITS = {"MAX_ITEMS": 5, "MAX_ACTION_ITEMS": 3, "MAX_VOTERS": 3}
Wire = dict[str, Any]

number = st.one_of(st.integers(-(2**70), 2**70), st.floats(allow_nan=False, allow_infinity=False))
name = st.sampled_from(["a", "b", "c", "i:1", "{x}", "é", "7"])
user: st.SearchStrategy[str | int] = st.sampled_from(["u", "v", "w", "7", 7, "ü"])
position = st.fixed_dictionaries({"x": number, "y": number})
moves = st.lists(st.tuples(name, position, user, st.sampled_from(["drag", "drag-stop"])), min_size=1, max_size=5)
clean = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
places = st.dictionaries(name, position, min_size=1, max_size=4)
groups = st.dictionaries(name, clean, max_size=3)
colors = st.dictionaries(clean, clean, max_size=3)
off_ms = st.one_of(st.none(), st.integers(-1500, 1500))
operation = st.one_of(
    st.tuples(st.just("move"), moves),
    st.tuples(st.just("fill"), places, user, st.sampled_from(["bulk", "init-layout"])),
    st.tuples(st.just("group"), groups, colors, user, off_ms),
    st.tuples(st.just("vote"), user, st.dictionaries(name, st.integers(0, 1), max_size=3)),
    st.tuples(st.just("add"), st.sampled_from(["t", "T\x1e\x1d\x1f", "é"]), user),
    st.tuples(st.just("update"), st.integers(0, 4), st.one_of(st.none(), clean), user),
    st.tuples(st.just("delete"), st.integers(0, 4)),
    st.tuples(st.just("expire")),
    st.tuples(st.just("snapshot")),
)
script = st.lists(st.tuples(st.integers(0, 1), st.integers(-300, 600), operation), max_size=25)


class Model:
    """The board as a dict, and what each operation answers: what was made of it, and where the board then stands."""

    def __init__(self) -> None:
        self.updated = 0
        self.expire()

    def expire(self) -> None:
        self.created = self.version = 0
        self.positions: Wire = {}
        self.groups: Wire = {}
        self.colors: Wire = {}
        self.timestamp: int | None = None
        self.votes: Wire = {}
        self.actions: list[Wire] = []
        self.recent: list[tuple[int, str, tuple[str, str]]] = []

    def changed(self, now: int, by: int = 1) -> None:
        if self.version == 0:
            self.created, self.updated = now, 0
        self.version += by
        self.updated = max(now, self.updated + 1)

    def state(self) -> Wire:
        return {
            "itemPositions": self.positions,
            "itemGroups": self.groups,
            "signatureColors": self.colors,
            "actionItems": self.actions,
            "allUserVotes": self.votes,
            "lastUpdated": iso_time(self.updated if self.version else 0),
            "version": self.version,
            "createdAt": self.created,
        }

    def move(self, now: int, moved: list[Any]) -> Any:
        accepted = []
        for item, where, _, _ in moved:
            accepted.append(item in self.positions or len(self.positions) < LIMITS["MAX_ITEMS"])
            if accepted[-1]:
                self.positions[item] = where
        if any(accepted):
            self.changed(now, sum(accepted))
        return accepted if any(accepted) else "full"

    def fill(self, now: int, places: Wire, _user: Any, source: str) -> Any:
        if source == "init-layout" and self.positions:
            return [], dict(self.positions)
        held = {item: self.positions[item] for item in places if item in self.positions}
        missing = {item: where for item, where in places.items() if item not in held}
        if len(self.positions) + len(missing) > LIMITS["MAX_ITEMS"]:
            return "full"
        if missing:
            self.positions |= missing
            self.changed(now)
        return list(missing), held

    def group(self, now: int, groups: Wire, colors: Wire, _user: Any, off_ms: int | None) -> Any:
        at = now if off_ms is None else min(now, now + off_ms)
        if self.timestamp is not None and at < min(self.timestamp, now):
            return self.timestamp, self.groups, self.colors
        self.timestamp, self.groups, self.colors = at, groups, colors
        self.changed(now)
        return at

    def vote(self, now: int, voter: Any, votes: Wire) -> Any:
        if str(voter) not in self.votes and len(self.votes) >= LIMITS["MAX_VOTERS"]:
            return "full"
        self.votes[str(voter)] = votes
        self.changed(now)
        return "ok"

    def add(self, now: int, task: str, assignee: Any, new_id: str) -> Any:
        same = (task, str(assignee))
        self.recent = [one for one in self.recent if abs(now - one[0]) <= 500]
        there = [one for at, one, what in self.recent if what == same and self.find(one)]
        if there:
            return "double", there[-1]
        if len(self.actions) >= LIMITS["MAX_ACTION_ITEMS"]:
            return "full"
        named = {"assigneeId": assignee, "assigneeName": str(assignee), "createdBy": assignee}
        self.actions.append({"id": new_id, "task": task, **named, "createdAt": now, "edited": False})
        self.recent.append((now, new_id, same))
        self.changed(now)
        return "new", new_id

    def find(self, item_id: str) -> Wire | None:
        return next((item for item in self.actions if item["id"] == item_id), None)

    def update(self, now: int, item_id: str, task: str | None, assignee: Any) -> Any:
        item = self.find(item_id)
        if item is None:
            return "absent"
        wanted = {"task": item["task"] if task is None else task, "assigneeId": assignee}
        # An id and its text are two spellings of one assignee, but the item shows the one that was given last.
        if all(item[key] == value and type(item[key]) is type(value) for key, value in wanted.items()):
            return "same"
        item |= {**wanted, "edited": True}
        self.changed(now)
        return "new"

    def delete(self, now: int, item_id: str) -> Any:
        item = self.find(item_id)
        if item is None:
            return "absent"
        self.actions.remove(item)
        self.changed(now)
        return "ok"


def replay(state: Wire, change: Any) -> None:
    """What a client does with an announced change."""
    at = change.position
    if at.created_at_ms == state["createdAt"] and at.version <= state["version"]:
        return
    if at.created_at_ms != state["createdAt"]:
        state |= {"itemPositions": {}, "itemGroups": {}, "signatureColors": {}, "actionItems": [], "allUserVotes": {}}
        state["version"] = 0
    assert change.first_version == state["version"] + 1
    match change:
        case PositionsMoved():
            state["itemPositions"] |= {move.item_id: move.position for move in change.moves}
        case PositionsFilled():
            state["itemPositions"] |= change.item_positions
        case GroupsReplaced():
            state |= {"itemGroups": change.item_groups, "signatureColors": change.signature_colors}
        case VotesReplaced():
            assert change.all_user_votes[change.user] == change.user_votes
            state["allUserVotes"] = change.all_user_votes
        case ActionsReplaced():
            state["actionItems"] = msgspec.to_builtins(change.action_items)
    state |= {"version": at.version, "lastUpdated": at.last_updated, "createdAt": at.created_at_ms}


class Run:
    """One example: two engines, the model, the channel, and a client that replays it onto its first snapshot."""

    def __init__(self, url: str, plain_url: str) -> None:
        self.keys = Keyspace(prefix=f"h{uuid4().hex[:12]}")
        self.stores = [Store(url), Store(url)]
        self.boards = [BoardEngine(store, self.keys, 60_000) for store in self.stores]
        self.redis = Redis.from_url(plain_url)
        self.pubsub = self.redis.pubsub()
        self.model = Model()
        self.now = START_MS
        self.added = 0

    async def play(self, steps: list[Any]) -> None:
        channel = self.boards[0].channel("r")
        await self.pubsub.execute_command("SSUBSCRIBE", channel)
        await self.pubsub.parse_response(timeout=5)
        begin = len(steps) // 3
        client: Wire = {}
        for i, (server, by_ms, (what, *args)) in enumerate([*steps, (0, 0, ("snapshot",))]):
            if i == begin:
                client = msgspec.to_builtins((await self.boards[0].join("r")).state)
            self.now += by_ms
            await getattr(self, what)(self.boards[server], *args)
        await self.redis.spublish(channel, "end")
        while (message := (await self.pubsub.parse_response(timeout=5))[2]) != b"end":
            replay(client, decode_board_change(message))
        if self.model.version:
            assert client == self.model.state()
        await self.one_end()

    async def one_end(self) -> None:
        ends = {await self.redis.pexpiretime(key) for key in self.keys.board("r")[:5]} - {-2}
        assert len(ends) <= 1
        assert ends or not self.model.version
        assert -1 not in ends

    def stands(self, outcome: Any) -> None:
        model = self.model
        at = outcome.position
        assert outcome.now_ms == self.now
        if model.version:
            assert (at.created_at_ms, at.version, at.updated_at_ms) == (model.created, model.version, model.updated)

    async def move(self, board: BoardEngine, moved: list[Any]) -> None:
        outcome = await board.move("r", [Move(*fields) for fields in moved], now_ms=self.now)
        expected = self.model.move(self.now, moved)
        if expected == "full":
            assert outcome == BoardFull(LIMITS["MAX_ITEMS"])
            return
        assert not isinstance(outcome, BoardFull)
        first = self.model.version - sum(expected)
        made = [first + sum(expected[: n + 1]) if ok else None for n, ok in enumerate(expected)]
        assert outcome.versions == made
        self.stands(outcome)

    async def fill(self, board: BoardEngine, places: Wire, user_id: Any, source: str) -> None:
        outcome = await board.fill("r", places, user_id=user_id, source=source, now_ms=self.now)
        expected = self.model.fill(self.now, places, user_id, source)
        if isinstance(outcome, BoardFilled):
            assert (outcome.filled, outcome.held) == expected
            self.stands(outcome)
        else:
            assert expected == "full"

    async def group(self, board: BoardEngine, groups: Wire, colors: Wire, user_id: Any, off_ms: int | None) -> None:
        timestamp = None if off_ms is None else self.now + off_ms
        outcome = await board.group("r", groups, colors, user_id=user_id, timestamp=timestamp, now_ms=self.now)
        expected = self.model.group(self.now, groups, colors, user_id, off_ms)
        if isinstance(outcome, BoardStale):
            assert (outcome.timestamp_ms, outcome.item_groups, outcome.signature_colors) == expected
        else:
            assert isinstance(outcome, BoardGrouped)
            assert outcome.timestamp_ms == expected
        self.stands(outcome)

    async def vote(self, board: BoardEngine, voter: Any, votes: Wire) -> None:
        outcome = await board.vote("r", votes, user_id=voter, now_ms=self.now)
        expected = self.model.vote(self.now, voter, votes)
        assert isinstance(outcome, BoardFull) == (expected == "full")
        if not isinstance(outcome, BoardFull):
            self.stands(outcome)

    async def add(self, board: BoardEngine, task: str, assignee: Any) -> None:
        self.added += 1
        new_id = f"a{self.added}"
        outcome = await board.action_add(
            "r", new_id, task=task, assignee_id=assignee, created_by=assignee, now_ms=self.now
        )
        expected = self.model.add(self.now, task, assignee, new_id)
        if isinstance(outcome, ActionSaved):
            assert (("new" if outcome.changed else "double"), outcome.item.id) == expected
            self.stands(outcome)
        else:
            assert expected == "full"

    async def update(self, board: BoardEngine, back: int, task: str | None, assignee: Any) -> None:
        item_id = f"a{self.added - back}"
        outcome = await board.action_update("r", item_id, task=task, assignee_id=assignee, now_ms=self.now)
        expected = self.model.update(self.now, item_id, task, assignee)
        if isinstance(outcome, ActionSaved):
            assert outcome.changed == (expected == "new")
            assert msgspec.to_builtins(outcome.item) == self.model.find(item_id)
            self.stands(outcome)
        else:
            assert expected == "absent"

    async def delete(self, board: BoardEngine, back: int) -> None:
        item_id = f"a{self.added - back}"
        outcome = await board.action_delete("r", item_id, now_ms=self.now)
        assert (self.model.delete(self.now, item_id) == "ok") == hasattr(outcome, "position")

    async def expire(self, _board: BoardEngine) -> None:
        """Also in halves, as an eviction would: what is left must not come back."""
        parts = self.keys.board("r")[:5]
        await self.redis.delete(*(parts if self.added % 2 else parts[:1]))
        self.model.expire()
        self.now += 10_000  # A life lasts: the clock is not set back so far that two begin at one moment.

    async def snapshot(self, board: BoardEngine) -> None:
        found: BoardSnapshot = await board.snapshot("r", now_ms=self.now)
        assert msgspec.to_builtins(found.state) == self.model.state()

    async def close(self) -> None:
        await self.redis.delete(*self.keys.board("r")[:5])
        await self.pubsub.aclose()
        await self.redis.aclose()
        for store in self.stores:
            await store.close()


def play(url: str, plain_url: str, act: Callable[[Run], Awaitable[None]]) -> None:
    async def whole() -> None:
        run = Run(url, plain_url)
        try:
            await act(run)
        finally:
            await run.close()

    with pytest.MonkeyPatch.context() as patch:
        for limit, value in LIMITS.items():
            patch.setattr(board_input, limit, value)
        asyncio.run(whole())


@settings(max_examples=100, deadline=None)
@given(steps=script)
def test_a_board_is_what_a_dict_says_and_its_announcements_rebuild_it(
    redis_url: str, plain_url: str, steps: list[Any]
) -> None:
    play(redis_url, plain_url, lambda run: run.play(steps))
