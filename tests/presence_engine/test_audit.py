"""The audit recounts, names what does not agree, and judges nothing that moves."""

import asyncio

from redis.asyncio import Redis

from presence_engine import PresenceEngine, RoomAudit, audit
from tests.conftest import MakeEngine


async def audited(engine: PresenceEngine) -> dict[str, RoomAudit]:
    return {found.room: found async for found in audit(engine)}


async def test_a_clean_store_has_no_faults(make_engine: MakeEngine) -> None:
    """001-11: users, connections and nodes as they are, over more than one page."""
    one, two = await make_engine(node="nodeAAAA"), await make_engine(node="nodeBBBB")
    await asyncio.gather(*(one.join("big", f"u{number:04}", "c") for number in range(1_100)))
    await two.join("big", "u0000", "d")
    await two.detach("big", "u0000", "d")
    await one.join("small", "u", "c")
    found = await audited(one)
    assert found["big"].users == 1_100
    assert found["big"].connections == {"nodeAAAA": 1_100, "nodeBBBB": 1}
    assert all(room.settled and room.faults == [] for room in found.values())
    assert set(found) == {"big", "small"}


async def test_expired_members_are_swept_first(make_engine: MakeEngine) -> None:
    engine = await make_engine(ttl_ms=1)
    await engine.join("r", "u", "c")
    await asyncio.sleep(0.01)
    assert await audited(engine) == {}


async def test_each_index_is_checked(engine: PresenceEngine, redis: Redis) -> None:
    """Every structure that can disagree, disagrees once, and is named."""
    keys = engine.keys.room("r")
    node = engine.keys.node(0, engine.node)
    plants = [
        ("roster", ("ZADD", keys.roster, 5, "ghost"), ("ZREM", keys.roster, "ghost")),
        ("roster", ("ZADD", keys.roster, "XX", "INCR", 5, "u1"), ("ZADD", keys.roster, "XX", "INCR", -5, "u1")),
        ("members", ("ZADD", keys.roster, 5, "ghost"), ("ZREM", keys.roster, "ghost")),
        ("deadlines", ("ZADD", keys.deadlines, 9e15, "u1\x1fother"), ("ZREM", keys.deadlines, "u1\x1fother")),
        ("rooms", ("ZADD", keys.rooms, 7, "r"), ("ZADD", keys.rooms, 2, "r")),
        ("due", ("ZADD", keys.due, 9e15, "r"), ("ZADD", keys.due, 1, "r")),
        ("node", ("HINCRBY", node, "r", 1), ("HINCRBY", node, "r", -1)),
    ]
    for user in ("u1", "u2"):
        await engine.join("r", user, "c")
    for what, plant, mend in plants:
        await redis.execute_command(*plant)
        faults = (await audited(engine))["r"].faults
        assert any(fault.startswith(what) for fault in faults), (what, faults)
        await redis.execute_command(*mend)
    assert (await audited(engine))["r"].faults == []


async def test_a_room_that_never_rests_is_not_judged_wrongly(make_engine: MakeEngine) -> None:
    engine, busy = await make_engine(), await make_engine()
    await asyncio.gather(*(engine.join("r", f"u{number:04}", "c") for number in range(1_200)))

    async def churn() -> None:
        while True:
            await busy.join("r", "flicker", "c")
            await busy.leave("r", "flicker", "c")

    task = asyncio.create_task(churn())
    try:
        for _ in range(5):
            found = (await audited(engine))["r"]
            assert found.faults == []
    finally:
        task.cancel()
        await asyncio.wait([task])
