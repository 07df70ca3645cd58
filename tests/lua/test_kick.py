"""kick.lua."""

import pytest

from presence_engine import ContractBroken
from tests.lua.conftest import LIFE_MS, NODE, NODE_B, Lua


async def test_every_connection_is_put_out_and_told_on_its_server(lua: Lua) -> None:
    """T0.7: a kick goes through the one remover."""
    epoch = (await lua.join(public='\x1e"Ada"\x1e'))[2]
    await lua.join(connection=f"{NODE_B}d")
    await lua.run("detach", connection=f"{NODE_B}d")
    feed = await lua.feed()
    now = lua.clock.now_ms
    assert await lua.run("kick", message='"bye"') == ["kicked", epoch, 3, 0, 0, now, f"{NODE}c", f"{NODE_B}d"]
    assert await feed.read() == [
        [
            [epoch, "3", "0", "0", str(now)],
            ["x", "u", f"{NODE}c", "kicked", '"bye"'],
            ["x", "u", f"{NODE_B}d", "kicked", '"bye"'],
            ["-", "u", "", '"Ada"', "kicked"],
        ]
    ]
    assert await lua.dump() == {"room:r:removed": {"u": "kicked"}}
    assert 599_000 < (await lua.expiries())["room:r:removed"] <= 600_000


async def test_others_stay(lua: Lua) -> None:
    await lua.join()
    await lua.join("v", connection=f"{NODE}d")
    assert (await lua.run("kick"))[3:] == [1, 1, lua.clock.now_ms, f"{NODE}c"]
    assert (await lua.dump())["room:r:roster"] == {"v": lua.clock.now_ms}
    assert min((await lua.expiries()).values()) > LIFE_MS


async def test_twice_is_once(lua: Lua) -> None:
    await lua.join()
    await lua.join("v", connection=f"{NODE}d")
    await lua.run("kick")
    before = await lua.dump()
    feed = await lua.feed()
    assert await lua.run("kick") == ["absent"]
    assert await lua.dump() == before
    assert await feed.read() == []


async def test_something_due_is_swept_first(lua: Lua) -> None:
    await lua.join()
    lua.clock.advance(LIFE_MS)
    assert await lua.run("kick") == ["due"]


async def test_a_user_with_thousands_of_connections(lua: Lua) -> None:
    """X3: Lua's unpack fails at 8,000 arguments; the record is written as joins would have left it."""
    await lua.join()
    tokens = [f"{NODE}{n}" for n in range(9000)]
    room, now = lua.space.room("r"), lua.clock.now_ms
    await lua.redis.hset(room.members, "u", f"{now}\x1e\x1f" + "\x1f".join(tokens) + "\x1f\x1e\x1e\x1e\x1e")
    await lua.redis.zrem(room.deadlines, f"u\x1f{NODE}c")
    for start in range(0, 9000, 1000):
        part = tokens[start : start + 1000]
        await lua.redis.zadd(room.deadlines, dict.fromkeys((f"u\x1f{token}" for token in part), now + LIFE_MS))
    await lua.redis.hset(lua.key(f"node:{NODE}"), "r", "9000")
    reply = await lua.run("kick")
    assert reply[0] == "kicked"
    assert len(reply) == 6 + 9000
    assert await lua.dump() == {"room:r:removed": {"u": "kicked"}}


async def test_malformed_arguments_change_nothing(lua: Lua) -> None:
    await lua.join()
    before = await lua.dump()
    with pytest.raises(ContractBroken):
        await lua.run("kick", now_ms="x")
    assert await lua.dump() == before
