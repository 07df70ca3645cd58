"""Engine.IO below Socket.IO: ping intervals told as they are, a silent client told from one that closed, and clients
dropped that do not read or do not say what they want.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final

import engineio

from server.metrics import CLOSED
from server.sockets.outgoing import OutgoingQueue

# The reader gives up a moment before a whole ping timeout has passed since the ping.
_PART_OF_TIMEOUT: Final = 0.9
CONNECT_WITHIN_S: Final = 20.0
_WORDS_OF_A_CLIENT: Final = 200

log = logging.getLogger(__name__)


class EngineServer(engineio.AsyncServer):  # type: ignore[misc]  # python-engineio has no types
    """An Engine.IO server that puts two things of the library right.

    It tells a ping interval of less than a second, or with a fraction, exactly: the library cuts it to whole seconds,
    and clients told `0` take a healthy connection for dead. And it says `ping timeout` of a WebSocket that left a ping
    unanswered, whichever of the library's two timers noticed it.

    It also ends connections that cost without being of use: of clients that do not read what they are sent, and those
    that are in no namespace 20 s after they came or left their last. connected(sid) tells whether one is.
    """

    connected: Callable[[str], bool]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._ending: set[asyncio.Task[None]] = set()

    def create_queue(self) -> OutgoingQueue:
        """Called by the library for each socket."""
        return OutgoingQueue()

    async def _trigger_event(self, event: str, *args: Any, **kwargs: Any) -> Any:
        if event == "connect":
            self._announce_interval(args[0])
            self.sockets[args[0]].queue.on_overflow = lambda: self._spawn(self._drop(args[0]))
            self.sockets[args[0]].handle_post_request = partial(self._post, args[0])
            self.expect_connected(args[0])
        elif event == "disconnect" and len(args) == 2 and self._fell_silent(args[0]):
            args = (args[0], self.reason.PING_TIMEOUT)
        return await super()._trigger_event(event, *args, **kwargs)

    def _announce_interval(self, sid: str) -> None:
        queue = self.sockets[sid].queue
        opening = queue.get_nowait()
        queue.task_done()
        opening.data["pingInterval"] = round(self.ping_interval * 1000)
        queue.put_nowait(opening)

    async def _post(self, sid: str, environ: dict[str, Any]) -> None:
        """Long polling: what cannot be read, or is too long, ends the socket; the library would log it as a fault of
        its own, or wait for the client to take what is queued.
        """
        socket = self.sockets[sid]
        try:
            await type(socket).handle_post_request(socket, environ)
        except Exception as error:
            log.info("a long-polling request that cannot be read: %s", type(error).__name__)
            await socket.close(wait=False, reason=self.reason.TRANSPORT_ERROR)
            raise engineio.exceptions.EngineIOError from None

    async def _handle_connect(self, environ: dict[str, Any], transport: str, jsonp_index: int | None = None) -> Any:
        # `Upgrade: websocket` without `Connection: upgrade`, as of a proxy half set up, is plain HTTP. The library
        # would return without an answer.
        if transport == "websocket" and environ["asgi.scope"]["type"] == "http":
            return self._bad_request("Invalid websocket upgrade")
        return await super()._handle_connect(environ, transport, jsonp_index)

    def _log_error_once(self, message: str, message_key: str) -> None:
        super()._log_error_once(message[:_WORDS_OF_A_CLIENT], message_key)

    def expect_connected(self, sid: str) -> None:
        """Close a connection that is in no namespace 20 s from now; an earlier look at it is put off."""
        socket = self.sockets[sid]
        if (earlier := getattr(socket, "expected", None)) is not None:
            earlier.cancel()
        socket.expected = asyncio.get_running_loop().call_later(CONNECT_WITHIN_S, self._look_for_namespace, sid)

    def _look_for_namespace(self, sid: str) -> None:
        if sid in self.sockets and not self.sockets[sid].closed and not self.connected(sid):
            CLOSED.labels("nameless").inc()
            self._spawn(self.end(sid))

    async def end(self, sid: str) -> None:
        """Close a connection that is in no namespace, behind what is on its way."""
        if (socket := self.sockets.get(sid)) is not None:
            await socket.close(wait=False)
            # The end of the writer: it closes the connection, whether the client takes the hint or not.
            socket.queue.put_nowait(None)

    async def _drop(self, sid: str) -> None:
        """Break a connection whose client does not read. There is no use in telling it."""
        if (socket := self.sockets.get(sid)) is not None:
            CLOSED.labels("slow").inc()
            log.warning("a socket is dropped: its client does not read what it is sent")
            await socket.close(wait=False, abort=True, reason=self.reason.TRANSPORT_ERROR)
            if socket.queue.break_off:
                socket.queue.break_off()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    def _fell_silent(self, sid: str) -> bool:
        socket = self.sockets.get(sid)
        pinged_at_s = socket.last_ping if socket else None
        return pinged_at_s is not None and time.time() - pinged_at_s >= self.ping_timeout * _PART_OF_TIMEOUT
