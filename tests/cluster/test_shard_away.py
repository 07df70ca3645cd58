"""A shard of a Cluster is away: the others' rooms go on as ever."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from itertools import islice
from typing import Final

import pytest
from redis.crc import key_slot

from presence_engine.keys import Keyspace
from tests.cluster.servers import SLOTS, Cluster
from tests.faults.conftest import Opened
from tests.faults.processes import ServerProcess
from tests.faults.tab import eventually
from tests.faults.table import Table

pytestmark = [pytest.mark.cluster, pytest.mark.faults, pytest.mark.slow]

KEYS: Final = Keyspace(128)
Launch = Callable[..., ServerProcess]
Faultless = Callable[..., Awaitable[None]]


def master_of(key: str) -> int:
    return key_slot(key.encode()) * 3 // SLOTS


async def has(server: ServerProcess, room: str, expected: list[str]) -> bool:
    try:
        return sorted(await asyncio.to_thread(server.users, room)) == expected
    except OSError:
        return False


async def test_one_shard_hangs(
    cluster_in_parts: Cluster, launch: Launch, tab: Opened, faultless: Faultless, table: Table
) -> None:
    """A server that dies meanwhile leaves the others' rooms, one that starts serves them; the rest follows."""
    cluster = cluster_in_parts
    # That of slot 0, whose server is asked what is not of any room.
    away = 0
    assert master_of(KEYS.nodes("leases")) != away
    names = [f"away-{number}" for number in range(100)]
    rooms = list(islice((name for name in names if master_of(KEYS.room(name).due) != away), 4))
    lost = next(name for name in names if master_of(KEYS.room(name).due) == away)
    dies, stays = [launch(cluster.url, PRESENCE_LEASE="1") for _ in range(2)]
    for server in (dies, stays):
        one = await tab(server.url, "dies" if server is dies else "stays")
        for room in (*rooms, lost):
            await one.join(room)
    cluster.instances[away].process.send_signal(signal.SIGSTOP)
    try:
        dies.kill()
        for room in rooms:
            await eventually(lambda room=room: has(stays, room, ["stays"]), f"{room} without the dead")  # type: ignore[misc]
        late = launch(cluster.url, PRESENCE_LEASE="1")
        for server in (stays, late):
            assert server.status("/readyz") == 200
            assert server.users(rooms[0]) == ["stays"]
    finally:
        cluster.instances[away].process.send_signal(signal.SIGCONT)
    await eventually(lambda: has(late, lost, ["stays"]), "the shard's own room without the dead")
    await faultless(cluster.url, partitions=128)
    table.note(
        "a shard of the Cluster hangs, and a server dies and another starts meanwhile",
        "both serve the rooms of the other shards, `/readyz` says ok; the dead server's people leave those rooms "
        "within its lease and a timeout, and the shard's own when it is back",
    )
