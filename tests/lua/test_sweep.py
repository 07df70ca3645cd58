"""sweep.lua."""

from typing import Any

import pytest

from presence_engine import ContractBroken
from tests.lua.conftest import LIFE_MS, NODE, NODE_B, Lua, race


async def test_what_is_past_its_deadline_goes_with_its_reason(lua: Lua) -> None:
    """001-7, 003-5."""
    epoch = (await lua.join("idle", public='\x1e"I"\x1e'))[2]
    await lua.join("gone", connection=f"{NODE_B}d")
    await lua.run("detach", user="gone", connection=f"{NODE_B}d", grace_ms=1000)
    now = lua.clock.advance(LIFE_MS)
    late = await lua.run("join", user="late", connection=f"{NODE}e", room="other")
    assert late[0] == "joined"
    feed = await lua.feed()
    assert await lua.run("sweep") == [
        "swept", -1, "11", epoch, 3, 0, 0, now, f"gone\x1f~{NODE_B}d", f"idle\x1f{NODE}c",
    ]  # fmt: skip
    assert await feed.read() == [
        [
            [epoch, "3", "0", "0", str(now)],
            ["-", "gone", "", "", "disconnected"],
            ["-", "idle", "", '"I"', "inactivity_timeout", f"{NODE}c"],
        ]
    ]
    dump = await lua.dump()
    assert dump["room:r:removed"] == {"idle": "inactivity_timeout"}
    assert not [key for key in dump if key.startswith("room:r:") and key != "room:r:removed"]
    assert dump["due"] == {"other": now + LIFE_MS}
    assert dump["rooms"] == {"other": 1}


@pytest.mark.parametrize(("early_ms", "word"), [(1, "clear"), (0, "swept"), (-1, "swept")])
async def test_the_deadline_itself_is_too_late(lua: Lua, early_ms: int, word: str) -> None:
    """T3.7."""
    await lua.join()
    lua.clock.advance(LIFE_MS - early_ms)
    assert (await lua.run("sweep"))[0] == word


async def test_one_of_two_tabs_expires(lua: Lua) -> None:
    """T0.1: the user stays, the number of connections falls."""
    epoch = (await lua.join())[2]
    lua.clock.advance(1000)
    await lua.join(connection=f"{NODE_B}d")
    feed = await lua.feed()
    now = lua.clock.advance(LIFE_MS - 1000)
    reply = await lua.run("sweep")
    assert reply == ["swept", now + 1000, "0", epoch, 3, 1, 1, now, f"u\x1f{NODE}c"]
    assert await feed.read() == [[[epoch, "3", "1", "1", str(now)], ["x", "u", f"{NODE}c", "inactivity_timeout", ""]]]
    dump = await lua.dump()
    assert dump["due"] == {"r": now + 1000}
    assert f"node:{NODE}" not in dump
    assert "room:r:removed" not in dump
    # And with the other tab the user is gone, so the expired one is no longer in the record.
    assert (await lua.run("leave", connection=f"{NODE_B}d"))[5] == 0
    assert await lua.dump() == {}


async def test_a_tab_in_grace_that_outlives_the_others_by_moments_does_not_change_why(lua: Lua) -> None:
    """001-7: of one call's tabs of a user, one that timed out tells why the user left."""
    epoch = (await lua.join())[2]
    lua.clock.advance(LIFE_MS - 500)
    await lua.join(connection=f"{NODE_B}d")
    await lua.run("detach", connection=f"{NODE_B}d", grace_ms=1000)
    feed = await lua.feed()
    now = lua.clock.advance(1000)
    assert (await lua.run("sweep"))[2] == "01"
    assert await feed.read() == [
        [
            [epoch, "3", "0", "0", str(now)],
            ["x", "u", f"{NODE}c", "inactivity_timeout", ""],
            ["-", "u", "", "", "inactivity_timeout"],
        ]
    ]
    assert (await lua.dump())["room:r:removed"] == {"u": "inactivity_timeout"}


async def test_a_call_removes_at_most_its_limit_the_earliest_first(lua: Lua) -> None:
    for n in range(250):
        await lua.join(f"u{n}", connection=f"{NODE}{n}")
        lua.clock.advance(1)
    lua.clock.advance(LIFE_MS)
    feed = await lua.feed()
    users: list[str] = []
    for expected in (100, 100, 50):
        reply = await lua.run("sweep", limit=100)
        assert reply[2] == "1" * expected
        users += [slot.split("\x1f")[0] for slot in reply[8:]]
    assert users == [f"u{n}" for n in range(250)]
    assert (await lua.run("sweep"))[0] == "clear"
    assert [len(message) for message in await feed.read()] == [1 + 100, 1 + 100, 1 + 50]


async def test_twice_is_once(lua: Lua) -> None:
    await lua.join()
    lua.clock.advance(LIFE_MS)
    await lua.run("sweep")
    before = await lua.dump()
    feed = await lua.feed()
    assert await lua.run("sweep") == ["clear", -1, lua.clock.now_ms]
    assert await lua.dump() == before
    assert await feed.read() == []


async def test_two_sweepers_remove_each_connection_once(lua: Lua) -> None:
    """T1.3."""
    for n in range(150):
        await lua.join(f"u{n}", connection=f"{NODE}{n}")
    lua.clock.advance(LIFE_MS)
    replies = await race(*(lua.run("sweep", limit=50) for _ in range(8)))
    users = [slot.split("\x1f")[0] for reply in replies for slot in reply[8:]]
    assert sorted(users) == sorted(f"u{n}" for n in range(150))


