"""nodes.lua."""

from typing import Any

import pytest

from presence_engine import ContractBroken
from tests.lua.conftest import NODE, NODE_B, Lua


async def test_leases_the_first_to_end_first_and_the_condemned(lua: Lua) -> None:
    start = lua.clock.now_ms
    await lua.run("renew", node=NODE_B, name="two")
    lua.clock.advance(4000)
    await lua.run("renew", name="one")
    leases = [f"{NODE_B}\x1ftwo", start + 10_000, f"{NODE}\x1fone", start + 14_000]
    assert await lua.run("nodes") == ["nodes", start + 4000, 2, *leases]
    now = lua.clock.advance(6000)
    assert await lua.run("nodes") == ["nodes", now, 2, *leases]
    await lua.run("condemn", node=NODE_B, name="two")
    assert await lua.run("nodes") == ["nodes", now, 1, *leases[2:], f"{NODE_B}\x1fnode_lost", now]


async def test_nobody_yet(lua: Lua) -> None:
    assert await lua.run("nodes") == ["nodes", lua.clock.now_ms, 0]


async def test_no_more_than_asked_for(lua: Lua) -> None:
    for node in (NODE, NODE_B):
        await lua.run("renew", node=node, name="n")
    assert len(await lua.run("nodes", limit=1)) == 5


async def test_reading_twice_changes_nothing(lua: Lua) -> None:
    await lua.run("renew", name="one")
    before = await lua.dump()
    assert await lua.run("nodes") == await lua.run("nodes")
    assert await lua.dump() == before


@pytest.mark.parametrize("given", [{"limit": "x"}, {"now_ms": "x"}], ids=str)
async def test_malformed_arguments_are_refused(lua: Lua, given: dict[str, Any]) -> None:
    await lua.run("renew", name="one")
    with pytest.raises(ContractBroken):
        await lua.run("nodes", **given)
