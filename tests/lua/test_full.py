"""On a Redis that is full, what frees memory or keeps people alive still works; what grows is refused."""

import pytest
from redis.asyncio import Redis

from presence_engine import Absent, Beat, Detached, Kicked, Left, StoreUnavailable
from tests.conftest import Clock, MakeEngine, StartServer


async def test_leaving_works_and_joining_is_unavailable(
    start_server: StartServer, make_engine: MakeEngine, clock: Clock
) -> None:
    server = start_server()
    engine = await make_engine(server.url)
    now = clock.now_ms
    for n in range(10):
        await engine.join("r", f"u{n}", f"c{n}", now_ms=now)
    async with Redis.from_url(server.url) as client:
        await client.config_set("maxmemory", 1)
        with pytest.raises(StoreUnavailable):
            await engine.join("r", "new", "c", now_ms=now)
        with pytest.raises(StoreUnavailable):
            await engine.update("r", "u0", "c0", username="x", now_ms=now)
        assert (await engine.count("r", now_ms=now)).count == 10
        assert len((await engine.list("r", now_ms=now)).members) == 10
        assert (await engine.counts(["r"], now_ms=now))["r"].count == 10
        assert (await engine.rooms(now_ms=now)).total == 1
        assert len(await engine.where("u0", now_ms=now)) == 1
        now = clock.advance(600_000)
        assert isinstance(await engine.heartbeat("r", "u0", "c0", now_ms=now), Beat)
        assert isinstance(await engine.leave("r", "u1", "c1", now_ms=now), Left)
        assert isinstance(await engine.detach("r", "u2", "c2", now_ms=now), Detached)
        assert isinstance(await engine.detach("r", "u3", "c3", grace_ms=0, now_ms=now), Detached)
        assert isinstance(await engine.kick("r", "u4", now_ms=now), Kicked)
        now = clock.advance(15_000)
        assert [gone.user for gone in await engine.sweep("r", now_ms=now)] == ["u2"]
        assert isinstance(await engine.heartbeat("r", "u2", "c2", adopt=False, now_ms=now), Absent)
        assert (await engine.count("r", now_ms=now)).count == 6
        await client.config_set("maxmemory", 0)
    assert (await engine.join("r", "new", "c", now_ms=now)).position.count == 7  # type: ignore[union-attr]
