"""Presence in Redis: every change, list and count is one Lua script."""

from presence_engine.engine import PresenceEngine
from presence_engine.errors import (
    ConfigurationError,
    ContractBroken,
    InvalidInput,
    PresenceError,
    StoreUnavailable,
)
from presence_engine.models import (
    Absent,
    Beat,
    Detached,
    DueRooms,
    Full,
    Joined,
    Kicked,
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
from presence_engine.settings import EngineSettings, RoomRules

__all__ = [
    "Absent",
    "Beat",
    "ConfigurationError",
    "ContractBroken",
    "Detached",
    "DueRooms",
    "EngineSettings",
    "Full",
    "InvalidInput",
    "Joined",
    "Kicked",
    "Left",
    "LiveRoom",
    "Member",
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
    "Updated",
]
