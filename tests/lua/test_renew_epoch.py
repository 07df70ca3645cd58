"""renew_epoch.lua."""

from typing import Any

import pytest

from presence_engine import ContractBroken
from tests.lua.conftest import Lua


async def test_an_older_room_gets_another_epoch_and_everybody_hears(lua: Lua) -> None:
    epoch = (await lua.join())[2]
    before = await lua.dump()
    feed = await lua.feed()
    word, renewed, *position = await lua.run("renew_epoch", since=int(epoch, 16) + 1)
    assert (word, position) == ("renewed", [2, 1, 1, lua.clock.now_ms])
    assert int(renewed, 16) > int(epoch, 16)
    assert await feed.read() == [[[renewed, "2", "1", "1", str(lua.clock.now_ms)]]]
    after = await lua.dump()
    # Nothing else has changed.
    for dump in (before, after):
        dump["room:r:members"].pop("")
    assert after == before


async def test_a_room_born_since_keeps_its_epoch(lua: Lua) -> None:
    epoch = (await lua.join())[2]
    before = await lua.dump()
    feed = await lua.feed()
    assert await lua.run("renew_epoch", since=int(epoch, 16)) == ["kept", epoch, 1, 1, 1, lua.clock.now_ms]
    assert await lua.dump() == before
    assert await feed.read() == []


async def test_twice_is_once(lua: Lua) -> None:
    epoch = (await lua.join())[2]
    since = int(epoch, 16) + 1
    renewed = (await lua.run("renew_epoch", since=since))[1]
    assert await lua.run("renew_epoch", since=since) == ["kept", renewed, 2, 1, 1, lua.clock.now_ms]


async def test_nobody_there(lua: Lua) -> None:
    assert await lua.run("renew_epoch", since=2**50) == ["absent"]
    assert await lua.dump() == {}


async def test_what_is_due_is_swept_first(lua: Lua) -> None:
    await lua.join()
    lua.clock.advance(20_000)
    assert await lua.run("renew_epoch", since=2**50) == ["due"]


@pytest.mark.parametrize("bad", [{"now_ms": "soon"}])
async def test_malformed_arguments_change_nothing(lua: Lua, bad: dict[str, Any]) -> None:
    await lua.join()
    before = await lua.dump()
    with pytest.raises(ContractBroken, match="BADARG"):
        await lua.run("renew_epoch", **bad)
    assert await lua.dump() == before
