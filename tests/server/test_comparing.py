"""Rooms are compared when the feed is back: what a failover lost shows, and one partition waits for no other."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from presence_engine import ContractBroken, EngineSettings, Position, PresenceEngine, StoreUnavailable
from server.comparing import Comparing
from server.local_room import LocalRoom

PARTITIONS = 4


class Watched(Comparing):
    """Rooms of which this process has heard all there is, and whose moves it is told."""

    def __init__(self, engine: PresenceEngine) -> None:
        self.rooms: dict[str, LocalRoom] = {}
        self.moved: list[tuple[str, Position]] = []
        super().__init__(engine, self.rooms, lambda local, at: self.moved.append((local.room, at)))
        self.engine = engine

    async def follow(self, room: str) -> Position:
        await self.engine.join(room, "u", "c")
        at = await self.engine.count(room)
        self.rooms[room] = LocalRoom(room)
        self.rooms[room].stand_at(at)
        return at

    async def compare(self) -> None:
        self.begin()
        assert self._task is not None
        await asyncio.wait_for(self._task, 5)


@pytest.fixture
async def comparing(redis_url: str, prefix: str) -> AsyncIterator[Watched]:
    settings = EngineSettings(prefix=prefix, partitions=PARTITIONS)
    async with PresenceEngine(redis_url, settings=settings) as engine:
        comparing = Watched(engine)
        await comparing.learn_lineages()
        yield comparing
        comparing.close()


async def promote_another(engine: PresenceEngine, room: str) -> None:
    """As after a failover: whoever wrote before was another."""
    key = engine.keys.lineage(engine.keys.partition_of(room))
    await engine.store._topology.pipes()[0].call("SET", key, f"{'f' * 40}\x1f1")


def rooms_apart(engine: PresenceEngine) -> tuple[str, str]:
    """Two rooms of two partitions."""
    rooms = [f"room-{n}" for n in range(20)]
    return rooms[0], next(r for r in rooms if engine.keys.partition_of(r) != engine.keys.partition_of(rooms[0]))


async def test_what_has_not_moved_is_left_alone(comparing: Watched) -> None:
    at = await comparing.follow("room")
    await comparing.compare()
    assert comparing.moved == []
    assert await comparing.engine.count("room") == at


async def test_what_moved_is_told(comparing: Watched) -> None:
    await comparing.follow("room")
    await comparing.engine.join("room", "u2", "c2")
    await comparing.compare()
    assert comparing.moved == [("room", await comparing.engine.count("room"))]


async def test_after_a_failover_no_position_is_borne_twice(comparing: Watched) -> None:
    """Redis stands where this process stands, and it is not the same: three changes were lost, and three came."""
    before = await comparing.follow("room")
    await promote_another(comparing.engine, "room")
    await comparing.compare()
    after = await comparing.engine.count("room")
    assert int(after.epoch, 16) > int(before.epoch, 16)
    assert comparing.moved == [("room", after)]
    comparing.rooms["room"].stand_at(after)
    await comparing.compare()
    assert await comparing.engine.count("room") == after


async def test_of_two_servers_one_renews(comparing: Watched) -> None:
    """The other finds it done, and is told like anybody."""
    other = Watched(comparing.engine)
    await other.learn_lineages()
    other.rooms["room"] = LocalRoom("room")
    other.rooms["room"].stand_at(await comparing.follow("room"))
    await promote_another(comparing.engine, "room")
    await comparing.compare()
    await other.compare()
    assert len(comparing.moved) == 1
    assert other.moved == comparing.moved


@pytest.mark.parametrize("fault", [StoreUnavailable, ContractBroken])
async def test_a_partition_that_is_away_keeps_no_other_waiting(
    comparing: Watched, monkeypatch: pytest.MonkeyPatch, fault: type[Exception]
) -> None:
    monkeypatch.setattr("server.comparing._RETRY_S", 0.01)
    engine = comparing.engine
    away, here = rooms_apart(engine)
    for room in (away, here):
        await comparing.follow(room)
        await engine.join(room, "u2", "c2")
    real, is_back = engine.counts, asyncio.Event()

    async def one_less(rooms: Any, **more: Any) -> Any:
        if away in rooms and not is_back.is_set():
            raise fault("away")
        return await real(rooms, **more)

    monkeypatch.setattr(engine, "counts", one_less)
    comparing.begin()
    async with asyncio.timeout(5):
        while not comparing.moved:
            await asyncio.sleep(0.001)
        assert [room for room, _ in comparing.moved] == [here]
        comparing.rooms[here].stand_at(comparing.moved[0][1])
        is_back.set()
        while len(comparing.moved) < 2:
            await asyncio.sleep(0.001)
    assert [room for room, _ in comparing.moved] == [here, away]
