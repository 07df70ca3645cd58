"""BoardEngine: what it takes, what it answers, what it announces, what it outlives."""

import asyncio
import json
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis

from presence_engine import ConfigurationError, PresenceEngine
from presence_engine.board import BoardEngine
from presence_engine.board_models import (
    ActionAbsent,
    ActionItem,
    ActionSaved,
    BoardChanged,
    BoardFilled,
    BoardFull,
    BoardGrouped,
    BoardMoved,
    BoardPosition,
    BoardStale,
    Move,
)
from presence_engine.embedded import EmbeddedServer
from presence_engine.keys import Keyspace
from presence_engine.times import iso_time
from tests.conftest import Clock, MakeEngine

AT = {"x": 1, "y": 2.5}
NOT_TIMES: list[Any] = [None, "", "soon", True, [], {}, float("nan"), float("inf"), float("-inf"), 10**400]
LONG = "é" * 2048


@pytest.fixture
def board(engine: PresenceEngine) -> BoardEngine:
    return BoardEngine(engine.store, engine.keys)


async def add(board: BoardEngine, item_id: str = "a1", task: Any = "t", **given: Any) -> Any:
    given = {"assignee_id": "u", "created_by": "u", **given}
    return await board.action_add("r", item_id, task=task, **given)


async def test_002_6_the_state_is_the_documents(board: BoardEngine, clock: Clock) -> None:
    now = clock.now_ms
    await board.move("r", [Move("i1", AT, "u")], now_ms=now)
    await board.fill("r", {"i1": {"x": 0, "y": 0}, "i2": {"x": -1.5, "y": 1e300}}, user_id="u", now_ms=now)
    await board.group("r", {"i1": "i1|i2"}, {"i1|i2": "#fff"}, user_id="u", now_ms=now)
    await board.vote("r", {"0": 2, "1": 1}, user_id=15, now_ms=now)
    await board.action_add("r", "a1", task="do", assignee_id=7, assignee_name="Ada", created_by="u", now_ms=now)
    found = await board.snapshot("r", now_ms=now + 3)
    assert (found.now_ms, found.position) == (now + 3, BoardPosition(now, 5, now + 4))
    assert 86_390_000 < found.ttl_ms <= 86_400_000
    assert msgspec.to_builtins(found.state) == {
        "itemPositions": {"i1": AT, "i2": {"x": -1.5, "y": 1e300}},
        "itemGroups": {"i1": "i1|i2"},
        "signatureColors": {"i1|i2": "#fff"},
        "actionItems": [
            {
                "id": "a1", "task": "do", "assigneeId": 7, "assigneeName": "Ada", "createdBy": "u", "createdAt": now,
                "edited": False,
            }
        ],
        "allUserVotes": {"15": {"0": 2, "1": 1}},
        "lastUpdated": "2027-01-15T08:00:00.004Z",
        "version": 5,
        "createdAt": now,
    }  # fmt: skip


async def test_an_unknown_board_is_empty_with_version_0(board: BoardEngine, redis: Redis) -> None:
    found = await board.join("never")
    assert (found.ttl_ms, found.position) == (0, BoardPosition(0, 0, 0))
    state = msgspec.to_builtins(found.state)
    assert state.pop("lastUpdated") == "1970-01-01T00:00:00.000Z"
    assert state == {
        "itemPositions": {}, "itemGroups": {}, "signatureColors": {}, "actionItems": [], "allUserVotes": {},
        "version": 0, "createdAt": 0,
    }  # fmt: skip
    assert not await board.touch("never")
    assert await board.votes("never") == {}
    assert await redis.exists(*board.keys.board("never")) == 0


async def test_c17_joining_prolongs_a_life_and_reading_does_not(engine: PresenceEngine) -> None:
    board, brief = BoardEngine(engine.store, engine.keys), BoardEngine(engine.store, engine.keys, ttl_ms=50_000)
    await brief.move("r", [Move("i", AT, "u")])
    assert (await board.snapshot("r")).ttl_ms <= 50_000
    assert (await board.votes("r")) == {}
    assert (await board.snapshot("r")).ttl_ms <= 50_000
    assert (await board.join("r")).ttl_ms > 86_390_000