async def test_a_room_whose_keys_expired_unswept_is_off_every_list(lua: Lua) -> None:
    """Nobody was there for two lives: `due` and `rooms` may outlive it by other rooms."""
    await lua.join()
    await lua.redis.delete(*(lua.key(name) for name in await lua.dump() if name.startswith("room:r:")))
    assert await lua.run("sweep") == ["clear", -1, lua.clock.now_ms]
    assert not {"due", "rooms"} & set(await lua.dump())


async def test_clear_raises_the_bound_to_the_earliest_deadline(lua: Lua) -> None:
    await lua.join()
    now = lua.clock.advance(5000)
    await lua.beat(("u", f"{NODE}c"))
    assert (await lua.dump())["due"] == {"r": now - 5000 + LIFE_MS}
    assert await lua.run("sweep") == ["clear", now + LIFE_MS, now]
    assert (await lua.dump())["due"] == {"r": now + LIFE_MS}


async def test_an_entry_of_a_room_that_is_gone_leaves_the_index(lua: Lua) -> None:
    await lua.redis.zadd(lua.key("due"), {"r": 5})
    assert await lua.run("sweep") == ["clear", -1, lua.clock.now_ms]
    assert await lua.dump() == {}


async def test_a_room_that_lost_its_own_field_goes_on_under_a_new_epoch(lua: Lua) -> None:
    """Somebody deleted it: those who are due leave all the same, and are told."""
    epoch = (await lua.join())[2]
    lua.clock.advance(1)
    await lua.join("v", connection=f"{NODE}d")
    await lua.redis.hdel(lua.key("room:r:members"), "")
    lua.clock.advance(LIFE_MS - 1)
    feed = await lua.feed()
    reply = await lua.run("sweep")
    assert (reply[0], reply[2], reply[4:7], reply[8:]) == ("swept", "1", [1, 1, 1], [f"u\x1f{NODE}c"])
    assert reply[3] > epoch
    [[head, entry]] = await feed.read()
    assert (head[0], entry[:2]) == (reply[3], ["-", "u"])
    assert (await lua.run("count"))[1:] == [reply[3], 1, 1, 1]


@pytest.mark.parametrize(
    ("script", "word"),
    [
        ("join", "rejoined"), ("leave", "left"), ("detach", "detached"), ("update", "updated"), ("kick", "kicked"),
        ("reap", "reaped"),
    ],
)  # fmt: skip
async def test_whatever_happens_next_in_such_a_room_works(lua: Lua, script: str, word: str) -> None:
    """And who was there before leaves when it is their time, which the room no longer knows."""
    await lua.join("early", connection=f"{NODE_B}e")
    lua.clock.advance(10)
    await lua.join()
    await lua.redis.hdel(lua.key("room:r:members"), "")
    assert (await lua.run(script, name='"new"'))[0] == word
    lua.clock.advance(LIFE_MS - 10)
    assert (await lua.run("due"))[3:] == ["r"]
    assert min((await lua.expiries()).values()) > 0
    assert f"early\x1f{NODE_B}e" in (await lua.run("sweep"))[8:]


@pytest.mark.parametrize("lost", ["u", None], ids=["one record", "all of them"])
async def test_a_deadline_whose_record_is_gone_goes_too(lua: Lua, lost: str | None) -> None:
    """Somebody deleted it, and the room answers again."""
    await lua.join()
    await lua.join("v", connection=f"{NODE}d")
    if lost:
        await lua.redis.hdel(lua.key("room:r:members"), lost)
    else:
        await lua.redis.delete(lua.key("room:r:members"))
    lua.clock.advance(LIFE_MS)
    assert (await lua.run("sweep"))[0] == "swept"
    dump = await lua.dump()
    assert not {"room:r:deadlines", "room:r:members", "room:r:roster", "due", "rooms"} & set(dump)
    assert (await lua.join())[0] == "joined"


async def test_who_stays_is_listed_without_whose_record_is_gone(lua: Lua) -> None:
    for user in "abcd":
        lua.clock.advance(1)
        await lua.join(user, connection=f"{NODE}{user}")
    await lua.redis.hdel(lua.key("room:r:members"), "a")
    page = await lua.run("list", limit=3)
    assert (page[4], page[6], page[7::3]) == (3, 1, ["b", "c"])
    lua.clock.advance(LIFE_MS - 10)
    await lua.beat(*((user, f"{NODE}{user}") for user in "bcd"))
    lua.clock.advance(10)
    assert (await lua.run("sweep"))[0] == "swept"
    page = await lua.run("list", limit=3)
    assert (page[4], page[6], page[7::3]) == (3, 0, ["b", "c", "d"])


async def test_times_are_written_out_in_full(lua: Lua) -> None:
    now = 10**15
    await lua.join(now_ms=now)
    assert await lua.run("sweep", now_ms=now) == ["clear", now + LIFE_MS, now]
    assert await lua.run("sweep", room="nowhere", now_ms=now) == ["clear", -1, now]
    assert (await lua.run("sweep", now_ms=now + LIFE_MS))[6:8] == [0, now + LIFE_MS]


async def test_every_key_keeps_its_expiry(lua: Lua) -> None:
    await lua.join()
    lua.clock.advance(LIFE_MS - 1)
    await lua.join("v", connection=f"{NODE}d")
    lua.clock.advance(1)
    assert (await lua.run("sweep"))[0] == "swept"
    assert min((await lua.expiries()).values()) > LIFE_MS


@pytest.mark.parametrize("given", [{"limit": "many"}, {"limit": ""}, {"now_ms": "x"}], ids=str)
async def test_malformed_arguments_change_nothing(lua: Lua, given: dict[str, Any]) -> None:
    await lua.join()
    lua.clock.advance(LIFE_MS)
    before = await lua.dump()
    with pytest.raises(ContractBroken):
        await lua.run("sweep", **given)
    assert await lua.dump() == before
