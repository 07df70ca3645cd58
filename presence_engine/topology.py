"""Which server a key lives on: one Redis, the master a Sentinel names, or the nodes of a Cluster."""

import asyncio
import re
from collections.abc import Sequence
from typing import Any, Final, Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

from redis.asyncio import Redis
from redis.asyncio.connection import ConnectionPool
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff
from redis.crc import key_slot
from redis.exceptions import ResponseError

from presence_engine.errors import ConfigurationError, StoreUnavailable
from presence_engine.pipe import Connect, Pipe
from presence_engine.tasks import SharedTask

Place = tuple[str, int]

_DATABASE: Final = re.compile(r"^/?\d*/?$")
_HOST: Final = re.compile(r"^(\[[0-9a-fA-F:.]+\]|[^:\[\]]+)(?::(\d+))?$")


class Topology(Protocol):
    """What a Store asks of the servers behind it. database: its number there."""

    database: int

    async def pipe(self, key: str) -> Pipe:
        """The pipe to the server of `key`."""

    def pipe_now(self, key: str) -> Pipe | None:
        """The same without waiting; None while that server is not known."""

    async def refresh(self) -> None:
        """Look again which server has what; an answer said that it moved."""

    def connect_for(self, key: str) -> Connect:
        """How a feed connects to the server that has `key` now."""

    def pipes(self) -> Sequence[Pipe]:
        """Every pipe made so far."""

    def place(self, key: str) -> object:
        """What tells one server from another: feeds of equal places share a connection."""

    async def close(self) -> None:
        """Close every pipe, and whatever was opened to find the servers. It may be used again."""


class OneServer:
    """A single Redis, or whichever server a pool connects to (a Sentinel's master)."""

    def __init__(self, pool: ConnectionPool, timeout_ms: int, finders: Sequence[Redis] = ()) -> None:
        self.database = int(pool.connection_kwargs.get("db") or 0)
        self._make_connection, self._finders = pool.make_connection, finders
        self._pipe = Pipe(pool.make_connection, timeout_ms)

    async def pipe(self, key: str) -> Pipe:
        return self._pipe

    def pipe_now(self, key: str) -> Pipe:
        return self._pipe

    async def refresh(self) -> None:
        """There is nothing to look up."""

    def connect_for(self, key: str) -> Connect:
        return self._make_connection

    def pipes(self) -> Sequence[Pipe]:
        return (self._pipe,)

    def place(self, key: str) -> object:
        return None

    async def close(self) -> None:
        await self._pipe.close()
        await asyncio.gather(*(finder.aclose() for finder in self._finders))


class Cluster:
    """A Redis Cluster: a map of slots, read from any node that answers, and a pipe a node."""

    database = 0

    def __init__(self, seeds: Sequence[Place], options: dict[str, Any], timeout_ms: int) -> None:
        self._seeds, self._options, self._timeout_ms = seeds, options, timeout_ms
        self._slots: list[tuple[int, int, Place]] = []
        self._pipes: dict[Place, Pipe] = {}
        self._refreshing = SharedTask(self._refresh, "redis-slots")

    async def pipe(self, key: str) -> Pipe:
        if not self._slots:
            await self.refresh()
        return self._pipe_to(self._owner(key))

    def pipe_now(self, key: str) -> Pipe | None:
        try:
            return self._pipe_to(self._owner(key))
        except StoreUnavailable:
            return None

    def place(self, key: str) -> Place:
        return self._owner(key)

    def connect_for(self, key: str) -> Connect:
        return self._pool(self._owner(key)).make_connection

    def pipes(self) -> Sequence[Pipe]:
        return tuple(self._pipes.values())

    async def close(self) -> None:
        await self._refreshing.end()
        await asyncio.gather(*(pipe.close() for pipe in self._pipes.values()))

    async def refresh(self) -> None:
        """Read the map of slots; callers at one time share one reading.

        Raises StoreUnavailable when no node answers.
        """
        await self._refreshing.done()

    async def _refresh(self) -> None:
        last: Exception = StoreUnavailable("no node of the cluster answers")
        for place in dict.fromkeys([*(place for _, _, place in self._slots), *self._seeds]):
            try:
                reply = await self._pipe_to(place).call("CLUSTER", "SLOTS")
            except (StoreUnavailable, ResponseError) as error:
                last = error
                continue
            slots = [(first, end, self._place_of(master, place)) for first, end, master, *_ in reply]
            if slots:
                self._slots = sorted(slots)
                return
        raise StoreUnavailable(f"the map of the cluster cannot be read: {last}")

    @staticmethod
    def _place_of(node: Sequence[Any], asked: Place) -> Place:
        """A node that does not know its own name answers with an empty one: it is the one that was asked."""
        host = (node[0] or b"").decode()
        return (host if host and host != "?" else asked[0], node[1])

    def _owner(self, key: str) -> Place:
        slot = key_slot(key.encode())
        for first, end, place in self._slots:
            if first <= slot <= end:
                return place
        raise StoreUnavailable(f"no node of the cluster serves slot {slot}")

    def _pipe_to(self, place: Place) -> Pipe:
        if place not in self._pipes:
            self._pipes[place] = Pipe(self._pool(place).make_connection, self._timeout_ms)
        return self._pipes[place]

    def _pool(self, place: Place) -> ConnectionPool:
        return ConnectionPool(host=place[0], port=place[1], **self._options)


