"""leave.lua."""

import pytest

from presence_engine import ContractBroken
from tests.lua.conftest import LIFE_MS, NODE, NODE_B, Lua


async def test_the_last_connection_takes_the_user_and_every_key_with_it(lua: Lua) -> None:
    """000-7, 003-7: an explicit leave removes at once; T0.6: the name goes too."""
    epoch = (await lua.join(public='7\x1e"Ada"\x1e'))[2]
    feed = await lua.feed()
    now = lua.clock.advance(1)
    assert await lua.run("leave") == ["left", 0, epoch, 2, 0, 0, now]
    assert await feed.read() == [[[epoch, "2", "0", "0", str(now)], ["-", "u", "7", '"Ada"', "left"]]]
    assert await lua.dump() == {}


async def test_two_tabs_closing_one_keeps_the_user(lua: Lua) -> None:
    """T0.1."""
    epoch = (await lua.join())[2]
    await lua.join(connection=f"{NODE_B}d")
    feed = await lua.feed()
    now = lua.clock.now_ms
    assert await lua.run("leave") == ["left", 1, epoch, 3, 1, 1, now]
    assert await feed.read() == [[[epoch, "3", "1", "1", str(now)]]]
    dump = await lua.dump()
    assert dump["room:r:deadlines"] == {f"u\x1f{NODE_B}d": now + LIFE_MS}
    assert f"node:{NODE}" not in dump


async def test_everywhere_takes_all_connections_and_tells_the_others(lua: Lua) -> None:
    epoch = (await lua.join())[2]
    await lua.join(connection=f"{NODE_B}d")
    await lua.join("other", connection=f"{NODE_B}e")
    feed = await lua.feed()
    now = lua.clock.now_ms
    assert await lua.run("leave", scope="user") == ["left", 0, epoch, 4, 1, 1, now]
    assert await feed.read() == [
        [
            [epoch, "4", "1", "1", str(now)],
            ["x", "u", f"{NODE_B}d", "left", ""],
            ["-", "u", "", "", "left"],
        ]
    ]
    assert (await lua.dump())["room:r:removed"] == {"u": "left"}


async def test_a_connection_in_grace_may_leave(lua: Lua) -> None:
    await lua.join()
    await lua.run("detach")
    assert (await lua.run("leave"))[0] == "left"
    assert await lua.dump() == {}


async def test_twice_is_once(lua: Lua) -> None:
    await lua.join()
    await lua.join("v", connection=f"{NODE}d")
    await lua.run("leave")
    before = await lua.dump()
    feed = await lua.feed()
    assert await lua.run("leave") == ["absent"]
    assert await lua.dump() == before
    assert await feed.read() == []


@pytest.mark.parametrize("scope", ["connection", "user"])
async def test_a_late_leave_of_an_old_connection_removes_nobody(lua: Lua, scope: str) -> None:
    """T0.2: removal is conditional on the connection."""
    await lua.join(connection=f"{NODE}new")
    before = await lua.dump()
    assert await lua.run("leave", connection=f"{NODE}old", scope=scope) == ["absent"]
    assert await lua.run("leave", user="stranger", scope=scope) == ["absent"]
    assert await lua.dump() == before


async def test_an_unknown_room_knows_nobody(lua: Lua) -> None:
    assert await lua.run("leave") == ["absent"]
    assert await lua.dump() == {}


async def test_something_due_is_swept_first(lua: Lua) -> None:
    await lua.join()
    lua.clock.advance(LIFE_MS)
    before = await lua.dump()
    assert await lua.run("leave") == ["due"]
    assert await lua.dump() == before


async def test_one_room_left_leaves_the_others_alone(lua: Lua) -> None:
    """X6."""
    await lua.join(room="a")
    await lua.join(room="b")
    await lua.run("leave", room="a")
    dump = await lua.dump()
    assert dump["user:u"] == {"b": str(lua.clock.now_ms)}
    assert dump[f"node:{NODE}"] == {"b": "1"}
    assert not [key for key in dump if key.startswith("room:a")]


async def test_malformed_arguments_change_nothing(lua: Lua) -> None:
    await lua.join()
    before = await lua.dump()
    with pytest.raises(ContractBroken):
        await lua.run("leave", now_ms="soon")
    assert await lua.dump() == before
