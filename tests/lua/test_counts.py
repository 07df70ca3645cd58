"""counts.lua."""

from tests.lua.conftest import LIFE_MS, NODE, Lua


async def test_four_fields_a_room_also_for_the_unknown_and_the_due(lua: Lua) -> None:
    await lua.join(room="stale")
    now = lua.clock.advance(LIFE_MS)
    await lua.join(room="a")
    epoch = (await lua.join("v", connection=f"{NODE}d", room="a"))[2]
    assert await lua.counts("a", "nowhere", "stale") == ["counts", now, epoch, 2, 2, 2, "", 0, 0, 0, "", 0, -1, 0]


async def test_a_thousand_rooms(lua: Lua) -> None:
    await lua.join(room="r999")
    reply = await lua.counts(*(f"r{n}" for n in range(1000)))
    assert len(reply) == 2 + 4000
    assert sum(reply[4::4]) == 1
    assert reply[-2:] == [1, 1]


async def test_reading_twice_changes_nothing(lua: Lua) -> None:
    await lua.join()
    before = await lua.dump()
    assert await lua.counts("r") == await lua.counts("r")
    assert await lua.dump() == before
