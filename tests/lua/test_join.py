"""join.lua."""

from typing import Any

import pytest

from presence_engine import ContractBroken
from tests.lua.conftest import LIFE_MS, NODE, NODE_B, Lua, race


async def test_a_first_join_writes_every_structure(lua: Lua) -> None:
    """003-1, 003-4."""
    now = lua.clock.now_ms
    reply = await lua.join(public='7\x1e"Ada"\x1e{"a":[]}')
    assert reply[:2] == ["joined", now]
    assert reply[3:6] == [1, 1, 1]
    assert await lua.dump() == {
        "due": {"r": now + LIFE_MS},
        "rooms": {"r": 1},
        f"node:{NODE}": {"r": "1"},
        "user:u": {"r": str(now)},
        "room:r:deadlines": {f"u\x1f{NODE}c": now + LIFE_MS},
        "room:r:members": {
            "": f"{reply[2]}\x1f1\x1f{now + LIFE_MS}\x1f{now + 2 * LIFE_MS}",
            "u": f'{now}\x1e\x1f{NODE}c\x1f\x1e\x1e7\x1e"Ada"\x1e{{"a":[]}}',
        },
        "room:r:roster": {"u": now},
    }


async def test_twice_is_once(lua: Lua) -> None:
    await lua.join()
    before = await lua.dump()
    feed = await lua.feed()
    reply = await lua.join()
    assert reply[0] == "rejoined"
    assert reply[3:6] == [1, 1, 1]
    assert await lua.dump() == before
    assert await feed.read() == []


async def test_a_rejoin_keeps_the_first_joined_at_and_takes_the_new_name(lua: Lua) -> None:
    """T3.3, T0.4: the same id with a new name is one user, renamed."""
    first = lua.clock.now_ms
    await lua.join(public='\x1e"old"\x1e{"a":1}')
    feed = await lua.feed()
    now = lua.clock.advance(1000)
    reply = await lua.join(connection=f"{NODE_B}d", public='\x1e"new"\x1e')
    assert reply[:2] == ["rejoined", first]
    assert reply[3:6] == [2, 1, 2]
    [[head, *entries]] = await feed.read()
    assert head == [reply[2], "2", "1", "2", str(now)]
    assert entries == [["~", "u", str(first), "", '"new"', '{"a":1}']]


async def test_a_second_connection_alone_is_announced_as_a_number(lua: Lua) -> None:
    await lua.join()
    feed = await lua.feed()
    reply = await lua.join(connection=f"{NODE}d")
    assert await feed.read() == [[[reply[2], "2", "1", "2", str(lua.clock.now_ms)]]]


async def test_a_join_is_announced_with_the_whole_record(lua: Lua) -> None:
    feed = await lua.feed()
    reply = await lua.join(public='7\x1e"Ada"\x1e{"a":[]}')
    now = str(lua.clock.now_ms)
    assert await feed.read() == [[[reply[2], "1", "1", "1", now], ["+", "u", now, "7", '"Ada"', '{"a":[]}']]]


async def test_a_join_takes_over_connections_in_grace_without_an_event(lua: Lua) -> None:
    """C5: a rejoin from any node cancels the grace."""
    first = await lua.join()
    await lua.run("detach")
    feed = await lua.feed()
    reply = await lua.join(connection=f"{NODE_B}d")
    assert reply == ["rejoined", lua.clock.now_ms, first[2], 1, 1, 1, lua.clock.now_ms]
    assert await feed.read() == []
    dump = await lua.dump()
    assert dump["room:r:deadlines"] == {f"u\x1f{NODE_B}d": lua.clock.now_ms + LIFE_MS}
    assert f"node:{NODE}" not in dump
    assert dump[f"node:{NODE_B}"] == {"r": "1"}


