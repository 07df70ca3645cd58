"""The only reader of the chat scripts' replies and of the chat feed."""

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from presence_engine.chat_models import (
    ChatChange,
    ChatMessage,
    ChatRoom,
    MessageContent,
    MessagePage,
    MessageSaved,
    Posted,
    RoomOpened,
    RoomRead,
    UnknownRoom,
)
from presence_engine.errors import ContractBroken
from presence_engine.replies import RECORD_SEPARATOR, Reply, word

_ROOM_FIELDS: Final = 8


def posted(reply: Reply, room_id: str, body: str) -> Posted | UnknownRoom:
    match word(reply):
        case "created" | "saved" as outcome:
            at_ms, seq, unread = reply[1:]
            message = _message(room_id, seq, at_ms, body)
            return Posted(room_id, seq, at_ms, False, outcome == "created", unread, message)
        case "duplicate":
            at_ms, seq, kept = reply[1:]
            again = _message(room_id, seq, at_ms, kept.decode()) if kept else None
            return Posted(room_id, seq, at_ms, True, False, None, again)
        case "unknown":
            return UnknownRoom()
    raise _unknown(reply)


def opened(reply: Reply, room_id: str) -> RoomOpened:
    if word(reply) not in {"opened", "known"}:
        raise _unknown(reply)
    return RoomOpened(room_id, word(reply) == "opened")


def read(reply: Reply, room_id: str) -> RoomRead | UnknownRoom:
    match word(reply):
        case "read" | "unchanged" as outcome:
            return RoomRead(room_id, reply[1], reply[2], outcome == "read")
        case "unknown":
            return UnknownRoom()
    raise _unknown(reply)


def room(reply: Reply, room_id: str) -> ChatRoom | UnknownRoom:
    match word(reply):
        case "room":
            return _room(room_id, reply[1:])
        case "unknown":
            return UnknownRoom()
    raise _unknown(reply)


def rooms(reply: Reply) -> tuple[int, list[tuple[int, ChatRoom]]]:
    """How many there are, and each room with its activity in µs."""
    if word(reply) != "rooms":
        raise _unknown(reply)
    return reply[1], [(group[1], _room(group[0].decode(), group[2:])) for group in _groups(reply, 2, _ROOM_FIELDS + 2)]


def messages(reply: Reply, room_id: str) -> MessagePage | UnknownRoom:
    match word(reply):
        case "messages":
            found = [_message(room_id, seq, at, body.decode()) for seq, at, body in _groups(reply, 2, 3)]
            return MessagePage(room_id, found[::-1], reply[1] == 1)
        case "unknown":
            return UnknownRoom()
    raise _unknown(reply)


def trimmed(reply: Reply) -> tuple[int, bool]:
    """How many messages were deleted, and whether there is more to do."""
    if word(reply) != "trimmed":
        raise _unknown(reply)
    return reply[1], reply[2] == 1


def decode_chat_change(data: bytes) -> ChatChange:
    """Read one message of the chat feed (written by lua/v1/chat/post.lua and read.lua); it needs nothing else.

    Raises ContractBroken for anything that those scripts do not write.
    """
    try:
        kind, *fields = data.decode().split(RECORD_SEPARATOR, 6)
        if kind == "r":
            room_id, mark, unread = fields
            return RoomRead(room_id, int(mark), int(unread))
        if kind != "m":
            raise ContractBroken(f"an unknown chat change: {data!r:.80}")
        room_id, number, at, unread, body, info = fields
        seq, at_ms = int(number), int(at)
        message = _message(room_id, seq, at_ms, body)
        first = _described(room_id, info, seq, at_ms, 0, int(unread), message) if info else None
        return MessageSaved(message, int(unread), first)
    except (ValueError, msgspec.ValidationError):
        raise ContractBroken(f"an unknown chat change: {data!r:.80}") from None


def _room(room_id: str, fields: Sequence[Any]) -> ChatRoom:
    info, seq, updated, mark, unread, last_seq, last_at, last_body = fields
    last = _message(room_id, last_seq, last_at, last_body.decode()) if last_seq else None
    return _described(room_id, info.decode(), seq, updated, mark, unread, last)


def _described(
    room_id: str, info: str, seq: int, updated: int, mark: int, unread: int, last: ChatMessage | None
) -> ChatRoom:
    created, phone, title, _rank, name, leads = info.split(RECORD_SEPARATOR)
    given = json.loads(leads) if leads else {}
    return ChatRoom(
        room_id, phone, json.loads(title), json.loads(name), given, int(created), updated, seq, mark, unread, last
    )


def _message(room_id: str, seq: int, at_ms: int, body: str) -> ChatMessage:
    # Python's own parser: it keeps the metadata's integers of any size exact.
    stored = json.loads(body)
    if not isinstance(stored, dict):
        raise ContractBroken(f"a stored message of an unknown shape: {body:.80}")
    user_id = stored.pop("user_id", None)
    return ChatMessage(room_id, seq, at_ms, user_id, msgspec.convert(stored, MessageContent))


def _groups(reply: Reply, start: int, size: int) -> Iterator[Sequence[Any]]:
    return (reply[at : at + size] for at in range(start, len(reply), size))


def _unknown(reply: Reply) -> ContractBroken:
    return ContractBroken(f"an unknown outcome: {reply[0]!r}")
