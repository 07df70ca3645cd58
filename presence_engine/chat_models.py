"""What the chat takes and answers: small immutable values. Times are milliseconds of the Redis clock."""

from collections.abc import Sequence
from typing import Any

import msgspec

from presence_engine.settings import within
from presence_engine.times import DAY_MS, MAX_MS


class ChatRules(msgspec.Struct, frozen=True):
    """How much is kept.

    max_messages: newest messages kept in a room, 0 = all. max_age_ms: life of a message, 0 = for ever.
    once_ms: how long a repeated message id is recognised; never less than the life of a message, nor than 7 days.
    """

    max_messages: int = 10_000
    max_age_ms: int = 0
    once_ms: int = 30 * DAY_MS

    def __post_init__(self) -> None:
        within("max_messages", self.max_messages, 0)
        within("max_age_ms", self.max_age_ms, 0, MAX_MS)
        within("once_ms", self.once_ms, 0, MAX_MS)

    @property
    def remember_ms(self) -> int:
        """How long a message's own id keeps it from being saved twice: while messages may live, at least 7 days."""
        return max(self.once_ms, self.max_age_ms, 7 * DAY_MS)


class MessageContent(msgspec.Struct, frozen=True, kw_only=True):
    """What a message says. Every kind goes one path: text, media, reaction, location; empty text means not given.

    Sizes in UTF-8 bytes: content_text 16,384; metadata 16,384 as JSON; everything else 2,048. file_size: bytes, from 0.
    status_timestamp: as the network gave it.
    """

    content_type: str | None = None
    content_text: str | None = None
    wa_message_id: str | None = None
    status: str | None = None
    reply_to_wa_message_id: str | None = None
    reaction_emoji: str | None = None
    reaction_to_wa_message_id: str | None = None
    status_timestamp: str | int | None = None
    media_type: str | None = None
    media_id: str | None = None
    gcs_filename: str | None = None
    gcs_url: str | None = None
    file_size: int | None = None
    mime_type: str | None = None
    original_filename: str | None = None
    metadata: dict[str, Any] | None = None


class IncomingMessage(MessageContent, frozen=True, kw_only=True):
    """A customer's message. phone: any spelling. customer_name, room_title (2,048 bytes): blank means not given.

    leads_info: what a list shows of the customer (id, name, outstanding, loan_type, leads_status, contact_status, …),
    4,096 bytes as JSON; it replaces what was there.
    """

    phone: str | int
    customer_name: str | None = None
    room_title: str | None = None
    leads_info: dict[str, Any] | None = None


class OutgoingMessage(MessageContent, frozen=True, kw_only=True):
    """An agent's message. user_id: 1–128 bytes, or an integer. text: short for content_text.

    client_id: the sender's own id of this message; sent again under it, it is the same message.
    """

    room_id: str
    user_id: str | int
    text: str | None = None
    client_id: str | None = None


class ChatMessage(msgspec.Struct, frozen=True):
    """A saved message. seq: 1, 2, 3 … in its room, without gaps. user_id: None = the customer's, else the agent's."""

    room_id: str
    seq: int
    created_at_ms: int
    user_id: str | None
    content: MessageContent

    @property
    def id(self) -> str:
        """The message's id for ever."""
        return message_id(self.room_id, self.seq, self.created_at_ms)


def message_id(room_id: str, seq: int, created_at_ms: int) -> str:
    """The time is in it because a Redis that lost its newest writes gives their seqs away again."""
    return f"{room_id}-{seq}-{created_at_ms:x}"


class ChatRoom(msgspec.Struct, frozen=True):
    """One customer's room.

    phone: digits. title: `Personal` when none was given. name: never empty. leads: as last given. message_count: ever
    saved, which is also the newest seq. read_seq: the read mark. unread_count: the customer's messages after the mark,
    trimmed ones included. last_message: the newest kept one.
    """

    room_id: str
    phone: str
    title: str
    name: str
    leads: dict[str, Any]
    created_at_ms: int
    updated_at_ms: int
    message_count: int
    read_seq: int
    unread_count: int
    last_message: ChatMessage | None


class Posted(msgspec.Struct, frozen=True):
    """A message is saved.

    duplicate: it was before this call, which changed and announced nothing; `message` is None when it has been trimmed
    since. created: this call made the room. unread_count: after it; None for a duplicate.
    """

    room_id: str
    seq: int
    created_at_ms: int
    duplicate: bool
    created: bool
    unread_count: int | None
    message: ChatMessage | None

    @property
    def message_id(self) -> str:
        """The saved message's id; of a duplicate the first one's."""
        return message_id(self.room_id, self.seq, self.created_at_ms)

    @property
    def first(self) -> bool:
        """It is the room's first message: true for exactly one call a room, whoever races."""
        return self.seq == 1 and not self.duplicate


class UnknownRoom(msgspec.Struct, frozen=True):
    """There is no such chat room; nothing changed."""


class RoomOpened(msgspec.Struct, frozen=True):
    """created: false when the room was there already."""

    room_id: str
    created: bool


class RoomRead(msgspec.Struct, frozen=True):
    """The read mark of a room and what is unread behind it. changed: false when the mark was there already."""

    room_id: str
    read_seq: int
    unread_count: int
    changed: bool = True


class MessageSaved(msgspec.Struct, frozen=True):
    """A change as the feed tells it: a message was saved. room: only with the room's first message."""

    message: ChatMessage
    unread_count: int
    room: ChatRoom | None


ChatChange = MessageSaved | RoomRead


class RoomPage(msgspec.Struct, frozen=True):
    """Rooms, newest activity first. cursor: None when nothing follows. total: of all rooms."""

    rooms: Sequence[ChatRoom]
    total: int
    cursor: str | None


class MessagePage(msgspec.Struct, frozen=True):
    """Messages of a room, oldest first. has_more: older ones are kept."""

    room_id: str
    messages: Sequence[ChatMessage]
    has_more: bool