async def test_taking_over_takes_all_in_grace_and_only_those(lua: Lua) -> None:
    """X1: a tilde inside a connection's id is not the mark of grace."""
    ids = [f"{NODE}a~b", f"{NODE}~", f"{NODE_B}c~", f"{NODE_B}d"]
    for connection in ids:
        await lua.join(connection=connection)
    for connection in ids[1::2]:
        await lua.run("detach", connection=connection)
    assert (await lua.join(connection=f"{NODE}e~f"))[3:6] == [5, 1, 3]
    dump = await lua.dump()
    left = [f"{NODE}a~b", f"{NODE_B}c~", f"{NODE}e~f"]
    assert sorted(dump["room:r:deadlines"]) == sorted(f"u\x1f{connection}" for connection in left)
    assert dump["room:r:members"]["u"].split("\x1e")[1] == "\x1f" + "\x1f".join(left) + "\x1f"
    assert (dump[f"node:{NODE}"], dump[f"node:{NODE_B}"]) == ({"r": "2"}, {"r": "1"})
    assert (await lua.run("leave", connection=f"{NODE}a~b"))[0] == "left"


async def test_taking_over_leaves_no_key_without_an_expiry(lua: Lua) -> None:
    await lua.join()
    await lua.run("detach")
    await lua.join(connection=f"{NODE_B}d")
    assert min((await lua.expiries()).values()) >= LIFE_MS


@pytest.mark.parametrize("mode", ["join", "adopt"])
async def test_a_room_with_something_due_says_so(lua: Lua, mode: str) -> None:
    await lua.join()
    lua.clock.advance(LIFE_MS)
    before = await lua.dump()
    assert await lua.join("v", mode=mode) == ["due"]
    assert await lua.dump() == before


async def test_capacity(lua: Lua) -> None:
    assert (await lua.join("a", bounds="2,0,0"))[0] == "joined"
    assert (await lua.join("b", bounds="2,0,0"))[0] == "joined"
    before = await lua.dump()
    assert await lua.join("c", bounds="2,0,0") == ["full", 2]
    assert await lua.dump() == before
    assert (await lua.join("b", connection=f"{NODE}d", bounds="2,0,0"))[0] == "rejoined"


async def test_capacity_holds_when_many_come_at_once(lua: Lua) -> None:
    replies = await race(*(lua.join(f"u{n}", connection=f"{NODE}{n}", bounds="10,0,0") for n in range(50)))
    assert [reply[0] for reply in replies].count("joined") == 10


async def test_a_user_holds_so_many_live_connections_in_a_room(lua: Lua) -> None:
    """002-9. Whatever waits in grace is taken over and does not count; a connection that is there may join again."""
    for name in "ab":
        assert (await lua.join(connection=f"{NODE}{name}", bounds="0,2,0"))[0] in {"joined", "rejoined"}
    before = await lua.dump()
    assert await lua.join(connection=f"{NODE_B}c", bounds="0,2,0") == ["limited", "connections"]
    assert await lua.join(connection=f"{NODE_B}c", bounds="0,2,0", mode="adopt") == ["limited", "connections"]
    assert await lua.dump() == before
    assert (await lua.join("other", connection=f"{NODE_B}c", bounds="0,2,0"))[0] == "joined"
    assert (await lua.join(connection=f"{NODE}a", bounds="0,2,0"))[0] == "rejoined"
    await lua.run("detach", connection=f"{NODE}a")
    assert (await lua.join(connection=f"{NODE_B}c", bounds="0,2,0"))[3:6] == [3, 2, 3]


async def test_a_user_is_in_so_many_rooms(lua: Lua) -> None:
    """002-9. A room the user is in already takes another connection."""
    for room in "ab":
        assert (await lua.join(room=room, bounds="0,0,2"))[0] == "joined"
    before = await lua.dump()
    assert await lua.join(room="c", bounds="0,0,2") == ["limited", "rooms"]
    assert await lua.dump() == before
    assert (await lua.join(room="a", connection=f"{NODE}d", bounds="0,0,2"))[0] == "rejoined"
    assert (await lua.join("v", room="c", bounds="0,0,2"))[0] == "joined"
    await lua.run("leave", room="b")
    assert (await lua.join(room="c", bounds="0,0,2"))[0] == "joined"
    assert await lua.join(room="d", bounds="0,0,2") == ["limited", "rooms"]


