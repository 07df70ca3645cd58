"""layout.lua."""

from tests.lua.conftest import Lua


async def test_the_first_decides_and_the_others_are_told(lua: Lua) -> None:
    assert await lua.run("layout") == ["agreed", 4]
    assert await lua.run("layout", partitions=8) == ["differs", 4]


async def test_twice_is_once_and_for_good(lua: Lua) -> None:
    await lua.run("layout")
    assert await lua.run("layout") == ["agreed", 4]
    assert await lua.expiries() == {"nodes:layout": -1}
    assert await lua.redis.get(lua.space.nodes("layout")) == "4"
