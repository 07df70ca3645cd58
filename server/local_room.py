"""One room as this process sees it: who listens here, what they have been told, and the last changes."""

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final, Protocol

from presence_engine import Change, NetChange, Position
from server.sockets.session import Session

# A thousand may join a room within a second, and an answer take two to reach its socket.
LOG_LENGTH: Final = 2048
# Half a kilobyte each. With 4 KiB of `data` in every change a socket that is in a hundred rooms would cost most of a
# gigabyte.
LOG_BYTES: Final = 1024 * 1024


class Windows(Protocol):
    """The part of the settings that shapes diffs."""

    @property
    def diff_window_ms(self) -> int: ...
    @property
    def diff_window_large_ms(self) -> int: ...
    @property
    def large_room(self) -> int: ...
    @property
    def counts_room(self) -> int: ...
    @property
    def count_window_ms(self) -> int: ...


class LocalRoom:
    """One room as this process sees it: its listeners, its position, its log."""

    def __init__(self, room: str) -> None:
        self.room = room
        self.subscribed: asyncio.Future[None] | None = None
        self.interested: set[str] = set()
        self.members: dict[str, tuple[Session, str | int]] = {}
        self.newcomers: dict[str, tuple[str, int]] = {}
        self.watchers: dict[str, tuple[Session, str | int]] = {}
        self.epoch = ""
        self.received = 0
        self.flushed = 0
        # With each change the bytes it was told in.
        self.log: deque[tuple[Change, int]] = deque()
        self._log_bytes = 0
        self.pending: list[Change] = []
        self.counts_mode = False
        self.last: Position = Position("", 0, 0, 0)
        self.timer: asyncio.TimerHandle | None = None

    @property
    def mode(self) -> str:
        return "counts" if self.counts_mode else "diffs"

    def since(self, epoch: str, seq: int) -> Sequence[Change] | None:
        """The changes after `seq` up to what has been sent, or None when the log does not reach back that far."""
        if epoch != self.epoch or seq > self.flushed:
            return None
        missing = [change for change, _ in self.log if seq < change.seq <= self.flushed]
        return missing if len(missing) == self.flushed - seq else None

    def note(self, change: Change, size: int) -> None:
        """Write a change into the log, and let go of the oldest where they are too many, or too large."""
        self.log.append((change, size))
        self._log_bytes += size
        while len(self.log) > LOG_LENGTH or self._log_bytes > LOG_BYTES:
            self._log_bytes -= self.log.popleft()[1]

    def stand_at(self, at: Position) -> None:
        """Go on from `at`; what led up to it is not known here."""
        self.epoch, self.received, self.flushed, self.last = at.epoch, at.seq, at.seq, at
        self.log.clear()
        self._log_bytes = 0
        self.newcomers = {sid: place for sid, place in self.newcomers.items() if later(place, (at.epoch, at.seq))}

    def gap(self) -> NetChange:
        """A diff that changes nothing: whoever stands elsewhere sees that something is missing."""
        at = self.last
        return NetChange(self.epoch, self.flushed, self.flushed, at.count, at.connections, 0, [], [], [])


def later(place: tuple[str, int] | None, than: tuple[str, int]) -> bool:
    """Whether a socket was told the room as of a later moment: (epoch, seq)."""
    if place is None:
        return False
    return newer(place[0], than[0]) or (place[0] == than[0] and place[1] > than[1])


def newer(epoch: str, than: str) -> bool:
    """Epochs are times of a room's birth, in hexadecimal."""
    return bool(epoch) and (not than or int(epoch, 16) > int(than, 16))


def by_spelling(listeners: Iterable[tuple[Session, str | int]]) -> Iterable[tuple[str | int, list[Session]]]:
    """Sockets by how they wrote the room's id: `15` and `"15"` are one room, each is answered in its own spelling."""
    groups: dict[str | int, list[Session]] = {}
    for session, given in listeners:
        groups.setdefault(given, []).append(session)
    return groups.items()
