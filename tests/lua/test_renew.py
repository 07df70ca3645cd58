"""renew.lua."""

from typing import Any

import pytest

from presence_engine import ContractBroken
from tests.lua.conftest import NODE, NODE_B, Lua

ONE, TWO = f"{NODE}\x1fone", f"{NODE_B}\x1ftwo"


async def test_the_first_call_registers_and_the_next_renews(lua: Lua) -> None:
    now = lua.clock.now_ms
    assert await lua.run("renew", name="one") == ["registered", now]
    assert await lua.run("renew", name="one") == ["renewed", now, 1, -1, 0]
    assert await lua.dump() == {"nodes:leases": {ONE: now + 10_000}}
    assert 86_000_000 < (await lua.expiries())["nodes:leases"] <= 86_400_000


async def test_the_next_lease_to_end_and_those_that_have(lua: Lua) -> None:
    start = lua.clock.now_ms
    await lua.run("renew", node=NODE_B, name="two")
    lua.clock.advance(5000)
    await lua.run("renew", name="one")
    assert await lua.run("renew", name="one") == ["renewed", start + 5000, 1, start + 10_000, 0]
    now = lua.clock.advance(5000)
    assert await lua.run("renew", name="one") == ["renewed", now, 1, -1, 1, TWO]


async def test_a_node_that_hung_learns_that_its_lease_had_run_out(lua: Lua) -> None:
    """T1.6."""
    await lua.run("renew", name="one")
    now = lua.clock.advance(10_000)
    assert await lua.run("renew", name="one") == ["renewed", now, 0, -1, 0]


async def test_a_node_declared_dead_may_not_come_back(lua: Lua) -> None:
    """T1.6: its users must be found force-left, not resurrected."""
    await lua.run("renew", name="one")
    await lua.run("renew", node=NODE_B, name="two")
    now = lua.clock.advance(10_000)
    await lua.run("condemn", name="one")
    before = await lua.dump()
    assert await lua.run("renew", name="one") == ["condemned", now]
    assert await lua.dump() == before
    assert await lua.run("renew", node=NODE_B, name="two") == ["renewed", now, 0, -1, 0, f"{NODE}\x1fnode_lost\x1fone"]


async def test_who_died_is_remembered_for_a_day(lua: Lua) -> None:
    await lua.run("renew", name="one")
    died = lua.clock.advance(10_000)
    await lua.run("condemn", name="one")
    for step_ms, remembered in ((86_399_999, {NODE: died}), (1, None)):
        lua.clock.advance(step_ms)
        for _ in range(2):
            await lua.run("renew", node=NODE_B, name="two")
        assert (await lua.dump()).get("nodes:gone") == remembered


@pytest.mark.parametrize("given", [{"lease_ms": "x"}, {"now_ms": "x"}], ids=str)
async def test_malformed_arguments_change_nothing(lua: Lua, given: dict[str, Any]) -> None:
    with pytest.raises(ContractBroken):
        await lua.run("renew", name="one", **given)
    assert await lua.dump() == {}
