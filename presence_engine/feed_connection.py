"""One subscribing connection of the feed."""

import asyncio
import contextlib
import logging
import math
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import MovedError, NoPermissionError

from presence_engine.errors import ConfigurationError, StoreUnavailable
from presence_engine.pipe import CONNECTION_ERRORS, reason_of
from presence_engine.tasks import end_tasks

Handler = Callable[[bytes], None]

_PING_EVERY_S: Final = 2.0
_SILENT_FOR_S: Final = 5.0
# A connection that ends sooner is another failure of one outage.
_STOOD_S: Final = 1.0
_RETRY_S: Final = (0.05, 0.1, 0.2, 0.5, 1.0)

log = logging.getLogger(__name__)


def ended() -> StoreUnavailable:
    return StoreUnavailable("the subscription ended before Redis confirmed it")


class FeedConnection:
    """One subscribing connection to one server. It reconnects by itself and subscribes anew.

    address: the server's, for people.
    on_lost: called when messages may be missing from now on. on_restored: called when every channel is subscribed
    again; the caller then compares positions, since what was published meanwhile is gone.
    """

    def __init__(
        self,
        make_connection: Callable[[], AbstractConnection],
        address: str,
        *,
        on_lost: Callable[[], None],
        on_restored: Callable[[], None],
        on_moved: Callable[[], None],
    ) -> None:
        self._make_connection, self._address = make_connection, address
        self._on_lost, self._on_restored, self._on_moved = on_lost, on_restored, on_moved
        self._connection: AbstractConnection | None = None
        self._handlers: dict[bytes, Handler] = {}
        self._leaving: Counter[bytes] = Counter()
        # What this connection has to subscribe to anew, and Redis has not confirmed yet.
        self._missing: set[bytes] = set()
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
        for unconfirmed in self._confirmations.pop(name, []):
            if not unconfirmed.done():
                unconfirmed.set_exception(ended())
        if self._handlers.pop(name, None):
            self._leaving[name] += 1
            await self._send("SUNSUBSCRIBE", name)

    def _refuse(self, error: ConfigurationError) -> None:
        """Whoever waits need not wait in vain; what they asked for stands, and takes effect when it is permitted."""
        for waiting in self._confirmations.values():
            for future in waiting:
                if not future.done():
                    future.set_exception(error)

    def line(self, channel: str) -> object | None:
        """As of Feed."""
        name = channel.encode()
        waiting = name in self._missing or name in self._confirmations
        return None if waiting or name not in self._handlers else self._connection

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
        failures, loop = 0, asyncio.get_running_loop()
        while True:
            connection = self._make_connection()
            connected_s = math.inf
            try:
                await connection.connect()
                connected_s = loop.time()
                await self._listen(connection)
            except asyncio.CancelledError:
                # The loop ends and nobody has closed the feed: who is told now begins what never ends.
                self.connected = False
                raise
            except MovedError:
                failures = 0
                self._on_moved()
            except CONNECTION_ERRORS as error:
                if loop.time() - connected_s > _STOOD_S:
                    failures = 0
                level = logging.DEBUG if failures else logging.WARNING
                log.log(level, "feed lost: %s (%s)", reason_of(error), self._address)
                if isinstance(error, NoPermissionError):
                    self._refuse(ConfigurationError(f"this user of Redis may not do all that is needed: {error}"))
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
        missing = self._missing = set(self._handlers)
        self._leaving.clear()
        # First, so that a server which refuses it, as one with a full disk does, is not taken for found again.
        await connection.send_command("PING", check_health=False)
        for name in list(missing):
            await connection.send_command("SSUBSCRIBE", name, check_health=False)
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
                        # With an end on its way this answers the subscription before that.
                        confirmed = [] if self._leaving[rest[0]] else self._confirmations.pop(rest[0], [])
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
