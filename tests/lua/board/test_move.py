"""move.lua."""

import pytest

from presence_engine import ContractBroken
from tests.lua.board.conftest import TTL_MS, BoardLua


async def test_a_first_move_starts_a_board(board: BoardLua) -> None:
    """002-6: position, version, times; nothing else is written."""
    now = board.clock.now_ms
    feed = await board.feed()
    assert await board.move("i") == ["moved", now, now, 1, now, "1"]
    assert await board.dump() == {
        "meta": {"createdAt": str(now), "version": "1", "updatedAt": str(now)},
        "positions": {"i": '{"x":1,"y":2}'},
    }
    assert await feed.read() == [[[str(now), "1", str(now), str(now), "move"], ["i", '{"x":1,"y":2}', '"u"', '"drag"']]]


async def test_each_move_of_a_call_has_its_version_and_the_last_of_an_item_holds(board: BoardLua) -> None:
    """T2.10: a window of drags is one call and one publication."""
    feed = await board.feed()
    reply = await board.run("move", "a", "1", "p", "b", "2", "p", "a", "3", "p")
    assert (reply[3], reply[5]) == (3, "111")
    assert (await board.dump())["positions"] == {"a": "3", "b": "2"}
    [[head, *entries]] = await feed.read()
    assert head[1] == "3"
    assert [entry[:2] for entry in entries] == [["a", "1"], ["b", "2"], ["a", "3"]]


async def test_again_is_another_version_of_the_same(board: BoardLua) -> None:
    await board.move("i")
    before = await board.dump()
    board.clock.advance(5)
    now = board.clock.now_ms
    assert (await board.move("i"))[3:5] == [2, now]
    after = await board.dump()
    assert after["positions"] == before["positions"]


async def test_a_full_board_moves_what_it_has_and_takes_nothing_new(board: BoardLua) -> None:
    await board.move("a", "b", limit=3)
    reply = await board.move("c", "new", "a", "c", "newer", limit=3)
    assert (reply[3], reply[5]) == (5, "10110")
    before = await board.dump()
    feed = await board.feed()
    assert await board.move("new", limit=3) == ["full", 3]
    assert await board.dump() == before
    assert set(before["positions"]) == {"a", "b", "c"}
    assert await feed.read() == []


async def test_two_thousand_moves_fit_in_a_call(board: BoardLua) -> None:
    items = [f"i{n}" for n in range(2000)]
    reply = await board.move(*items, limit=2000)
    assert reply[5] == "1" * 2000
    assert set((await board.dump())["positions"]) == set(items)


async def test_t2_5_the_time_of_change_rises_even_when_the_clock_falls_back(board: BoardLua) -> None:
    first = await board.move("i")
    board.clock.advance(-10_000)
    second = await board.move("i")
    assert second[1] == first[1] - 10_000
    assert [second[4], (await board.move("i"))[4]] == [first[4] + 1, first[4] + 2]


async def test_t2_9_every_part_gets_the_same_new_end_with_every_change(board: BoardLua) -> None:
    await board.whole()
    await board.age(30_000)
    await board.move("i")
    ends = await board.ends()
    assert len(ends) == 5
    assert len(set(ends)) == 1
    assert TTL_MS - 5_000 < await board.redis.pttl(board.key("meta")) <= TTL_MS


@pytest.mark.parametrize("lost", ["meta", "positions meta", "votes meta grouping"])
async def test_t2_9_a_board_without_its_meta_starts_anew_and_whole(board: BoardLua, lost: str) -> None:
    await board.whole()
    await board.redis.delete(*(board.key(part) for part in lost.split()))
    now = board.clock.advance(7)
    assert await board.move("j") == ["moved", now, now, 1, now, "1"]
    assert set(await board.dump()) == {"meta", "positions"}
    assert (await board.dump())["positions"] == {"j": '{"x":1,"y":2}'}


async def test_002_9_two_boards_share_nothing(board: BoardLua) -> None:
    """Not even with ids that look like keys of each other."""
    await board.whole()
    before, feed = await board.dump(), await board.feed()
    for other in ("r:positions", "r}", "{r", "R", "*"):
        await board.move("x", retro=other)
        assert set(await board.dump(other)) == {"meta", "positions"}
    assert await board.dump() == before
    assert await feed.read() == []


@pytest.mark.parametrize("fields", [(), ("i",), ("i", "1"), ("i", "1", "p", "j")])
async def test_incomplete_moves_are_our_own_bug(board: BoardLua, fields: tuple[str, ...]) -> None:
    with pytest.raises(ContractBroken, match="BADARG"):
        await board.run("move", *fields)
    assert await board.dump() == {}
