"""Calls of one loop tick leave together, in one write on one connection."""

import asyncio
import logging
import math
import os
import socket
import struct
from collections import deque
from collections.abc import Callable
from typing import Any, Final
from weakref import WeakSet

from hiredis import pack_command
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import AuthenticationError, RedisError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError

from presence_engine.errors import ConfigurationError, StoreUnavailable
from presence_engine.tasks import end_tasks

# The last two say that a connection was closed by the time something is written to it: uvloop's way, and redis-py's
# when its reader was the first to notice.
CONNECTION_ERRORS: Final = (RedisError, OSError, RuntimeError, AttributeError)
Connect = Callable[[], AbstractConnection]

# How often within the timeout it is looked whether replies come.
_LOOKS: Final = 8
# A call that waits behind others, while replies come, may take so many timeouts.
_PATIENCE: Final = 4

log = logging.getLogger(__name__)

_lines: Final[WeakSet["_Line"]] = WeakSet()


def _leave_to_parent() -> None:
    """A connection of before a fork is the parent's."""
    for line in _lines:
        line.ended = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_parent)


class Pipe:
    """One connection that many callers share: commands go out in the order they were called, replies come back
    likewise.

    Nothing is ever sent twice. When the connection breaks, or replies stay out for `timeout_ms`, every call under way
    fails with StoreUnavailable (what was sent may have been carried out) and the next call connects anew. A call from
    another loop, or after a fork, connects anew too; ConfigurationError while the loop of before still runs.
    """

    def __init__(self, make_connection: Connect, timeout_ms: int) -> None:
        self._make_connection = make_connection
        self._timeout_s = timeout_ms / 1000
        self._line: _Line | None = None
        self.breaks = 0

    def call(self, *command: Any) -> "asyncio.Future[Any]":
        """Send one command; the future brings its reply, raises redis' ResponseError, or StoreUnavailable."""
        loop, line = asyncio.get_running_loop(), self._line
        if line is None or line.ended or line.loop is not loop:
            if line is not None and not line.ended:
                _leave(line)
            line = self._line = _Line(self._make_connection, self._timeout_s, self._broke)
        return line.call(pack_command(command))

    def _broke(self) -> None:
        self.breaks += 1

    async def close(self, error: StoreUnavailable | None = None) -> None:
        """Close the connection; calls under way fail, with `error`. The pipe may be used again, in another loop too."""
        line = self._line
        if line is None or line.ended:
            return
        if line.loop is not asyncio.get_running_loop():
            _leave(line)
        else:
            line.end(error or StoreUnavailable("the connection to Redis was closed"))
            await end_tasks(line.tasks)
        if self._line is line:
            self._line = None


