"""held.lua."""

import pytest

from presence_engine import ContractBroken
from tests.lua.conftest import NODE_B, Lua


async def test_the_rooms_of_a_node(lua: Lua) -> None:
    for room in ("a", "b", "c"):
        await lua.join(room=room)
    await lua.join(room="other", connection=f"{NODE_B}d")
    word, *rooms = await lua.run("held")
    assert (word, sorted(rooms)) == ("rooms", ["a", "b", "c"])
    assert len(set((await lua.run("held", limit=2))[1:])) == 2


async def test_an_unknown_node_holds_nothing(lua: Lua) -> None:
    assert await lua.run("held") == ["rooms"]


async def test_reading_changes_nothing(lua: Lua) -> None:
    await lua.join()
    before = await lua.dump()
    await lua.run("held")
    assert await lua.dump() == before


async def test_malformed_arguments_are_refused(lua: Lua) -> None:
    with pytest.raises(ContractBroken):
        await lua.run("held", limit="x")
