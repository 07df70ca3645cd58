"""Socket.IO below the events: JSON, delivery to the sockets of this process, packets that are no events."""

import json
import logging
from collections.abc import Iterable
from typing import Any, Final

import msgspec
import socketio
from engineio import packet as engineio_packet
from socketio import packet

from server.metrics import SENT
from server.sockets.session import Session

log = logging.getLogger(__name__)

_INTEGER_DIGITS: Final = 1000


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
            return json.loads(text, parse_int=_integer)
        except RecursionError:
            raise ValueError("nested too deeply") from None


def _integer(digits: str) -> int | float:
    # Python refuses to read very long integers; as a float it is refused where a number is not wanted.
    return int(digits) if len(digits) <= _INTEGER_DIGITS else float(digits)


def event_packet(event: str, data: Any, namespace: str) -> engineio_packet.Packet:
    """One event, encoded once for however many sockets."""
    head = str(packet.EVENT) + (f"{namespace}," if namespace != "/" else "")
    return engineio_packet.Packet(engineio_packet.MESSAGE, head + Codec.dumps([event, data]))


class LocalManager(socketio.AsyncManager):  # type: ignore[misc]  # python-socketio has no types
    """Delivers to the sockets of this process only, without a task a recipient: presence never needs another node's."""

    async def emit(
        self,
        event: str,
        data: Any,
        namespace: str,
        room: str | None = None,
        skip_sid: Any = None,
        callback: Any = None,
        to: str | None = None,
        **_: Any,
    ) -> None:
        if namespace not in self.rooms:
            return
        message = event_packet(event, data, namespace)
        for _sid, eio_sid in list(self.get_participants(namespace, to or room)):
            await self.server._send_eio_packet(eio_sid, message)


class SocketServer(socketio.AsyncServer):  # type: ignore[misc]  # python-socketio has no types
    """An AsyncServer that answers what is no event too: a packet it cannot read is an `error`, never a traceback."""

    def send_many(self, event: str, data: Any, sessions: Iterable[Session]) -> None:
        """Queue one event for many sockets at once; no socket waits for another, and a closed one is passed over."""
        packets: dict[str, engineio_packet.Packet] = {}
        sent = 0
        for session in sessions:
            eio_sid = self.manager.eio_sid_from_sid(session.sid, session.namespace)
            socket = self.eio.sockets.get(eio_sid)
            if socket is None or socket.closed or session.closed:
                continue
            if session.namespace not in packets:
                packets[session.namespace] = event_packet(event, data, session.namespace)
            socket.queue.put_nowait(packets[session.namespace])
            sent += 1
        SENT.labels(event).inc(sent)

    async def _handle_eio_message(self, eio_sid: str, data: Any) -> None:
        try:
            await super()._handle_eio_message(eio_sid, data)
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            log.info("a packet that cannot be read: %s", type(error).__name__)
            await self._answer_unreadable(eio_sid)

    async def _handle_event(self, eio_sid: str, namespace: str | None, id: int | None, data: Any) -> None:
        if not (isinstance(data, list) and data and isinstance(data[0], str)):
            await self._answer_unreadable(eio_sid, namespace, id)
            return
        await super()._handle_event(eio_sid, namespace, id, data)

    async def _answer_unreadable(self, eio_sid: str, namespace: str | None = None, id: int | None = None) -> None:
        namespace = namespace or "/"
        sid = self.manager.sid_from_eio_sid(eio_sid, namespace)
        if sid is None or not self.manager.is_connected(sid, namespace):
            return
        message = "payload must be an event with an object"
        error = {"code": "invalid_input", "message": message, "field": "payload", "retryable": False}
        if id is not None:
            answer = packet.Packet(packet.ACK, namespace=namespace, id=id, data=[{"ok": False, "error": error}])
            await self._send_packet(eio_sid, answer)
        await self.emit(
            "error", {"code": "invalid_input", "message": message, "event": None}, to=sid, namespace=namespace
        )
