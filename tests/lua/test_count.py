"""count.lua."""

import pytest

from presence_engine import ContractBroken
from tests.lua.conftest import LIFE_MS, NODE, NODE_B, Lua


async def test_users_and_connections_from_one_call(lua: Lua) -> None:
    """T0.5, 000-11."""
    await lua.join()
    await lua.join(connection=f"{NODE_B}d")
    epoch = (await lua.join("v", connection=f"{NODE}e"))[2]
    assert await lua.run("count") == ["count", epoch, 3, 2, 3]


async def test_grace_still_counts(lua: Lua) -> None:
    await lua.join()
    await lua.run("detach")
    assert (await lua.run("count"))[3:] == [1, 1]


async def test_an_unknown_room_is_empty(lua: Lua) -> None:
    assert await lua.run("count") == ["count", "", 0, 0, 0]


@pytest.mark.parametrize(("early_ms", "word"), [(1, "count"), (0, "due")])
async def test_something_due_is_swept_first(lua: Lua, early_ms: int, word: str) -> None:
    """T1.2, T3.7."""
    await lua.join()
    lua.clock.advance(LIFE_MS - early_ms)
    assert (await lua.run("count"))[0] == word


async def test_a_beat_puts_off_what_the_room_had_noted(lua: Lua) -> None:
    """What a room notes of its earliest deadline is a lower bound: once past, the deadlines themselves are asked."""
    epoch = (await lua.join())[2]
    lua.clock.advance(5000)
    await lua.beat(("u", f"{NODE}c"))
    lua.clock.advance(LIFE_MS - 5000)
    assert await lua.run("count") == ["count", epoch, 1, 1, 1]
    assert (await lua.counts("r"))[2:] == [epoch, 1, 1, 1]


async def test_reading_twice_changes_nothing(lua: Lua) -> None:
    await lua.join()
    before = await lua.dump()
    assert await lua.run("count") == await lua.run("count")
    assert await lua.dump() == before


async def test_malformed_arguments_are_refused(lua: Lua) -> None:
    await lua.join()
    with pytest.raises(ContractBroken):
        await lua.run("count", now_ms="x")
