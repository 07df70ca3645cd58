"""action_add.lua."""

import asyncio

import pytest

from presence_engine import ContractBroken
from tests.lua.board.conftest import BoardLua

ITEM = '"t"\x1e"u"\x1e"U"\x1e"u"'


async def test_an_item_is_added_and_the_whole_array_told(board: BoardLua) -> None:
    now = board.clock.now_ms
    record = f"1\x1e{now}\x1e0\x1e{ITEM}"
    assert await board.run("action_add", item=ITEM) == ["added", now, now, 1, now, "a1", record]
    later = board.clock.advance(1000)
    feed = await board.feed()
    await board.run("action_add", id="a2", item=ITEM)
    assert (await board.dump())["actions"] == {"a1": record, "a2": f"2\x1e{later}\x1e0\x1e{ITEM}"}
    [[head, what, *items]] = await feed.read()
    assert head[4] == "actions"
    assert what == ["added", "a2"]
    assert sorted(item[:3] for item in items) == [["a1", "1", str(now)], ["a2", "2", str(later)]]


@pytest.mark.parametrize(("after_ms", "outcome"), [(0, "duplicate"), (500, "duplicate"), (501, "added")])
async def test_the_same_task_for_the_same_assignee_within_500_ms_is_one(
    board: BoardLua, after_ms: int, outcome: str
) -> None:
    first = await board.run("action_add")
    board.clock.advance(after_ms)
    before, feed = await board.dump(), await board.feed()
    reply = await board.run("action_add", id="a2")
    assert reply[0] == outcome
    if outcome == "duplicate":
        assert reply[3:] == first[3:]
        assert await board.dump() == before
        assert await feed.read() == []
    else:
        assert set((await board.dump())["actions"]) == {"a1", "a2"}


async def test_other_items_in_between_do_not_hide_the_double(board: BoardLua) -> None:
    for n in range(30):
        assert (await board.run("action_add", id=f"a{n}", same=f"task {n}"))[0] == "added"
        board.clock.advance(10)
    assert (await board.run("action_add", id="b", same="task 3"))[5] == "a3"
    board.clock.advance(300)
    assert (await board.run("action_add", id="c", same="task 3"))[0] == "added"
    assert len((await board.dump())["meta"]["added"].split("\x1e")) == 20 + 1


async def test_what_was_deleted_or_is_for_somebody_else_is_no_double(board: BoardLua) -> None:
    await board.run("action_add")
    assert (await board.run("action_add", id="a2", same='"t"\x1ev'))[0] == "added"
    await board.run("action_delete", id="a1")
    assert (await board.run("action_add", id="a3"))[0] == "added"


async def test_again_long_after_is_told_by_its_id(board: BoardLua) -> None:
    """A lost reply may be asked for again at any time."""
    first = await board.run("action_add")
    board.clock.advance(60_000)
    assert (await board.run("action_add"))[2:] == first[2:]
    assert len((await board.dump())["actions"]) == 1


async def test_two_at_once_are_one(board: BoardLua) -> None:
    replies = await asyncio.gather(*(board.run("action_add", id=f"a{n}") for n in range(20)))
    assert sorted(reply[0] for reply in replies) == ["added"] + ["duplicate"] * 19
    assert len({reply[5] for reply in replies}) == 1


async def test_a_full_board_takes_no_more(board: BoardLua) -> None:
    await board.run("action_add", id="a1", same="1", limit=1)
    before, feed = await board.dump(), await board.feed()
    assert await board.run("action_add", id="a2", same="2", limit=1) == ["full", 1]
    assert (await board.run("action_add", id="a2", same="1", limit=1))[0] == "duplicate"
    assert await board.dump() == before
    assert await feed.read() == []


@pytest.mark.parametrize(("item", "id_"), [("", "a"), ("1\x1e2\x1e3", "a"), ("1\x1e2\x1e3\x1e4\x1e5", "a"), (ITEM, "")])
async def test_bad_arguments_are_our_own_bug(board: BoardLua, item: str, id_: str) -> None:
    with pytest.raises(ContractBroken, match="BADARG"):
        await board.run("action_add", item=item, id=id_)
    assert await board.dump() == {}
