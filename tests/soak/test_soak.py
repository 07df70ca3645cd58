"""A crowd that comes and goes while servers and Redis are killed under it: nobody stays who left, nobody is lost, no
number drifts, memory stays flat (000-5, 001, C6, C16, T1.9).
"""

import asyncio
import faulthandler
import logging
import os
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import pytest
import redis.asyncio

from presence_engine import EmbeddedServer
from tests.faults.processes import ServerProcess, command
from tests.faults.tab import eventually
from tests.soak.crowd import ROOMS, Person
from tests.soak.havoc import SETTINGS, Havoc

log = logging.getLogger(__name__)

Launch = Callable[..., ServerProcess]
# Some users are here twice, mostly at different servers.
PEOPLE: Final = 40
USERS: Final = 30
WARM_UP: Final = 0.25
SETTLE_S: Final = 20.0
# Beyond what it was after the warm-up.
SERVER_GROWTH, SERVER_SLACK_KB = 1.15, 8 * 1024
REDIS_GROWTH, REDIS_SLACK_BYTES = 1.25, 1024 * 1024


class Memory:
    """Resident memory of a server that lives through it all, and of Redis, over time."""

    def __init__(self, server: ServerProcess, store: EmbeddedServer) -> None:
        self._server, self._url = server, store.url
        self.server_kb: list[int] = []
        self.redis_bytes: list[int] = []

    async def watch(self, until: asyncio.Event) -> None:
        while not until.is_set():
            await asyncio.sleep(1)
            assert self._server.process is not None
            status = Path(f"/proc/{self._server.process.pid}/status").read_text()
            self.server_kb.append(int(status.partition("VmRSS:")[2].split()[0]))
            self.redis_bytes.append(await self._used() or self.redis_bytes[-1])

    async def _used(self) -> int:
        try:
            async with redis.asyncio.Redis.from_url(self._url) as client:
                return int((await client.info("memory"))["used_memory"])
        except redis.RedisError:
            return 0


def middle(values: Sequence[int]) -> int:
    return sorted(values)[len(values) // 2]


def before_and_after(values: Sequence[int]) -> tuple[int, int]:
    """The median of the tenth after the warm-up, and of the last tenth."""
    tenth = max(len(values) // 10, 3)
    start = int(len(values) * WARM_UP)
    return middle(values[start : start + tenth]), middle(values[-tenth:])


async def soak(for_s: float, folder: Path, launch: Launch, seed: int) -> None:
    log.info(f"seed {seed}")
    with EmbeddedServer(folder / "store", persistent=True) as store:
        servers = [launch(store.url, **SETTINGS, PRESENCE_NODE_NAME=name) for name in ("steady", "one", "two")]
        people = [Person(f"p{number % USERS}", servers, seed + number) for number in range(PEOPLE)]
        havoc, memory, enough = Havoc(store, servers[1:], seed), Memory(servers[0], store), asyncio.Event()
        running = [asyncio.create_task(person.live(enough)) for person in people]
        running += [asyncio.create_task(havoc.wreak(enough)), asyncio.create_task(memory.watch(enough))]
        try:
            await asyncio.wait(running, timeout=for_s, return_when=asyncio.FIRST_EXCEPTION)
            enough.set()
            await asyncio.gather(*running)
            await compare(people, servers[0])
            check_verified(store)
            report(people, havoc, memory)
            check_memory(memory)
            await empty(people, servers[0])
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, *(person.vanish() for person in people), return_exceptions=True)
        for server in servers:
            text = server.log.read_text()
            assert "Traceback" not in text, text[max(text.index("Traceback") - 500, 0) :][:3000]


async def compare(people: Sequence[Person], server: ServerProcess) -> None:
    """Once all have said where they are: exactly they are there, by one connection each, to a server and every tab."""
    until = time.monotonic() + SETTLE_S
    while True:
        await asyncio.gather(*(person.settle() for person in people))
        tabs = {room: [one.name for one in people if room in one.rooms] for room in ROOMS}
        wanted = {room: sorted(set(names)) for room, names in tabs.items()}
        found = {room: sorted(await asyncio.to_thread(server.users, room)) for room in ROOMS}
        connections = {room: (await asyncio.to_thread(server.count, room))["connections"] for room in ROOMS}
        views = [
            (person.name, room, sorted(person.tab.views[room].members) if room in person.tab.views else None)
            for person in people if person.tab is not None for room in person.rooms
        ]  # fmt: skip
        wrong = [(name, room, seen) for name, room, seen in views if seen != wanted[room]]
        if found == wanted and not wrong and connections == {room: len(names) for room, names in tabs.items()}:
            break
        assert time.monotonic() < until, f"wanted {wanted}, found {found} by {connections}, tabs see otherwise {wrong}"
        await asyncio.sleep(0.5)
    assert [failure for person in people for failure in person.failed] == []


def check_verified(store: EmbeddedServer) -> None:
    """Zero drift: `presence-engine verify` recounts everything."""
    done = command("verify", redis_url=store.url, **SETTINGS)
    log.info(done.stdout)
    assert done.returncode == 0, done.stdout
    assert "no faults" in done.stdout


async def empty(people: Sequence[Person], server: ServerProcess) -> None:
    """When all have left nothing stays, but what remembers why somebody was removed."""
    await asyncio.gather(*(person.part() for person in people))
    await eventually(lambda: server.get("/api/chatrooms")["total"] == 0, "that all rooms are gone")


def report(people: Sequence[Person], havoc: Havoc, memory: Memory) -> None:
    server, store = before_and_after(memory.server_kb), before_and_after(memory.redis_bytes)
    log.info(f"{sum(person.answers for person in people)} answers; {dict(havoc.done)}")
    log.info(f"server RSS {server[0]} → {server[1]} KB; Redis used_memory {store[0]} → {store[1]} bytes")


def check_memory(memory: Memory) -> None:
    before, after = before_and_after(memory.server_kb)
    assert after <= before * SERVER_GROWTH + SERVER_SLACK_KB
    before, after = before_and_after(memory.redis_bytes)
    assert after <= before * REDIS_GROWTH + REDIS_SLACK_BYTES


@pytest.mark.slow
@pytest.mark.faults
async def test_half_a_minute(folder: Path, launch: Launch) -> None:
    seed = int(os.environ.get("SOAK_SEED", "20"))
    await soak(30, folder, launch, seed)


@pytest.mark.nightly
@pytest.mark.faults
async def test_ten_minutes(folder: Path, launch: Launch) -> None:
    # It takes longer than a test may before it counts as hung.
    faulthandler.cancel_dump_traceback_later()
    seed = int(os.environ.get("SOAK_SEED", random.randrange(1_000_000)))
    await soak(float(os.environ.get("SOAK_S", "600")), folder, launch, seed)