def topology(url: str, timeout_ms: int) -> Topology:
    """Return the topology that `url` names; credentials and options go to every connection.

    `redis://` `rediss://` `unix://` as redis-py reads them; `redis+sentinel://user:password@host:26379,host/service/db`
    (`sentinel_password=` for the Sentinels themselves); `redis+cluster://user:password@host:7000,host:7001`.
    Raises ConfigurationError, without any part of the URL.
    """
    common: dict[str, Any] = {
        "protocol": 2,
        "socket_connect_timeout": timeout_ms / 1000,
        "socket_timeout": timeout_ms / 1000,
        # Nothing is ever sent twice: a repetition is the caller's decision.
        "retry": Retry(NoBackoff(), 0),
    }
    scheme = url.partition("://")[0]
    try:
        if scheme == "redis+sentinel":
            pool = _sentinel_pool(url, common, timeout_ms)
            return OneServer(pool, timeout_ms, pool.sentinel_manager.sentinels)
        if scheme == "redis+cluster":
            places, credentials, _ = _parts(url, 6379)
            return Cluster(places, {**common, **credentials}, timeout_ms)
        if scheme in {"redis", "rediss"} and not _DATABASE.match(urlsplit(url).path):
            raise ValueError  # which redis-py takes for database 0
        return OneServer(ConnectionPool.from_url(url, **common), timeout_ms)
    except (ValueError, TypeError):
        raise ConfigurationError(f"the Redis URL ({scheme}://…) is not valid") from None


def _sentinel_pool(url: str, common: dict[str, Any], timeout_ms: int) -> SentinelConnectionPool:
    places, credentials, path = _parts(url, 26379)
    service, _, database = path.strip("/").partition("/")
    own = {key: value for key, value in parse_qsl(urlsplit(url).query) if key.startswith("sentinel_")}
    sentinel = Sentinel(
        places,
        sentinel_kwargs={
            "socket_timeout": timeout_ms / 1000,
            "socket_connect_timeout": timeout_ms / 1000,
            "username": own.get("sentinel_username"),
            "password": own.get("sentinel_password"),
        },
    )
    return SentinelConnectionPool(service or "mymaster", sentinel, db=int(database or 0), **common, **credentials)


def _parts(url: str, default_port: int) -> tuple[list[Place], dict[str, str], str]:
    """The hosts, the credentials, the path."""
    split = urlsplit(url)
    userinfo, _, hosts = split.netloc.rpartition("@")
    user, _, password = userinfo.partition(":")
    credentials = {"username": unquote(user), "password": unquote(password)}
    places = []
    for text in hosts.split(","):
        match = _HOST.match(text)
        if match is None:
            raise ValueError
        places.append((match.group(1).strip("[]"), int(match.group(2) or default_port)))
    return places, {key: value for key, value in credentials.items() if value}, split.path
