"""What clients get of the chat, described: one struct a body, as in `messages`."""

from typing import Any, Literal

import msgspec

from server import messages


class ChatMessage(msgspec.Struct, forbid_unknown_fields=True):
    """MESSAGE. user_id: null = the customer's, else the agent's. seq: 1, 2, 3 … in its room, without gaps."""

    id: str
    room_id: str
    user_id: str | None
    content_type: str
    content_text: str | None
    wa_message_id: str | None
    status: str
    reply_to_wa_message_id: str | None
    reaction_emoji: str | None
    reaction_to_wa_message_id: str | None
    status_timestamp: str | int | None
    media_type: str | None
    media_id: str | None
    gcs_filename: str | None
    gcs_url: str | None
    file_size: int | None
    mime_type: str | None
    original_filename: str | None
    metadata: dict[str, Any]
    created_at: str
    updated_at: str
    seq: int


class LastMessage(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    content_text: str | None
    content_type: str
    created_at: str
    user_id: str | None


class Lead(msgspec.Struct):
    """Who the customer is. Beside these fields, whatever else was given. The name is never empty."""

    id: Any
    name: str
    phone: str
    outstanding: Any
    loan_type: Any
    leads_status: Any
    contact_status: Any


class ShortLead(msgspec.Struct, forbid_unknown_fields=True):
    id: Any
    phone: str
    name: str


class ChatRoomHead(msgspec.Struct, forbid_unknown_fields=True):
    room_id: str
    room_phone: str
    room_title: str
    room_created_at: str
    room_updated_at: str


class ChatRoom(ChatRoomHead, forbid_unknown_fields=True):
    """ROOM. participants: who is present now, the first 100."""

    leads_info: Lead
    last_message: LastMessage | None
    last_message_text: str | None
    last_message_timestamp: str | None
    last_message_type: str | None
    unread_count: int
    message_count: int
    participants: list[messages.Participant]


class NewRoomComplete(ChatRoom, forbid_unknown_fields=True):
    leads_id: Any


class NewRoom(ChatRoomHead, forbid_unknown_fields=True):
    leads_info: ShortLead
    unread_count: Literal[0]
    last_message: None
    participants: list[messages.Participant]


class NewRoomWithMessage(ChatRoomHead, forbid_unknown_fields=True):
    leads_info: ShortLead
    last_message_text: str | None
    last_message_timestamp: str
    last_message_type: str
    unread_count: int
    participants: list[messages.Participant]


class RoomUnread(msgspec.Struct, forbid_unknown_fields=True):
    room_id: str
    unread_count: int


class ChatRoomJoined(msgspec.Struct, forbid_unknown_fields=True):
    """Subscribed. With a userId the answer to join_room comes in the same object."""

    room_id: messages.Id


class ChatRoomEntered(messages.RoomJoined, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    room_id: messages.Id


class ChatRoomParted(messages.RoomLeft, forbid_unknown_fields=True):
    room_id: messages.Id


class ChatRoomRead(msgspec.Struct, forbid_unknown_fields=True):
    room_id: messages.Id
    unread_count: int
    read_seq: int


class ChatRoomReadOverHttp(ChatRoomRead, forbid_unknown_fields=True):
    success: Literal[True]


class ChatRoomsPage(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    rooms: list[ChatRoom]
    total_count: int
    cursor: str | None = None


class ChatRooms(msgspec.Struct, forbid_unknown_fields=True):
    """Newest activity first; `cursor` only when more follow."""

    success: Literal[True]
    data: ChatRoomsPage


class ChatRoomFound(msgspec.Struct, forbid_unknown_fields=True):
    success: Literal[True]
    data: ChatRoom


class ChatMessages(msgspec.Struct, forbid_unknown_fields=True):
    """Oldest first. has_more: older ones are kept."""

    success: Literal[True]
    room_id: str
    messages: list[ChatMessage]
    count: int
    has_more: bool


class MessagePosted(msgspec.Struct, forbid_unknown_fields=True):
    """is_new_room: this was the room's first message. duplicate: it was saved before; nothing changed."""

    success: Literal[True]
    room_id: str
    message_id: str
    is_new_room: bool
    duplicate: bool


class MessageSent(msgspec.Struct, forbid_unknown_fields=True):
    """message: null for a duplicate that is no longer kept."""

    success: Literal[True]
    room_id: str
    message_id: str
    duplicate: bool
    message: ChatMessage | None


class Notified(msgspec.Struct, forbid_unknown_fields=True):
    """What became of a webhook's messages. skipped: they break a rule, and will the next time too."""

    success: Literal[True]
    saved: int
    duplicates: int
    skipped: int
