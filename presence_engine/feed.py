"""The feed: what the scripts publish, brought to this process in the order of the changes."""

import asyncio
import contextlib
import logging
import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import MovedError

from presence_engine.errors import StoreUnavailable
from presence_engine.pipe import CONNECTION_ERRORS
from presence_engine.tasks import end_tasks
from presence_engine.topology import Topology

Handler = Callable[[bytes], None]

_PING_EVERY_S: Final = 2.0
_SILENT_FOR_S: Final = 5.0
_FOLLOW_S: Final = 0.5
_RETRY_S: Final = (0.05, 0.1, 0.2, 0.5, 1.0)

log = logging.getLogger(__name__)


class FeedConnection:
    """One subscribing connection to one server. It reconnects by itself and subscribes anew.

    on_lost: called when messages may be missing from now on. on_restored: called when every channel is subscribed
    again; the caller then compares positions, since what was published meanwhile is gone.
    """

    def __init__(
        self,
        make_connection: Callable[[], AbstractConnection],
        *,
        on_lost: Callable[[], None],
        on_restored: Callable[[], None],
        on_moved: Callable[[], None],
    ) -> None:
        self._make_connection = make_connection
        self._on_lost, self._on_restored, self._on_moved = on_lost, on_restored, on_moved
        self._connection: AbstractConnection | None = None
        self._handlers: dict[bytes, Handler] = {}
        self._leaving: Counter[bytes] = Counter()
        self._confirmations: dict[bytes, list[asyncio.Future[None]]] = {}
        self._heard_at = 0.0
        self._task: asyncio.Task[None] | None = None
        self.connected = False

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="redis-feed")

    async def subscribe(self, channel: str, handler: Handler) -> None:
        """Call `handler` with every message of `channel` from now on; returns when Redis has confirmed it."""
        name = channel.encode()
        self._handlers[name] = handler
        confirmed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._confirmations.setdefault(name, []).append(confirmed)
        await self._send("SSUBSCRIBE", name)
        await confirmed

    async def unsubscribe(self, channel: str) -> None:
        """Stop listening to a channel; what is on the way is dropped."""
        name = channel.encode()
        if self._handlers.pop(name, None):
            self._leaving[name] += 1
            await self._send("SUNSUBSCRIBE", name)

    def line(self, channel: str) -> object | None:
        """As of Feed."""
        name = channel.encode()
        stands = self.connected and name in self._handlers and name not in self._confirmations
        return self._connection if stands else None

    async def close(self) -> None:
        # Nothing is lost when it is no longer wanted.
        self.connected = False
        if self._task:
            await end_tasks([self._task])

    async def _send(self, *command: Any) -> None:
        """Send when connected; otherwise the next connection subscribes to all that is wanted."""
        connection = self._connection
        if connection is None:
            return
        try:
            await connection.send_command(*command, check_health=False)
        except CONNECTION_ERRORS:
            log.debug("feed: %s not sent, the connection is on its way out", command[0])

    async def _run(self) -> None:
        failures = 0
        while True:
            connection = self._make_connection()
            try:
                await connection.connect()
                failures = 0
                await self._listen(connection)
            except MovedError:
                self._on_moved()
            except CONNECTION_ERRORS as error:
                log.warning("feed lost: %s", type(error).__name__)
            finally:
                self._connection = None
                was_connected, self.connected = self.connected, False
                await connection.disconnect(nowait=True)
                if was_connected:
                    self._on_lost()
            await asyncio.sleep(_RETRY_S[failures])
            failures = min(failures + 1, len(_RETRY_S) - 1)

    async def _listen(self, connection: AbstractConnection) -> None:
        loop = asyncio.get_running_loop()
        self._connection, self._heard_at = connection, loop.time()
        missing = set(self._handlers)
        self._leaving.clear()
        for start in range(0, len(wanted := list(missing)), 500):
            for name in wanted[start : start + 500]:
                await connection.send_command("SSUBSCRIBE", name, check_health=False)
        await connection.send_command("PING", check_health=False)
        pinging = asyncio.create_task(self._keep_alive(connection))
        try:
            while True:
                kind, *rest = await connection.read_response(timeout=math.inf)
                self._heard_at, unawaited = loop.time(), False
                match kind:
                    case b"smessage":
                        self._deliver(rest[0], rest[1])
                    case b"ssubscribe":
                        missing.discard(rest[0])
                        confirmed = self._confirmations.pop(rest[0], [])
                        # Who asked has given up; the subscription stands all the same.
                        unawaited = bool(confirmed) and all(future.done() for future in confirmed)
                        for future in confirmed:
                            if not future.done():
                                future.set_result(None)
                    case b"sunsubscribe" if self._leaving[rest[0]] > 0:
                        self._leaving[rest[0]] -= 1
                    case b"sunsubscribe":
                        # On a Cluster the server lets go of channels whose slot moved away.
                        self._on_moved()
                        raise ConnectionResetError("unsubscribed by the server")
                if not missing and (unawaited or not self.connected):
                    self.connected = True
                    self._on_restored()
        finally:
            pinging.cancel()

    def _deliver(self, channel: bytes, message: bytes) -> None:
        handler = self._handlers.get(channel)
        if handler is None:
            return
        try:
            handler(message)
        except Exception:
            log.exception("a feed handler failed on a message of %d bytes", len(message))

    async def _keep_alive(self, connection: AbstractConnection) -> None:
        """A connection that died silently is noticed by the missing answer to a PING."""
        loop = asyncio.get_running_loop()
        # Sending can swallow a cancellation, and would connect anew by itself.
        while self._connection is connection:
            await asyncio.sleep(_PING_EVERY_S)
            if loop.time() - self._heard_at > _SILENT_FOR_S:
                await connection.disconnect(nowait=True)
                return
            with contextlib.suppress(*CONNECTION_ERRORS):
                await connection.send_command("PING", check_health=False)


