"""heartbeat.lua."""

from typing import Any

import pytest

from presence_engine import ContractBroken
from tests.lua.conftest import LIFE_MS, NODE, NODE_B, Lua, race

SLOT = ("u", f"{NODE}c")


async def deadlines(lua: Lua) -> dict[str, float]:
    found: dict[str, float] = (await lua.dump())["room:r:deadlines"]
    return found


async def test_a_beat_moves_the_deadline(lua: Lua) -> None:
    """003-3, 001-5."""
    await lua.join()
    feed = await lua.feed()
    now = lua.clock.advance(5000)
    assert await lua.beat(SLOT) == ["beat", now, "1"]
    assert await deadlines(lua) == {f"u\x1f{NODE}c": now + LIFE_MS}
    assert await feed.read() == []


async def test_within_the_slack_nothing_is_written_and_life_is_never_shorter_than_the_ttl(lua: Lua) -> None:
    joined = lua.clock.now_ms
    await lua.join()
    now = lua.clock.advance(100)
    assert await lua.beat(SLOT) == ["beat", now, "1"]
    assert (await deadlines(lua))[f"u\x1f{NODE}c"] == joined + LIFE_MS >= now + 10_000
    now = lua.clock.advance(1)
    await lua.beat(SLOT)
    assert (await deadlines(lua))[f"u\x1f{NODE}c"] == now + LIFE_MS


async def test_twice_is_once(lua: Lua) -> None:
    await lua.join()
    lua.clock.advance(5000)
    await lua.beat(SLOT)
    before = await lua.dump()
    await lua.beat(SLOT)
    assert await lua.dump() == before


async def test_many_slots_get_an_answer_each(lua: Lua) -> None:
    for n in range(1000):
        if n % 3:
            await lua.join(f"u{n}", connection=f"{NODE}{n}")
    lua.clock.advance(5000)
    reply = await lua.beat(*((f"u{n}", f"{NODE}{n}") for n in range(1000)))
    assert reply[2] == "".join("1" if n % 3 else "0" for n in range(1000))


@pytest.mark.parametrize("late_ms", [0, 1])
async def test_a_member_past_its_deadline_is_reported_and_not_revived(lua: Lua, late_ms: int) -> None:
    """T1.2, T3.7: at exactly the deadline it is dead."""
    await lua.join()
    now = lua.clock.advance(LIFE_MS + late_ms)
    before = await lua.dump()
    assert await lua.beat(SLOT) == ["beat", now, "0"]
    assert await lua.dump() == before


async def test_of_many_only_the_living_move(lua: Lua) -> None:
    """T1.2, T3.7: a call for many revives no more than a call for one."""
    await lua.join()
    lua.clock.advance(5000)
    await lua.join("v", connection=f"{NODE}d")
    before = await deadlines(lua)
    now = lua.clock.advance(LIFE_MS - 5000)
    assert await lua.beat(SLOT, ("v", f"{NODE}d"), ("w", f"{NODE}e")) == ["beat", now, "010"]
    assert await deadlines(lua) == {**before, f"v\x1f{NODE}d": now + LIFE_MS}


async def test_of_many_only_those_beyond_the_slack_are_written(lua: Lua) -> None:
    joined = lua.clock.now_ms
    await lua.join()
    lua.clock.advance(1)
    await lua.join("v", connection=f"{NODE}d")
    slots = (SLOT, ("v", f"{NODE}d"))
    for late_ms, moved in ((100, {}), (101, {f"u\x1f{NODE}c": joined + 101 + LIFE_MS})):
        before = await deadlines(lua)
        lua.clock.now_ms = joined + late_ms
        assert (await lua.beat(*slots))[2] == "11"
        assert await deadlines(lua) == {**before, **moved}


async def test_the_last_millisecond_still_counts(lua: Lua) -> None:
    """T3.7."""
    await lua.join()
    lua.clock.advance(LIFE_MS - 1)
    assert (await lua.beat(SLOT))[2] == "1"


async def test_an_absent_member_is_never_created(lua: Lua) -> None:
    """T1.1."""
    assert (await lua.beat(SLOT))[2] == "0"
    assert await lua.dump() == {}


async def test_a_detached_connection_cannot_beat_itself_back(lua: Lua) -> None:
    """T3.8."""
    await lua.join()
    await lua.run("detach")
    before = await lua.dump()
    assert (await lua.beat(SLOT))[2] == "0"
    assert await lua.dump() == before


async def test_a_clock_that_went_back_lowers_no_deadline(lua: Lua) -> None:
    """T3.9."""
    await lua.join()
    before = await deadlines(lua)
    lua.clock.advance(-8000)
    assert (await lua.beat(SLOT))[2] == "1"
    assert await deadlines(lua) == before


async def test_a_leave_between_is_not_undone(lua: Lua) -> None:
    """T3.2: no order of a leave and a beat leaves a ghost."""
    for n in range(20):
        await lua.join(connection=f"{NODE}{n}")
        lua.clock.advance(1000)
        await race(
            lua.beat(("u", f"{NODE}{n}")), lua.run("leave", connection=f"{NODE}{n}"), lua.beat(("u", f"{NODE}{n}"))
        )
        assert await lua.dump() == {}


@pytest.mark.parametrize("step_ms", [900, 2525, 4000, 5050, 7000, 9999])
async def test_keys_outlive_the_newest_deadline_when_nobody_joins_again(lua: Lua, step_ms: int) -> None:
    """C2: ten lives of nothing but beats; every key stays, and longer than the deadlines."""
    await lua.join()
    await lua.join("v", connection=f"{NODE_B}d")
    ends = lua.clock.now_ms + 10 * LIFE_MS
    while lua.clock.now_ms < ends:
        await lua.pass_time(step_ms)
        assert (await lua.beat(SLOT, ("v", f"{NODE_B}d")))[2] == "11"
        newest_ms = max((await deadlines(lua)).values()) - lua.clock.now_ms
        expiries = await lua.expiries()
        assert set(expiries) == {
            "due", "rooms", f"node:{NODE}", f"node:{NODE_B}", "user:u", "user:v",
            "room:r:deadlines", "room:r:members", "room:r:roster",
        }  # fmt: skip
        # A second for the real time that passed since the key was set.
        assert min(expiries.values()) > newest_ms - 1000, expiries


async def test_a_beat_between_two_lives_after_a_late_join(lua: Lua) -> None:
    """A join finds enough expiry and leaves it; the beats that follow must not trust it for a whole life."""
    await lua.join()
    for step_ms in (4900, 150, 4900, 4900, 150, 4900, 4900):
        await lua.pass_time(step_ms)
        await lua.join("v", connection=f"{NODE}d")
        await lua.pass_time(150)
        assert (await lua.beat(SLOT, ("v", f"{NODE}d")))[2] == "11"
        newest_ms = max((await deadlines(lua)).values()) - lua.clock.now_ms
        assert min((await lua.expiries()).values()) > newest_ms - 1000


@pytest.mark.parametrize("given", [{"ttl_ms": "x"}, {"slack_ms": ""}, {"now_ms": "x"}], ids=str)
async def test_malformed_arguments_change_nothing(lua: Lua, given: dict[str, Any]) -> None:
    await lua.join()
    lua.clock.advance(5000)
    before = await lua.dump()
    with pytest.raises(ContractBroken):
        await lua.beat(SLOT, **given)
    assert await lua.dump() == before


async def test_no_slots_is_a_broken_contract(lua: Lua) -> None:
    with pytest.raises(ContractBroken):
        await lua.beat()
