"""rooms.lua."""

from typing import Any

import pytest

from presence_engine import ContractBroken
from tests.lua.conftest import LIFE_MS, NODE, Lua


async def fill(lua: Lua, **sizes: int) -> None:
    for room, size in sizes.items():
        for n in range(size):
            await lua.join(f"u{n}", connection=f"{NODE}{room}{n}", room=room)


async def test_live_rooms_largest_first(lua: Lua) -> None:
    await fill(lua, small=1, large=3, middle=2)
    await lua.join("u0", connection=f"{NODE}tab", room="small")
    now = lua.clock.now_ms
    assert await lua.run("rooms") == ["rooms", now, 3, "large", 3, 3, "middle", 2, 2, "small", 1, 2]
    assert await lua.run("rooms", limit=1) == ["rooms", now, 3, "large", 3, 3]
    assert await lua.run("rooms", limit=0) == ["rooms", now, 3]


async def test_no_room_at_all(lua: Lua) -> None:
    assert await lua.run("rooms") == ["rooms", lua.clock.now_ms, 0]


async def test_due_rooms_are_named_a_hundred_at_most(lua: Lua) -> None:
    await fill(lua, **{f"r{n}": 1 for n in range(120)})
    lua.clock.advance(LIFE_MS)
    reply = await lua.run("rooms")
    assert (reply[0], len(reply)) == ("due", 101)


async def test_reading_twice_changes_nothing(lua: Lua) -> None:
    await fill(lua, a=2)
    before = await lua.dump()
    assert await lua.run("rooms") == await lua.run("rooms")
    assert await lua.dump() == before


@pytest.mark.parametrize("given", [{"limit": "x"}, {"now_ms": "x"}], ids=str)
async def test_malformed_arguments_are_refused(lua: Lua, given: dict[str, Any]) -> None:
    await fill(lua, a=1)
    with pytest.raises(ContractBroken):
        await lua.run("rooms", **given)
