"""Several events at once to many sockets: framed once, and one write a socket.

Each event is a WebSocket frame of its own. To a client frames from a server look the same whoever they are for, so the
frames of a burst are made once; making them a socket and an event costs most of what an event costs.
"""

import base64
import logging
import struct
from collections.abc import Sequence
from typing import Any, Final

from engineio import packet as engineio_packet
from engineio.async_drivers.asgi import WebSocket
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

_FINAL_TEXT: Final = 0x81
_PACKET_TYPES: Final = frozenset("0123456")

log = logging.getLogger(__name__)


class Burst(engineio_packet.Packet):  # type: ignore[misc]  # python-engineio has no types
    """Packets that leave together, in order."""

    def __init__(self, packets: Sequence[engineio_packet.Packet]) -> None:
        super().__init__(engineio_packet.MESSAGE, "")
        self.texts: list[str] = [packet.encode() for packet in packets]
        self.frames = b"".join(_frame(text.encode()) for text in self.texts)

    def encode(self, b64: bool = False) -> "str | Burst":
        """Long polling joins packets as Engine.IO does; a WebSocket is given the burst itself."""
        return "\x1e".join(self.texts) if b64 else self


class BurstingWebSocket(WebSocket):  # type: ignore[misc]  # python-engineio has no types
    """A WebSocket that knows bursts, can be broken off, and is over at the first frame that is no packet."""

    def __init__(self, handler: Any, server: Any) -> None:
        super().__init__(handler, server)
        handler.__self__.queue.break_off = self.break_off

    async def __call__(self, environ: dict[str, Any]) -> str:
        socket = self.handler.__self__
        try:
            return await super().__call__(environ)  # type: ignore[no-any-return]  # python-engineio has no types
        finally:
            # Of an upgrade that broke off the library leaves this set, and long polling would bring nothing any more.
            socket.upgrading = False

    def break_off(self) -> None:
        """End the connection without sending what is on its way: a client that does not read would never let it end."""
        protocol = getattr(self.asgi_send, "__self__", None)
        if isinstance(protocol, WebSocketsSansIOProtocol):
            protocol.transport.abort()

    async def wait(self) -> "str | bytes | None":
        """The next frame; None, as for a connection that ended, where it cannot be read.

        The library's reader would die of it before it has told anybody that the socket is gone.
        """
        frame = await super().wait()
        if _is_packet(frame):
            return frame  # type: ignore[no-any-return]  # python-engineio has no types
        log.info("a frame that is no packet ends its connection")
        return None

    async def send(self, message: "str | bytes | Burst") -> None:
        if not isinstance(message, Burst):
            await super().send(message)
            return
        protocol = _open_protocol(self.asgi_send)
        if protocol is None:
            for text in message.texts:
                await super().send(text)
            return
        await protocol.writable.wait()
        if not protocol.transport.is_closing() and not protocol.close_sent:
            protocol.transport.write(message.frames)


def _is_packet(frame: str | bytes) -> bool:
    """Whether Engine.IO can read a frame. Of text the first character tells; after a `b` it is bytes in base64."""
    if not isinstance(frame, str) or frame[:1] in _PACKET_TYPES:
        return True
    if not frame.startswith("b"):
        return False
    try:
        base64.b64decode(frame[1:])
    except ValueError:
        return False
    return True


def _open_protocol(send: object) -> WebSocketsSansIOProtocol | None:
    """The connection behind an ASGI `send`, if frames may be written to it as they are: open, without extensions."""
    protocol = getattr(send, "__self__", None)
    if not isinstance(protocol, WebSocketsSansIOProtocol) or protocol.conn.extensions:
        return None
    return protocol if protocol.handshake_complete and not protocol.close_sent else None


def _frame(payload: bytes) -> bytes:
    """A server's text frame: final, not masked."""
    size = len(payload)
    if size < 126:
        return bytes((_FINAL_TEXT, size)) + payload
    if size < 65536:
        return struct.pack(">BBH", _FINAL_TEXT, 126, size) + payload
    return struct.pack(">BBQ", _FINAL_TEXT, 127, size) + payload