class _Line:
    """One connection, from its making to its end."""

    def __init__(self, make_connection: Connect, timeout_s: float, on_broken: Callable[[], None]) -> None:
        _lines.add(self)
        self.loop = asyncio.get_running_loop()
        self.ended = False
        self.connection: AbstractConnection | None = None
        self._make_connection, self._timeout_s, self._on_broken = make_connection, timeout_s, on_broken
        self._waiting: list[tuple[bytes, asyncio.Future[Any]]] = []
        # With each future the look that its command was sent after.
        self._in_flight: deque[tuple[asyncio.Future[Any], int]] = deque()
        self._look = 0
        self._wake = asyncio.Event()
        writer = self.loop.create_task(self._write(), name="redis-pipe-writer")
        # `asyncio.run` cancels every task when it ends, and others do too: who calls then must not wait for ever.
        writer.add_done_callback(lambda _: self.end(StoreUnavailable("the connection to Redis was closed")))
        self.tasks = [writer]

    def call(self, packed: bytes) -> "asyncio.Future[Any]":
        future: asyncio.Future[Any] = self.loop.create_future()
        self._waiting.append((packed, future))
        self._wake.set()
        return future

    async def _write(self) -> None:
        try:
            connection = await self._connect()
            # Making a connection can swallow a cancellation, and so can sending.
            if self.ended or self.tasks[0].cancelling():
                await connection.disconnect(nowait=True)
                return
            self.connection = connection
            # Lateness is `_watch`'s to notice: with a timeout of its own the connection makes a task for every write.
            connection.socket_timeout = None
            self.tasks += [
                self.loop.create_task(self._read(connection), name="redis-pipe-reader"),
                self.loop.create_task(self._watch(), name="redis-pipe-watch"),
            ]
            while not self.tasks[0].cancelling():
                await self._wake.wait()
                self._wake.clear()
                batch, self._waiting = self._waiting, []
                if not batch:
                    return
                look = self._look
                self._in_flight.extend((future, look) for _, future in batch)
                packed = b"".join([command for command, _ in batch])
                await connection.send_packed_command(packed, check_health=False)
        except CONNECTION_ERRORS as error:
            self.end(StoreUnavailable(f"Redis is out of reach: {reason_of(error)}"))
        except Exception as error:
            # Whatever it was: a writer that ends without a word leaves every call waiting for ever.
            log.exception("the connection to Redis cannot be made or written to")
            self.end(StoreUnavailable(f"Redis is out of reach: {reason_of(error)}"))

    async def _connect(self) -> AbstractConnection:
        connection = self._make_connection()
        try:
            async with asyncio.timeout(self._timeout_s):
                await connection.connect()
            _keep_nothing(connection)
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        return connection

    async def _read(self, connection: AbstractConnection) -> None:
        try:
            while True:
                try:
                    reply = await connection.read_response(timeout=math.inf)
                except ResponseError as error:
                    reply = error
                future, _ = self._in_flight.popleft()
                if future.done():
                    continue
                if isinstance(reply, ResponseError):
                    future.set_exception(reply)
                else:
                    future.set_result(reply)
        except (RedisError, OSError, IndexError) as error:
            self.end(StoreUnavailable(f"the connection to Redis broke: {reason_of(error)}"))

    async def _watch(self) -> None:
        """A server that hangs, or a network that swallows, is noticed by the first in line standing still.

        Counted in looks, not read from a clock: in a loop that stood still itself replies wait to be read.
        """
        first: tuple[asyncio.Future[Any], int] | None = None
        since = 0
        while not self.ended:
            await asyncio.sleep(self._timeout_s / _LOOKS)
            self._look += 1
            before, first = first, self._in_flight[0] if self._in_flight else None
            since = since if first is before else self._look
            if first and (self._look - since >= _LOOKS or self._look - first[1] > _PATIENCE * _LOOKS):
                self.end(StoreUnavailable(f"Redis did not answer within {self._timeout_s:g} s"))

    def end(self, error: StoreUnavailable) -> None:
        """Fail every call under way, and drop the connection."""
        if self.ended:
            return
        self.ended = True
        calls = [future for future, _ in self._in_flight] + [future for _, future in self._waiting]
        self._in_flight.clear()
        self._waiting.clear()
        # A writer that did not hear of its cancellation ends by having nothing to write.
        self._wake.set()
        for task in self.tasks:
            if task is not asyncio.current_task():
                task.cancel()
        for future in calls:
            if not future.done():
                future.set_exception(error)
                future.exception()  # a caller who is gone must not make the loop complain
        connection, self.connection = self.connection, None
        if connection is not None:
            self._on_broken()
            if (transport := _transport(connection)) is not None:
                transport.abort()
            closing = asyncio.ensure_future(connection.disconnect(nowait=True))
            closing.add_done_callback(lambda done: done.cancelled() or done.exception())


def _leave(line: _Line) -> None:
    """End a line of another loop there, when that loop runs again. Raises ConfigurationError while it does."""
    if line.loop.is_running():
        raise ConfigurationError("this engine is in use in another event loop: make one engine for each")
    if not line.loop.is_closed():
        line.loop.call_soon_threadsafe(line.end, StoreUnavailable("the engine went on in another event loop"))


def _transport(connection: AbstractConnection) -> asyncio.WriteTransport | None:
    """redis-py shows neither its transport nor its socket."""
    writer = connection._writer
    return None if writer is None else writer.transport


def _keep_nothing(connection: AbstractConnection) -> None:
    """Let whatever ends the connection, this process' death too, drop what was not sent.

    A kernel goes on delivering it else, for minutes: after a partition, behind what its callers have done since.
    """
    transport = _transport(connection)
    sock = transport.get_extra_info("socket") if transport else None
    if sock is not None and sock.family != socket.AF_UNIX:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def reason_of(error: BaseException) -> str:
    """What to tell without repeating an address that may hold a password."""
    if isinstance(error, AuthenticationError):
        return "it refuses the user name or password"
    if isinstance(error, (RedisConnectionError, ResponseError, OSError)) and str(error):
        return str(error).splitlines()[0]
    return type(error).__name__
