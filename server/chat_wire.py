"""What clients are told of the chat: each body encoded once, the same bytes for every event and for HTTP."""

from collections.abc import Sequence
from typing import Final

import msgspec

from presence_engine import ChatMessage, ChatRoom, RoomRead, iso_time
from server.wire import Json

MESSAGE_FIELDS: Final = (
    "id", "room_id", "user_id", "content_type", "content_text", "wa_message_id", "status", "reply_to_wa_message_id",
    "reaction_emoji", "reaction_to_wa_message_id", "status_timestamp", "media_type", "media_id", "gcs_filename",
    "gcs_url", "file_size", "mime_type", "original_filename", "metadata", "created_at", "updated_at",
)  # fmt: skip
_LEAD_FIELDS: Final = ("id", "name", "phone", "outstanding", "loan_type", "leads_status", "contact_status")
_LAST_FIELDS: Final = ("id", "content_text", "content_type", "created_at", "user_id")

Present = Sequence[msgspec.Raw]


def message(one: ChatMessage) -> msgspec.Raw:
    """MESSAGE: its 21 fields, null where empty, and `seq`."""
    return _raw(_message(one))


def room(one: ChatRoom, present: Present = ()) -> msgspec.Raw:
    """ROOM. present: who is in the room now; they are never kept with it."""
    return _raw(_room(one, present))


def new_room_complete(one: ChatRoom, present: Present) -> msgspec.Raw:
    """ROOM and `leads_id`. To be emitted after `room:new_message` and `new_message`."""
    whole = _room(one, present)
    return _raw(whole | {"leads_id": whole["leads_info"]["id"]})


def new_room(one: ChatRoom, present: Present) -> msgspec.Raw:
    """The old `new_room`: the room as if nothing were in it yet.

    To be emitted after the save and before `new_message`: the client that adds one to `unread_count` then shows 1.
    """
    nothing = {"unread_count": 0, "last_message": None, "participants": present}
    return _raw(_head(one) | {"leads_info": _short_leads(one)} | nothing)


def new_room_with_message(one: ChatRoom, present: Present) -> msgspec.Raw:
    """The old `new_room_with_message`: the room with its last message in flat fields, after `new_message`."""
    whole = _room(one, present)
    flat = ("last_message_text", "last_message_timestamp", "last_message_type", "unread_count", "participants")
    return _raw(_head(one) | {"leads_info": _short_leads(one)} | {name: whole[name] for name in flat})


def room_unread(read: RoomRead) -> msgspec.Raw:
    return _raw({"room_id": read.room_id, "unread_count": read.unread_count})


def _raw(body: Json) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(body))


def _message(one: ChatMessage) -> Json:
    content, at = one.content, iso_time(one.created_at_ms)
    decided: Json = {
        "id": one.id,
        "room_id": one.room_id,
        "user_id": one.user_id,
        "content_type": content.content_type or "text",
        "status": content.status or "sent",
        "metadata": content.metadata or {},
        "created_at": at,
        "updated_at": at,
    }
    shown = {name: decided[name] if name in decided else getattr(content, name) for name in MESSAGE_FIELDS}
    return shown | {"seq": one.seq}


def _room(one: ChatRoom, present: Present) -> Json:
    last = _message(one.last_message) if one.last_message else None
    return _head(one) | {
        "leads_info": _leads(one),
        "last_message": {name: last[name] for name in _LAST_FIELDS} if last else None,
        "last_message_text": last["content_text"] if last else None,
        "last_message_timestamp": last["created_at"] if last else None,
        "last_message_type": last["content_type"] if last else None,
        "unread_count": one.unread_count,
        "message_count": one.message_count,
        "participants": present,
    }


def _head(one: ChatRoom) -> Json:
    return {
        "room_id": one.room_id,
        "room_phone": one.phone,
        "room_title": one.title,
        "room_created_at": iso_time(one.created_at_ms),
        "room_updated_at": iso_time(one.updated_at_ms),
    }


def _leads(one: ChatRoom) -> Json:
    """The seven fields, then whatever else was given. The name is never empty, the phone is the room's."""
    shown: Json = {name: one.leads.get(name) for name in _LEAD_FIELDS}
    return shown | one.leads | {"name": one.name, "phone": one.phone}


def _short_leads(one: ChatRoom) -> Json:
    leads = _leads(one)
    return {name: leads[name] for name in ("id", "phone", "name")}
