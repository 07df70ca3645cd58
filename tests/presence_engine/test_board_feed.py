"""What a board announces: every change once, in order, so that a snapshot and what follows it are the board."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from presence_engine import ContractBroken, PresenceEngine
from presence_engine.board import BoardEngine
from presence_engine.board_models import BoardMoved, BoardPosition, ItemMoved, Move, PositionsMoved, VotesReplaced
from presence_engine.board_replies import decode_board_change
from tests.conftest import Clock, MakeEngine

AT = {"x": 1, "y": 2.5}


@pytest.fixture
def board(engine: PresenceEngine) -> BoardEngine:
    return BoardEngine(engine.store, engine.keys)


@pytest.fixture
async def announced(plain_url: str) -> AsyncIterator[Callable[[str], Awaitable[Callable[[], Awaitable[list[Any]]]]]]:
    """Subscribe to a channel; what it gives reads the changes announced since."""
    clients: list[Any] = []

    async def subscribe(channel: str) -> Callable[[], Awaitable[list[Any]]]:
        client = Redis.from_url(plain_url)
        pubsub = client.pubsub()
        clients.extend((pubsub, client))
        await pubsub.execute_command("SSUBSCRIBE", channel)
        await pubsub.parse_response(timeout=5)

        async def read() -> list[Any]:
            await client.spublish(channel, "end")
            found = []
            while (message := (await pubsub.parse_response(timeout=5))[2]) != b"end":
                found.append(decode_board_change(message))
            return found

        return read

    yield subscribe
    for client in clients:
        await client.aclose()


async def test_every_change_is_announced_once_in_order(board: BoardEngine, announced: Any, clock: Clock) -> None:
    read, now = await announced(board.channel("r")), clock.now_ms
    await board.move("r", [Move("i", AT, 7), Move("j", AT, "v", "drag-stop")], now_ms=now)
    await board.fill("r", {"i": AT, "k": AT}, user_id="u", now_ms=now)
    await board.fill("r", {"i": AT}, user_id="u", now_ms=now)
    await board.group("r", {"i": "s"}, {"s": "red"}, user_id="u", now_ms=now)
    await board.group("r", {}, {}, user_id="u", timestamp=1, now_ms=now)
    await board.vote("r", {"1": 1}, user_id=15, group_id=1, votes=9, now_ms=now)
    await board.action_add("r", "a", task="t", assignee_id="u", created_by="u", now_ms=now)
    await board.action_delete("r", "a", now_ms=now)
    moved, filled, grouped, voted, added, deleted = await read()
    assert moved == PositionsMoved(
        now, BoardPosition(now, 2, now), [ItemMoved("i", AT, 7, "drag", 1), ItemMoved("j", AT, "v", "drag-stop", 2)]
    )
    assert moved.first_version == 1
    assert (filled.item_positions, filled.user_id, filled.source) == ({"k": AT}, "u", "bulk")
    assert (grouped.item_groups, grouped.signature_colors, grouped.timestamp_ms) == ({"i": "s"}, {"s": "red"}, now)
    votes = {"1": 1}
    assert voted == VotesReplaced(now, BoardPosition(now, 5, now + 3), "15", 15, 1, 9, votes, {"15": votes})
    assert (added.what, [item.id for item in added.action_items]) == ("added", ["a"])
    assert (deleted.what, deleted.item_id, deleted.action_items) == ("deleted", "a", [])
    changes = (moved, filled, grouped, voted, added, deleted)
    assert [change.position.version for change in changes] == [2, 3, 4, 5, 6, 7]
    assert [change.position.updated_at_ms for change in changes] == [now + n for n in range(6)]


@pytest.mark.parametrize(
    "message",
    [b"", b"end", b"1\x1e1\x1e1\x1e1\x1edance", b"1\x1ex\x1e1\x1e1\x1emove", b"1\x1e1\x1e1\x1e1\x1egroup", b"\xff"],
)
def test_a_channel_that_carries_something_else_is_told(message: bytes) -> None:
    with pytest.raises(ContractBroken):
        decode_board_change(message)


async def test_t2_6_join_after_subscribing_misses_nothing(
    board: BoardEngine, make_engine: MakeEngine, announced: Any
) -> None:
    """Another server keeps changing; the announced changes above the snapshot, and no others, bring it to the end."""
    engine = await make_engine()
    busy, made, enough = BoardEngine(engine.store, engine.keys), asyncio.Event(), asyncio.Event()

    async def drag() -> int:
        version = 0
        while not enough.is_set():
            outcome = await busy.move("r", [Move("i", {"x": version, "y": 0}, "u")])
            version = outcome.position.version if isinstance(outcome, BoardMoved) else 0
            made.set()
        return version

    dragging = asyncio.create_task(drag())
    await made.wait()
    read = await announced(board.channel("r"))
    snapshot = await board.join("r")
    for _ in range(5):
        await board.touch("r")
    enough.set()
    last, seen = await dragging, snapshot.state.version
    later = [change for change in await read() if change.position.version > seen]
    assert 1 <= seen < last
    assert [change.position.version for change in later] == list(range(seen + 1, last + 1))
    assert later[-1].moves[0].position == (await board.snapshot("r")).state.item_positions["i"]
