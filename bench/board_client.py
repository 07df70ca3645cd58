"""A client of a board, as light as possible: many of them in one process must not be what is measured."""

import asyncio
import json
import secrets
import struct
from collections.abc import Callable
from typing import Any, Self
from urllib.parse import urlencode


class BoardClient(asyncio.Protocol):
    """One WebSocket that speaks Engine.IO 4 and Socket.IO 5 by hand. on_event(name, body): every event it is sent."""

    def __init__(self, on_event: Callable[[str, Any], None]) -> None:
        self._on_event = on_event
        self._buffer = bytearray()
        self._upgraded = False
        self._number = 0
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._transport: asyncio.WriteTransport | None = None
        self.connected: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @classmethod
    async def open(cls, port: int, user: str, on_event: Callable[[str, Any], None], **query: str) -> Self:
        loop = asyncio.get_running_loop()
        transport, client = await loop.create_connection(lambda: cls(on_event), "127.0.0.1", port)
        client._transport = transport
        address = "/socket.io/?" + urlencode({"EIO": "4", "transport": "websocket", "userId": user, **query})
        transport.write(
            f"GET {address} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        await client.connected
        return client

    def send(self, text: str) -> None:
        payload = text.encode()
        size = len(payload)
        head = struct.pack(">BB", 0x81, 0x80 | size) if size < 126 else struct.pack(">BBH", 0x81, 0xFE, size)
        # A mask of zeros is a mask, and leaves the payload as it is.
        assert self._transport is not None
        self._transport.write(head + b"\0\0\0\0" + payload)

    def emit(self, event: str, body: Any) -> None:
        self.send("42" + json.dumps([event, body]))

    async def ask(self, event: str, body: Any) -> Any:
        """Emit, and return what the acknowledgement says."""
        self._number += 1
        answer = self._answers[self._number] = asyncio.get_running_loop().create_future()
        self.send(f"42{self._number}" + json.dumps([event, body]))
        return await answer

    def close(self) -> None:
        if self._transport:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._upgraded:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            del self._buffer[: end + 4]
            self._upgraded = True
        at, size = 0, len(self._buffer)
        while size - at >= 2:
            length, start = self._buffer[at + 1], at + 2
            if length == 126:
                length, start = int.from_bytes(self._buffer[at + 2 : at + 4], "big"), at + 4
            elif length == 127:
                length, start = int.from_bytes(self._buffer[at + 2 : at + 10], "big"), at + 10
            if size < start + length:
                break
            self._packet(bytes(self._buffer[start : start + length]))
            at = start + length
        del self._buffer[:at]

    def _packet(self, packet: bytes) -> None:
        if packet.startswith(b"42"):
            name, body = json.loads(packet[2:])
            self._on_event(name, body)
        elif packet.startswith(b"43"):
            at = packet.index(b"[")
            self._answers.pop(int(packet[2:at])).set_result(json.loads(packet[at:])[0])
        elif packet.startswith(b"40"):
            self.connected.set_result(None)
        elif packet.startswith(b"0"):
            self.send("40")
        elif packet == b"2":
            self.send("3")

    def connection_lost(self, error: Exception | None) -> None:
        if not self.connected.done():
            self.connected.set_exception(error or ConnectionResetError("closed before it was connected"))


def new_board() -> str:
    return f"bench-{secrets.token_hex(4)}"
