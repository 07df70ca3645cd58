"""Nodes: leases on a real server, with engines that stand in for processes."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Final

import pytest
from redis.asyncio import Redis

from presence_engine import Node, PresenceEngine, StoreUnavailable, audit
from tests.conftest import MakeEngine

LEASE_MS: Final = 300
PATIENCE_S: Final = 10.0

MakeNode = Callable[..., Awaitable[Node]]


@pytest.fixture
async def make_node(make_engine: MakeEngine) -> AsyncIterator[MakeNode]:
    made: list[Node] = []

    async def make(name: str, engine: PresenceEngine | None = None, **options: Any) -> Node:
        node = Node(engine or await make_engine(), name, **{"lease_ms": LEASE_MS, **options})
        made.append(node)
        await node.start()
        return node

    yield make
    for node in made:
        await node.stop()


async def until(condition: Callable[[], Awaitable[object]], what: str) -> None:
    give_up_at = time.monotonic() + PATIENCE_S
    while not await condition():
        assert time.monotonic() < give_up_at, what
        await asyncio.sleep(0.01)


async def users(engine: PresenceEngine, room: str = "r") -> list[str]:
    return [member.user for member in (await engine.list(room)).members]


async def silence(node: Node) -> None:
    """The process dies: its lease is no longer renewed, and nobody says goodbye."""
    assert node._task
    node._task.cancel()
    await asyncio.wait([node._task])


async def without_drift(engine: PresenceEngine) -> None:
    async for found in audit(engine):
        assert found.faults == []


async def test_a_dead_nodes_connections_go_and_a_tab_elsewhere_stays(make_node: MakeNode) -> None:
    """C7, T1.6, `node_lost`."""
    alive, dead = await make_node("alive"), await make_node("dead")
    for user in ("u1", "both"):
        await dead.engine.join("r", user, "c")
    await alive.engine.join("r", "both", "c")
    await dead.engine.join("r2", "u1", "c")
    await silence(dead)
    await until(lambda: is_list(alive.engine, ["both"]), "the dead node's users stay")
    await until(lambda: is_list(alive.engine, [], "r2"), "another room's users stay")
    assert (await alive.engine.count("r")).connections == 1
    assert (await alive.engine.removals(days=1)).popitem()[1] == {"node_lost": 2}
    await without_drift(alive.engine)


async def is_list(engine: PresenceEngine, expected: list[str], room: str = "r") -> bool:
    return await users(engine, room) == expected


async def test_start_reaps_earlier_boots_of_its_name_only(
    make_node: MakeNode, make_engine: MakeEngine, caplog: pytest.LogCaptureFixture
) -> None:
    """001-8, T1.6: whatever their lease, before anything is served; other names are left alone."""
    first = await make_node("me", lease_ms=60_000)
    other = await make_node("me-too", lease_ms=60_000)
    for number in range(250):
        await first.engine.join("r", f"u{number}", "c")
    await other.engine.join("r", "other", "c")
    await silence(first)
    assert "condemned" not in caplog.text
    again = await make_node("me", lease_ms=60_000)
    assert f"earlier boots of 'me' are condemned: {first.engine.node};" in caplog.text
    assert await users(again.engine) == ["other"]
    assert (await again.engine.removals(days=1)).popitem()[1] == {"server_restart": 250}
    await without_drift(again.engine)


async def test_a_start_warns_of_boots_that_may_live_only(make_node: MakeNode, caplog: pytest.LogCaptureFixture) -> None:
    """A server that was stopped, or that died long ago, is no mistake in the names."""
    caplog.set_level(logging.INFO)
    stopped = await make_node("me")
    await stopped.stop()
    dead = await make_node("me")
    await silence(dead)
    await asyncio.sleep(LEASE_MS / 1000)
    live = await make_node("me", lease_ms=60_000)
    await make_node("me")
    told = [(one.levelno, one.getMessage()) for one in caplog.records if "condemned" in one.getMessage()]
    assert told == [
        (logging.INFO, f"earlier boots of 'me' are condemned: {stopped.engine.node}"),
        (logging.INFO, f"earlier boots of 'me' are condemned: {dead.engine.node}"),
        (
            logging.WARNING,
            f"earlier boots of 'me' are condemned: {live.engine.node}; no live server may share a name",
        ),
    ]


async def test_start_reaps_what_an_earlier_start_did_not(make_node: MakeNode, make_engine: MakeEngine) -> None:
    """A single named server starts empty, however often its start was interrupted."""
    first = await make_node("me", lease_ms=60_000)
    for number in range(20):
        await first.engine.join(f"r{number}", "u", "c")
    await silence(first)
    second = await make_engine()
    run, reaped = second.store.run, 0

    async def dies_midway(name: str, *rest: Any) -> list[Any]:
        nonlocal reaped
        reaped += name == "presence/reap"
        if reaped > 5:
            raise asyncio.CancelledError
        return await run(name, *rest)

    second.store.run = dies_midway  # type: ignore[assignment, method-assign]
    with pytest.raises(asyncio.CancelledError):
        await Node(second, "me").start()
    third = await make_node("me", lease_ms=60_000)
    assert (await third.engine.rooms()).total == 0
    assert (await third.engine.removals(days=1)).popitem()[1] == {"server_restart": 20}


async def test_a_graceful_stop_is_no_death(make_node: MakeNode) -> None:
    """The lease is dropped, what was detached ends with its grace; nobody is `node_lost`."""
    staying, leaving = await make_node("staying"), await make_node("leaving")
    await leaving.engine.join("r", "u1", "c")
    await leaving.engine.detach("r", "u1", "c", grace_ms=60_000)
    await leaving.stop()
    await asyncio.sleep(3 * LEASE_MS / 1000)
    (member,) = (await staying.engine.list("r")).members
    assert (member.user, member.status) == ("u1", "away")


async def test_a_hung_node_learns_of_its_death_and_goes_on(make_node: MakeNode) -> None:
    """T1.6: nobody is resurrected; what it joined under its old id, before it knew, goes too."""
    told: list[str] = []
    knows = asyncio.Event()

    async def condemned() -> None:
        told.append("condemned")
        knows.set()

    alive = await make_node("alive")
    hung = await make_node("hung", on_condemned=condemned)
    old = hung.engine.node
    await hung.engine.join("r", "u1", "c")
    await silence(hung)
    await until(lambda: is_list(alive.engine, []), "its users stay")
    await hung.engine.join("r", "straggler", "d")
    hung._task = asyncio.create_task(hung._run())
    await until(lambda: is_list(alive.engine, []), "the straggler stays")
    async with asyncio.timeout(5):
        await knows.wait()
    assert hung.engine.node != old
    await hung.engine.join("r", "u2", "e")
    await asyncio.sleep(2 * LEASE_MS / 1000)
    assert await users(alive.engine) == ["u2"]
    assert told == ["condemned"]
    await without_drift(alive.engine)


async def test_a_callback_that_fails_does_not_cost_the_lease(make_node: MakeNode) -> None:
    calls: list[int] = []

    async def recovered() -> None:
        calls.append(1)
        if len(calls) < 3:
            raise RuntimeError("something unforeseen")

    other = await make_node("other")
    node = await make_node("node", on_recovered=recovered, lease_ms=1500)
    await node.engine.join("r", "u1", "c")
    for pipe in node.engine.store._topology.pipes():
        await pipe.close()
    assert node.recovering

    async def done() -> bool:
        return len(calls) == 3 and not node.recovering

    await until(done, "the recovery is not repeated")
    await asyncio.sleep(2 * LEASE_MS / 1000)
    assert await users(other.engine) == ["u1"]


async def test_reaping_is_taken_up_by_another(make_node: MakeNode, make_engine: MakeEngine) -> None:
    """A reaper may die midway: the sentence stands until all is removed."""
    engine = await make_engine()
    victim = await make_engine()
    for number in range(5):
        await victim.join(f"r{number}", "u", "c")
    keys = [engine.keys.nodes(part) for part in ("leases", "condemned", "gone", "retired")]
    renew = {"node": victim.node, "name": "victim", "lease_ms": 1, "now_ms": 1}
    await engine.store.run("presence/renew", keys[:3], renew)
    values = {"node": victim.node, "name": "victim", "which": "lapsed", "reason": "node_lost", "now_ms": ""}
    await engine.store.run("presence/condemn", keys, values)
    # The one that condemned it did no more than that.
    later = await make_node("later")
    for number in range(5):
        await until(lambda n=number: is_list(later.engine, [], f"r{n}"), "the sentence is forgotten")  # type: ignore[misc]
    await without_drift(later.engine)


class Outage:
    """Some partitions of an engine, out of reach until there are `only` others. breaks_at: another, for one call."""

    def __init__(self, engine: PresenceEngine, *partitions: int) -> None:
        self._engine, self.breaks_at = engine, -1
        self.only(*partitions)
        self._run = engine.store.run
        engine.store.run = self._refuse  # type: ignore[assignment, method-assign]

    async def _refuse(self, name: str, keys: Sequence[str], *rest: Any) -> list[Any]:
        breaks = self.breaks_at >= 0 and keys[0].startswith(self._engine.keys.stem(self.breaks_at))
        if breaks:
            self.breaks_at = -1
        if breaks or keys[0].startswith(self._stems):
            raise StoreUnavailable("out of reach")
        return await self._run(name, keys, *rest)

    def only(self, *partitions: int) -> None:
        self._stems = tuple(self._engine.keys.stem(partition) for partition in partitions)


def room_in(engine: PresenceEngine, partition: int) -> str:
    return next(room for room in map(str, range(1000)) if engine.keys.partition_of(room) == partition)


async def test_a_shard_that_is_away_keeps_nobody_in_the_rooms_of_the_others(
    make_node: MakeNode, make_engine: MakeEngine
) -> None:
    """And what it has itself goes when it is back: the sentence stands until then."""
    alive = await make_node("alive", await make_engine(partitions=4))
    dead = await make_node("dead", await make_engine(partitions=4))
    rooms = [room_in(alive.engine, partition) for partition in range(4)]
    for room in rooms:
        await dead.engine.join(room, "u", "c")
    outage = Outage(alive.engine, 0, 2)
    await silence(dead)
    for partition in (1, 3):
        await until(lambda at=partition: is_list(alive.engine, [], rooms[at]), f"partition {partition}")  # type: ignore[misc]
    outage.only()
    for partition in (0, 2):
        await until(lambda at=partition: is_list(alive.engine, [], rooms[at]), f"partition {partition}")  # type: ignore[misc]
    await without_drift(alive.engine)


async def test_a_start_goes_on_without_a_shard_that_is_away(make_node: MakeNode, make_engine: MakeEngine) -> None:
    """What earlier boots have there goes when it is back. A connection that only broke is not taken for that."""
    first = await make_node("me", await make_engine(partitions=4), lease_ms=60_000)
    rooms = [room_in(first.engine, partition) for partition in range(4)]
    for room in rooms:
        await first.engine.join(room, "u", "c")
    await silence(first)
    second = await make_engine(partitions=4)
    outage = Outage(second, 0, 1, 2, 3)
    with pytest.raises(StoreUnavailable):
        await Node(second, "me").start()
    outage.only(2)
    outage.breaks_at = 1
    await make_node("me", second)
    outage.only()
    counts = [(await second.count(room)).count for room in rooms]
    assert [counts[at] for at in (0, 1, 3)] == [0, 0, 0]
    await until(lambda: is_list(second, [], rooms[2]), "what the shard had stays")


class LostWrites:
    """A failover to a replica that heard nothing since this was made, of the first partition only."""

    def __init__(self, redis: Redis, engine: PresenceEngine) -> None:
        self._redis, self._engine, self._saved = redis, engine, f"saved-{engine.keys.stem(0)}"

    async def _copy(self, source: str, target: str) -> None:
        for key in await self._redis.keys(f"{target}*"):
            await self._redis.delete(key)
        for key in map(str, await self._redis.keys(f"{source}*")):
            await self._redis.copy(key, target + key.removeprefix(source))

    async def begin(self) -> "LostWrites":
        await self._copy(self._engine.keys.stem(0), self._saved)
        return self

    async def fail_over(self) -> None:
        await self._copy(self._saved, self._engine.keys.stem(0))
        await self._redis.set(self._engine.keys.lineage(0), f"{'f' * 40}\x1f1")
        for pipe in self._engine.store._topology.pipes():
            await pipe.close()


async def test_the_dead_whom_a_failover_brings_back_are_removed_again(make_node: MakeNode, redis: Redis) -> None:
    alive, dead = await make_node("alive"), await make_node("dead")
    await dead.engine.join("r", "u", "c")
    lost = await LostWrites(redis, alive.engine).begin()
    await silence(dead)
    await until(lambda: is_list(alive.engine, []), "the dead node's user stays")
    await asyncio.sleep(LEASE_MS / 1000)
    await lost.fail_over()
    assert await users(alive.engine) == ["u"]
    await until(lambda: is_list(alive.engine, []), "a ghost")
    await without_drift(alive.engine)


async def test_of_a_node_that_stopped_a_failover_brings_nobody_back_and_ends_no_grace(
    make_node: MakeNode, redis: Redis
) -> None:
    """Whoever is there without grace is so only because that a grace began was lost."""
    staying, leaving = await make_node("staying"), await make_node("leaving")
    for room, user in (("r", "u1"), ("r2", "u2")):
        await leaving.engine.join(room, user, "c")
    await leaving.engine.detach("r2", "u2", "c", grace_ms=60_000)
    lost = await LostWrites(redis, staying.engine).begin()
    await leaving.engine.detach("r", "u1", "c", grace_ms=60_000)
    await leaving.stop()
    await lost.fail_over()
    await until(lambda: is_list(staying.engine, []), "a ghost")
    (member,) = (await staying.engine.list("r2")).members
    assert (member.user, member.status) == ("u2", "away")
    await without_drift(staying.engine)


async def test_the_ended_are_looked_after_when_their_shard_is_back(
    make_node: MakeNode, make_engine: MakeEngine, redis: Redis
) -> None:
    """And by a node that starts: it knows of no break."""
    dead = await make_node("dead", await make_engine(partitions=4))
    room = room_in(dead.engine, 0)
    await dead.engine.join(room, "u", "c")
    lost = await LostWrites(redis, dead.engine).begin()
    await silence(dead)
    first = await make_node("first", await make_engine(partitions=4))
    await until(lambda: is_list(first.engine, [], room), "the dead node's user stays")
    await first.stop()
    await lost.fail_over()
    late = await make_engine(partitions=4)
    outage = Outage(late, 0)
    node = await make_node("late", late)

    async def in_doubt() -> bool:
        return node._doubted == {0}

    await until(in_doubt, "what was in reach is not settled")
    outage.only()
    await until(lambda: is_list(late, [], room), "a ghost")
