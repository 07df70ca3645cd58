"""The engine on a real Cluster: every verb, 128 partitions, and nothing that reaches across slots."""

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Final
from uuid import uuid4

import pytest
import redis

from presence_engine import (
    Absent,
    Beat,
    ConfigurationError,
    Detached,
    EngineSettings,
    Joined,
    Kicked,
    Left,
    PresenceEngine,
    RoomRules,
    Sweeper,
    Updated,
    audit,
)  # fmt: skip
from tests.cluster.servers import Cluster, Instance
from tests.model import Model

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

PARTITIONS: Final = 128
RULES: Final = RoomRules(ttl_ms=1_000_000, grace_ms=200_000)
ROOMS: Final = [f"room {number}" for number in range(12)]
USERS: Final = ["u", "é*", "15"]
NODES: Final = ("nodeAAAA", "nodeBBBB")


@pytest.fixture
async def engines(cluster: Cluster) -> AsyncIterator[list[PresenceEngine]]:
    options = EngineSettings(prefix=f"t{uuid4().hex[:8]}", rules=lambda _room: RULES, partitions=PARTITIONS)
    made = [PresenceEngine(cluster.url, settings=options, node=node) for node in NODES]
    for engine in made:
        await engine.start()
    yield made
    for engine in made:
        await engine.close()


async def test_every_verb(engines: list[PresenceEngine]) -> None:
    """001-1 to 003-7 on a Cluster: one member's life, in rooms that lie on all three nodes."""
    one, two = engines
    for room in ROOMS:
        joined = await one.join(room, "u", "c", username="U", data={"a": []})
        assert isinstance(joined, Joined)
        assert (await two.count(room)).count == 1
        assert isinstance(await one.heartbeat(room, "u", "c"), Beat)
        assert isinstance(await one.update(room, "u", "c", data={"b": 1}), Updated)
        assert isinstance(await two.join(room, 15, "d"), Joined)
        page = await two.list(room)
        assert {member.user_id: member.data for member in page.members} == {"u": {"b": 1}, 15: {}}
        assert isinstance(await one.detach(room, "u", "c"), Detached)
        assert isinstance(await two.heartbeat(room, "u", "e"), Beat)
        assert isinstance(await two.kick(room, "15"), Kicked)
    assert {position.count for position in (await one.counts(ROOMS)).values()} == {1}
    assert [found.room for found in await one.where("u")] == ROOMS
    assert (await one.rooms(limit=5)).total == len(ROOMS)
    days = await one.removals()
    assert sum(reasons["kicked"] for reasons in days.values()) == len(ROOMS)
    async for found in audit(one):
        assert (found.users, found.faults) == (1, [])
    for room in ROOMS:
        assert isinstance(await two.leave(room, "u", "e"), Left)
        assert isinstance(await two.leave(room, "u", "e"), Absent)
    assert (await one.rooms()).total == 0


@pytest.mark.parametrize("seed", range(3))
async def test_the_model_beside_it(engines: list[PresenceEngine], seed: int) -> None:
    """The engine suite's state machine, played by seed: the same answers as the model's, in rooms of many slots."""
    dice, model = random.Random(seed), Model(RULES.ttl_ms, RULES.grace_ms, RULES.slack_ms)
    model.now = 1_800_000_000_000
    for _ in range(250):
        at = dice.randrange(2)
        engine, room, user, name = engines[at], dice.choice(ROOMS), dice.choice(USERS), dice.choice("cd")
        own = NODES[at] + name
        match dice.randrange(7):
            case 0 | 1:
                joined = await engine.join(room, user, name, now_ms=model.now)
                assert isinstance(joined, Joined)
                assert ("joined", joined.rejoined, joined.joined_at_ms) == model.join(room, user, own, None, None)
            case 2:
                beat = await engine.heartbeat(room, user, name, now_ms=model.now)
                expected = model.heartbeat(room, user, own, True)
                assert expected == (("beat", beat.adopted) if isinstance(beat, Beat) else ("absent", beat.reason))
            case 3:
                left = await engine.leave(room, user, name, now_ms=model.now)
                expected = model.leave(room, user, own, False)
                assert expected == (("left", left.stays) if isinstance(left, Left) else ("absent", None))
            case 4:
                detached = await engine.detach(room, user, name, now_ms=model.now)
                expected = model.detach(room, user, own, None)
                assert (expected[0] == "detached") is isinstance(detached, Detached)
            case 5:
                model.now += dice.choice([1, 9_999, 199_999, 200_000, 505_000])
            case _:
                page = await engine.list(room, now_ms=model.now)
                listed = [(member.joined_at_ms, member.user, member.status) for member in page.members]
                assert listed == [(found[0], found[1], found[5]) for found in model.listed(room)]
    for room in ROOMS:
        members = model.listed(room)
        assert (await engines[0].count(room, now_ms=model.now)).count == len(members)


