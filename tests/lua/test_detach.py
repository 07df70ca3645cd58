"""detach.lua."""

from typing import Any

import pytest

from presence_engine import ContractBroken
from tests.lua.conftest import LIFE_MS, NODE, NODE_B, Lua


async def test_a_broken_connection_waits_in_grace_and_nothing_is_announced(lua: Lua) -> None:
    """C5, T1.5: the grace is in Redis, so a crash of the server does not lose it."""
    await lua.join()
    feed = await lua.feed()
    now = lua.clock.advance(100)
    assert await lua.run("detach", grace_ms=1000) == ["detached", now + 1000]
    dump = await lua.dump()
    assert dump["room:r:deadlines"] == {f"u\x1f~{NODE}c": now + 1000}
    assert dump["due"] == {"r": now + 1000}
    assert await feed.read() == []


async def test_grace_never_lengthens_life(lua: Lua) -> None:
    """T3.8."""
    joined = lua.clock.now_ms
    await lua.join()
    lua.clock.advance(LIFE_MS - 300)
    assert await lua.run("detach", grace_ms=1000) == ["detached", joined + LIFE_MS]


async def test_twice_is_once_and_a_second_disconnect_does_not_lengthen(lua: Lua) -> None:
    """T1.5."""
    await lua.join()
    await lua.run("detach")
    before = await lua.dump()
    lua.clock.advance(500)
    assert await lua.run("detach") == ["absent"]
    assert await lua.dump() == before


async def test_the_end_of_another_tab_does_not_lengthen_the_grace(lua: Lua) -> None:
    """T3.8: each keeps a deadline of its own."""
    await lua.join()
    await lua.join(connection=f"{NODE_B}d")
    began = lua.clock.now_ms
    await lua.run("detach", grace_ms=1000)
    lua.clock.advance(400)
    await lua.run("detach", connection=f"{NODE_B}d", grace_ms=1000)
    deadlines = (await lua.dump())["room:r:deadlines"]
    assert deadlines == {f"u\x1f~{NODE}c": began + 1000, f"u\x1f~{NODE_B}d": began + 1400}


async def test_the_last_activity_is_remembered(lua: Lua) -> None:
    await lua.join()
    beat = lua.clock.advance(5000)
    await lua.beat(("u", f"{NODE}c"))
    lua.clock.advance(50)
    await lua.run("detach")
    assert f"\x1e{beat}\x1e" in (await lua.dump())["room:r:members"]["u"]


async def test_without_grace_the_connection_goes_at_once(lua: Lua) -> None:
    """`PRESENCE_GRACE=0`."""
    epoch = (await lua.join())[2]
    feed = await lua.feed()
    now = lua.clock.now_ms
    assert await lua.run("detach", grace_ms=0) == ["removed", epoch, 2, 0, 0, now]
    assert await feed.read() == [[[epoch, "2", "0", "0", str(now)], ["-", "u", "", "", "disconnected"]]]
    assert await lua.dump() == {}


async def test_without_grace_the_other_tab_stays(lua: Lua) -> None:
    """T0.1."""
    epoch = (await lua.join())[2]
    await lua.join(connection=f"{NODE_B}d")
    feed = await lua.feed()
    now = lua.clock.now_ms
    assert await lua.run("detach", grace_ms=0) == ["removed", epoch, 3, 1, 1, now]
    assert await feed.read() == [[[epoch, "3", "1", "1", str(now)]]]
    assert (await lua.dump())["room:r:members"]["u"].startswith(f"{now}\x1e\x1f{NODE_B}d\x1f")


async def test_a_late_disconnect_of_an_old_connection_detaches_nobody(lua: Lua) -> None:
    """T0.2."""
    await lua.join(connection=f"{NODE}new")
    before = await lua.dump()
    assert await lua.run("detach", connection=f"{NODE}old") == ["absent"]
    assert await lua.run("detach", user="stranger") == ["absent"]
    assert await lua.run("detach", room="nowhere") == ["absent"]
    assert await lua.dump() == before


async def test_something_due_is_swept_first(lua: Lua) -> None:
    await lua.join()
    lua.clock.advance(LIFE_MS)
    assert await lua.run("detach") == ["due"]


async def test_every_key_keeps_its_expiry(lua: Lua) -> None:
    await lua.join()
    await lua.run("detach", grace_ms=1000)
    assert min((await lua.expiries()).values()) > LIFE_MS


@pytest.mark.parametrize("given", [{"grace_ms": "x"}, {"life_ms": ""}, {"now_ms": "x"}], ids=str)
async def test_malformed_arguments_change_nothing(lua: Lua, given: dict[str, Any]) -> None:
    await lua.join()
    before = await lua.dump()
    with pytest.raises(ContractBroken):
        await lua.run("detach", **given)
    assert await lua.dump() == before
