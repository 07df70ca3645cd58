"""where.lua."""

from tests.lua.conftest import LIFE_MS, NODE, NODE_B, Lua


async def test_the_rooms_of_a_user(lua: Lua) -> None:
    """T0.3: all rooms, not the current one."""
    first = lua.clock.now_ms
    await lua.join(room="a")
    second = lua.clock.advance(10)
    await lua.join(room="b")
    await lua.join(room="b", connection=f"{NODE_B}d")
    await lua.run("detach", room="a")
    reply = await lua.run("where")
    assert reply[:2] == ["rooms", second]
    assert sorted(zip(reply[2::3], reply[3::3], reply[4::3], strict=True)) == [("a", 1, first), ("b", 2, second)]


async def test_a_stranger_is_nowhere(lua: Lua) -> None:
    assert await lua.run("where") == ["rooms", lua.clock.now_ms]


async def test_due_rooms_are_named_to_be_swept(lua: Lua) -> None:
    await lua.join(room="a")
    await lua.join(room="b")
    lua.clock.advance(LIFE_MS)
    reply = await lua.run("where")
    assert (reply[0], sorted(reply[1:])) == ("due", ["a", "b"])


async def test_a_beat_puts_off_what_a_room_had_noted(lua: Lua) -> None:
    joined = lua.clock.now_ms
    await lua.join()
    lua.clock.advance(5000)
    await lua.beat(("u", f"{NODE}c"))
    now = lua.clock.advance(LIFE_MS - 5000)
    assert await lua.run("where") == ["rooms", now, "r", 1, joined]


async def test_reading_twice_changes_nothing(lua: Lua) -> None:
    await lua.join()
    before = await lua.dump()
    assert await lua.run("where") == await lua.run("where")
    assert await lua.dump() == before
    assert await lua.run("where", user=NODE) == ["rooms", lua.clock.now_ms]
