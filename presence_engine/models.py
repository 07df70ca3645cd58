"""What the engine answers: small immutable values. Times are milliseconds of the Redis clock."""

import json
from collections.abc import Sequence
from typing import Any, Literal

import msgspec

Reason = Literal["left", "disconnected", "inactivity_timeout", "server_restart", "node_lost", "kicked"]


class Position(msgspec.Struct, frozen=True):
    """Where a room stands: `seq` rises by one with every publication of `epoch`; count = users, connections = theirs.

    An empty room has epoch `""` and zeros.
    """

    epoch: str
    seq: int
    count: int
    connections: int


class Member(msgspec.Struct, frozen=True):
    """One user in a room.

    user: canonical id. id_json, name_json, data_json: what the client gave, as JSON text, `""` for the default.
    last_active_at_ms: exact to 1 % of the TTL, at most 120 s; 0 when the list was asked for names only.
    status: `away` while every connection waits in grace.
    """

    user: str
    joined_at_ms: int
    last_active_at_ms: int
    status: Literal["online", "away"]
    connections: int
    id_json: str
    name_json: str
    data_json: str

    @property
    def user_id(self) -> str | int:
        """The id as given at the user's latest join."""
        return msgspec.json.decode(self.id_json, type=str | int) if self.id_json else self.user

    @property
    def username(self) -> str:
        """The name shown: as given, else the id as text."""
        return msgspec.json.decode(self.name_json, type=str) if self.name_json else str(self.user_id)

    @property
    def data(self) -> dict[str, Any]:
        """The member's public data, decoded anew at each call."""
        # Python's own parser: it keeps integers of any size exact.
        value: dict[str, Any] = json.loads(self.data_json) if self.data_json else {}
        return value


class Joined(msgspec.Struct, frozen=True):
    """A connection is in the room. rejoined: the user was there already; joined_at_ms is the user's first join.

    name_json, data_json: what the user shows there, told to a connection that adopted; else, and for the default, `""`.
    """

    now_ms: int
    rejoined: bool
    joined_at_ms: int
    position: Position
    name_json: str = ""
    data_json: str = ""

    @property
    def username(self) -> str | None:
        """The name shown, None for the default."""
        return msgspec.json.decode(self.name_json, type=str) if self.name_json else None

    @property
    def data(self) -> dict[str, Any] | None:
        """The public data, decoded anew at each call; None for the default."""
        return json.loads(self.data_json) if self.data_json else None


class Full(msgspec.Struct, frozen=True):
    """The room has reached its capacity; nothing changed."""

    count: int


class Limited(msgspec.Struct, frozen=True):
    """A bound of the user is reached; nothing changed.

    bound: `connections`, live ones of the user in this room, or `rooms` the user is in (on a Cluster: of one
    partition).
    """

    bound: Literal["connections", "rooms"]


class Absent(msgspec.Struct, frozen=True):
    """The connection (or user) is not in the room; nothing changed. reason: why it was removed, when still known."""

    reason: Reason | None = None


class Beat(msgspec.Struct, frozen=True):
    """A heartbeat's outcome. place: the user's, still alive, that the connection took; None where it was there."""

    now_ms: int
    place: Joined | None = None

    @property
    def adopted(self) -> bool:
        """Whether the connection came in by this beat."""
        return self.place is not None


class Left(msgspec.Struct, frozen=True):
    """stays: the user is still in the room with other connections."""

    now_ms: int
    stays: bool
    position: Position


class Detached(msgspec.Struct, frozen=True):
    """The connection waits in grace until deadline_ms; with a grace of 0 it is gone and deadline_ms is now."""

    deadline_ms: int


class Updated(msgspec.Struct, frozen=True):
    """changed: false when the record was the same already, and nothing was announced."""

    changed: bool
    position: Position


class Kicked(msgspec.Struct, frozen=True):
    """connections: (node, connection) of everything put out."""

    connections: Sequence[tuple[str, str]]
    position: Position


class Page(msgspec.Struct, frozen=True):
    """One page of a list with the room's position at that moment. cursor: None when nothing follows."""

    now_ms: int
    position: Position
    members: Sequence[Member]
    cursor: str | None


class RoomOfUser(msgspec.Struct, frozen=True):
    """One room a user is in: how many connections the user has there, since when."""

    room: str
    connections: int
    joined_at_ms: int


class LiveRoom(msgspec.Struct, frozen=True):
    """A room with somebody in it."""

    room: str
    count: int
    connections: int


class Rooms(msgspec.Struct, frozen=True):
    """The largest live rooms, and how many live in all."""

    total: int
    rooms: Sequence[LiveRoom]


class Removal(msgspec.Struct, frozen=True):
    """One connection that a sweep removed past its deadline; told exactly once. last: the user left the room with it.

    detached: it was in grace, its socket gone.
    """

    room: str
    user: str
    node: str
    connection: str
    reason: Reason
    last: bool
    detached: bool


class Lease(msgspec.Struct, frozen=True):
    """A lease was renewed. known: false when Redis did not know the node; in_time: it had not run out before.

    next_ms: the earliest end of another node's lease. lapsed: (node, name) whose lease ran out; condemned: (node,
    reason␟name) whose connections are being removed. At most 10 of each.
    """

    now_ms: int
    known: bool
    in_time: bool
    next_ms: int | None
    lapsed: Sequence[tuple[str, str]]
    condemned: Sequence[tuple[str, str]]


class AuditPage(msgspec.Struct, frozen=True):
    """A recount of some members. sizes: members, roster, deadlines, the rooms index's count (-1 = not listed).

    connections: of this page by node; noted: of the whole room, by the nodes' own numbers. cursor: None at the end.
    """

    epoch: str
    seq: int
    sizes: tuple[int, ...]
    cursor: tuple[str, str] | None
    connections: dict[str, int]
    noted: dict[str, int]
    faults: Sequence[str]


class DueRooms(msgspec.Struct, frozen=True):
    """Rooms of a partition that a sweeper should visit; next_ms: when the next one falls due, None = nothing waits."""

    now_ms: int
    next_ms: int | None
    rooms: Sequence[str]


class NodeLease(msgspec.Struct, frozen=True):
    """A process that holds connections. left_ms: what is left of its lease, negative once it has run out."""

    node: str
    name: str
    left_ms: int


class CondemnedNode(msgspec.Struct, frozen=True):
    """A dead process whose connections are being removed, since since_ms."""

    node: str
    reason: str
    since_ms: int


class Nodes(msgspec.Struct, frozen=True):
    """The processes of a deployment at now_ms. leases: the first to end first, lapsed ones included."""

    now_ms: int
    leases: Sequence[NodeLease]
    condemned: Sequence[CondemnedNode]


class SweepLag(msgspec.Struct, frozen=True):
    """How far sweeping is behind: the longest wait of a room that is due, and how many rooms are."""

    lag_ms: int
    rooms: int