async def test_bounds_of_a_user_hold_when_many_come_at_once(lua: Lua) -> None:
    rooms = await race(*(lua.join(room=f"r{n}", connection=f"{NODE}{n}", bounds="0,0,7") for n in range(40)))
    assert [reply[0] for reply in rooms].count("joined") == 7
    tabs = await race(*(lua.join("w", connection=f"{NODE}{n}", bounds="0,5,0") for n in range(40)))
    assert [reply[0] for reply in tabs].count("limited") == 35


async def test_without_the_index_rooms_are_not_bounded(lua: Lua) -> None:
    for room in "abc":
        assert (await lua.join(room=room, bounds="0,0,1", index=False))[0] == "joined"


async def test_adopting_needs_the_user_to_be_there(lua: Lua) -> None:
    assert await lua.join(mode="adopt") == ["absent", ""]
    assert await lua.dump() == {}


async def test_adopting_says_why_the_user_is_gone(lua: Lua) -> None:
    await lua.join()
    await lua.run("kick")
    assert await lua.join(mode="adopt") == ["absent", "kicked"]


async def test_adopting_takes_the_place_in_grace_and_keeps_the_record(lua: Lua) -> None:
    await lua.join(public='7\x1e"Ada"\x1e{"a":1}')
    await lua.run("detach")
    reply = await lua.join(connection=f"{NODE}d", mode="adopt", public="\x1e\x1e")
    assert (reply[0], reply[7:]) == ("rejoined", ["7", '"Ada"', '{"a":1}'])
    assert (await lua.dump())["room:r:members"]["u"].endswith('7\x1e"Ada"\x1e{"a":1}')


async def test_the_detached_connection_itself_cannot_adopt(lua: Lua) -> None:
    """T3.8: a heartbeat from the detached sid does not cancel grace."""
    await lua.join()
    await lua.run("detach")
    before = await lua.dump()
    assert await lua.join(mode="adopt") == ["absent", ""]
    assert await lua.dump() == before


async def test_a_leave_forgets_the_reason_of_an_earlier_removal(lua: Lua) -> None:
    await lua.join()
    await lua.run("kick")
    await lua.join()
    await lua.run("leave")
    assert "room:r:removed" not in await lua.dump()


async def test_without_the_index_no_user_key_is_written(lua: Lua) -> None:
    await lua.join(index=False)
    assert not [key for key in await lua.dump() if key.startswith("user:")]


async def test_every_key_outlives_the_newest_deadline(lua: Lua) -> None:
    """C2, 001-3: nothing is without an end, and a Redis that nobody sweeps empties by itself."""
    for _ in range(10):
        await lua.join()
        expiries = await lua.expiries()
        assert len(expiries) == 7
        assert all(LIFE_MS - 1000 <= life <= 2 * LIFE_MS for life in expiries.values()), expiries
        await lua.pass_time(LIFE_MS // 3)


async def test_a_long_life_is_not_cut_by_a_short_one(lua: Lua) -> None:
    await lua.join(room="long", life_ms=1_000_000)
    await lua.join(room="short", life_ms=1_000)
    expiries = await lua.expiries()
    for shared in ("due", "rooms", f"node:{NODE}", "user:u"):
        assert expiries[shared] > 1_000_000


async def test_a_clock_that_went_back_lowers_no_deadline(lua: Lua) -> None:
    """T3.9."""
    await lua.join()
    before = (await lua.dump())["room:r:deadlines"]
    lua.clock.advance(-5000)
    await lua.join()
    assert (await lua.dump())["room:r:deadlines"] == before


@pytest.mark.parametrize(
    "given",
    [
        {"now_ms": "soon"},
        {"life_ms": "long"},
        {"life_ms": ""},
        {"user": "new", "bounds": "x"},
        {"user": "new", "bounds": "1,2"},
        {"connection": "short"},
        {"public": "x"},
    ],
    ids=str,
)
async def test_malformed_arguments_change_nothing(lua: Lua, given: dict[str, Any]) -> None:
    """A caller that breaks the contract gets an error before the first write."""
    await lua.join(connection=f"{NODE_B}old")
    await lua.run("detach", connection=f"{NODE_B}old")
    before = await lua.dump()
    with pytest.raises(ContractBroken):
        await lua.run("join", **given)
    assert await lua.dump() == before
