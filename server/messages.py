"""What clients get, described: one struct a body, for the specifications and for the tests that hold the server to
them.

The server itself splices JSON (`wire`) and builds none of these.
"""

from typing import Any, Literal

import msgspec

from presence_engine import Reason

Id = str | int
Mode = Literal["diffs", "counts"]
ForceLeaveReason = Reason | Literal["not_in_room"]


class Member(msgspec.Struct, forbid_unknown_fields=True):
    """A user in a room. status: `away` while every connection waits in grace. Times in ms."""

    userId: Id
    username: str
    joinedAt: int
    lastActiveAt: int
    status: Literal["online", "away"]
    data: dict[str, Any]


class Participant(msgspec.Struct, forbid_unknown_fields=True):
    userId: Id
    username: str


class Gone(msgspec.Struct, forbid_unknown_fields=True):
    userId: Id
    username: str
    reason: Reason


class Problem(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    code: str
    message: str
    retryable: bool
    field: str | None = None


class Refused(msgspec.Struct, forbid_unknown_fields=True):
    """The acknowledgement of a refused event."""

    ok: Literal[False]
    error: Problem


class HttpRefused(msgspec.Struct, forbid_unknown_fields=True):
    success: Literal[False]
    error: Problem


class ErrorEvent(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    code: str
    message: str
    event: str | None
    roomId: Id | None = None


class RoomJoined(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """The first page of a room as of epoch and seq; `cursor` when more members follow. ttl, heartbeatInterval in ms."""

    roomId: Id
    userId: Id
    epoch: str
    seq: int
    count: int
    connections: int
    users: list[Member]
    mode: Mode
    ttl: int
    heartbeatInterval: int
    rejoined: bool
    cursor: str | None = None


class RoomLeft(msgspec.Struct, forbid_unknown_fields=True):
    roomId: Id
    left: bool


class RoomMode(msgspec.Struct, forbid_unknown_fields=True):
    roomId: Id
    mode: Mode


class RoomDiff(msgspec.Struct, forbid_unknown_fields=True, rename={"from_seq": "from"}):
    """Brings a client at `seq == from` to `seq`: the net effect of a window."""

    roomId: Id
    epoch: str
    from_seq: int
    seq: int
    joined: list[Member]
    updated: list[Member]
    left: list[Gone]
    count: int
    connections: int


class RoomCount(msgspec.Struct, forbid_unknown_fields=True):
    roomId: Id
    epoch: str
    seq: int
    count: int
    connections: int


class HeartbeatAck(msgspec.Struct, forbid_unknown_fields=True):
    roomId: Id
    timestamp: int
    ttl: int


class ForceLeft(msgspec.Struct, forbid_unknown_fields=True):
    roomId: Id
    userId: Id | None
    message: str
    popup: Literal["You are not in the chatroom"]
    reason: ForceLeaveReason
    timestamp: int


class Restarting(msgspec.Struct, forbid_unknown_fields=True):
    message: str
    timestamp: int


class HeartbeatAnswer(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    timestamp: int
    ttl: int
    adopted: bool | None = None


class UsersPage(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    roomId: Id
    epoch: str
    seq: int
    users: list[Member]
    count: int
    connections: int
    cursor: str | None = None


class Updated(msgspec.Struct, forbid_unknown_fields=True):
    roomId: Id
    updated: bool
    epoch: str
    seq: int


class SyncedDiffs(msgspec.Struct, forbid_unknown_fields=True):
    roomId: Id
    sync: Literal["diffs"]
    epoch: str
    seq: int
    diffs: list[RoomDiff]


class SyncedSnapshot(RoomJoined, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    sync: Literal["snapshot"]


class Watched(msgspec.Struct, forbid_unknown_fields=True):
    rooms: list[RoomCount]


class Unwatched(msgspec.Struct, forbid_unknown_fields=True):
    roomIds: list[Id]


class LoggedOut(msgspec.Struct, forbid_unknown_fields=True):
    left: list[Id]


class Empty(msgspec.Struct, forbid_unknown_fields=True):
    """Nothing beside `ok`."""


class Participants(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """`count` is the number of users present; `nextCursor` only when more follow.

    With `view=full` users are members.
    """

    count: int
    users: list[dict[str, Any]]
    nextCursor: str | None = None


class Count(msgspec.Struct, forbid_unknown_fields=True):
    roomId: str
    count: int
    connections: int
    epoch: str
    seq: int


class Counts(msgspec.Struct, forbid_unknown_fields=True):
    counts: dict[str, int]


class LiveRoom(msgspec.Struct, forbid_unknown_fields=True):
    roomId: str
    count: int
    connections: int


class LiveRooms(msgspec.Struct, forbid_unknown_fields=True):
    rooms: list[LiveRoom]
    total: int


class RoomOfUser(msgspec.Struct, forbid_unknown_fields=True):
    roomId: str
    connections: int
    joinedAt: int


class RoomsOfUser(msgspec.Struct, forbid_unknown_fields=True):
    userId: str
    rooms: list[RoomOfUser]


class Kicked(msgspec.Struct, forbid_unknown_fields=True):
    success: Literal[True]
    kicked: bool


class RemovalsOfDay(msgspec.Struct, forbid_unknown_fields=True):
    date: str
    removals: dict[Reason, int]


class Removals(msgspec.Struct, forbid_unknown_fields=True):
    days: list[RemovalsOfDay]


class Alive(msgspec.Struct, forbid_unknown_fields=True):
    status: Literal["ok"]


class Ready(msgspec.Struct, forbid_unknown_fields=True):
    status: Literal["ok", "unavailable"]
    redis: Literal["connected", "disconnected"]
    timestamp: int
