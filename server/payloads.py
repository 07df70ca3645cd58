"""What clients send: one struct an event or body. They check the wire and describe it in the specifications."""

import re
from typing import Annotated, Any, Final, TypeVar

import msgspec

from presence_engine import InvalidInput

Id = str | int | float
Ids = Annotated[list[Id], msgspec.Meta(max_length=100)]

_SPELLINGS: Final = {"room_id": "roomId", "user_id": "userId"}
_PATH: Final = re.compile(r"at `\$\.?(\w+)?")
_MISSING: Final = re.compile(r"missing required field `(\w+)`")
_JSON_WORDS: Final = (
    ("str", "text"),
    ("int", "an integer"),
    ("float", "a number"),
    ("bool", "true or false"),
    ("object", "an object"),
    ("array", "a list"),
    (r" \| null", ""),
    (r" \|", ","),
)
T = TypeVar("T")


class Room(msgspec.Struct):
    """A room, named by text or integer."""

    roomId: Id


class JoinRoom(Room):
    userId: Id | None = None
    username: str | None = None
    data: dict[str, Any] | None = None


class LeaveRoom(Room):
    everywhere: bool = False


class Heartbeat(Room):
    userId: Id | None = None
    timestamp: float | int | str | None = None


class UpdateMember(Room):
    username: str | None = None
    data: dict[str, Any] | None = None


class SyncRoom(Room):
    epoch: str | None = None
    seq: int | None = None


class ListUsers(Room):
    limit: int = 100
    cursor: str | None = None


class WatchRooms(msgspec.Struct):
    roomIds: Ids


class RefreshToken(msgspec.Struct):
    token: str


class Kick(msgspec.Struct):
    userId: Id
    message: str | None = None


class CountRooms(msgspec.Struct):
    ids: Annotated[list[Id], msgspec.Meta(max_length=1000)]


def read(shape: type[T], payload: object) -> T:
    """Return `payload` as `shape`. Snake-case spellings of the ids are taken too; unknown fields are let pass.

    Raises InvalidInput naming the field, or `payload` when it is no object.
    """
    if not isinstance(payload, dict):
        raise InvalidInput("payload", "must be an object")
    fields = dict(payload)
    for spelling, name in _SPELLINGS.items():
        if spelling in fields:
            fields.setdefault(name, fields[spelling])
    try:
        return msgspec.convert(fields, shape)
    except msgspec.ValidationError as error:
        text = str(error)
        missing, path = _MISSING.search(text), _PATH.search(text)
        field = missing.group(1) if missing else (path and path.group(1)) or "payload"
        raise InvalidInput(field, "is missing" if missing else _plain(text)) from None


def _plain(text: str) -> str:
    return text.split(" - at", maxsplit=1)[0].replace("Expected", "must be", 1).replace("`", "")