class Feed:
    """Subscriptions of one process, on one connection a server.

    on_lost(), on_restored(): as of FeedConnection, for any of them; `line` tells which channels they speak of.
    timeout_ms: longest wait for a confirmation.
    """

    def __init__(
        self, topology: Topology, *, on_lost: Callable[[], None], on_restored: Callable[[], None], timeout_ms: int
    ) -> None:
        self._topology, self._on_lost, self._on_restored = topology, on_lost, on_restored
        self._timeout_s = timeout_ms / 1000
        self._connections: dict[object, FeedConnection] = {}
        self._wanted: dict[str, tuple[object, Handler]] = {}
        self._moving: asyncio.Task[None] | None = None

    @property
    def connected(self) -> bool:
        """Every connection that is needed stands, and is subscribed to all it should be."""
        return all(connection.connected for connection in self._connections.values())

    def line(self, channel: str) -> object | None:
        """Return what brings the channel's messages now, None when nothing does.

        While it is the same one, no message was missed; channels of one server have one.
        """
        place, _ = self._wanted.get(channel, (None, None))
        connection = self._connections.get(place)
        return connection.line(channel) if connection else None

    async def subscribe(self, channel: str, handler: Handler) -> None:
        """Call `handler` with every message of `channel` from now on. Raises StoreUnavailable when not confirmed in
        time.

        The subscription stands even then: it takes effect when Redis is back.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._topology.pipe(channel)
                place = self._topology.place(channel)
                self._wanted[channel] = (place, handler)
                await self._connection(place, channel).subscribe(channel, handler)
        except TimeoutError:
            raise StoreUnavailable("Redis did not confirm a subscription in time") from None

    async def unsubscribe(self, channel: str) -> None:
        """Stop listening to a channel; what is on the way is dropped."""
        place, _ = self._wanted.pop(channel, (None, None))
        if (connection := self._connections.get(place)) is not None:
            await connection.unsubscribe(channel)

    def _connection(self, place: object, channel: str) -> FeedConnection:
        if place not in self._connections:
            connection = FeedConnection(
                self._topology.connect_for(channel),
                on_lost=self._lost,
                on_restored=self._on_restored,
                on_moved=self._moved,
            )
            self._connections[place] = connection
            connection.start()
        return self._connections[place]

    def _lost(self) -> None:
        self._on_lost()
        self._moved()

    def _moved(self) -> None:
        """A channel's server may be another now: look, until every channel listens at the right one."""
        if self._moving is None or self._moving.done():
            self._moving = asyncio.create_task(self._follow(), name="redis-feed-follow")

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(_FOLLOW_S)
            try:
                await self._topology.refresh()
                await self._move(
                    [channel for channel, (place, _) in self._wanted.items() if self._topology.place(channel) != place]
                )
            except StoreUnavailable:
                continue
            await self._drop_idle()
            if self.connected:
                return

    async def _move(self, channels: Sequence[str]) -> None:
        """Listen to these channels where they are now, and tell: others may be out of reach for long."""
        if not channels:
            return
        for channel in channels:
            if channel in self._wanted:
                await self._connections[self._wanted[channel][0]].unsubscribe(channel)
        self._on_lost()
        subscribing = (
            self.subscribe(channel, self._wanted[channel][1]) for channel in channels if channel in self._wanted
        )
        outcomes = await asyncio.gather(*subscribing, return_exceptions=True)
        self._on_restored()
        for outcome in outcomes:
            if outcome is not None:
                raise outcome

    async def _drop_idle(self) -> None:
        """A server that no channel lives on any more may be gone for good."""
        used = {place for place, _ in self._wanted.values()}
        for place in set(self._connections) - used:
            # While another was closed, a channel may have come to need this one.
            if all(wanted != place for wanted, _ in self._wanted.values()):
                await self._connections.pop(place).close()

    async def close(self) -> None:
        """Close every connection and forget every subscription. The feed may be used again."""
        self._wanted.clear()
        if self._moving:
            await end_tasks([self._moving])
        connections, self._connections = list(self._connections.values()), {}
        await asyncio.gather(*(connection.close() for connection in connections))
