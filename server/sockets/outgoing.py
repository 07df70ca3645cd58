"""What waits to be sent to one socket: bounded, so that a client that does not read cannot cost memory."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from server.sockets.bursts import Burst

MAX_QUEUED_PACKETS: Final = 1024
MAX_QUEUED_BYTES: Final = 4 * 1024 * 1024


class OutgoingQueue(asyncio.Queue[Any]):
    """The packets of one socket. Its writer takes all that wait at once, so at most twice the bound is held.

    on_overflow is called once, when more waits than a client that reads would leave: 1,024 packets, or 4 MiB. All of it
    is dropped then, the writer is told to end (None), and nothing more is taken. break_off ends the connection at once.
    """

    def __init__(self) -> None:
        super().__init__()
        self.on_overflow: Callable[[], None] | None = None
        self.break_off: Callable[[], None] | None = None
        self.overflowed = False
        self._bytes = 0

    def put_nowait(self, packet: Any) -> None:
        if self.overflowed:
            return
        super().put_nowait(packet)
        self._bytes += _size(packet)
        if self._bytes > MAX_QUEUED_BYTES or self.qsize() > MAX_QUEUED_PACKETS:
            self._overflow()

    def get_nowait(self) -> Any:
        packet = super().get_nowait()
        self._bytes -= _size(packet)
        return packet

    async def join(self) -> None:
        """Wait until all has been taken, but not for a writer that is stuck."""
        if not self.overflowed:
            await super().join()

    def _overflow(self) -> None:
        while not self.empty():
            self.get_nowait()
            self.task_done()
        super().put_nowait(None)
        self.overflowed = True
        if self.on_overflow:
            self.on_overflow()


def _size(packet: Any) -> int:
    if isinstance(packet, Burst):
        return len(packet.frames)
    data = getattr(packet, "data", None)
    return len(data) if isinstance(data, (str, bytes)) else 0
