"""retire.lua."""

import pytest

from presence_engine import ContractBroken
from tests.lua.conftest import NODE, NODE_B, Lua


async def test_a_graceful_stop_drops_the_lease_and_is_remembered(lua: Lua) -> None:
    await lua.run("renew", name="one")
    now = lua.clock.now_ms
    assert await lua.run("retire", what="one") == ["retired", now, 1]
    assert await lua.dump() == {"nodes:retired": {f"{NODE}\x1fone": now}}
    assert (await lua.expiries())["nodes:retired"] > 86_000_000


async def test_twice_is_once(lua: Lua) -> None:
    await lua.run("renew", name="one")
    await lua.run("retire", what="one")
    before = await lua.dump()
    assert await lua.run("retire", what="one") == ["retired", lua.clock.now_ms, 0]
    assert await lua.dump() == before


async def test_who_stopped_is_remembered_for_a_day(lua: Lua) -> None:
    await lua.run("renew", name="one")
    await lua.run("retire", what="one")
    for step_ms, remembered in ((86_399_999, [NODE, NODE_B]), (1, [NODE_B, "nodeCCCC"])):
        lua.clock.advance(step_ms)
        await lua.run("renew", node=remembered[1], name="next")
        await lua.run("retire", node=remembered[1], what="next")
        assert [member[:8] for member in (await lua.dump())["nodes:retired"]] == remembered


async def test_a_condemned_node_is_done_when_its_rooms_are(lua: Lua) -> None:
    await lua.run("renew", name="one")
    now = lua.clock.advance(10_000)
    await lua.run("condemn", name="one")
    assert await lua.run("retire", what="node_lost\x1fone") == ["retired", now, 1]
    assert await lua.dump() == {"nodes:gone": {NODE: now}}


async def test_malformed_arguments_change_nothing(lua: Lua) -> None:
    await lua.run("renew", name="one")
    before = await lua.dump()
    with pytest.raises(ContractBroken):
        await lua.run("retire", what="one", now_ms="x")
    assert await lua.dump() == before
