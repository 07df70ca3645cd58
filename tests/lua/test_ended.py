"""ended.lua."""

import pytest

from presence_engine import ContractBroken
from tests.lua.conftest import NODE, NODE_B, Lua


async def test_the_dead_and_those_that_stopped_the_latest_first(lua: Lua) -> None:
    for at, node in enumerate(("diesOne1", "diesTwo2", "stops111", "stops222")):
        await lua.run("renew", node=node, name="n")
        lua.clock.advance(1)
        if at < 2:
            lua.clock.advance(10_000)
            await lua.run("condemn", node=node, name="n")
        else:
            await lua.run("retire", node=node, what="n")
    await lua.run("renew", node=NODE_B, name="lives")
    assert await lua.run("ended") == ["ended", 2, "diesTwo2", "diesOne1", "stops222", "stops111"]
    assert await lua.run("ended", limit=1) == ["ended", 1, "diesTwo2", "stops222"]


async def test_one_that_began_again_has_not_ended(lua: Lua) -> None:
    """Its connections are alive, under whichever name."""
    for name in ("one", "other"):
        await lua.run("renew", name=name)
        await lua.run("retire", what=name)
    assert await lua.run("ended") == ["ended", 0, NODE, NODE]
    await lua.run("renew", name="third")
    assert await lua.run("ended") == ["ended", 0]


async def test_reading_twice_changes_nothing(lua: Lua) -> None:
    await lua.run("renew", name="one")
    await lua.run("retire", what="one")
    before = await lua.dump()
    assert await lua.run("ended") == await lua.run("ended")
    assert await lua.dump() == before


async def test_malformed_arguments_are_refused(lua: Lua) -> None:
    with pytest.raises(ContractBroken):
        await lua.run("ended", limit="x")
