"""Calls of one loop tick leave together, in one write on one connection."""

import asyncio
import math
import socket
import struct
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final

from hiredis import pack_command
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import AuthenticationError, RedisError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError

from presence_engine.errors import StoreUnavailable

# The last two say that a connection was closed by the time something is written to it: uvloop's way, and redis-py's
# when its reader was the first to notice.
CONNECTION_ERRORS: Final = (RedisError, OSError, RuntimeError, AttributeError)


class Pipe:
    """One connection that many callers share: commands go out in the order they were called, replies come back
    likewise.

    Nothing is ever sent twice. When the connection breaks, or a reply is `timeout_ms` late, every call under way fails
    with StoreUnavailable (what was sent may have been carried out) and the next call connects anew.
    """

    def __init__(self, make_connection: Callable[[], AbstractConnection], timeout_ms: int) -> None:
        self._make_connection = make_connection
        self._timeout_s = timeout_ms / 1000
        self._connection: AbstractConnection | None = None
        self._waiting: list[tuple[bytes, asyncio.Future[Any]]] = []
        self._in_flight: deque[tuple[asyncio.Future[Any], float]] = deque()
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._writer: asyncio.Task[None] | None = None
        self.breaks = 0

    def call(self, *command: Any) -> "asyncio.Future[Any]":
        """Send one command; the future brings its reply, raises redis' ResponseError, or StoreUnavailable."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((pack_command(command), future))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write(), name="redis-pipe-writer")
        self._wake.set()
        return future

    async def _write(self) -> None:
        try:
            connection = await self._connect()
            if self._is_replaced():
                await connection.disconnect(nowait=True)
                return
            self._connection = connection
            # Lateness is `_watch`'s to notice: with a timeout of its own the connection makes a task for every write.
            connection.socket_timeout = None
            self._tasks = [
                asyncio.create_task(self._read(connection), name="redis-pipe-reader"),
                asyncio.create_task(self._watch(), name="redis-pipe-watch"),
            ]
            while True:
                await self._wake.wait()
                if self._is_replaced():
                    return
                self._wake.clear()
                batch, self._waiting = self._waiting, []
                sent_at = asyncio.get_running_loop().time()
                self._in_flight.extend((future, sent_at) for _, future in batch)
                packed = b"".join([command for command, _ in batch])
                await connection.send_packed_command(packed, check_health=False)
        except CONNECTION_ERRORS as error:
            if not self._is_replaced():
                self._fail(StoreUnavailable(f"Redis is out of reach: {_reason(error)}"))

    def _is_replaced(self) -> bool:
        """The pipe failed, and this writer lives on: making a connection and sending can swallow a cancellation.

        Such a writer would take calls from its successor, and send them where nobody reads the replies.
        """
        return self._writer is not asyncio.current_task()

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
            self._fail(StoreUnavailable(f"the connection to Redis broke: {_reason(error)}"))

    async def _watch(self) -> None:
        """A server that hangs, or a network that swallows, is noticed by the age of the oldest call."""
        clock = asyncio.get_running_loop().time
        while True:
            oldest = self._in_flight[0][1] if self._in_flight else clock()
            late_s = clock() - oldest - self._timeout_s
            if late_s >= 0:
                return self._fail(StoreUnavailable(f"Redis did not answer within {self._timeout_s:g} s"))
            await asyncio.sleep(min(-late_s, self._timeout_s) if self._in_flight else self._timeout_s / 4)

    def _fail(self, error: StoreUnavailable) -> None:
        connection, self._connection = self._connection, None
        calls = [future for future, _ in self._in_flight] + [future for _, future in self._waiting]
        self._in_flight.clear()
        self._waiting.clear()
        for task in (*self._tasks, self._writer):
            if task is not None and task is not asyncio.current_task():
                task.cancel()
        self._writer, self._tasks = None, []
        for future in calls:
            if not future.done():
                future.set_exception(error)
                future.exception()  # a caller who is gone must not make the loop complain
        if connection is not None:
            self.breaks += 1
            if (transport := _transport(connection)) is not None:
                transport.abort()
            closing = asyncio.ensure_future(connection.disconnect(nowait=True))
            closing.add_done_callback(lambda done: done.cancelled() or done.exception())

    async def close(self) -> None:
        """Close the connection; calls under way fail. The pipe may be used again."""
        tasks = [task for task in (*self._tasks, self._writer) if task is not None]
        self._fail(StoreUnavailable("the connection to Redis was closed"))
        await end_tasks(tasks)


async def end_tasks(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel until they end: code in between may swallow a cancellation that meets its own completion."""
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=0.1)


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


def _reason(error: BaseException) -> str:
    """What to tell without repeating an address that may hold a password."""
    if isinstance(error, AuthenticationError):
        return "it refuses the user name or password"
    if isinstance(error, (RedisConnectionError, OSError)) and str(error):
        return str(error).splitlines()[0]
    return type(error).__name__
