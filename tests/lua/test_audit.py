"""audit.lua."""

import pytest

from presence_engine import ContractBroken
from tests.lua.conftest import NODE, NODE_B, Lua


async def fill(lua: Lua) -> str:
    await lua.join("a", connection=f"{NODE}1")
    await lua.join("a", connection=f"{NODE_B}2")
    await lua.join("b", connection=f"{NODE}3")
    return str((await lua.run("count"))[1])


async def test_a_sound_room_has_no_faults(lua: Lua) -> None:
    epoch, now = await fill(lua), lua.clock.now_ms
    await lua.run("detach", user="b", connection=f"{NODE}3")
    reply = await lua.run("audit")
    assert reply[:9] == ["audited", epoch, 3, 2, 2, 3, 2, now, "b"]
    assert sorted(reply[9].split(",")) == [f"{NODE}=2/2", f"{NODE_B}=1/1"]
    assert reply[10:] == []


async def test_page_by_page(lua: Lua) -> None:
    await fill(lua)
    now = lua.clock.now_ms
    first = await lua.run("audit", limit=1)
    assert first[7:9] == [now, "a"]
    second = await lua.run("audit", limit=1, after_joined_at=now, after_user="a")
    assert (second[8], second[9]) == ("b", f"{NODE}=1/2")
    assert (await lua.run("audit", limit=1, after_joined_at=now, after_user="b"))[8:] == ["", ""]


async def test_an_unknown_room_is_empty(lua: Lua) -> None:
    assert await lua.run("audit") == ["audited", "", 0, 0, 0, 0, -1, 0, "", ""]


async def test_every_kind_of_drift_is_told(lua: Lua) -> None:
    await fill(lua)
    room = lua.space.room("r")
    await lua.redis.zrem(room.deadlines, f"a\x1f{NODE}1")
    await lua.redis.hdel(room.members, "b")
    await lua.redis.zadd(room.roster, {"a": 5})
    await lua.redis.zadd(room.due, {"r": 2**52})
    await lua.redis.zadd(room.rooms, {"r": 9})
    reply = await lua.run("audit")
    assert reply[3:7] == [1, 2, 2, 9]
    assert reply[10:] == [
        "due: the room is noted later than its earliest deadline", "roster: another joinedAt for a",
        "deadlines: none for a connection of a", "members: no record of b",
    ]  # fmt: skip


async def test_what_a_room_says_of_itself_is_checked(lua: Lua) -> None:
    await fill(lua)
    room = lua.space.room("r")
    own = str(await lua.redis.hget(room.members, "")).split("\x1f")
    own[2] = str(int(own[2]) + 1)
    await lua.redis.hset(room.members, "", "\x1f".join(own))
    assert (await lua.run("audit"))[10:] == ["members: the bound is later than the earliest deadline"]
    await lua.redis.hdel(room.members, "")
    await lua.redis.zrem(room.due, "r")
    reply = await lua.run("audit")
    assert reply[1:4] == ["", 0, 1]
    assert reply[10:] == ["due: the room is not noted", "members: the epoch and seq are missing"]


async def test_a_member_without_connections_is_told(lua: Lua) -> None:
    await fill(lua)
    record = f"{lua.clock.now_ms}\x1e\x1f\x1e\x1e\x1e\x1e"
    await lua.redis.hset(lua.space.room("r").members, "b", record)
    assert (await lua.run("audit"))[10:] == ["members: no connection of b"]


async def test_reading_changes_nothing(lua: Lua) -> None:
    await fill(lua)
    before = await lua.dump()
    await lua.run("audit")
    assert await lua.dump() == before


async def test_malformed_arguments_are_refused(lua: Lua) -> None:
    await fill(lua)
    with pytest.raises(ContractBroken):
        await lua.run("audit", limit="x")
