"""action_delete.lua."""

import pytest

from presence_engine import ContractBroken, StoreUnavailable
from presence_engine.store import Store
from tests.conftest import StartServer
from tests.lua.board.conftest import BoardLua


async def test_an_item_is_deleted_and_what_is_left_is_told(board: BoardLua) -> None:
    await board.run("action_add", id="a1", same="1")
    await board.run("action_add", id="a2", same="2")
    feed = await board.feed()
    now = board.clock.advance(10)
    assert await board.run("action_delete", id="a1") == ["deleted", now, now - 10, 3, now]
    [[_, what, *items]] = await feed.read()
    assert what == ["deleted", "a1"]
    assert [item[0] for item in items] == ["a2"]


async def test_t2_3_the_last_one_leaves_an_empty_array_not_an_object(board: BoardLua) -> None:
    await board.run("action_add")
    feed = await board.feed()
    await board.run("action_delete")
    [[_, *entries]] = await feed.read()
    assert entries == [["deleted", "a1"]]
    assert "actions" not in await board.dump()
    assert (await board.dump())["meta"]["version"] == "2"


async def test_again_is_absent(board: BoardLua) -> None:
    await board.run("action_add")
    await board.run("action_delete")
    before, feed = await board.dump(), await board.feed()
    assert await board.run("action_delete") == ["absent"]
    assert await board.dump() == before
    assert await feed.read() == []
    assert await board.run("action_delete", retro="nowhere") == ["absent"]
    assert await board.dump("nowhere") == {}


async def test_a_full_redis_still_deletes(start_server: StartServer, board: BoardLua) -> None:
    server = start_server(maxmemory="0")
    await board.store.close()
    board.store = Store(server.url)
    await board.run("action_add")
    await board.store.command("CONFIG", "SET", "maxmemory", "1")
    with pytest.raises(StoreUnavailable):
        await board.run("action_add", id="a2", same="2")
    assert (await board.run("touch"))[0] == "touched"
    assert (await board.run("action_delete"))[0] == "deleted"


async def test_bad_arguments_are_our_own_bug(board: BoardLua) -> None:
    with pytest.raises(ContractBroken, match="BADARG"):
        await board.run("action_delete", "one too many")
