"""Socket.IO below the events: JSON, delivery to the sockets of this process, packets that are no events."""

import asyncio
import json
import logging
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import msgspec
import socketio
from engineio import packet as engineio_packet
from socketio import packet

from server.metrics import SENT
from server.refusals import Refusal
from server.sockets.bursts import Burst, BurstingWebSocket
from server.sockets.engine_io import EngineServer
from server.sockets.session import Session

log = logging.getLogger(__name__)

_INTEGER_DIGITS: Final = 1000
# Nothing here takes bytes; whoever announces more of them than this only makes the server wait and keep them.
_ATTACHMENTS: Final = 8
# Of an event whose JSON cannot be read: its namespace, and the number of its acknowledgement.
_HEAD: Final = re.compile(r"2(?:(/[^,]{0,256}),)?(\d{1,15})?")


class Codec:
    """JSON of the wire.

    Out: msgspec, so that ready fragments are spliced in. In: Python's own, exact for big integers.
    """

    @staticmethod
    def dumps(value: Any, **_: Any) -> str:
        try:
            return msgspec.json.encode(value).decode()
        except UnicodeEncodeError:
            # An answer that repeats half a surrogate pair, such as an unknown event's name.
            return json.dumps(value)

    @staticmethod
    def loads(text: str | bytes, **_: Any) -> Any:
        try:
            return _DECODER.decode(text if isinstance(text, str) else text.decode())
        except RecursionError:
            raise ValueError("nested too deeply") from None


def _integer(digits: str) -> int | float:
    # Python refuses to read very long integers; as a float it is refused where a number is not wanted.
    return int(digits) if len(digits) <= _INTEGER_DIGITS else float(digits)


_DECODER: Final = json.JSONDecoder(parse_int=_integer)


def event_packet(event: str, data: Any, namespace: str) -> engineio_packet.Packet:
    """One event, encoded once for however many sockets."""
    return _message(packet.EVENT, namespace, "", [event, data])


def _message(kind: int, namespace: str, id: int | str, values: list[Any]) -> engineio_packet.Packet:
    """A packet without attachments; the library's own would walk through all values to look for some."""
    place = f"{namespace}," if namespace != "/" else ""
    return engineio_packet.Packet(engineio_packet.MESSAGE, f"{kind}{place}{id}{Codec.dumps(values)}")


class LocalManager(socketio.AsyncManager):  # type: ignore[misc]  # python-socketio has no types
    """Delivers to the sockets of this process only, without a task a recipient: presence never needs another node's."""

    async def emit(self, event: str, data: Any, namespace: str, room: str | None = None, **_: Any) -> None:
        if namespace not in self.rooms:
            return
        message = event_packet(event, data, namespace)
        for _sid, eio_sid in list(self.get_participants(namespace, room)):
            await self.server._send_eio_packet(eio_sid, message)


