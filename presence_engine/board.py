"""BoardEngine: shared boards that outlive their users; one method a verb, each one script of the same name."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from presence_engine import board_input as checked
from presence_engine import board_replies as replies
from presence_engine.board_input import Id
from presence_engine.board_models import (
    ActionAbsent,
    ActionSaved,
    BoardChanged,
    BoardFilled,
    BoardFull,
    BoardGrouped,
    BoardMoved,
    BoardSnapshot,
    BoardStale,
    Move,
)
from presence_engine.errors import InvalidInput
from presence_engine.ids import canonical_id
from presence_engine.inputs import clock, to_json
from presence_engine.keys import BoardKeys, Keyspace
from presence_engine.replies import RECORD_SEPARATOR, Reply
from presence_engine.settings import within
from presence_engine.store import Store
from presence_engine.times import DAY_MS, MAX_MS


class BoardEngine:
    """Boards in one Redis: where the items lie, how they are grouped, who voted for what, what is to be done.

    store, keys: those of a PresenceEngine. ttl_ms: a board's life after its last change or join, 1 or more; all its
    parts end together, and nothing else ends them.

    A board is named by a retro id, text or integer (1–128 UTF-8 bytes, no control characters; `15` is `"15"`). It
    begins with its first change: version 1, and a created_at_ms that tells this life from an earlier one that expired.
    Every change raises `version`, moves `updated_at_ms` on, and is announced on `channel(retro_id)` in the same step,
    in the order of the versions; `decode_board_change` reads the announcements.

    Every method is one round trip. All raise InvalidInput for a bad argument, before anything is sent (retroId, itemId,
    userVotes, …: the names on the wire), and StoreUnavailable when Redis does not answer: a change may then have been
    made; repeating any call is harmless. `now_ms` stands in for the Redis clock in tests; expiry keeps to the real one.
    """

    def __init__(self, store: Store, keys: Keyspace, ttl_ms: int = DAY_MS) -> None:
        self.store = store
        self.keys = keys
        self.ttl_ms = within("ttl_ms", ttl_ms, 1, MAX_MS)

    @staticmethod
    def check(move: Move) -> None:
        """Raise InvalidInput for a move that `move` would refuse, for callers that collect moves of many."""
        _move_fields(move)

    def channel(self, retro_id: Id) -> str:
        """Name the channel (SSUBSCRIBE) that carries the board's changes."""
        return self._keys(retro_id).feed

    async def move(self, retro_id: Id, moves: Sequence[Move], *, now_ms: int | None = None) -> BoardMoved | BoardFull:
        """Put items where they were moved; of several moves of an item the last one holds.

        moves: 1–2,000, each announced and with a version of its own. A board takes 2,000 items: moves of known items
        are always accepted, those of new ones as long as there is room. BoardFull: none was accepted.
        Source: lua/v1/board/move.lua. O(moves).
        """
        if not 1 <= len(moves) <= checked.MAX_ITEMS:
            raise InvalidInput("itemPositions", f"must have 1–{checked.MAX_ITEMS} moves")
        fields = [field for move in moves for field in _move_fields(move)]
        return replies.moved(await self._change("move", retro_id, now_ms, {"limit": checked.MAX_ITEMS}, fields))

    async def fill(
        self,
        retro_id: Id,
        item_positions: Mapping[str, Any],
        *,
        user_id: Id,
        source: str = "bulk",
        now_ms: int | None = None,
    ) -> BoardFilled | BoardFull:
        """Give items a position where they have none; with source `init-layout` only on a board without any position.

        item_positions: 1–2,000 objects with finite numbers x and y. The positions that hold instead are answered.
        BoardFull: there is no room for all that are missing. Source: lua/v1/board/fill.lua. O(items).
        """
        values: dict[str, object] = {
            "limit": checked.MAX_ITEMS,
            "mode": "init" if source == checked.FIRST_LAYOUT else "missing",
            "public": _public(user_id, source),
        }
        fields = checked.places(item_positions)
        return replies.filled(await self._change("fill", retro_id, now_ms, values, fields))

    async def group(
        self,
        retro_id: Id,
        item_groups: Mapping[str, str],
        signature_colors: Mapping[str, str],
        *,
        user_id: Id,
        timestamp: object = None,
        now_ms: int | None = None,
    ) -> BoardGrouped | BoardStale:
        """Replace the groups and their colours; the newest timestamp wins, an equal one is accepted.

        item_groups: signature by item, signature_colors: colour by signature; at most 2,000 members, texts of at most 4
        KiB, 1 MiB each. timestamp: the client's, ms or ISO-8601; one ahead of the Redis clock counts as now, and so
        does anything else. BoardStale tells what holds instead. Source: lua/v1/board/group.lua. O(1).
        """
        values: dict[str, object] = {
            "user": checked.id_json(user_id, "userId"),
            "timestamp": checked.client_time_ms(timestamp),
            "item_groups": checked.groups_json(item_groups),
            "signature_colors": checked.texts_json(signature_colors, "signatureColors"),
        }
        return replies.grouped(await self._change("group", retro_id, now_ms, values))

    async def vote(
        self,
        retro_id: Id,
        user_votes: Mapping[str, int],
        *,
        user_id: Id,
        group_id: Id | None = None,
        votes: int | None = None,
        now_ms: int | None = None,
    ) -> BoardChanged | BoardFull:
        """Replace all votes of one user. user_votes: whole numbers from 0 by group, at most 3 in all.

        group_id and votes are announced as they are: what the voter's client shows for that group. BoardFull: 2,000
        others have voted. Source: lua/v1/board/vote.lua. O(voters), since the announcement carries everybody's votes.
        """
        values: dict[str, object] = {
            "limit": checked.MAX_VOTERS,
            "user": canonical_id(user_id, "userId"),
            "public": checked.vote_public(user_id, group_id, votes),
            "most": checked.MAX_VOTES,
        }
        fields = checked.user_votes(user_votes)
        return replies.voted(await self._change("vote", retro_id, now_ms, values, fields))

    async def action_add(
        self,
        retro_id: Id,
        item_id: str,
        *,
        task: str,
        assignee_id: Id,
        assignee_name: str | None = None,
        created_by: Id,
        now_ms: int | None = None,
    ) -> ActionSaved | BoardFull:
        """Add an action item; the same task for the same assignee within 500 ms is one item, told with changed=False.

        item_id: a new UUID of the caller. task, assignee_name (None: the id as text): 1–4,096 UTF-8 bytes. BoardFull:
        it has 500. Source: lua/v1/board/action_add.lua. O(action items), since the announcement carries all of them.
        """
        values = checked.new_action(task, assignee_id, assignee_name, created_by)
        values |= {"limit": checked.MAX_ACTION_ITEMS, "id": canonical_id(item_id, "actionItemId")}
        return replies.action_added(await self._change("action_add", retro_id, now_ms, values))

    async def action_update(
        self,
        retro_id: Id,
        item_id: str,
        *,
        task: str | None = None,
        assignee_id: Id | None = None,
        assignee_name: str | None = None,
        now_ms: int | None = None,
    ) -> ActionSaved | ActionAbsent:
        """Change what is given of an action item, at least one thing; None keeps it. It is `edited` from then on.

        changed=False: it was the same already. Source: lua/v1/board/action_update.lua. O(action items).
        """
        values = checked.action_changes(task, assignee_id, assignee_name)
        values["id"] = canonical_id(item_id, "actionItemId")
        return replies.action_updated(await self._change("action_update", retro_id, now_ms, values))

    async def action_delete(
        self, retro_id: Id, item_id: str, *, now_ms: int | None = None
    ) -> BoardChanged | ActionAbsent:
        """Take an action item out. Source: lua/v1/board/action_delete.lua. O(action items)."""
        values: dict[str, object] = {"id": canonical_id(item_id, "actionItemId")}
        return replies.action_deleted(await self._change("action_delete", retro_id, now_ms, values))

    async def relay(
        self, retro_id: Id, event: str, payload: Mapping[str, Any], *, now_ms: int | None = None
    ) -> BoardChanged:
        """Announce something that is not kept: nothing changes, nor does the board's life.

        event: lower-case letters and dashes. payload: at most 16 KiB as JSON, announced as it is. The answer tells
        where the board stands. Source: lua/v1/board/relay.lua. O(1).
        """
        keys = self._keys(retro_id)
        values = {"event": event, "payload": checked.relayed_json(payload), "now_ms": clock(now_ms)}
        return replies.relayed(await self.store.run("board/relay", (keys.meta, keys.feed), values))

    async def touch(self, retro_id: Id) -> bool:
        """Give the board its whole life again; False: there is none. Source: lua/v1/board/touch.lua. O(1)."""
        return replies.touched(await self._change("touch", retro_id, None, {}))

    async def join(self, retro_id: Id) -> BoardSnapshot:
        """Touch the board and read it, in one round trip. Subscribe first, then join, then drop announced changes up to
        the snapshot's version: nothing in between is lost.
        """
        _, snapshot = await asyncio.gather(self.touch(retro_id), self.snapshot(retro_id))
        return snapshot

    async def snapshot(self, retro_id: Id, *, now_ms: int | None = None) -> BoardSnapshot:
        """Read the whole board as of one moment; that does not prolong its life.

        A board that is not there is empty, with version 0. Source: lua/v1/board/snapshot.lua. O(size of the board).
        """
        keys = self._keys(retro_id)[:5]
        return replies.snapshot(await self.store.run("board/snapshot", keys, {"now_ms": clock(now_ms)}))

    async def votes(self, retro_id: Id, user_id: Id | None = None) -> dict[str, dict[str, int]]:
        """Read the votes by user, of one user or (None) of everybody; who has not voted is not there.

        Source: lua/v1/board/votes.lua. O(voters asked).
        """
        keys = self._keys(retro_id)
        user = "" if user_id is None else canonical_id(user_id, "userId")
        return replies.votes(await self.store.run("board/votes", (keys.meta, keys.votes), {"user": user}))

    def _keys(self, retro_id: Id) -> BoardKeys:
        return self.keys.board(canonical_id(retro_id, "retroId"))

    async def _change(
        self, verb: str, retro_id: Id, now_ms: int | None, values: dict[str, object], more: Sequence[str] = ()
    ) -> Reply:
        values |= {"ttl_ms": self.ttl_ms, "now_ms": clock(now_ms)}
        return await self.store.run(f"board/{verb}", self._keys(retro_id), values, more)


def _public(user_id: Id, source: str) -> str:
    """Who did it and how, as the change tells it."""
    return checked.id_json(user_id, "userId") + RECORD_SEPARATOR + to_json(checked.checked_source(source))


def _move_fields(move: Move) -> tuple[str, str, str]:
    if move.source == checked.FIRST_LAYOUT:
        raise InvalidInput("source", "init-layout is for many positions at once")
    item = canonical_id(move.item_id, "itemId")
    return item, checked.position_json(move.position, "position"), _public(move.user_id, move.source)
