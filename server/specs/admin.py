"""The operator's part of openapi.json."""

from typing import Any, Final

import msgspec

from server.specs.openapi import Operation


class OwnNode(msgspec.Struct, forbid_unknown_fields=True):
    """The process that answers."""

    name: str
    bootId: str
    sockets: int


class LeasedNode(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    bootId: str
    leaseMs: int


class CondemnedNode(msgspec.Struct, forbid_unknown_fields=True):
    bootId: str
    reason: str
    sinceMs: int


class Sweeping(msgspec.Struct, forbid_unknown_fields=True):
    lagMs: int
    dueRooms: int


class Overview(msgspec.Struct, forbid_unknown_fields=True):
    timestamp: int
    node: OwnNode
    nodes: list[LeasedNode]
    condemned: list[CondemnedNode]
    sweeper: Sweeping
    partitions: int
    redis: dict[str, Any]


OPERATIONS: Final[dict[tuple[str, str], Operation]] = {
    ("get", "/api/admin/overview"): Operation("Nodes, sweeping, the Redis behind it all.", Overview, admin=True),
}
