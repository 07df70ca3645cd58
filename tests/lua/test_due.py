"""due.lua."""

from typing import Any

import pytest

from presence_engine import ContractBroken
from tests.lua.conftest import LIFE_MS, Lua


async def test_due_rooms_and_the_next_one(lua: Lua) -> None:
    start = lua.clock.now_ms
    for n, room in enumerate(("a", "b", "c")):
        await lua.join(room=room, now_ms=start + n)
    assert await lua.run("due") == ["due", start, start + LIFE_MS]
    now = lua.clock.advance(LIFE_MS)
    assert await lua.run("due") == ["due", now, now + 1, "a"]
    lua.clock.advance(2)
    assert await lua.run("due") == ["due", now + 2, -1, "a", "b", "c"]
    assert await lua.run("due", limit=2) == ["due", now + 2, -1, "a", "b"]


async def test_nothing_waits(lua: Lua) -> None:
    assert await lua.run("due") == ["due", lua.clock.now_ms, -1]


async def test_reading_twice_changes_nothing(lua: Lua) -> None:
    await lua.join()
    before = await lua.dump()
    assert await lua.run("due") == await lua.run("due")
    assert await lua.dump() == before


@pytest.mark.parametrize("given", [{"limit": "x"}, {"now_ms": "x"}], ids=str)
async def test_malformed_arguments_are_refused(lua: Lua, given: dict[str, Any]) -> None:
    await lua.join()
    with pytest.raises(ContractBroken):
        await lua.run("due", **given)
