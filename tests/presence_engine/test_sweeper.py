"""Sweepers of one engine, and whoever listens to what they remove."""

import asyncio

import pytest
from redis.asyncio import Redis

from presence_engine import PresenceEngine, Removal, Sweeper, audit
from tests.conftest import Clock, MakeEngine


async def test_stopping_one_of_two_leaves_the_other_nudged(engine: PresenceEngine) -> None:
    """Its longest sleep is a minute: only the nudge can make it see a grace of 20 ms."""
    removed: asyncio.Queue[Removal] = asyncio.Queue()
    engine.on_removed = lambda found: removed.put_nowait(found[0])
    one, two = Sweeper(engine, interval_ms=60_000), Sweeper(engine, interval_ms=60_000)
    one.start()
    two.start()
    for stopped, left in ((one, two), (two, one)):
        while not (left._task and left._planned_ms > engine.now_ms() + 30_000):
            await asyncio.sleep(0.001)
        await stopped.stop()
        await engine.join("r", "u", "c")
        await engine.detach("r", "u", "c", grace_ms=20)
        assert (await asyncio.wait_for(removed.get(), 5)).user == "u"
        stopped.start()
    await asyncio.gather(one.stop(), one.stop(), two.stop())
    assert engine.on_deadline == []


async def test_starting_twice_is_once_and_stopping_twice_is_harmless(engine: PresenceEngine) -> None:
    def running() -> list[str]:
        return [task.get_name() for task in asyncio.all_tasks() if task.get_name() == "presence-sweeper"]

    sweeper = Sweeper(engine)
    await sweeper.stop()
    for _ in range(2):
        sweeper.start()
        sweeper.start()
        assert (len(running()), len(engine.on_deadline)) == (1, 1)
        await asyncio.gather(sweeper.stop(), sweeper.stop())
        await sweeper.stop()
        assert (running(), engine.on_deadline) == ([], [])


async def test_a_listener_that_fails_is_logged_and_nobody_elses_matter(
    make_engine: MakeEngine, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    engine = await make_engine(ttl_ms=1000)

    def fails(_found: object) -> None:
        raise RuntimeError("a listener's own fault")

    engine.on_removed = fails
    for user in ("u", "v"):
        await engine.join("r", user, "c", now_ms=clock.now_ms)
    joined = await engine.join("r", "new", "c", now_ms=clock.advance(5000))
    assert joined.position.count == 1  # type: ignore[union-attr]
    assert "on_removed failed on 2 removals" in caplog.text
    assert "a listener's own fault" in caplog.text


async def test_a_room_that_cannot_be_swept_keeps_no_other_waiting(
    engine: PresenceEngine, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    """It is due before all others, until somebody mends it."""
    long_ago = engine.now_ms() - 10**9
    for room, now_ms in (("bad", long_ago - 1), ("good", long_ago), ("living", None)):
        await engine.join(room, "u", "c", now_ms=now_ms)
    await redis.set(engine.keys.room("bad").deadlines, "of another kind")
    async with Sweeper(engine, interval_ms=50) as sweeper:
        async with asyncio.timeout(5):
            while await redis.exists(engine.keys.room("good").deadlines):
                await asyncio.sleep(0.01)
        for _ in range(3):
            await sweeper.sweep_all()
    assert caplog.text.count("room 'bad' could not be swept") == 1
    assert (await engine.count("living")).count == 1
    found = {one.room: one.faults async for one in audit(engine)}
    assert set(found) == {"bad", "living"}
    assert found["living"] == []
    assert "unreadable" in found["bad"][0]
