"""Which server a key lives on: one Redis, the master a Sentinel names, or the nodes of a Cluster."""

import asyncio
import re
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from redis.asyncio import Redis
from redis.asyncio.connection import Connection, ConnectionPool, SSLConnection, parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import MasterNotFoundError, Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff
from redis.crc import key_slot
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError

from presence_engine.address import TLS_PARAMETERS, Place, options_of, parts_of, shown
from presence_engine.errors import ConfigurationError, StoreUnavailable
from presence_engine.pipe import Connect, Pipe
from presence_engine.tasks import SharedTask

_DATABASE: Final = re.compile(r"^/?\d*/?$")
# A node that did not answer is asked after the others for so long.
_SILENT_S: Final = 10.0


class Topology(Protocol):
    """What a Store asks of the servers behind it.

    database: its number there. moves: how often slots were found to have changed hands. on_moved: what is called then.
    """

    database: int
    moves: int
    on_moved: set[Callable[[], None]]

    async def pipe(self, key: str) -> Pipe:
        """The pipe to the server of `key`."""

    def pipe_now(self, key: str) -> Pipe | None:
        """The same without waiting; None while that server is not known."""

    async def refresh(self) -> None:
        """Look again which server has what; an answer said that it moved."""

    def doubt(self, pipe: Pipe) -> None:
        """Ask others first: this server says that its cluster is down."""

    def connect_for(self, key: str) -> Connect:
        """How a feed connects to the server that has `key` now."""

    def pipes(self) -> Sequence[Pipe]:
        """Every pipe made so far."""

    def place(self, key: str) -> object:
        """What tells one server from another: feeds of equal places share a connection."""

    def address(self, key: str) -> str:
        """What people call the server of `key`, without any password."""

    async def close(self) -> None:
        """Close every pipe, and whatever was opened to find the servers. It may be used again."""


class OneServer:
    """A single Redis, or whichever server a pool connects to (a Sentinel's master)."""

    moves = 0

    def __init__(self, pool: ConnectionPool, timeout_ms: int, address: str, finders: Sequence[Redis] = ()) -> None:
        pool.make_connection()  # which raises TypeError now, and not at the first call, for what it does not take
        self.database = int(pool.connection_kwargs.get("db") or 0)
        self.on_moved: set[Callable[[], None]] = set()
        self._address = address
        self._make_connection, self._finders = pool.make_connection, finders
        self._pipe = Pipe(pool.make_connection, timeout_ms)

    async def pipe(self, key: str) -> Pipe:
        return self._pipe

    def pipe_now(self, key: str) -> Pipe:
        return self._pipe

    async def refresh(self) -> None:
        """There is nothing to look up."""

    def doubt(self, pipe: Pipe) -> None:
        """There is nobody else to ask."""

    def connect_for(self, key: str) -> Connect:
        return self._make_connection

    def pipes(self) -> Sequence[Pipe]:
        return (self._pipe,)

    def place(self, key: str) -> object:
        return None

    def address(self, key: str) -> str:
        return self._address

    async def close(self) -> None:
        await self._pipe.close()
        await asyncio.gather(*(finder.aclose() for finder in self._finders))


class Cluster:
    """A Redis Cluster: a map of slots, read from any node that answers, and a pipe a node."""

    database = 0

    def __init__(self, seeds: Sequence[Place], options: dict[str, Any], timeout_ms: int) -> None:
        self._seeds, self._options, self._timeout_ms = seeds, options, timeout_ms
        self._pool(seeds[0]).make_connection()  # which raises TypeError for what it does not take
        self.moves = 0
        self.on_moved: set[Callable[[], None]] = set()
        self._slots: list[tuple[int, int, Place]] = []
        # Of every slot the last owner known, also while it has none.
        self._owners: dict[int, Place] = {}
        self._pipes: dict[Place, Pipe] = {}
        # When a place last said that its cluster is down.
        self._doubted_s: dict[Place, float] = {}
        # When one was last asked for the map in vain.
        self._silent_s: dict[Place, float] = {}
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

    def address(self, key: str) -> str:
        try:
            return shown(self._owner(key))
        except StoreUnavailable:
            return f"the Cluster of {','.join(map(shown, self._seeds))}"

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

    def doubt(self, pipe: Pipe) -> None:
        """A master that the others cut off and replaced still answers, with a map that says it has its slots."""
        self._doubted_s |= {place: time.monotonic() for place, its in self._pipes.items() if its is pipe}

    async def _refresh(self) -> None:
        last: Exception = StoreUnavailable("no node of the cluster answers")
        places = dict.fromkeys([*(place for _, _, place in self._slots), *self._seeds])
        for place in sorted(places, key=self._rank):
            try:
                reply = await self._pipe_to(place).call("CLUSTER", "SLOTS")
            except (StoreUnavailable, ResponseError) as error:
                last = error
                self._silent_s[place] = time.monotonic()
                continue
            slots = [(first, end, self._place_of(master, place)) for first, end, master, *_ in reply]
            if slots:
                self._slots = sorted(slots)
                self._note_owners()
                return
        raise StoreUnavailable(f"the map of the cluster cannot be read: {last}")

    def _rank(self, place: Place) -> tuple[float, float]:
        """With a shard dead all the living say that the cluster is down: who is silent costs a timeout, they do not."""
        silent_s = self._silent_s.get(place, 0.0)
        return silent_s if time.monotonic() - silent_s < _SILENT_S else 0.0, self._doubted_s.get(place, 0.0)

    def _note_owners(self) -> None:
        """A slot that changed hands may have lost its last writes on the way, though no connection broke.

        One that was moved on purpose lost none, and looks the same: it costs a comparison that finds nothing.
        """
        owners = {slot: place for first, end, place in self._slots for slot in range(first, end + 1)}
        moved = any(self._owners.get(slot, place) != place for slot, place in owners.items())
        self._owners |= owners
        if moved:
            self.moves += 1
            for tell in tuple(self.on_moved):
                tell()

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