async def test_heartbeats_of_many_rooms_in_one_tick(engines: list[PresenceEngine]) -> None:
    one = engines[0]
    await asyncio.gather(*(one.join(room, user, "c") for room in ROOMS for user in USERS))
    beats = await asyncio.gather(*(one.heartbeat(room, user, "c") for room in ROOMS for user in USERS))
    assert all(isinstance(beat, Beat) for beat in beats)


async def test_no_slot_is_crossed(engines: list[PresenceEngine], cluster: Cluster) -> None:
    """No script touches a key of a slot it did not declare: a Cluster answers CROSSSLOT, or counts the refusal."""
    await engines[0].rooms()
    await engines[1].rooms()
    # From here on nobody connects, which some servers answer with an error of its own (CLIENT SETINFO).
    for instance in cluster.instances:
        instance.ask("CONFIG", "RESETSTAT")
    await test_every_verb(engines)
    await Sweeper(engines[0]).sweep_all()
    for instance in cluster.instances:
        before, after = errors_of(instance), errors_of(instance)
        assert before.keys() <= {"errorstat_ERR", "errorstat_NOSCRIPT", "errorstat_MOVED"}, before
        # Whoever asks makes a few by connecting; there must have been no others.
        assert before.get("errorstat_ERR", 0) == after.get("errorstat_ERR", 0) - before.get("errorstat_ERR", 0)


def errors_of(instance: Instance) -> dict[str, int]:
    with redis.Redis(port=instance.port, decode_responses=True) as client:
        found = client.info("errorstats")
    assert isinstance(found, dict)
    return {name: facts["count"] for name, facts in found.items()}


async def test_a_node_named_as_a_single_redis_says_how_to_name_it(cluster: Cluster) -> None:
    told, options = [], EngineSettings(prefix=f"t{uuid4().hex[:8]}")
    for instance in cluster.instances:
        try:
            async with PresenceEngine(f"redis://127.0.0.1:{instance.port}", settings=options):
                pass
        except ConfigurationError as error:
            told.append(str(error))
    # One of them has the slot that the start asks for.
    assert len(told) == 2
    assert all("redis+cluster://" in one for one in told)


async def test_the_feed_brings_rooms_of_every_node(engines: list[PresenceEngine]) -> None:
    """Sharded pub/sub: each channel on the node of its slot."""
    one, two = engines
    heard: dict[str, list[bytes]] = {room: [] for room in ROOMS}
    feed = one.open_feed(on_lost=lambda: None, on_restored=lambda: None)
    try:
        for room in ROOMS:
            await feed.subscribe(one.channel(room), heard[room].append)
        assert feed.connected
        for room in ROOMS:
            await two.join(room, "u", "c")
        async with asyncio.timeout(10):
            while not all(heard.values()):
                await asyncio.sleep(0.01)
        assert all(len(messages) == 1 for messages in heard.values())
    finally:
        await feed.close()
