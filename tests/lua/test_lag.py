"""lag.lua."""

import pytest

from presence_engine import ContractBroken
from tests.lua.conftest import LIFE_MS, Lua


async def test_how_long_and_how_many_rooms_wait_for_a_sweep(lua: Lua) -> None:
    start = lua.clock.now_ms
    assert await lua.run("lag") == ["lag", start, -1, 0]
    await lua.join(room="a")
    await lua.join(room="b", now_ms=start + 10)
    now = lua.clock.advance(LIFE_MS - 1)
    assert await lua.run("lag") == ["lag", now, -1, 0]
    now = lua.clock.advance(1)
    assert await lua.run("lag") == ["lag", now, start + LIFE_MS, 1]
    now = lua.clock.advance(500)
    assert await lua.run("lag") == ["lag", now, start + LIFE_MS, 2]
    await lua.run("sweep", room="a")
    assert await lua.run("lag") == ["lag", now, start + 10 + LIFE_MS, 1]


async def test_reading_changes_nothing(lua: Lua) -> None:
    await lua.join()
    before = await lua.dump()
    await lua.run("lag")
    assert await lua.dump() == before


async def test_malformed_arguments_are_refused(lua: Lua) -> None:
    with pytest.raises(ContractBroken):
        await lua.run("lag", now_ms="x")
