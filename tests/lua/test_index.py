"""index.lua."""

from typing import Any

import pytest

from presence_engine import ContractBroken
from tests.lua.conftest import NODE, Lua


async def test_every_noted_room_is_told_stretch_by_stretch(lua: Lua) -> None:
    for n in range(25):
        await lua.join(f"u{n}", connection=f"{NODE}{n}", room=f"r{n}")
    await lua.redis.zadd(lua.key("rooms"), {"only-here": 3})
    await lua.redis.zadd(lua.key("due"), {"only-there": 5})
    told: set[str] = set()
    offset = 0
    while found := (await lua.run("index", offset=offset, limit=10))[1:]:
        assert len(found) <= 20
        told |= set(found)
        offset += 10
    assert told == {f"r{n}" for n in range(25)} | {"only-here", "only-there"}


async def test_past_the_end_there_is_nothing(lua: Lua) -> None:
    await lua.join()
    assert await lua.run("index", offset=1) == ["rooms"]


async def test_reading_changes_nothing(lua: Lua) -> None:
    await lua.join()
    before = await lua.dump()
    assert await lua.run("index", offset=0) == await lua.run("index", offset=0) == ["rooms", "r", "r"]
    assert await lua.dump() == before


@pytest.mark.parametrize("given", [{"offset": "x"}, {"offset": 0, "limit": "x"}], ids=str)
async def test_malformed_arguments_are_refused(lua: Lua, given: dict[str, Any]) -> None:
    with pytest.raises(ContractBroken):
        await lua.run("index", **given)
