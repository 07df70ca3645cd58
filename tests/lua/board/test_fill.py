"""fill.lua."""

import pytest

from presence_engine import ContractBroken
from tests.lua.board.conftest import BoardLua


async def test_t2_6_only_missing_positions_are_filled(board: BoardLua) -> None:
    await board.run("move", "a", "1", "p")
    feed = await board.feed()
    now = board.clock.advance(1)
    reply = await board.run("fill", "a", "9", "b", "8")
    assert reply == ["filled", now, now - 1, 2, now, ["b"], ["a", "1"]]
    assert (await board.dump())["positions"] == {"a": "1", "b": "8"}
    assert await feed.read() == [[[str(now - 1), "2", str(now), str(now), "fill"], ['"u"', '"bulk"'], ["b", "8"]]]


async def test_again_nothing_is_missing(board: BoardLua) -> None:
    await board.run("fill", "a", "9")
    before, feed = await board.dump(), await board.feed()
    reply = await board.run("fill", "a", "7")
    assert reply[0] == "kept"
    assert reply[3:] == [1, reply[4], [], ["a", "9"]]
    assert await board.dump() == before
    assert await feed.read() == []


async def test_t2_6_a_first_layout_is_for_a_board_without_positions(board: BoardLua) -> None:
    reply = await board.run("fill", "a", "1", "b", "2", mode="init")
    assert (reply[0], reply[5], reply[6]) == ("filled", ["a", "b"], [])
    before, feed = await board.dump(), await board.feed()
    reply = await board.run("fill", "a", "9", "c", "9", mode="init")
    assert (reply[0], reply[5]) == ("kept", [])
    assert sorted(reply[6]) == ["1", "2", "a", "b"]
    assert await board.dump() == before
    assert await feed.read() == []


async def test_a_board_that_cannot_take_all_takes_none(board: BoardLua) -> None:
    await board.move("a", "b")
    before = await board.dump()
    assert await board.run("fill", "b", "9", "c", "8", "d", "7", limit=3) == ["full", 2]
    assert await board.dump() == before
    assert (await board.run("fill", "b", "9", "c", "8", limit=3))[0] == "filled"


async def test_two_thousand_places_fit_in_a_call(board: BoardLua) -> None:
    await board.move(*(f"i{n}" for n in range(0, 2000, 2)), limit=2000)
    places = [field for n in range(2000) for field in (f"i{n}", str(n))]
    reply = await board.run("fill", *places, limit=2000)
    assert reply[5] == [f"i{n}" for n in range(1, 2000, 2)]
    assert reply[6][::2] == [f"i{n}" for n in range(0, 2000, 2)]
    positions = (await board.dump())["positions"]
    assert len(positions) == 2000
    assert positions["i1999"] == "1999"
    assert positions["i1998"] == '{"x":1,"y":2}'


async def test_nothing_to_fill_makes_no_board(board: BoardLua) -> None:
    assert (await board.run("fill"))[0] == "kept"
    assert await board.dump() == {}


@pytest.mark.parametrize(("fields", "mode"), [(("a",), "missing"), (("a", "1", "b"), "init"), (("a", "1"), "all")])
async def test_bad_arguments_are_our_own_bug(board: BoardLua, fields: tuple[str, ...], mode: str) -> None:
    with pytest.raises(ContractBroken, match="BADARG"):
        await board.run("fill", *fields, mode=mode)
    assert await board.dump() == {}
