"""What goes wrong, at random: servers and Redis killed, restarted and frozen, scripts forgotten."""

import asyncio
import os
import random
import signal
from collections import Counter
from collections.abc import Sequence
from typing import Final

import redis.asyncio

from presence_engine import EmbeddedServer
from tests.faults.processes import ServerProcess

# The TTL is far beyond what settling may take: whoever is not there by then was forgotten.
SETTINGS: Final = {
    "PRESENCE_TTL": "300", "PRESENCE_GRACE": "1", "PRESENCE_GRACE_PING_TIMEOUT": "2", "PRESENCE_LEASE": "2",
    "PRESENCE_SWEEP_INTERVAL": "2",
}  # fmt: skip


class Havoc:
    """servers: those that may be killed. done: what was done how often."""

    def __init__(self, store: EmbeddedServer, servers: Sequence[ServerProcess], seed: int) -> None:
        self._store, self._servers, self._random = store, servers, random.Random(seed)
        self.done: Counter[str] = Counter()

    async def wreak(self, until: asyncio.Event) -> None:
        deeds = [
            self.kill_server,
            self.kill_server,
            self.restart_server,
            self.forget_scripts,
            self.restart_redis,
            self.kill_redis,
            self.freeze_server,
            self.freeze_redis,
        ]
        while not until.is_set():
            await asyncio.sleep(self._random.uniform(1.5, 4))
            deed = self._random.choice(deeds)
            await deed()
            self.done[deed.__name__] += 1

    async def kill_server(self) -> None:
        server = self._random.choice(self._servers)
        server.kill()
        await asyncio.sleep(self._random.uniform(0, 3))
        await asyncio.to_thread(server.restart)

    async def restart_server(self) -> None:
        server = self._random.choice(self._servers)
        await asyncio.to_thread(server.stop)
        await asyncio.to_thread(server.restart)

    async def forget_scripts(self) -> None:
        async with redis.asyncio.Redis.from_url(self._store.url) as client:
            await client.script_flush()

    async def restart_redis(self) -> None:
        await asyncio.to_thread(self._store.stop)
        await asyncio.sleep(self._random.uniform(0, 1))
        await asyncio.to_thread(self._store.start)

    async def kill_redis(self) -> None:
        """As a crash: what its file has not been told is lost, at most a second of it."""
        assert self._store.pid is not None
        os.kill(self._store.pid, signal.SIGKILL)
        await asyncio.to_thread(self._store.stop)
        await asyncio.to_thread(self._store.start)

    async def freeze_server(self) -> None:
        """Now and then for longer than its lease: it is taken for dead, and wakes up."""
        server = self._random.choice(self._servers)
        assert server.process is not None
        await self._freeze(server.process.pid)

    async def freeze_redis(self) -> None:
        """For longer than its clients wait: what they sent is carried out later."""
        assert self._store.pid is not None
        await self._freeze(self._store.pid)

    async def _freeze(self, pid: int) -> None:
        os.kill(pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(self._random.uniform(0.5, 4))
        finally:
            os.kill(pid, signal.SIGCONT)
