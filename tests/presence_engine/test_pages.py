"""Long lists, many rooms and long sweeps: bounded calls, stable pages (X3, X4)."""

import asyncio
import random
from typing import Any

import pytest
from redis.asyncio import Redis

from presence_engine import InvalidInput, PresenceEngine
from tests.conftest import Clock, MakeEngine

LIFE_MS = 101_000


async def fill(engine: PresenceEngine, count: int, now_ms: int, room: str = "r") -> list[str]:
    """Join `count` users within one millisecond; return them in the order of the list."""
    users = [f"u{n}" for n in range(count)]
    for start in range(0, count, 500):
        await asyncio.gather(
            *(engine.join(room, user, f"c-{user}", now_ms=now_ms) for user in users[start : start + 500])
        )
    return sorted(users)


async def pages(engine: PresenceEngine, limit: int, now_ms: int) -> list[list[str]]:
    found, cursor = [], None
    while True:
        page = await engine.list("r", limit=limit, cursor=cursor, now_ms=now_ms)
        found.append([member.user for member in page.members])
        cursor = page.cursor
        if cursor is None:
            return found


async def calls(redis: Redis, command: str) -> int:
    stats: dict[str, Any] = await redis.info("commandstats")
    return int(stats.get(f"cmdstat_{command}", {"calls": 0})["calls"])


async def test_eight_thousand_members(make_engine: MakeEngine, redis: Redis, clock: Clock) -> None:
    """X3: more than Lua's unpack takes; listed by pages, then swept in calls of at most 100."""
    engine = await make_engine(ttl_ms=100_000)
    users = await fill(engine, 8500, clock.now_ms)
    assert [user for page in await pages(engine, 1000, clock.now_ms) for user in page] == users
    told: list[int] = []
    engine.on_removed = lambda found: told.append(len(found))
    before = await calls(redis, "evalsha")
    removed = await engine.sweep("r", now_ms=clock.advance(LIFE_MS))
    assert sorted(one.user for one in removed) == users
    assert told == [100] * 85
    assert await calls(redis, "evalsha") - before in {85, 86}
    assert (await engine.count("r", now_ms=clock.now_ms)).count == 0


async def test_no_call_publishes_more_than_a_hundred_removals(
    make_engine: MakeEngine, redis: Redis, clock: Clock, prefix: str
) -> None:
    """X3: a reader that finds 5,000 due is answered after bounded sweeps."""
    engine = await make_engine(ttl_ms=100_000)
    await fill(engine, 5000, clock.now_ms)
    pubsub = redis.pubsub()
    await pubsub.execute_command("SSUBSCRIBE", engine.keys.room("r").feed)
    await pubsub.parse_response(timeout=5)
    assert (await engine.list("r", now_ms=clock.advance(LIFE_MS))).members == []
    await redis.spublish(engine.keys.room("r").feed, "end")
    seqs, sizes = [], []
    while (text := (await pubsub.parse_response(timeout=5))[2]) != "end":
        head, *entries = text.split("\x1d")
        seqs.append(int(head.split("\x1e")[1]))
        sizes.append(sum(entry.startswith("-") for entry in entries))
    await pubsub.aclose()
    assert sizes == [100] * 50
    assert seqs == list(range(5001, 5051))


@pytest.mark.parametrize("limit", [1, 7, 100, 250])
async def test_pages_join_without_gap_or_repetition(engine: PresenceEngine, clock: Clock, limit: int) -> None:
    users = await fill(engine, 250, clock.now_ms)
    found = await pages(engine, limit, clock.now_ms)
    assert [user for page in found for user in page] == users
    assert all(len(page) == limit for page in found[:-1])


async def test_pages_are_stable_while_members_leave(engine: PresenceEngine, clock: Clock) -> None:
    """1,500 members of one millisecond; between two pages some leave, the cursor's own among them."""
    users = await fill(engine, 1500, clock.now_ms)
    chance = random.Random(7)
    gone: set[str] = set()
    seen: list[str] = []
    cursor = None
    while True:
        page = await engine.list("r", limit=100, cursor=cursor, now_ms=clock.now_ms)
        seen += [member.user for member in page.members]
        cursor = page.cursor
        if cursor is None:
            break
        leaving = {page.members[-1].user, *chance.sample(users, 20)} - gone
        for user in sorted(leaving):
            await engine.leave("r", user, f"c-{user}", now_ms=clock.now_ms)
        gone |= leaving
    assert seen == sorted(set(seen))
    assert set(users) - gone <= set(seen)


async def test_who_joins_later_comes_later(engine: PresenceEngine, clock: Clock) -> None:
    await engine.join("r", "z", "c", now_ms=clock.now_ms)
    first = await engine.list("r", limit=1, now_ms=clock.now_ms)
    assert first.cursor is None
    await engine.join("r", "a", "c", now_ms=clock.advance(1))
    first = await engine.list("r", limit=1, now_ms=clock.now_ms)
    second = await engine.list("r", limit=1, cursor=first.cursor, now_ms=clock.now_ms)
    assert [first.members[0].user, second.members[0].user] == ["z", "a"]


