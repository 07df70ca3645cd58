"""What this process knows of one socket: who it is, and which rooms it entered here. Never who else is there."""

import time
from dataclasses import dataclass, field
from typing import Any, Final

from presence_engine import Change, ConnectionOut
from server.limits import TokenBucket

_REMEMBERED: Final = 1000


@dataclass(slots=True, frozen=True)
class Identity:
    """user: canonical id. given: as the client wrote it. rooms: patterns it may enter, None = all. expires_at_s: None =
    never. proven: by a token.
    """

    user: str
    given: str | int
    username: str | None = None
    rooms: tuple[str, ...] | None = None
    admin: bool = False
    expires_at_s: float | None = None
    proven: bool = False


@dataclass(slots=True)
class Membership:
    """This socket in one room. given: the room's id as the client wrote it; username and data: its own public record,
    to be told again to a Redis that lost it; beat_at_s: this process's clock when the client last joined or beat;
    joined_at: epoch and seq as of its join, where known.
    """

    given: str | int
    joined_at_ms: int
    username: str | None = None
    data: dict[str, Any] | None = None
    beat_at_s: float = field(default_factory=time.monotonic)
    joined_at: tuple[str, int] = ("", 0)

    def keep(self, earlier: "Membership | None") -> None:
        """What this join did not name stays as the one before it named it."""
        if earlier is not None:
            self.username = self.username or earlier.username
            self.data = earlier.data if self.data is None else self.data

    def is_younger_than(self, epoch: str, seq: int) -> bool:
        """Whether the join came after that change, so that what the change removed was an earlier one."""
        return _order(*self.joined_at) >= _order(epoch, seq)


def _order(epoch: str, seq: int) -> tuple[int, int]:
    """Epochs are times of birth: a room that was empty in between has a later one."""
    return int(epoch or "0", 16), seq


class Remembered:
    """Rooms noted of one socket, the newest thousand: a client may name ever new ones."""

    def __init__(self) -> None:
        self._rooms: dict[str, None] = {}

    def __contains__(self, room: str) -> bool:
        return room in self._rooms

    def __len__(self) -> int:
        return len(self._rooms)

    def add(self, room: str) -> None:
        self._rooms.pop(room, None)
        self._rooms[room] = None
        if len(self._rooms) > _REMEMBERED:
            del self._rooms[next(iter(self._rooms))]

    def discard(self, room: str) -> None:
        self._rooms.pop(room, None)

    def clear(self) -> None:
        self._rooms.clear()


@dataclass(slots=True)
class Session:
    """One connected socket. closed: its end has been seen; whatever finishes later must undo itself.

    joining: the rooms it is coming into, and what was heard meanwhile of an end of this connection there.
    """

    sid: str
    namespace: str
    bucket: TokenBucket
    identity: Identity | None = None
    rooms: dict[str, Membership] = field(default_factory=dict)
    ever_joined: Remembered = field(default_factory=Remembered)
    told: Remembered = field(default_factory=Remembered)
    watching: set[str] = field(default_factory=set)
    joining: dict[str, list[tuple[ConnectionOut, Change]]] = field(default_factory=dict)
    closed: bool = False

    def is_in_or_coming(self, room: str) -> bool:
        """Whether it is a member here, or will be by a join that is under way."""
        return room in self.rooms or room in self.joining