async def test_t2_9_an_expired_board_comes_back_whole_and_new(engine: PresenceEngine, redis: Redis) -> None:
    board = BoardEngine(engine.store, engine.keys, ttl_ms=40)
    await board.vote("r", {"1": 1}, user_id="u")
    await board.group("r", {"i": "s"}, {}, user_id="u")
    old = (await board.snapshot("r")).position
    await asyncio.sleep(0.06)
    assert await redis.exists(*board.keys.board("r")) == 0
    assert (await board.snapshot("r")).position.version == 0
    moved = await board.move("r", [Move("i", AT, "u")])
    assert isinstance(moved, BoardMoved)
    assert moved.position.version == 1
    assert moved.position.created_at_ms > old.created_at_ms
    assert moved.position.updated_at_ms > old.updated_at_ms
    state = (await BoardEngine(engine.store, engine.keys).join("r")).state
    assert (state.item_groups, state.all_user_votes, state.item_positions) == ({}, {}, {"i": AT})


async def test_each_move_answers_its_version_or_that_it_found_no_room(board: BoardEngine) -> None:
    await board.fill("r", {f"i{n}": AT for n in range(1999)}, user_id="u")
    moves = [Move("i1", AT, "u"), Move("new", AT, "u"), Move("newer", AT, "u"), Move("new", {"x": 3, "y": 3}, "v")]
    outcome = await board.move("r", moves)
    assert isinstance(outcome, BoardMoved)
    assert outcome.versions == [2, 3, None, 4]
    assert await board.move("r", [Move("newer", AT, "u")]) == BoardFull(2000)
    assert await board.fill("r", {"newer": AT}, user_id="u") == BoardFull(2000)
    assert (await board.snapshot("r")).state.item_positions["new"] == {"x": 3, "y": 3}


async def test_t2_6_what_a_fill_did_not_change_is_answered(board: BoardEngine) -> None:
    await board.move("r", [Move(1, AT, "u"), Move("2", {"x": 2, "y": 2}, "u")])
    filled = await board.fill("r", {"1": {"x": 9, "y": 9}, "3": AT}, user_id="u")
    assert isinstance(filled, BoardFilled)
    assert (filled.filled, filled.held, filled.position.version) == (["3"], {"1": AT}, 3)
    layout = await board.fill("r", {"1": {"x": 9, "y": 9}, "4": AT}, user_id="u", source="init-layout")
    assert isinstance(layout, BoardFilled)
    assert (layout.filled, layout.position.version) == ([], 3)
    assert layout.held == {"1": AT, "2": {"x": 2, "y": 2}, "3": AT}


async def test_t2_4_groupings_by_time_in_every_spelling(board: BoardEngine, clock: Clock) -> None:
    now = clock.now_ms

    async def group(timestamp: object) -> int | str:
        outcome = await board.group("r", {"i": "new"}, {}, user_id="u", timestamp=timestamp, now_ms=now)
        return outcome.timestamp_ms if isinstance(outcome, BoardGrouped) else "stale"

    assert await group(now - 5_000) == now - 5_000
    assert await group(iso_time(now - 4_000)) == now - 4_000
    assert await group("2027-01-15T10:59:57+03:00") == now - 3_000
    assert await group("2027-01-15T07:59:58") == now - 2_000
    assert await group(float(now) - 1_000.4) == now - 1_000
    for stale in (0, 12, -1, "1970-01-01", now - 1_001, "2027-01-15T07:59:58.999Z"):
        assert await group(stale) == "stale"
    for counts_as_now in (*NOT_TIMES, now + 1, "9999-12-31T23:59:59Z"):
        assert await group(counts_as_now) == now


