"""action_update.lua."""

import pytest

from presence_engine import ContractBroken
from tests.lua.board.conftest import BoardLua


async def test_what_is_given_changes_and_the_item_is_edited(board: BoardLua) -> None:
    added = board.clock.now_ms
    await board.run("action_add")
    feed = await board.feed()
    now = board.clock.advance(9)
    record = f'1\x1e{added}\x1e1\x1e"new"\x1e"u"\x1e"U"\x1e"u"'
    assert await board.run("action_update", task='"new"') == ["updated", now, added, 2, now, "a1", record]
    assert (await board.dump())["actions"] == {"a1": record}
    [[_, what, item]] = await feed.read()
    assert what == ["updated", "a1"]
    assert item == ["a1", *record.split("\x1e")]
    await board.run("action_update", assignee_id="15", assignee_name='"V"')
    assert (await board.dump())["actions"]["a1"].endswith('1\x1e"new"\x1e15\x1e"V"\x1e"u"')


async def test_two_who_change_different_things_both_hold(board: BoardLua) -> None:
    """T2.2: no client reads, changes and writes the item as a whole."""
    await board.run("action_add")
    await board.run("action_update", task='"new"')
    await board.run("action_update", assignee_name='"V"')
    assert (await board.dump())["actions"]["a1"].endswith('"new"\x1e"u"\x1e"V"\x1e"u"')


async def test_again_is_unchanged(board: BoardLua) -> None:
    await board.run("action_add")
    await board.run("action_update", task='"new"')
    before, feed = await board.dump(), await board.feed()
    reply = await board.run("action_update", task='"new"')
    assert (reply[0], reply[3]) == ("unchanged", 2)
    assert await board.dump() == before
    assert await feed.read() == []


async def test_what_is_not_there_is_absent_and_makes_no_board(board: BoardLua) -> None:
    assert await board.run("action_update", id="none", task='"x"') == ["absent"]
    assert await board.dump() == {}


async def test_bad_arguments_are_our_own_bug(board: BoardLua) -> None:
    with pytest.raises(ContractBroken, match="BADARG"):
        await board.run("action_update", "one too many")
