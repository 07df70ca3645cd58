"""reap.lua."""

from typing import Any

import pytest

from presence_engine import ContractBroken
from tests.lua.conftest import LIFE_MS, NODE, NODE_B, Lua


async def reap_all(lua: Lua, **given: Any) -> int:
    """Walk the room as an engine does; return how many connections went."""
    removed = 0
    joined_at = user = ""
    while True:
        word, _, joined_at, user, count = await lua.run("reap", after_joined_at=joined_at, after_user=user, **given)
        assert word == "reaped"
        removed += int(count)
        if not user:
            return removed


async def test_what_a_dead_node_left_goes_with_its_reason(lua: Lua) -> None:
    """C6, T1.6: only its own connections; users with another node stay."""
    epoch = (await lua.join("a", connection=f"{NODE}1", public='\x1e"A"\x1e'))[2]
    await lua.join("b", connection=f"{NODE}2")
    await lua.join("b", connection=f"{NODE_B}3")
    await lua.join("c", connection=f"{NODE_B}4")
    await lua.run("detach", user="a", connection=f"{NODE}1")
    feed = await lua.feed()
    now = str(lua.clock.now_ms)
    assert await reap_all(lua) == 2
    assert await feed.read() == [
        [
            [epoch, "5", "2", "2", now],
            ["x", "a", f"{NODE}1", "node_lost", ""],
            ["-", "a", "", '"A"', "node_lost"],
            ["x", "b", f"{NODE}2", "node_lost", ""],
        ]
    ]
    dump = await lua.dump()
    assert sorted(dump["room:r:deadlines"]) == [f"b\x1f{NODE_B}3", f"c\x1f{NODE_B}4"]
    assert dump["room:r:removed"] == {"a": "node_lost"}
    assert f"node:{NODE}" not in dump
    assert "user:a" not in dump
    assert min(life for key, life in (await lua.expiries()).items() if key.startswith("room")) > LIFE_MS


async def test_those_in_grace_may_be_spared(lua: Lua) -> None:
    """Of a node that stopped by itself: its note of the room stays as long as one of them does."""
    for user, number in (("a", 1), ("b", 2), ("b", 3), ("c", 4)):
        await lua.join(user, connection=f"{NODE}{number}")
    for user, number in (("a", 1), ("b", 2)):
        await lua.run("detach", user=user, connection=f"{NODE}{number}")
    assert await reap_all(lua, spare="grace") == 2
    dump = await lua.dump()
    assert sorted(dump["room:r:deadlines"]) == [f"a\x1f~{NODE}1", f"b\x1f~{NODE}2"]
    assert dump["room:r:removed"] == {"c": "node_lost"}
    assert dump[f"node:{NODE}"] == {"r": "2"}
    assert await reap_all(lua, spare="grace") == 0
    assert await lua.dump() == dump


@pytest.mark.parametrize("spare", ["", "grace"])
async def test_a_note_of_a_room_that_is_gone_is_dropped(lua: Lua, spare: str) -> None:
    await lua.redis.hset(lua.key(f"node:{NODE}"), "r", "3")
    assert await reap_all(lua, spare=spare) == 0
    assert await lua.dump() == {}


async def test_by_pages_of_a_bounded_size(lua: Lua) -> None:
    for n in range(250):
        await lua.join(f"u{n}", connection=f"{NODE}{n}")
    await lua.join("stays", connection=f"{NODE_B}s")
    feed = await lua.feed()
    assert await reap_all(lua, limit=100) == 250
    sizes = [sum(entry[0] == "-" for entry in message) for message in await feed.read()]
    assert (max(sizes), sum(sizes)) == (100, 250)
    assert (await lua.dump())["room:r:roster"] == {"stays": lua.clock.now_ms}


async def test_the_last_user_takes_every_key(lua: Lua) -> None:
    await lua.join()
    assert await reap_all(lua, reason="server_restart") == 1
    assert await lua.dump() == {"room:r:removed": {"u": "server_restart"}}


async def test_twice_is_once(lua: Lua) -> None:
    await lua.join()
    await lua.join("v", connection=f"{NODE_B}d")
    await reap_all(lua)
    before = await lua.dump()
    feed = await lua.feed()
    assert await reap_all(lua) == 0
    assert await lua.dump() == before
    assert await feed.read() == []


async def test_something_due_is_swept_first(lua: Lua) -> None:
    await lua.join()
    lua.clock.advance(LIFE_MS)
    assert await lua.run("reap") == ["due"]


@pytest.mark.parametrize("given", [{"limit": "x"}, {"now_ms": "x"}], ids=str)
async def test_malformed_arguments_change_nothing(lua: Lua, given: dict[str, Any]) -> None:
    await lua.join()
    before = await lua.dump()
    with pytest.raises(ContractBroken):
        await lua.run("reap", **given)
    assert await lua.dump() == before
