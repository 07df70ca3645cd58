"""condemn.lua."""

import pytest

from presence_engine import ContractBroken
from tests.lua.conftest import NODE, NODE_B, Lua


@pytest.mark.parametrize(("early_ms", "found"), [(1, []), (0, [NODE])])
async def test_a_lease_that_has_run_out(lua: Lua, early_ms: int, found: list[str]) -> None:
    await lua.run("renew", name="one")
    now = lua.clock.advance(10_000 - early_ms)
    assert await lua.run("condemn", name="one") == ["condemned", now, 0, *found]


async def test_twice_is_once(lua: Lua) -> None:
    """T1.3: of two servers that see it, one has the dead node's rooms to reap."""
    await lua.run("renew", name="one")
    now = lua.clock.advance(10_000)
    await lua.run("condemn", name="one")
    before = await lua.dump()
    assert before == {"nodes:condemned": {f"{NODE}\x1fnode_lost\x1fone": now}, "nodes:gone": {NODE: now}}
    assert await lua.run("condemn", name="one") == ["condemned", now, 0]
    assert await lua.dump() == before
    assert min((await lua.expiries()).values()) > 86_000_000


async def test_earlier_boots_of_a_name_whatever_their_lease(lua: Lua) -> None:
    """T1.6: a restart cleans up after its own boots; others and their names' neighbours stay."""
    await lua.run("renew", node="bootOLD1", name="web:1")
    await lua.run("renew", node="bootOLD2", name="web:1")
    await lua.run("retire", node="bootOLD2", what="web:1")
    await lua.run("renew", node=NODE_B, name="web:11")
    await lua.run("renew", name="web:1")
    reply = await lua.run("condemn", name="web:1", which="name", reason="server_restart")
    assert (reply[2], sorted(reply[3:])) == (1, ["bootOLD1", "bootOLD2"])
    dump = await lua.dump()
    assert set(dump["nodes:leases"]) == {f"{NODE}\x1fweb:1", f"{NODE_B}\x1fweb:11"}
    assert set(dump["nodes:condemned"]) == {
        "bootOLD1\x1fserver_restart\x1fweb:1",
        "bootOLD2\x1fserver_restart\x1fweb:1",
    }
    assert "nodes:retired" not in dump


async def test_of_a_name_also_those_that_are_still_being_removed(lua: Lua) -> None:
    """An earlier start was interrupted, or another server had condemned it: once told, once in the books."""
    for node, name in (("bootOLD1", "web"), ("bootOLD2", "web"), (NODE_B, "web:1")):
        await lua.run("renew", node=node, name=name)
    lua.clock.advance(10_000)
    for node, name in (("bootOLD1", "web"), (NODE_B, "web:1")):
        await lua.run("condemn", node=node, name=name)
    for _ in range(2):
        # The lease of the one that is not condemned yet has run out.
        now = lua.clock.advance(1)
        reply = await lua.run("condemn", name="web", which="name", reason="server_restart")
        assert (reply[2], sorted(reply[3:])) == (0, ["bootOLD1", "bootOLD2"])
    assert (await lua.dump())["nodes:condemned"] == {
        "bootOLD1\x1fserver_restart\x1fweb": now,
        "bootOLD2\x1fserver_restart\x1fweb": now,
        f"{NODE_B}\x1fnode_lost\x1fweb:1": now - 2,
    }
    await lua.run("retire", node="bootOLD1", what="server_restart\x1fweb")
    assert (await lua.run("condemn", name="web", which="name", reason="server_restart"))[3:] == ["bootOLD2"]


async def test_malformed_arguments_change_nothing(lua: Lua) -> None:
    await lua.run("renew", name="one")
    before = await lua.dump()
    with pytest.raises(ContractBroken):
        await lua.run("condemn", name="one", now_ms="x")
    assert await lua.dump() == before