class SocketServer(socketio.AsyncServer):  # type: ignore[misc]  # python-socketio has no types
    """An AsyncServer that answers what is no event too: a packet it cannot read is an `error`, never a traceback."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.eio._async = {**self.eio._async, "websocket": BurstingWebSocket}
        self.eio.connected = self._is_connected
        self._later: set[asyncio.Task[None]] = set()

    def _is_connected(self, eio_sid: str) -> bool:
        return any(self.manager.sid_from_eio_sid(eio_sid, namespace) for namespace in self.manager.rooms)

    async def disconnect(self, sid: str, namespace: str | None = None, **options: Any) -> None:
        """End a socket, and with the last of a WebSocket the WebSocket: not every client closes it by itself."""
        eio_sid = self.manager.eio_sid_from_sid(sid, namespace or "/")
        await super().disconnect(sid, namespace, **options)
        socket = self.eio.sockets.get(eio_sid)
        # Long polling holds nothing open, and its client says goodbye to a session that has to be there.
        if socket is not None and socket.upgraded and not self._is_connected(eio_sid):
            await self.eio.end(eio_sid)

    async def tell(self, session: Session, event: str, body: Any) -> None:
        """Send one event to one socket; returns when it is queued, behind whatever was before it."""
        await self.emit(event, body, to=session.sid, namespace=session.namespace)

    def send_many(self, event: str, data: Any, sessions: Iterable[Session]) -> None:
        """Queue one event for many sockets at once; no socket waits for another, and a closed one is passed over."""
        SENT.labels(event).inc(self._queue(lambda namespace: event_packet(event, data, namespace), sessions))

    def send_burst(self, events: Sequence[tuple[str, Any]], sessions: Iterable[Session]) -> None:
        """As `send_many`, with several events, in order."""

        def burst(namespace: str) -> Burst:
            return Burst([event_packet(event, data, namespace) for event, data in events])

        sent = self._queue(burst, sessions)
        for event, _ in events:
            SENT.labels(event.partition(":")[0]).inc(sent)

    def _queue(self, make: Callable[[str], engineio_packet.Packet], sessions: Iterable[Session]) -> int:
        """Queue a packet, made once a namespace; return for how many sockets."""
        packets: dict[str, engineio_packet.Packet] = {}
        sent = 0
        for session in sessions:
            eio_sid = self.manager.eio_sid_from_sid(session.sid, session.namespace)
            socket = self.eio.sockets.get(eio_sid)
            if socket is None or socket.closed or session.closed:
                continue
            if session.namespace not in packets:
                packets[session.namespace] = make(session.namespace)
            socket.queue.put_nowait(packets[session.namespace])
            sent += 1
        return sent

    def _engineio_server_class(self) -> type[EngineServer]:
        return EngineServer

    async def _handle_eio_message(self, eio_sid: str, data: Any) -> None:
        incomplete = self._binary_packet.get(eio_sid)
        if incomplete is not None and (isinstance(data, str) or incomplete.attachment_count > _ATTACHMENTS):
            del self._binary_packet[eio_sid]
            await self._answer_unreadable(eio_sid, incomplete.namespace, incomplete.id)
            if not isinstance(data, str):
                return
        try:
            await super()._handle_eio_message(eio_sid, data)
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
            log.debug("a packet that cannot be read: %s", type(error).__name__)
            head = _HEAD.match(data) if isinstance(data, str) else None
            namespace, id = (head[1], int(head[2]) if head[2] else None) if head else (None, None)
            if (whole := self._binary_packet.pop(eio_sid, None)) is not None:
                # Its bytes are all there, but do not fit; the next packet is not one of them.
                namespace, id = whole.namespace, whole.id
            await self._answer_unreadable(eio_sid, namespace, id)

    async def _handle_disconnect(self, eio_sid: str, namespace: str | None, reason: str | None = None) -> None:
        was_connected = self._is_connected(eio_sid)
        await super()._handle_disconnect(eio_sid, namespace, reason)
        socket = self.eio.sockets.get(eio_sid)
        # A client may leave any number of times what it is not in.
        if was_connected and socket is not None and not socket.closing and not self._is_connected(eio_sid):
            self.eio.expect_connected(eio_sid)

    async def _handle_event(self, eio_sid: str, namespace: str | None, id: int | None, data: Any) -> None:
        if not (isinstance(data, list) and data and isinstance(data[0], str)):
            await self._answer_unreadable(eio_sid, namespace, id)
            return
        await super()._handle_event(eio_sid, namespace, id, data)

    async def _handle_event_internal(
        self, server: Any, sid: str, eio_sid: str, data: list[Any], namespace: str, id: int | None
    ) -> None:
        """As the library does, but an answer that comes later does not keep the socket's next event waiting."""
        answer = await server._trigger_event(data[0], namespace, sid, *data[1:])
        if isinstance(answer, asyncio.Future):
            task = asyncio.ensure_future(self._acknowledge_later(eio_sid, namespace, id, answer))
            self._later.add(task)
            task.add_done_callback(self._later.discard)
        elif id is not None and answer != self.not_handled:
            await self._acknowledge(eio_sid, namespace, id, [] if answer is None else [answer])

    async def _acknowledge_later(
        self, eio_sid: str, namespace: str, id: int | None, answer: "asyncio.Future[Any]"
    ) -> None:
        body = await answer
        if id is not None and self.manager.sid_from_eio_sid(eio_sid, namespace) is not None:
            await self._acknowledge(eio_sid, namespace, id, [body])

    async def _acknowledge(self, eio_sid: str, namespace: str, id: int, values: list[Any]) -> None:
        await self._send_eio_packet(eio_sid, _message(packet.ACK, namespace, id, values))

    async def _answer_unreadable(self, eio_sid: str, namespace: str | None = None, id: int | None = None) -> None:
        namespace = namespace or "/"
        sid = self.manager.sid_from_eio_sid(eio_sid, namespace)
        if sid is None or not self.manager.is_connected(sid, namespace):
            return
        refusal = Refusal("invalid_input", "payload must be an event with an object", field="payload")
        if id is not None:
            await self._acknowledge(eio_sid, namespace, id, [{"ok": False, "error": refusal.body()}])
        await self.emit("error", refusal.event(None), to=sid, namespace=namespace)
