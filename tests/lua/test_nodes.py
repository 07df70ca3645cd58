"""nodes.lua."""

from typing import Any

import pytest

from presence_engine import ContractBroken
from tests.lua.conftest import NODE, NODE_B, Lua


async def test_leases_first_then_the_condemned(lua: Lua) -> None:
    start = lua.clock.now_ms
    assert await lua.run("nodes") == ["nodes", start, 0]
    await lua.run("renew", name="one")
    await lua.run("renew", node=NODE_B, name="two", lease_ms=5_000)
    both = [f"{NODE_B}\x1ftwo", start + 5_000, f"{NODE}\x1fone", start + 10_000]
    assert await lua.run("nodes") == ["nodes", start, 2, *both]
    assert await lua.run("nodes", limit=1) == ["nodes", start, 1, *both[:2]]
    now = lua.clock.advance(6_000)
    assert await lua.run("nodes") == ["nodes", now, 2, *both]
    await lua.run("condemn", node=NODE_B, name="two")
    assert await lua.run("nodes") == ["nodes", now, 1, *both[2:], f"{NODE_B}\x1fnode_lost", now]


async def test_reading_changes_nothing(lua: Lua) -> None:
    await lua.run("renew", name="one")
    before = await lua.dump()
    await lua.run("nodes")
    assert await lua.dump() == before


@pytest.mark.parametrize("given", [{"limit": "x"}, {"now_ms": "x"}], ids=str)
async def test_malformed_arguments_are_refused(lua: Lua, given: dict[str, Any]) -> None:
    with pytest.raises(ContractBroken):
        await lua.run("nodes", **given)
