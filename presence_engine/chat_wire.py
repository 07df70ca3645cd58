"""The one serializer of chat messages and rooms: HTTP and events hand out what is made here and nothing else."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from presence_engine.chat_models import ChatMessage, ChatRoom, RoomRead
from presence_engine.times import iso_time

MESSAGE_FIELDS: Final = (
    "id", "room_id", "user_id", "content_type", "content_text", "wa_message_id", "status", "reply_to_wa_message_id",
    "reaction_emoji", "reaction_to_wa_message_id", "status_timestamp", "media_type", "media_id", "gcs_filename",
    "gcs_url", "file_size", "mime_type", "original_filename", "metadata", "created_at", "updated_at",
)  # fmt: skip
_LEAD_FIELDS: Final = ("id", "name", "phone", "outstanding", "loan_type", "leads_status", "contact_status")
_LAST_FIELDS: Final = ("id", "content_text", "content_type", "created_at", "user_id")

Json = dict[str, Any]


def message_json(message: ChatMessage) -> Json:
    """MESSAGE: its 21 fields, None where empty, and `seq`."""
    content, at = message.content, iso_time(message.created_at_ms)
    decided: Json = {
        "id": message.id,
        "room_id": message.room_id,
        "user_id": message.user_id,
        "content_type": content.content_type or "text",
        "status": content.status or "sent",
        "metadata": content.metadata or {},
        "created_at": at,
        "updated_at": at,
    }
    shown = {name: decided[name] if name in decided else getattr(content, name) for name in MESSAGE_FIELDS}
    return shown | {"seq": message.seq}


def room_json(room: ChatRoom, participants: Sequence[Any] = ()) -> Json:
    """ROOM. participants: who is present now; they are never kept with the room."""
    last = message_json(room.last_message) if room.last_message else None
    return _room_head(room) | {
        "leads_info": _leads(room),
        "last_message": {name: last[name] for name in _LAST_FIELDS} if last else None,
        "last_message_text": last["content_text"] if last else None,
        "last_message_timestamp": last["created_at"] if last else None,
        "last_message_type": last["content_type"] if last else None,
        "unread_count": room.unread_count,
        "message_count": room.message_count,
        "participants": list(participants),
    }


def new_room_complete_json(room: ChatRoom, participants: Sequence[Any] = ()) -> Json:
    """`new_room_complete`: ROOM and `leads_id`. To be emitted after `room:new_message` and `new_message`."""
    whole = room_json(room, participants)
    return whole | {"leads_id": whole["leads_info"]["id"]}


def room_unread_json(read: RoomRead) -> Json:
    """`room:unread`."""
    return {"room_id": read.room_id, "unread_count": read.unread_count}


def new_room_json(room: ChatRoom, participants: Sequence[Any] = ()) -> Json:
    """The old `new_room`: the room as if nothing were in it yet.

    To be emitted after the save and before `new_message`: the client that adds one to `unread_count` then shows 1.
    """
    return _room_head(room) | {
        "leads_info": _short_leads(room),
        "unread_count": 0,
        "last_message": None,
        "participants": list(participants),
    }


def new_room_with_message_json(room: ChatRoom, participants: Sequence[Any] = ()) -> Json:
    """The old `new_room_with_message`: the room with its last message in flat fields, after `new_message`."""
    whole = room_json(room, participants)
    flat = ("last_message_text", "last_message_timestamp", "last_message_type", "unread_count", "participants")
    return _room_head(room) | {"leads_info": _short_leads(room)} | {name: whole[name] for name in flat}


def _room_head(room: ChatRoom) -> Json:
    return {
        "room_id": room.room_id,
        "room_phone": room.phone,
        "room_title": room.title,
        "room_created_at": iso_time(room.created_at_ms),
        "room_updated_at": iso_time(room.updated_at_ms),
    }


def _leads(room: ChatRoom) -> Json:
    """The seven fields, then whatever else was given. The name is never empty, the phone is the room's."""
    shown: Json = {name: room.leads.get(name) for name in _LEAD_FIELDS}
    return shown | room.leads | {"name": room.name, "phone": room.phone}


def _short_leads(room: ChatRoom) -> Mapping[str, Any]:
    leads = _leads(room)
    return {name: leads[name] for name in ("id", "phone", "name")}
