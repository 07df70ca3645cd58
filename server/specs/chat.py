"""The chat's part of both specifications."""

from typing import Any, Final

from presence_engine import MAX_PAGE, IncomingMessage, OutgoingMessage
from server import chat_messages as told
from server import payloads
from server.specs.openapi import Operation, Parameter

_NO_ROOM: Final = "There is no such chat room."
_TEXT: Final = {"type": "string"}
_PAGE: Final = {"type": "integer", "minimum": 1, "maximum": MAX_PAGE, "default": 50}
_LIMIT: Final = Parameter("limit", "Most entries of the page.", _PAGE)
_CURSOR: Final = Parameter("cursor", "`data.cursor` of the page before.", _TEXT)
_ROOM: Final = Parameter("room_id", "The room.", _TEXT, required=True)
_BEFORE: Final = Parameter("before", "A message's seq: what lies before it.", {"type": "integer", "minimum": 1})
_VERIFY: Final = tuple(
    Parameter(name, text, _TEXT, required=True)
    for name, text in (
        ("hub.mode", "`subscribe`"),
        ("hub.verify_token", "As set up here and there."),
        ("hub.challenge", "What to answer."),
    )
)

OPERATIONS: Final[dict[tuple[str, str], Operation]] = {
    ("get", "/rooms"): Operation("Chat rooms, newest activity first.", told.ChatRooms, (_LIMIT, _CURSOR)),
    ("get", "/rooms/{room_id}"): Operation("One chat room.", told.ChatRoomFound, absent=_NO_ROOM),
    ("post", "/rooms/{room_id}/read"): Operation(
        "Move the read mark, to `seq` or to the newest message; without a body to the newest.",
        told.ChatRoomReadOverHttp,
        body=payloads.ReadTo,
        absent=_NO_ROOM,
    ),
    ("get", "/messages"): Operation(
        "The newest messages of a room, oldest first.", told.ChatMessages, (_ROOM, _LIMIT, _BEFORE), absent=_NO_ROOM
    ),
    ("post", "/messages/incoming"): Operation(
        "Save a customer's message; the first of a phone makes its room. A known `wa_message_id` changes nothing.",
        told.MessagePosted,
        body=IncomingMessage,
    ),
    ("post", "/messages/send"): Operation(
        "Save an agent's message in a room that exists. A known `client_id` of the same user changes nothing.",
        told.MessageSent,
        body=OutgoingMessage,
        absent=_NO_ROOM,
    ),
    ("get", "/webhook/whatsapp"): Operation("The network checks a new webhook.", None, _VERIFY),
    ("post", "/webhook/whatsapp"): Operation(
        "Notifications of WhatsApp's Cloud API, signed in `X-Hub-Signature-256` when a secret is set.",
        told.Notified,
        body=payloads.Notification,
    ),
}

FROM_CLIENTS: Final[dict[str, tuple[Any, tuple[Any, ...], str]]] = {
    "room:join": (
        payloads.JoinChatRoom,
        (told.ChatRoomJoined, told.ChatRoomEntered),
        "Get a room's messages as room:new_message; with a userId also join_room.",
    ),
    "room:leave": (
        payloads.ChatRoom,
        (told.ChatRoomJoined, told.ChatRoomParted),
        "Get them no longer; with a userId also leave_room.",
    ),
    "room:read": (payloads.ReadChatRoom, (told.ChatRoomRead,), "Move the read mark forward."),
}

TO_CLIENTS: Final[dict[str, tuple[Any, str]]] = {
    "room:new_message": (told.ChatMessage, "Every message of a room, to sockets that did room:join."),
    "new_message": (told.ChatMessage, "Every message, to all; the same payload, after room:new_message."),
    "new_room_complete": (told.NewRoomComplete, "Once a room, after its first message, to all."),
    "room:unread": (told.RoomUnread, "The read mark of a room moved; to all."),
    "new_room": (told.NewRoom, "Only with CHAT_LEGACY_EVENTS: before the first new_message of a room."),
    "new_room_with_message": (told.NewRoomWithMessage, "Only with CHAT_LEGACY_EVENTS: after it."),
}