async def test_002_5_a_stale_grouping_is_told_what_holds(board: BoardEngine, clock: Clock) -> None:
    now = clock.now_ms
    await board.group("r", {"i": "s"}, {"s": "red"}, user_id="u", timestamp=now, now_ms=now)
    outcome = await board.group("r", {}, {}, user_id="v", timestamp=now - 1, now_ms=now + 10)
    assert outcome == BoardStale(now + 10, BoardPosition(now, 1, now), now, {"i": "s"}, {"s": "red"})


async def test_t2_7_votes_are_by_user_and_by_group_as_text(board: BoardEngine) -> None:
    assert isinstance(await board.vote("r", {"1": 3.0, "2": 0}, user_id=15), BoardChanged)  # type: ignore[dict-item]
    await board.vote("r", {1: 1}, user_id="v")  # type: ignore[dict-item]
    assert await board.votes("r") == {"15": {"1": 3, "2": 0}, "v": {"1": 1}}
    assert await board.votes("r", "15") == await board.votes("r", 15) == {"15": {"1": 3, "2": 0}}
    await board.vote("r", {}, user_id="15")
    assert await board.votes("r", 15) == {"15": {}}
    assert await board.votes("r", "nobody") == {}


async def test_action_items_keep_their_order_their_ids_and_what_they_say(board: BoardEngine, clock: Clock) -> None:
    task = 'quotes "\\ \x00\x1d\x1e\x1f\n é 🎉'
    for n in range(40):
        saved = await add(board, f"a{n}", f"{task}{n}", assignee_id=n, now_ms=clock.now_ms)
        assert saved.item == ActionItem(f"a{n}", f"{task}{n}", n, str(n), "u", clock.now_ms, False)
    await board.action_update("r", "a3", task="new", assignee_id="v", assignee_name="V")
    assert isinstance(await board.action_delete("r", "a1"), BoardChanged)
    items = (await board.snapshot("r")).state.action_items
    assert [item.id for item in items] == [f"a{n}" for n in range(40) if n != 1]
    assert items[0].task == task + "0"
    assert items[2] == ActionItem("a3", "new", "v", "V", "u", clock.now_ms, True)
    for n in range(40):
        await board.action_delete("r", f"a{n}")
    assert (await board.snapshot("r")).state.action_items == []


async def test_a_double_add_is_told_the_item_that_is_there(board: BoardEngine, clock: Clock) -> None:
    first = await add(board, "a1", assignee_id=15, now_ms=clock.now_ms)
    double = await add(board, "a2", assignee_id="15", now_ms=clock.advance(500))
    assert (double.changed, double.item, double.position) == (False, first.item, first.position)
    assert (await add(board, "a3", assignee_id="15", now_ms=clock.advance(1))).item.id == "a3"


async def test_the_five_hundredth_action_item_is_the_last(board: BoardEngine) -> None:
    await asyncio.gather(*(add(board, f"a{n}", str(n)) for n in range(500)))
    assert await add(board, "more", "more") == BoardFull(500)
    await board.action_delete("r", "a250")
    assert isinstance(await add(board, "more", "more"), ActionSaved)


async def test_what_is_not_there_is_absent(board: BoardEngine) -> None:
    assert await board.action_update("r", "none", task="t") == ActionAbsent()
    assert await board.action_delete("r", "none") == ActionAbsent()
    assert (await board.snapshot("r")).position.version == 0


async def test_the_longest_texts_and_the_largest_numbers_come_back_as_given(board: BoardEngine) -> None:
    await board.move("r", [Move("i" * 128, {"x": 2**60 + 1, "y": -0.1, "z": 1}, "u", "drag-stop")])
    await board.group("r", {"i": LONG, "j": ""}, {LONG: "\x1d\x1e\x1f"}, user_id="u")
    await add(board, "a", LONG, assignee_name=LONG)
    state = (await board.snapshot("r")).state
    assert state.item_positions == {"i" * 128: {"x": 2**60 + 1, "y": -0.1}}
    assert (state.item_groups, state.signature_colors) == ({"i": LONG, "j": ""}, {LONG: "\x1d\x1e\x1f"})
    assert (state.action_items[0].task, state.action_items[0].assignee_name) == (LONG, LONG)


