"""Runs scripts on a Redis, whatever its shape, and turns its failures into this package's errors."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from redis.asyncio.connection import ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, ResponseError

from presence_engine.batching import Pipe
from presence_engine.errors import ConfigurationError, ContractBroken, StoreUnavailable
from presence_engine.feed import Feed
from presence_engine.scripts import Script, ScriptLibrary

# Redis is there but cannot serve now: it loads, lost its master, is a replica, is full, or is busy.
_NOT_NOW: Final = frozenset(
    ("LOADING", "MASTERDOWN", "READONLY", "OOM", "BUSY", "MISCONF", "NOREPLICAS", "CLUSTERDOWN", "TRYAGAIN")
)


class Store:
    """A single Redis or Valkey at `url` (`redis://`, `rediss://`, `unix://`).

    timeout_ms: longest wait for a connection and for a reply.
    """

    def __init__(self, url: str, *, timeout_ms: int = 1500, library: ScriptLibrary | None = None) -> None:
        self.library = library or ScriptLibrary()
        self.timeout_ms = timeout_ms
        try:
            pool = ConnectionPool.from_url(
                url,
                protocol=2,
                socket_connect_timeout=timeout_ms / 1000,
                socket_timeout=timeout_ms / 1000,
                retry=Retry(NoBackoff(), 0),
            )
        except ValueError as error:
            raise ConfigurationError(f"the Redis URL is not valid: {error}") from None
        self._pool = pool
        self._pipe = Pipe(pool.make_connection, timeout_ms)

    async def run(
        self, name: str, keys: Sequence[str], values: Mapping[str, object], more: Sequence[object] = ()
    ) -> list[Any]:
        """Run the script `name` once and return its reply; `values` by argument name, `more` for a repeating last one.

        Raises StoreUnavailable, or ContractBroken when the script itself fails.
        A Redis that does not know the script (restart, failover, SCRIPT FLUSH) is taught all of them, and asked once
        more.
        """
        script = self.library[name]
        command = (script.command, script.sha, len(keys), *keys, *script.order(values), *more)
        try:
            try:
                reply: list[Any] = await self._pipe.call(*command)
            except NoScriptError:
                await self.load()
                reply = await self._pipe.call(*command)
        except ResponseError as error:
            raise await self._refused(script, error) from None
        return reply

    async def _refused(self, script: Script, error: ResponseError) -> Exception:
        text = str(error)
        code = getattr(error, "status_code", None) or text.partition(" ")[0]
        if isinstance(error, NoScriptError) or code in _NOT_NOW:
            # A demoted master keeps its connections: only a new one finds the master.
            await self._pipe.close()
            return StoreUnavailable(f"Redis cannot serve now: {text}")
        return ContractBroken(f"{script.name}: {text}")

    async def load(self) -> None:
        """Load every script and compare its sha with ours. Raises ContractBroken when they differ."""
        scripts = list(self.library.values())
        try:
            shas = await asyncio.gather(*(self._pipe.call("SCRIPT", "LOAD", script.source) for script in scripts))
        except ResponseError as error:
            raise await self._refused(scripts[0], error) from None
        for script, sha in zip(scripts, shas, strict=True):
            if sha.decode() != script.sha:
                raise ContractBroken(f"{script.name}: Redis computed another sha")

    async def command(self, *command: Any) -> Any:
        """Send a plain command, for checks such as PING and INFO."""
        try:
            return await self._pipe.call(*command)
        except ResponseError as error:
            raise StoreUnavailable(f"Redis refuses {command[0]}: {error}") from None

    @property
    def breaks(self) -> int:
        """How often the connection has been lost so far: after each, Redis may be another, or have forgotten."""
        return self._pipe.breaks

    def open_feed(self, *, on_lost: Callable[[], None], on_restored: Callable[[], None]) -> Feed:
        return Feed(self._pool.make_connection, on_lost=on_lost, on_restored=on_restored, timeout_ms=self.timeout_ms)

    async def close(self) -> None:
        with contextlib.suppress(StoreUnavailable):
            await self._pipe.close()
