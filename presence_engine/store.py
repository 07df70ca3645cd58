"""Runs scripts on Redis, whatever its shape, and turns its failures into this package's errors."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from redis.exceptions import ClusterDownError, MovedError, NoScriptError, ResponseError

from presence_engine.errors import ConfigurationError, ContractBroken, StoreUnavailable
from presence_engine.feed import Feed
from presence_engine.pipe import Pipe
from presence_engine.replies import RECORD_SEPARATOR
from presence_engine.scripts import ScriptLibrary
from presence_engine.tasks import SharedTask, end_tasks
from presence_engine.topology import OneServer, topology
from presence_engine.troubles import Troubles

# A reply that comes as one text instead of an array, which costs Redis 0.5–0.8 µs more.
_FIELD: Final = RECORD_SEPARATOR.encode()

# Redis is there but cannot serve now: it loads, lost its master, is a replica, is full, is busy, or moves a slot.
_NOT_NOW: Final = frozenset(
    ("LOADING", "MASTERDOWN", "READONLY", "OOM", "BUSY", "MISCONF", "NOREPLICAS", "CLUSTERDOWN", "TRYAGAIN", "ASK")
)
# These come from a server that is no longer the right one: only a new connection finds the right one.
_ELSEWHERE: Final = frozenset({"READONLY", "MASTERDOWN", "CLUSTERDOWN"})
# How the ways of Redis and Valkey begin to say, in a script and out of it, that this user of theirs may not do that.
_NOT_ALLOWED: Final = ("No permissions", "this user has no permissions", "The user executing the script", "ACL failure")
_OF_A_CLUSTER: Final = (
    "this Redis is a node of a Cluster, whose URL begins with redis+cluster:// (rediss+cluster:// for TLS)"
)
_ATTEMPTS: Final = 3


def server_name(info: Mapping[str, str]) -> str:
    """Name and version, such as `Redis 7.0.15` or `Valkey 9.1.2`."""
    # Valkey tells a redis_version too, for old clients.
    valkey = info.get("valkey_version")
    return f"Valkey {valkey}" if valkey else f"Redis {info.get('redis_version', '?')}"


def _fields(reply: Any) -> list[Any]:
    return reply.split(_FIELD) if isinstance(reply, bytes) else reply


class Store:
    """The Redis or Valkey at `url`: single, behind Sentinel, or a Cluster (see `topology`).

    timeout_ms: longest wait for a connection and for a reply.
    """

    def __init__(self, url: str, *, timeout_ms: int = 1500, library: ScriptLibrary | None = None) -> None:
        self.library = library or ScriptLibrary()
        self.timeout_ms = timeout_ms
        self._topology = topology(url, timeout_ms)
        self._troubles = Troubles()
        self._looking = SharedTask(self._look_again, "redis-topology")
        self._teaching: dict[Pipe, SharedTask] = {}
        self._settling: set[asyncio.Task[None]] = set()
        self._closes = 0

    async def run(
        self, name: str, keys: Sequence[str], values: Mapping[str, object], more: Sequence[object] = ()
    ) -> list[Any]:
        """Run the script `name` once and return its reply; `values` by argument name, `more` for a repeating last one.

        Raises StoreUnavailable, ConfigurationError when Redis does not permit its user that, or ContractBroken when the
        script itself fails. Only what was certainly not carried out is sent again: a Redis that does not know the
        script (restart, failover, SCRIPT FLUSH, new node) is taught all of them first, and a Cluster that moved the
        slot is asked where it went.
        """
        return await self._run(name, keys[0], self._command(name, keys, values, more), self._closes)

    async def try_out(self, name: str, keys: Sequence[str], values: Mapping[str, object]) -> list[Any]:
        """Run a script as `run` does, for a caller who tells people of a failure: the log does not."""
        return await self._attempt(name, keys[0], self._command(name, keys, values, ()), self._closes, None)

    def submit(
        self, name: str, keys: Sequence[str], values: Mapping[str, object], more: Sequence[object] = ()
    ) -> asyncio.Future[list[Any]]:
        """Run a script as `run` does, but send it at once, and make a task only for what goes wrong."""
        command = self._command(name, keys, values, more)
        answer: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        closes = self._closes

        def go_on(sent: asyncio.Future[Any] | None) -> None:
            task = asyncio.create_task(self._settle(answer, self._run(name, keys[0], command, closes, sent)))
            self._settling.add(task)
            task.add_done_callback(self._settling.discard)

        def arrived(sent: asyncio.Future[Any]) -> None:
            if sent.exception() is not None:
                go_on(sent)
                return
            if self._troubles:
                self._troubles.succeeded(self._topology.address(keys[0]), name)
            if not answer.done():
                answer.set_result(_fields(sent.result()))

        if (pipe := self._topology.pipe_now(keys[0])) is None:
            go_on(None)
        else:
            pipe.call(*command).add_done_callback(arrived)
        return answer

    @staticmethod
    async def _settle(answer: asyncio.Future[list[Any]], running: Awaitable[list[Any]]) -> None:
        try:
            reply = await running
        except BaseException as error:
            if not answer.done():
                failed = isinstance(error, Exception)
                answer.set_exception(error if failed else StoreUnavailable("the connection to Redis was closed"))
            if not isinstance(error, Exception):
                raise
        else:
            if not answer.done():
                answer.set_result(reply)

    def _command(
        self, name: str, keys: Sequence[str], values: Mapping[str, object], more: Sequence[object]
    ) -> tuple[Any, ...]:
        script = self.library[name]
        return (script.command, script.sha, len(keys), *keys, *script.order(values), *more)

    async def _run(
        self, name: str, key: str, command: Sequence[Any], closes: int, sent: asyncio.Future[Any] | None = None
    ) -> list[Any]:
        """closes: of the store, when this was asked for. sent: the first attempt, where it is under way already."""
        try:
            reply = await self._attempt(name, key, command, closes, sent)
        except StoreUnavailable as error:
            if closes == self._closes:
                self._troubles.failed(self._topology.address(key), name, error)
            raise
        if self._troubles:
            self._troubles.succeeded(self._topology.address(key), name)
        return reply

    async def _attempt(
        self, name: str, key: str, command: Sequence[Any], closes: int, sent: asyncio.Future[Any] | None
    ) -> list[Any]:
        for _ in range(_ATTEMPTS):
            pipe = await self._topology.pipe(key)
            try:
                under_way, sent = sent or pipe.call(*command), None
                return _fields(await under_way)
            except NoScriptError as error:
                await self._remedy(partial(self._teach, pipe), closes)
                last: ResponseError = error
            except MovedError as error:
                if isinstance(self._topology, OneServer):
                    raise ConfigurationError(_OF_A_CLUSTER) from None
                await self._remedy(self._topology.refresh, closes)
                last = error
            except ResponseError as error:
                if isinstance(error, ClusterDownError):
                    self._topology.doubt(pipe)
                    self._look(closes)
                raise await self._refused(name, pipe, error) from None
            except StoreUnavailable:
                self._look(closes)
                raise
        raise StoreUnavailable(f"Redis cannot serve now: {last}")

    async def _remedy(self, remedy: Callable[[], Awaitable[None]], closes: int) -> None:
        """What was under way when the store was closed must not connect anew."""
        if closes == self._closes:
            await remedy()
        if closes != self._closes:
            raise StoreUnavailable("the connection to Redis was closed")

    def _look(self, closes: int) -> None:
        """In the background: the caller has waited long enough."""
        if closes == self._closes:
            self._looking.start()

    async def _look_again(self) -> None:
        """A node that went away may have a successor; the caller is told either way."""
        try:
            await self._topology.refresh()
        except StoreUnavailable:
            return

    @staticmethod
    async def _refused(name: str, pipe: Pipe, error: ResponseError) -> Exception:
        code = getattr(error, "status_code", None) or str(error).partition(" ")[0]
        if code in _NOT_NOW:
            unavailable = StoreUnavailable(f"Redis cannot serve now: {code} {str(error).removeprefix(code).lstrip()}")
            if code in _ELSEWHERE:
                await pipe.close(unavailable)
            return unavailable
        if code == "NOAUTH" or "unauthenticated" in str(error):
            return StoreUnavailable("Redis wants a password")
        if code == "NOPERM" or str(error).startswith(_NOT_ALLOWED):
            return ConfigurationError(f"this user of Redis may not do all that is needed: {error}")
        return ContractBroken(f"{name}: {error}")

    async def load(self) -> None:
        """Load every script and compare its sha with ours; on a Cluster into one node, `run` teaches the others.

        Raises ContractBroken when they differ, StoreUnavailable, or ConfigurationError when Redis does not permit it.
        """
        await self._teach(await self._topology.pipe(""))

    async def _teach(self, pipe: Pipe) -> None:
        """Load every script, once for all who find at one time that they are not known."""
        if pipe not in self._teaching:
            self._teaching[pipe] = SharedTask(lambda: self._load_all(pipe), "redis-scripts")
        await self._teaching[pipe].done()

    async def _load_all(self, pipe: Pipe) -> None:
        scripts = list(self.library.values())
        try:
            shas = await asyncio.gather(*(pipe.call("SCRIPT", "LOAD", script.source) for script in scripts))
        except ResponseError as error:
            raise await self._refused("SCRIPT LOAD", pipe, error) from None
        for script, sha in zip(scripts, shas, strict=True):
            if sha.decode() != script.sha:
                raise ContractBroken(f"{script.name}: Redis computed another sha")

    async def command(self, *command: Any) -> Any:
        """Send a plain command to one server, for checks such as PING and INFO."""
        pipe = await self._topology.pipe("")
        try:
            return await pipe.call(*command)
        except ResponseError as error:
            raise StoreUnavailable(f"Redis refuses {command[0]}: {error}") from None

    async def info(self, *sections: str) -> dict[str, str]:
        """What INFO tells of one server, by name."""
        lines = (await self.command("INFO", *sections)).decode().splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)

    @property
    def database(self) -> int:
        """The number of the database, 0 on a Cluster."""
        return self._topology.database

    @property
    def breaks(self) -> int:
        """How often a connection has been lost so far, or slots changed hands: after each, Redis may have forgotten."""
        return sum(pipe.breaks for pipe in self._topology.pipes()) + self._topology.moves

    def open_feed(self, *, on_lost: Callable[[], None], on_restored: Callable[[], None]) -> Feed:
        return Feed(self._topology, on_lost=on_lost, on_restored=on_restored, timeout_ms=self.timeout_ms)

    async def close(self) -> None:
        self._closes += 1
        await self._looking.end()
        for teaching in self._teaching.values():
            await teaching.end()
        self._teaching.clear()
        await self._topology.close()
        await end_tasks(self._settling)
