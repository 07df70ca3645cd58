"""Coming, going and expiring, as an application sees them; two engines are two servers."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from presence_engine import (
    Absent,
    Beat,
    ConfigurationError,
    Detached,
    Full,
    InvalidInput,
    Joined,
    Kicked,
    Left,
    PresenceEngine,
    StoreUnavailable,
)
from tests.conftest import Clock, MakeEngine, StartServer

TTL_MS = 100_000
LIFE_MS = 101_000
KeysLeft = Callable[[], Awaitable[list[str]]]


@pytest.fixture
async def a(make_engine: MakeEngine) -> PresenceEngine:
    return await make_engine(ttl_ms=TTL_MS, grace_ms=15_000)


@pytest.fixture
async def b(make_engine: MakeEngine) -> PresenceEngine:
    return await make_engine(ttl_ms=TTL_MS, grace_ms=15_000)


async def users(engine: PresenceEngine, now_ms: int | None = None, room: str = "r") -> list[str]:
    """The listed users; count and list of every answer must agree (000-8)."""
    page = await engine.list(room, limit=1000, now_ms=now_ms)
    assert page.position.count == len(page.members)
    assert page.position.connections == sum(member.connections for member in page.members)
    assert await engine.count(room, now_ms=now_ms) == page.position
    assert (await engine.counts([room], now_ms=now_ms))[room] == page.position
    return [member.user for member in page.members]


async def test_processes_that_share_a_node_share_its_connections(make_engine: MakeEngine) -> None:
    """README: requests of one user that reach another worker find what the first one joined; else they do not."""
    one, two, stranger = await make_engine(node="webapp01"), await make_engine(node="webapp01"), await make_engine()
    await one.join("r", "u", "u")
    assert await stranger.leave("r", "u", "u") == Absent()
    beat = await two.heartbeat("r", "u", "u", adopt=False)
    assert isinstance(beat, Beat)
    assert isinstance(await two.leave("r", "u", "u"), Left)
    assert (await one.count("r")).count == 0


async def test_a_visit(a: PresenceEngine, keys_left: KeysLeft) -> None:
    """000-2, 003-7; 003-2: store, refresh, remove, list, count, is active."""
    joined = await a.join("r", "u1", "c", username="migxtes4")
    assert isinstance(joined, Joined)
    assert (joined.rejoined, joined.position.seq, joined.position.count) == (False, 1, 1)
    assert isinstance(await a.heartbeat("r", "u1", "c"), Beat)
    assert await users(a) == ["u1"]
    assert [one.room for one in await a.where("u1")] == ["r"]
    left = await a.leave("r", "u1", "c")
    assert isinstance(left, Left)
    assert (left.stays, left.position.count, left.position.seq) == (False, 0, 2)
    assert await a.leave("r", "u1", "c") == Absent()
    assert await users(a) == []
    assert await a.where("u1") == []
    assert await keys_left() == []


async def test_two_tabs(a: PresenceEngine) -> None:
    """T0.1."""
    await a.join("r", "u", "tab1")
    await a.join("r", "u", "tab2")
    left = await a.leave("r", "u", "tab1")
    assert isinstance(left, Left)
    assert left.stays
    assert await users(a) == ["u"]


async def test_a_late_disconnect_of_the_old_socket(a: PresenceEngine, b: PresenceEngine) -> None:
    """T0.2, also when the user came back on another server."""
    await a.join("r", "u", "old")
    await b.join("r", "u", "new")
    await a.leave("r", "u", "old")
    assert await a.detach("r", "u", "old") == Absent()
    assert await a.leave("r", "u", "old", everywhere=True) == Absent()
    assert await users(b) == ["u"]


async def test_the_same_connection_id_on_two_servers_is_two(a: PresenceEngine, b: PresenceEngine) -> None:
    await a.join("r", "u", "c")
    joined = await b.join("r", "u", "c")
    assert isinstance(joined, Joined)
    assert (joined.rejoined, joined.position.connections) == (True, 2)


async def test_where_names_all_rooms(a: PresenceEngine) -> None:
    """T0.3, X6."""
    for room in ("x", "y", "z"):
        await a.join(room, "u", "c")
    await a.leave("y", "u", "c")
    await a.detach("z", "u", "c")
    found = await a.where("u")
    assert [(one.room, one.connections) for one in found] == [("x", 1), ("z", 1)]
    assert found[0].joined_at_ms <= found[1].joined_at_ms


async def test_count_and_list_agree_while_everything_moves(a: PresenceEngine, b: PresenceEngine, clock: Clock) -> None:
    """T0.5, 001-11: at every moment around the expiries."""
    start = clock.now_ms
    for n in range(50):
        await a.join("r", f"u{n}", "c", now_ms=start + 10 * n)
    for late_ms in range(0, 600, 7):
        now = start + LIFE_MS - 50 + late_ms
        reader = a if late_ms % 2 else b
        alive = [f"u{n}" for n in range(50) if start + 10 * n + LIFE_MS > now]
        assert await users(reader, now) == alive


async def test_an_expired_member_is_seen_by_nobody(a: PresenceEngine, clock: Clock, keys_left: KeysLeft) -> None:
    """T1.2, T3.7: each verb by itself, with nobody sweeping, at exactly the deadline."""
    for verb in ("list", "count", "counts", "where", "rooms", "heartbeat", "leave", "detach", "update", "kick", "join"):
        room, now = f"r-{verb}", clock.now_ms
        await a.join(room, "u", "c", now_ms=now)
        now += LIFE_MS
        outcome: Any
        match verb:
            case "list" | "count":
                outcome = await getattr(a, verb)(room, now_ms=now)
                outcome = getattr(outcome, "position", outcome).count
                assert outcome == 0
            case "counts":
                assert (await a.counts([room], now_ms=now))[room].count == 0
            case "where":
                assert await a.where("u", now_ms=now) == []
            case "rooms":
                assert (await a.rooms(now_ms=now)).total == 0
            case "kick":
                assert await a.kick(room, "u", now_ms=now) == Absent()
            case "join":
                outcome = await a.join(room, "u", "c", now_ms=now)
                assert (outcome.rejoined, outcome.joined_at_ms) == (False, now)
                await a.leave(room, "u", "c", now_ms=now)
            case "heartbeat":
                assert await a.heartbeat(room, "u", "c", now_ms=now) == Absent("inactivity_timeout")
            case _:
                assert await getattr(a, verb)(room, "u", "c", now_ms=now) == Absent()
    assert {key.rsplit(":", 1)[1] for key in await keys_left()} <= {"removed"}


async def test_a_heartbeat_for_nobody_is_reported_and_creates_nobody(a: PresenceEngine, keys_left: KeysLeft) -> None:
    """T1.1."""
    assert await a.heartbeat("r", "u", "c") == Absent()
    assert await keys_left() == []


async def test_a_heartbeat_keeps_alive_indefinitely(a: PresenceEngine, clock: Clock) -> None:
    """003-11."""
    await a.join("r", "u", "c", now_ms=clock.now_ms)
    for _ in range(20):
        now = clock.advance(TTL_MS - 1)
        assert await a.heartbeat("r", "u", "c", now_ms=now) == Beat(now)
    assert await users(a, now) == ["u"]


@pytest.mark.parametrize("first", ["beat", "sweep"])
async def test_a_sweep_races_a_heartbeat(a: PresenceEngine, b: PresenceEngine, clock: Clock, first: str) -> None:
    """T1.3: one of them wins; never both, never twice."""
    told: list[Any] = []
    a.on_removed = b.on_removed = told.extend
    await a.join("r", "u", "c", now_ms=clock.now_ms)
    now = clock.advance(LIFE_MS if first == "sweep" else LIFE_MS - 1)
    beat = asyncio.ensure_future(a.heartbeat("r", "u", "c", now_ms=now))
    await asyncio.gather(beat, *(engine.sweep("r", now_ms=now) for engine in (a, b, a, b)))
    if first == "beat":
        assert (isinstance(beat.result(), Beat), told) == (True, [])
    else:
        # The beat may be answered before the sweep has noted its reason.
        assert beat.result() in {Absent("inactivity_timeout"), Absent()}
        assert len(told) == 1


async def test_two_servers_sweeping_tell_each_connection_once(
    a: PresenceEngine, b: PresenceEngine, clock: Clock
) -> None:
    """T1.3."""
    told: list[str] = []
    a.on_removed = b.on_removed = lambda found: told.extend(one.connection for one in found)
    for n in range(350):
        await a.join("r", f"u{n}", f"c{n}", now_ms=clock.now_ms)
    now = clock.advance(LIFE_MS)
    await asyncio.gather(*(engine.sweep("r", now_ms=now) for engine in (a, b) * 3), a.count("r", now_ms=now))
    assert sorted(told) == sorted(f"c{n}" for n in range(350))


async def test_a_removal_names_who_has_to_be_told(a: PresenceEngine, b: PresenceEngine, clock: Clock) -> None:
    """T1.4: node and connection, whichever server swept."""
    await a.join("r", "u", "c:1", now_ms=clock.now_ms)
    await b.join("r", "v", "c:2", now_ms=clock.now_ms)
    await b.detach("r", "v", "c:2", now_ms=clock.now_ms)
    now = clock.advance(LIFE_MS)
    found = {one.user: one for one in await b.sweep("r", now_ms=now)}
    assert (found["u"].node, found["u"].connection, found["u"].reason) == (a.node, "c:1", "inactivity_timeout")
    assert (found["u"].room, found["u"].last, found["u"].detached) == ("r", True, False)
    assert (found["v"].node, found["v"].connection, found["v"].reason) == (b.node, "c:2", "disconnected")
    assert found["v"].detached


async def test_grace_survives_the_server_that_started_it(a: PresenceEngine, b: PresenceEngine, clock: Clock) -> None:
    """T1.5, C5: no timer in memory."""
    await a.join("r", "u", "c", now_ms=clock.now_ms)
    now = clock.advance(1000)
    assert await a.detach("r", "u", "c", now_ms=now) == Detached(now + 15_000)
    await a.close()
    assert await users(b, now + 14_999) == ["u"]
    assert await users(b, now + 15_000) == []


async def test_coming_back_on_another_server_cancels_the_grace(
    a: PresenceEngine, b: PresenceEngine, clock: Clock
) -> None:
    """T1.5: nothing left on the first server can remove the user."""
    before = await a.join("r", "u", "c", now_ms=clock.now_ms)
    await a.detach("r", "u", "c", now_ms=clock.now_ms)
    back = await b.join("r", "u", "d", now_ms=clock.advance(10_000))
    assert isinstance(before, Joined)
    assert isinstance(back, Joined)
    assert back.position == before.position
    assert await a.detach("r", "u", "c", now_ms=clock.now_ms) == Absent()
    assert await users(a, clock.advance(60_000)) == ["u"]


async def test_a_second_disconnect_does_not_lengthen_the_first(a: PresenceEngine, clock: Clock) -> None:
    """T1.5, T3.8."""
    start = clock.now_ms
    await a.join("r", "u", "c", now_ms=start)
    await a.detach("r", "u", "c", now_ms=start)
    assert await a.detach("r", "u", "c", now_ms=start + 14_000) == Absent()
    assert await users(a, start + 15_000) == []


async def test_grace_never_lengthens_life(a: PresenceEngine, clock: Clock) -> None:
    """T3.8: the minimum of the old deadline and now + grace."""
    start = clock.now_ms
    await a.join("r", "u", "c", now_ms=start)
    assert await a.detach("r", "u", "c", now_ms=start + LIFE_MS - 10) == Detached(start + LIFE_MS)


async def test_a_beat_of_the_detached_connection_does_not_cancel_its_grace(a: PresenceEngine, clock: Clock) -> None:
    """T3.8."""
    start = clock.now_ms
    await a.join("r", "u", "c", now_ms=start)
    await a.detach("r", "u", "c", now_ms=start)
    assert await a.heartbeat("r", "u", "c", now_ms=start + 1) == Absent()
    assert await users(a, start + 15_000) == []


async def test_a_beat_of_a_new_connection_adopts_the_place(a: PresenceEngine, b: PresenceEngine, clock: Clock) -> None:
    start = clock.now_ms
    await a.join("r", "u", "c", username="name", data={"a": []}, now_ms=start)
    await a.detach("r", "u", "c", now_ms=start)
    assert await b.heartbeat("r", "u", "d", adopt=False, now_ms=start + 1) == Absent()
    beat = await b.heartbeat("r", "u", "d", now_ms=start + 1)
    assert isinstance(beat, Beat)
    assert beat.place
    assert (beat.now_ms, beat.adopted) == (start + 1, True)
    assert (beat.place.username, beat.place.data, beat.place.joined_at_ms) == ("name", {"a": []}, start)
    [member] = (await b.list("r", now_ms=start + 20_000)).members
    assert (member.username, member.data, member.connections, member.joined_at_ms) == ("name", {"a": []}, 1, start)


async def test_adoption_beside_live_connections_adds_itself(a: PresenceEngine, b: PresenceEngine) -> None:
    await a.join("r", "u", "c")
    assert (await b.heartbeat("r", "u", "d")).adopted  # type: ignore[union-attr]
    assert (await a.count("r")).connections == 2


async def test_adoption_is_not_held_up_by_a_full_room(make_engine: MakeEngine) -> None:
    engine = await make_engine(capacity=1)
    await engine.join("r", "u", "c")
    assert await engine.join("r", "v", "d") == Full(1)
    assert (await engine.heartbeat("r", "u", "e")).adopted  # type: ignore[union-attr]
    assert await engine.heartbeat("r", "v", "d") == Absent()


async def test_a_rejoin_keeps_the_first_joined_at(a: PresenceEngine, clock: Clock) -> None:
    """T3.3."""
    start = clock.now_ms
    await a.join("r", "u", "c", username="old", now_ms=start)
    back = await a.join("r", "u", "c2", username="new", now_ms=clock.advance(500))
    assert isinstance(back, Joined)
    assert (back.rejoined, back.joined_at_ms) == (True, start)
    [member] = (await a.list("r", now_ms=clock.now_ms)).members
    assert (member.joined_at_ms, member.username) == (start, "new")


async def test_a_leave_between_heartbeats_is_never_undone(a: PresenceEngine, b: PresenceEngine) -> None:
    """T3.2."""
    for n in range(30):
        await a.join("r", "u", f"c{n}")
        await asyncio.gather(
            a.heartbeat("r", "u", f"c{n}"), b.kick("r", "u"), a.leave("r", "u", f"c{n}"), a.heartbeat("r", "u", f"c{n}")
        )
        assert await users(b) == []


async def test_a_clock_that_goes_back_lowers_no_deadline(a: PresenceEngine, clock: Clock) -> None:
    """T3.9."""
    start = clock.now_ms
    await a.join("r", "u", "c", now_ms=start)
    await a.heartbeat("r", "u", "c", now_ms=start - 90_000)
    await a.join("r", "u", "c", now_ms=start - 90_000)
    assert await users(a, start + LIFE_MS - 1) == ["u"]


async def test_leave_everywhere(a: PresenceEngine, b: PresenceEngine, keys_left: KeysLeft) -> None:
    await a.join("r", "u", "c")
    await b.join("r", "u", "d")
    await b.join("r", "u", "e")
    await b.detach("r", "u", "e")
    left = await a.leave("r", "u", "c", everywhere=True)
    assert isinstance(left, Left)
    assert (left.stays, left.position.connections) == (False, 0)
    assert await b.heartbeat("r", "u", "d") == Absent("left")
    assert await keys_left() == ["room:r:removed"]


async def test_a_kick_names_every_connection(a: PresenceEngine, b: PresenceEngine) -> None:
    """T0.7."""
    await a.join("r", "u", "c")
    await b.join("r", "u", "d")
    kicked = await a.kick("r", "u", message="bye")
    assert isinstance(kicked, Kicked)
    assert sorted(kicked.connections) == sorted([(a.node, "c"), (b.node, "d")])
    assert await a.kick("r", "u") == Absent()
    assert await b.heartbeat("r", "u", "d") == Absent("kicked")


async def test_one_room_expires_and_the_others_stay(make_engine: MakeEngine, clock: Clock) -> None:
    """X6, and 003-12: a life of its own for each room."""
    from presence_engine import RoomRules

    short, long = RoomRules(ttl_ms=10_000), RoomRules(ttl_ms=1_000_000)
    engine = await make_engine(rules=lambda room: short if room == "short" else long)
    start = clock.now_ms
    await engine.join("short", "u", "c", now_ms=start)
    await engine.join("long", "u", "c", now_ms=start)
    assert [one.room for one in await engine.where("u", now_ms=start + 20_000)] == ["long"]
    assert (await engine.rooms(now_ms=start + 20_000)).total == 1


async def test_without_the_index(make_engine: MakeEngine, keys_left: KeysLeft) -> None:
    engine = await make_engine(user_index=False)
    await engine.join("r", "u", "c")
    assert not [key for key in await keys_left() if key.startswith("user:")]
    await engine.leave("r", "u", "c")
    assert await keys_left() == []


async def test_several_partitions_answer_as_one(make_engine: MakeEngine, redis: Redis, prefix: str) -> None:
    engine = await make_engine(partitions=8)
    for n in range(40):
        for k in range(n % 3 + 1):
            await engine.join(f"r{n}", f"u{k}", f"c{n}-{k}")
    stems = {str(key).split("}")[0] for key in await redis.keys(f"{prefix}:*")}
    assert len(stems) > 4
    listing = await engine.rooms(limit=20)
    assert listing.total == 40
    assert [room.count for room in listing.rooms] == [3] * 13 + [2] * 7
    assert len(await engine.where("u0")) == 40
    assert {room: at.count for room, at in (await engine.counts(f"r{n}" for n in range(40))).items()} == {
        f"r{n}": n % 3 + 1 for n in range(40)
    }


async def test_a_redis_that_lost_everything(start_server: StartServer, make_engine: MakeEngine) -> None:
    """T1.9, 001-8: empty rooms are accepted, scripts are taught again, users are told at the next beat."""
    server = start_server()
    engine = await make_engine(server.url)
    await engine.join("r", "u", "c")
    async with Redis.from_url(server.url) as client:
        await client.flushall()
        await client.script_flush()
    assert await engine.heartbeat("r", "u", "c") == Absent()
    assert await users(engine) == []
    back = await engine.join("r", "u", "c")
    assert isinstance(back, Joined)
    assert back.position.seq == 1


async def test_an_epoch_is_new_when_a_room_begins_anew(a: PresenceEngine) -> None:
    first = await a.join("r", "u", "c")
    await a.leave("r", "u", "c")
    second = await a.join("r", "u", "c")
    assert isinstance(first, Joined)
    assert isinstance(second, Joined)
    assert first.position.epoch != second.position.epoch
    assert second.position.seq == 1


async def test_redis_out_of_reach_is_never_an_empty_list(start_server: StartServer, make_engine: MakeEngine) -> None:
    """T0.7, C16: every verb says unavailable."""
    server = start_server()
    engine = await make_engine(server.url)
    await engine.join("r", "u", "c")
    server.stop()
    for call in (
        engine.list("r"), engine.count("r"), engine.counts(["r"]), engine.where("u"), engine.rooms(), engine.sweep("r"),
        engine.join("r", "u", "c"), engine.heartbeat("r", "u", "c"), engine.leave("r", "u", "c"),
        engine.detach("r", "u", "c"), engine.update("r", "u", "c"), engine.kick("r", "u"), engine.due(0),
    ):  # fmt: skip
        with pytest.raises(StoreUnavailable):
            await call


async def test_a_server_that_disagrees_on_the_partitions_does_not_start(make_engine: MakeEngine) -> None:
    await make_engine(partitions=4)
    await make_engine(partitions=4)
    with pytest.raises(ConfigurationError) as caught:
        await make_engine(partitions=8)
    assert str(caught.value) == "partitions (PRESENCE_PARTITIONS) is 8, but the data was written with 4"


async def test_a_connection_that_redis_lost_is_restored_as_of_its_first_join(
    a: PresenceEngine, clock: Clock, keys_left: KeysLeft
) -> None:
    """C16: nodes re-assert their members when Redis returns."""
    start, now = clock.now_ms, clock.advance(5000)
    await a.join("r", "v", "c", now_ms=now)
    back = await a.restore("r", "u", "c", joined_at_ms=start, username="U", data={"a": []}, now_ms=now)
    assert isinstance(back, Joined)
    assert (back.rejoined, back.joined_at_ms) == (False, start)
    page = await a.list("r", now_ms=now)
    assert [(m.user, m.joined_at_ms, m.username) for m in page.members] == [("u", start, "U"), ("v", now, "v")]
    assert (await a.where("u", now_ms=now))[0].joined_at_ms == start
    again = await a.restore("r", "v", "c2", joined_at_ms=start, now_ms=now)
    assert isinstance(again, Joined)
    assert (again.rejoined, again.joined_at_ms) == (True, now)


async def test_removals_by_day_and_reason(a: PresenceEngine) -> None:
    """003-12."""
    start = 1_800_000_000_000
    assert await a.removals(now_ms=start) == {}
    await a.join("r", "u", "c", now_ms=start)
    await a.leave("r", "u", "c", now_ms=start)
    await a.join("r", "v", "c", now_ms=start + 86_400_000)
    await a.kick("r", "v", now_ms=start + 86_400_000)
    found = await a.removals(now_ms=start + 86_400_000)
    assert found == {"2027-01-15": {"left": 1}, "2027-01-16": {"kicked": 1}}
    assert await a.removals(days=1, now_ms=start + 86_400_000) == {"2027-01-16": {"kicked": 1}}
    for days in (0, 31, True, "5"):
        with pytest.raises(InvalidInput) as caught:
            await a.removals(days=days)  # type: ignore[arg-type]
        assert caught.value.field == "days"


async def test_what_a_dead_node_left_is_reaped(a: PresenceEngine, b: PresenceEngine, clock: Clock) -> None:
    """C6: only the dead node's users go; something due meanwhile is swept first."""
    now = clock.now_ms
    await a.join("r", "due", "0", now_ms=now - LIFE_MS)
    for n in range(230):
        await a.join("r", f"u{n}", f"c{n}", now_ms=now - 1)
    await b.join("r", "stays", "c", now_ms=now)
    await b.join("r", "u0", "c", now_ms=now)
    assert await b.reap("r", a.node, "node_lost", now_ms=now) == 230
    assert sorted(await users(b, now)) == ["stays", "u0"]
    assert await b.reap("r", a.node, "node_lost", now_ms=now) == 0
    assert await a.heartbeat("r", "u1", "c1", now_ms=now) == Absent("node_lost")
