"""Presence in Redis: every change, list and count is one Lua script."""

from presence_engine.changes import (
    Change,
    ConnectionOut,
    MemberJoined,
    MemberLeft,
    MemberUpdated,
    NetChange,
    decode_change,
    fold,
)
from presence_engine.embedded import EmbeddedServer
from presence_engine.engine import PresenceEngine
from presence_engine.errors import (
    ConfigurationError,
    ContractBroken,
    InvalidInput,
    PresenceError,
    StoreUnavailable,
)
from presence_engine.feed import Feed
from presence_engine.ids import canonical_id
from presence_engine.models import (
    Absent,
    Beat,
    Detached,
    DueRooms,
    Full,
    Joined,
    Kicked,
    Lease,
    Left,
    LiveRoom,
    Member,
    Page,
    Position,
    Reason,
    Removal,
    RoomOfUser,
    Rooms,
    Updated,
)
from presence_engine.nodes import Node
from presence_engine.settings import EngineSettings, RoomRules
from presence_engine.sweeper import Sweeper

__all__ = [
    "Absent",
    "Beat",
    "Change",
    "ConfigurationError",
    "ConnectionOut",
    "ContractBroken",
    "Detached",
    "DueRooms",
    "EmbeddedServer",
    "EngineSettings",
    "Feed",
    "Full",
    "InvalidInput",
    "Joined",
    "Kicked",
    "Lease",
    "Left",
    "LiveRoom",
    "Member",
    "MemberJoined",
    "MemberLeft",
    "MemberUpdated",
    "NetChange",
    "Node",
    "Page",
    "Position",
    "PresenceEngine",
    "PresenceError",
    "Reason",
    "Removal",
    "RoomOfUser",
    "RoomRules",
    "Rooms",
    "StoreUnavailable",
    "Sweeper",
    "Updated",
    "canonical_id",
    "decode_change",
    "fold",
]
