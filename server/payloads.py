"""What clients send: one struct an event or body. They check the wire and describe it in the specifications."""

import re
from typing import Annotated, Any, Final, TypeVar

import msgspec

from presence_engine import MAX_MESSAGE_BYTES, MAX_PAGE, InvalidInput

Id = str | int | float
Ids = Annotated[list[Id], msgspec.Meta(max_length=100)]

SPELLINGS: Final = {"room_id": "roomId", "user_id": "userId"}
_PATH: Final = re.compile(r"at `\$\.?(\w+)?")
_MISSING: Final = re.compile(r"missing required field `(\w+)`")
_JSON_WORDS: Final = {"str": "string", "int": "integer", "float": "number", "bool": "boolean", " | ": " or "}
_WORDS: Final = re.compile(r"\b(?:str|int|float|bool)\b| \| ")
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
    limit: Annotated[int, msgspec.Meta(extra_json_schema={"minimum": 1, "maximum": MAX_PAGE})] = 100
    cursor: str | None = None


class WatchRooms(msgspec.Struct):
    roomIds: Ids


class RefreshToken(msgspec.Struct):
    token: str


class Kick(msgspec.Struct):
    """message: what the user is told, 1–1024 UTF-8 bytes."""

    userId: Id
    message: Annotated[str, msgspec.Meta(min_length=1, extra_json_schema={"maxLength": MAX_MESSAGE_BYTES})] | None = (
        None
    )


class CountRooms(msgspec.Struct):
    ids: Annotated[list[Id], msgspec.Meta(max_length=MAX_PAGE)]


class Board(msgspec.Struct):
    """A board, named by text or integer. userId: the sender, who must be the socket's user."""

    retroId: Id
    userId: Id | None = None


class JoinBoard(Board):
    username: str | None = None


class MoveItems(Board):
    """One item with its position, or positions by item for those that have none yet."""

    itemId: Id | None = None
    position: dict[str, Any] | None = None
    itemPositions: dict[str, dict[str, Any]] | None = None
    source: str | None = None


class GroupItems(Board, kw_only=True):
    itemGroups: dict[str, str]
    signatureColors: dict[str, str]
    timestamp: Any = None


class CastVotes(Board, kw_only=True):
    userVotes: dict[str, Any]
    groupId: Id | None = None
    votes: Any = None


class AddAction(Board, kw_only=True):
    task: str
    assigneeId: Id
    assigneeName: str | None = None
    createdBy: Id | None = None


class UpdateAction(Board, kw_only=True):
    actionItemId: Id
    task: str | None = None
    assigneeId: Id | None = None
    assigneeName: str | None = None
    updatedBy: Id | None = None


class DeleteAction(Board, kw_only=True):
    actionItemId: Id


class ChatRoom(msgspec.Struct):
    """A chat room. With a userId it is also a join or a leave of the presence room of that name."""

    room_id: Id
    userId: Id | None = None


class JoinChatRoom(ChatRoom):
    username: str | None = None
    data: dict[str, Any] | None = None


class Notification(msgspec.Struct):
    """A webhook's call, in the form of WhatsApp's Cloud API."""

    entry: list[dict[str, Any]] = []


class ReadTo(msgspec.Struct):
    """Read up to the message `seq`; the newest one when it is left out."""

    seq: int | None = None


class ReadChatRoom(ReadTo, kw_only=True):
    room_id: Id


def read(shape: type[T], payload: object) -> T:
    """Return `payload` as `shape`. Both spellings of the ids are taken; unknown fields are let pass.

    Raises InvalidInput naming the field, or `payload` when it is no object.
    """
    try:
        return msgspec.convert(both_spellings(payload), shape)
    except UnicodeEncodeError:
        # A field's name holds half a surrogate pair.
        raise InvalidInput("payload", "is not valid Unicode") from None
    except msgspec.ValidationError as error:
        text = str(error)
        missing, path = _MISSING.search(text), _PATH.search(text)
        field = missing.group(1) if missing else (path and path.group(1)) or "payload"
        raise InvalidInput(field, "is missing" if missing else _plain(text)) from None


def both_spellings(payload: object) -> dict[str, Any]:
    """Return the payload with its ids under either name, without what is null.

    Raises InvalidInput naming `payload` when it is no object.
    """
    if not isinstance(payload, dict):
        raise InvalidInput("payload", "must be an object")
    fields = {name: value for name, value in payload.items() if value is not None}
    for spelling, name in SPELLINGS.items():
        if spelling in fields:
            fields.setdefault(name, fields[spelling])
        elif name in fields:
            fields[spelling] = fields[name]
    return fields


def _plain(text: str) -> str:
    """A sentence of msgspec in the words of JSON."""
    told = text.split(" - at", maxsplit=1)[0].replace("Expected", "must be", 1).replace("`", "")
    return _WORDS.sub(lambda word: _JSON_WORDS[word[0]], told)