class _Sentinels(Sentinel):
    """Asks one after the other within `timeout_ms`, and says in one line that none could tell."""

    def __init__(self, places: Sequence[Place], timeout_ms: int, options: dict[str, Any]) -> None:
        # Even when all but one hang, time is left to connect to what that one names.
        each_s = timeout_ms / 1000 / (len(places) + 1)
        options = {"socket_timeout": each_s, "socket_connect_timeout": each_s, **options}
        super().__init__(places, sentinel_kwargs=options)  # type: ignore[no-untyped-call]

    async def discover_master(self, service_name: str) -> Place:
        try:
            host, port = await super().discover_master(service_name)
        except MasterNotFoundError:
            # Its text shows every client with all its options.
            raise RedisConnectionError(
                f"none of {len(self.sentinels)} Sentinels answers with a master for {service_name!r}"
            ) from None
        return host, port


def topology(url: str, timeout_ms: int) -> Topology:
    """Return the topology that `url` names; credentials and options go to every connection.

    `redis://` `unix://` as redis-py reads them; `redis+sentinel://user:password@host:26379,host/service/db`
    (`sentinel_username=`, `sentinel_password=` for the Sentinels themselves);
    `redis+cluster://user:password@host:7000,host:7001`. With `rediss` for `redis` all of it goes over TLS.
    Raises ConfigurationError, without any part of the URL but the name of a parameter that is not taken.
    """
    scheme = url.partition("://")[0]
    timeouts = {"socket_connect_timeout": timeout_ms / 1000, "socket_timeout": timeout_ms / 1000}
    # Nothing is ever sent twice: a repetition is the caller's decision.
    ours = {"protocol": 2, "retry": Retry(NoBackoff(), 0)}
    try:
        match scheme:
            case "redis+sentinel" | "rediss+sentinel":
                return _behind_sentinels(url, timeouts, ours, timeout_ms)
            case "redis+cluster" | "rediss+cluster":
                places, credentials, path = parts_of(url, 6379)
                options = options_of(url)
                if path.strip("/") not in {"", "0"} or options.pop("db", 0):
                    raise ValueError  # a Cluster has no other database
                how = {"connection_class": SSLConnection if scheme == "rediss+cluster" else Connection}
                return Cluster(places, {**timeouts, **options, **credentials, **how, **ours}, timeout_ms)
            case "redis" | "rediss" if not _DATABASE.match(urlsplit(url).path):
                raise ValueError  # which redis-py takes for database 0
        options = {**timeouts, **parse_url(url.partition("?")[0]), **options_of(url), **ours}
        address = options.get("path") or shown((options.get("host", "localhost"), options.get("port", 6379)))
        return OneServer(ConnectionPool(**options), timeout_ms, address)
    except (ValueError, TypeError, RedisError):
        raise ConfigurationError(f"the Redis URL ({scheme}://…) is not valid") from None


def _behind_sentinels(url: str, timeouts: dict[str, Any], ours: dict[str, Any], timeout_ms: int) -> OneServer:
    places, credentials, path = parts_of(url, 26379)
    service, _, database = path.strip("/").partition("/")
    options = options_of(url, "sentinel_username", "sentinel_password")
    login = {name: options.pop(f"sentinel_{name}", None) for name in ("username", "password")}
    tls = {"ssl": True, **{name: options[name] for name in options.keys() & TLS_PARAMETERS}}
    tls = tls if url.startswith("rediss") else {}
    sentinels = _Sentinels(places, timeout_ms, {**login, **tls, **ours})
    how = {**timeouts, **options, **credentials, **tls, **ours, "db": int(database or options.get("db", 0))}
    service = service or "mymaster"
    address = f"{service} of the Sentinels {','.join(map(shown, places))}"
    return OneServer(SentinelConnectionPool(service, sentinels, **how), timeout_ms, address, sentinels.sentinels)