async def test_t2_2_several_servers_lose_nothing_to_each_other(make_engine: MakeEngine) -> None:
    """002-8 (2): concurrent operations of many users through two engines."""
    engines = [await make_engine(), await make_engine()]
    boards = [BoardEngine(engine.store, engine.keys) for engine in engines]
    calls = [
        call
        for n in range(50)
        for call in (
            boards[n % 2].move("r", [Move(f"i{n}", {"x": n, "y": n}, "u")]),
            boards[n % 2].vote("r", {str(n): 1}, user_id=n),
            add(boards[n % 2], f"a{n}", str(n)),
        )
    ]
    outcomes = await asyncio.gather(*calls)
    assert sorted(outcome.position.version for outcome in outcomes) == list(range(1, 151))
    assert len({outcome.position.updated_at_ms for outcome in outcomes}) == 150
    state = (await boards[0].snapshot("r")).state
    assert state == (await boards[1].snapshot("r")).state
    assert state.item_positions == {f"i{n}": {"x": n, "y": n} for n in range(50)}
    assert state.all_user_votes == {str(n): {str(n): 1} for n in range(50)}
    assert {item.task for item in state.action_items} == {str(n) for n in range(50)}


@pytest.mark.parametrize(
    ("prefix_of", "key"),
    [
        ("pr1", "retro:room:state:{0}:my: {retro}*:meta"),
        ("other", "other:retro:room:state:{0}:my: {retro}*:meta"),
    ],
)
def test_002_10_boards_are_found_as_retro_room_state(prefix_of: str, key: str) -> None:
    assert Keyspace(prefix=prefix_of).board("my: {retro}*").meta == key


def test_all_keys_of_a_board_lie_in_one_partition() -> None:
    space = Keyspace(partitions=128)
    tags = {key.split("{")[1].split("}")[0] for key in space.board("r")}
    assert tags == {str(space.partition_of("r"))}
    assert len(set(space.board("r"))) == 6


async def test_no_part_is_left_without_an_end(board: BoardEngine, redis: Redis, keys_left: Any) -> None:
    """002-2: 24 hours, all of it."""
    await test_002_6_the_state_is_the_documents(board, Clock())
    assert [key for key in await keys_left() if key.startswith("r:")] == [
        f"r:{part}" for part in ("actions", "grouping", "meta", "positions", "votes")
    ]
    for key in board.keys.board("r")[:5]:
        assert 86_390_000 < await redis.pttl(key) <= 86_400_000


async def test_002_8_3_a_board_survives_the_end_of_its_server(tmp_path: Any) -> None:
    """002-4: every byte of it, with the embedded store stopped and started again."""
    with EmbeddedServer(tmp_path) as server:
        async with PresenceEngine(server.url) as engine:
            board = BoardEngine(engine.store, engine.keys)
            await test_002_6_the_state_is_the_documents(board, Clock())
            before = await board.snapshot("r", now_ms=0)
    with EmbeddedServer(tmp_path) as server:
        async with PresenceEngine(server.url) as engine:
            after = await BoardEngine(engine.store, engine.keys).snapshot("r", now_ms=0)
    assert json.dumps(msgspec.to_builtins(after.state)) == json.dumps(msgspec.to_builtins(before.state))
    assert after.position == before.position
    assert after.ttl_ms <= before.ttl_ms


@pytest.mark.parametrize("ttl_ms", [0, -1])
def test_a_life_of_nothing_is_refused(engine: PresenceEngine, ttl_ms: int) -> None:
    with pytest.raises(ConfigurationError):
        BoardEngine(engine.store, engine.keys, ttl_ms)


@pytest.mark.parametrize(
    ("at_ms", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (999, "1970-01-01T00:00:00.999Z"),
        (1_800_000_000_004, "2027-01-15T08:00:00.004Z"),
        (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
    ],
)
def test_times_have_milliseconds_and_z(at_ms: int, text: str) -> None:
    assert iso_time(at_ms) == text
