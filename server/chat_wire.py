"""What clients are told of the chat: each body encoded once, the same bytes for every event and for HTTP."""

from collections.abc import Sequence
from typing import Any

import msgspec

from presence_engine import (
    ChatMessage,
    ChatRoom,
    RoomRead,
    message_json,
    new_room_complete_json,
    new_room_json,
    new_room_with_message_json,
    room_json,
    room_unread_json,
)

Present = Sequence[msgspec.Raw]


def message(one: ChatMessage) -> msgspec.Raw:
    """MESSAGE."""
    return _raw(message_json(one))


def room(one: ChatRoom, present: Present = ()) -> msgspec.Raw:
    """ROOM. present: who is in the room now."""
    return _raw(room_json(one, present))


def new_room_complete(one: ChatRoom, present: Present) -> msgspec.Raw:
    return _raw(new_room_complete_json(one, present))


def new_room(one: ChatRoom, present: Present) -> msgspec.Raw:
    return _raw(new_room_json(one, present))


def new_room_with_message(one: ChatRoom, present: Present) -> msgspec.Raw:
    return _raw(new_room_with_message_json(one, present))


def room_unread(read: RoomRead) -> msgspec.Raw:
    return _raw(room_unread_json(read))


def _raw(body: Any) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(body))
