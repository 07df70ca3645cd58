"""lag.lua."""

import pytest

from presence_engine import ContractBroken
from tests.lua.conftest import LIFE_MS, Lua


async def test_the_longest_wait_and_how_many_wait(lua: Lua) -> None:
    start = lua.clock.now_ms
    for n, room in enumerate(("a", "b", "c")):
        await lua.join(room=room, now_ms=start + 10 * n)
    assert await lua.run("lag") == ["lag", start, -1, 0]
    now = lua.clock.advance(LIFE_MS + 15)
    assert await lua.run("lag") == ["lag", now, start + LIFE_MS, 2]
    await lua.run("sweep", room="a")
    assert await lua.run("lag") == ["lag", now, start + LIFE_MS + 10, 1]


async def test_nothing_there(lua: Lua) -> None:
    assert await lua.run("lag") == ["lag", lua.clock.now_ms, -1, 0]


async def test_reading_twice_changes_nothing(lua: Lua) -> None:
    await lua.join()
    before = await lua.dump()
    assert await lua.run("lag") == await lua.run("lag")
    assert await lua.dump() == before


async def test_malformed_arguments_are_refused(lua: Lua) -> None:
    await lua.join()
    with pytest.raises(ContractBroken):
        await lua.run("lag", now_ms="x")