@pytest.mark.parametrize("limit", [-1, 1001, True, 1.0, "5", None])
@pytest.mark.parametrize("verb", ["list", "rooms", "due"])
async def test_limits_out_of_range_are_refused(engine: PresenceEngine, verb: str, limit: Any) -> None:
    arguments: dict[str, tuple[Any, ...]] = {"list": ("r",), "rooms": (), "due": (0,)}
    with pytest.raises(InvalidInput) as caught:
        await getattr(engine, verb)(*arguments[verb], limit=limit)
    assert caught.value.field == "limit"


@pytest.mark.parametrize(
    "cursor", ["", "x", "1", ":a", "1:", "-1:a", "1.5:a", "١:a", "9" * 16 + ":a", "1:\n", 5, b"1:a"], ids=ascii
)
async def test_a_cursor_that_is_none_is_refused(engine: PresenceEngine, cursor: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        await engine.list("r", cursor=cursor)
    assert caught.value.field == "cursor"


async def test_a_cursor_may_hold_any_id(engine: PresenceEngine, clock: Clock) -> None:
    """X1: nothing splits an id at its colons."""
    users = sorted(["a:b", "a:", ":a", "a:b:c", "1:2"])
    for user in users:
        await engine.join("r", user, "c-" + user, now_ms=clock.now_ms)
    assert [user for page in await pages(engine, 1, clock.now_ms) for user in page] == users


async def test_a_list_of_a_due_room_has_swept_it(make_engine: MakeEngine, clock: Clock) -> None:
    engine = await make_engine(ttl_ms=100_000)
    await fill(engine, 150, clock.now_ms)
    await engine.join("r", "late", "c", now_ms=clock.advance(50_000))
    page = await engine.list("r", now_ms=clock.advance(LIFE_MS - 50_000))
    assert ([member.user for member in page.members], page.position.count) == (["late"], 1)


async def test_a_thousand_counts_are_one_round_trip(engine: PresenceEngine, redis: Redis) -> None:
    for n in range(0, 1000, 100):
        await engine.join(f"r{n}", "u", f"c{n}")
    before = await calls(redis, "evalsha_ro")
    counts = await engine.counts(f"r{n}" for n in range(1000))
    assert await calls(redis, "evalsha_ro") - before == 1
    assert list(counts) == [f"r{n}" for n in range(1000)]
    assert {room for room, position in counts.items() if position.count} == {f"r{n}" for n in range(0, 1000, 100)}


async def test_counts_of_due_rooms_are_asked_again(make_engine: MakeEngine, clock: Clock) -> None:
    engine = await make_engine(ttl_ms=100_000)
    for n in range(20):
        await engine.join(f"r{n}", "u", f"c{n}", now_ms=clock.now_ms if n % 2 else clock.now_ms + 10)
    counts = await engine.counts([f"r{n}" for n in range(20)], now_ms=clock.advance(LIFE_MS))
    assert [counts[f"r{n}"].count for n in range(20)] == [1, 0] * 10


async def test_counts_refuse_more_than_a_thousand(engine: PresenceEngine) -> None:
    with pytest.raises(InvalidInput) as caught:
        await engine.counts(f"r{n}" for n in range(1001))
    assert caught.value.field == "roomIds"
    assert await engine.counts([]) == {}
    assert list(await engine.counts(["a", "a", "b"])) == ["a", "b"]


async def test_times_stay_whole_milliseconds(engine: PresenceEngine, redis: Redis) -> None:
    """X4: no 1.8e+12 in a reply, a key or a message, also for times of sixteen digits."""
    now = 9_000_000_000_000_001
    joined = await engine.join("r", "u", "c", now_ms=now)
    assert (joined.now_ms, joined.joined_at_ms) == (now, now)  # type: ignore[union-attr]
    [member] = (await engine.list("r", now_ms=now)).members
    assert member.joined_at_ms == now
    assert (await engine.where("u", now_ms=now))[0].joined_at_ms == now
    assert str(now) in (await redis.hget(engine.keys.room("r").members, "u") or "")


async def test_due_names_rooms_and_the_next_moment(make_engine: MakeEngine, clock: Clock) -> None:
    engine = await make_engine(ttl_ms=100_000)
    start = clock.now_ms
    assert (await engine.due(0, now_ms=start)).next_ms is None
    await engine.join("a", "u", "c", now_ms=start)
    await engine.join("b", "u", "c", now_ms=start + 5)
    due = await engine.due(0, now_ms=start + LIFE_MS)
    assert (list(due.rooms), due.next_ms) == (["a"], start + 5 + LIFE_MS)
    await engine.sweep("a", now_ms=start + LIFE_MS)
    assert list((await engine.due(0, now_ms=start + LIFE_MS)).rooms) == []
