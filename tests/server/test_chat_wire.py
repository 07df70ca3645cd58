"""The shapes that clients rely on, field by field."""

import json
from typing import Any

import msgspec

from presence_engine import ChatMessage, ChatRoom, IncomingMessage, MessageContent, RoomRead
from server import chat_wire

AT = 1_800_000_000_007
ISO = "2027-01-15T08:00:00.007Z"
FIELDS_21 = [
    "id", "room_id", "user_id", "content_type", "content_text", "wa_message_id", "status", "reply_to_wa_message_id",
    "reaction_emoji", "reaction_to_wa_message_id", "status_timestamp", "media_type", "media_id", "gcs_filename",
    "gcs_url", "file_size", "mime_type", "original_filename", "metadata", "created_at", "updated_at",
]  # fmt: skip
ROOM_FIELDS = [
    "room_id", "room_phone", "room_title", "room_created_at", "room_updated_at", "leads_info", "last_message",
    "last_message_text", "last_message_timestamp", "last_message_type", "unread_count", "message_count", "participants",
]  # fmt: skip


PRESENT = [msgspec.Raw(b'{"userId":"a"}')]


def told(body: msgspec.Raw) -> dict[str, Any]:
    shown: dict[str, Any] = json.loads(bytes(body))
    return shown


def message(**content: object) -> ChatMessage:
    return ChatMessage("room", 3, AT, None, MessageContent(**content))  # type: ignore[arg-type]


def room(last: ChatMessage | None, **leads: object) -> ChatRoom:
    return ChatRoom("room", "628785390", "Personal", "Ana", leads, AT - 7, AT, 1, 0, 1, last)


def test_a_message_has_21_fields_null_not_missing_and_its_seq() -> None:
    """004-3."""
    shown = told(chat_wire.message(message()))
    assert list(shown) == [*FIELDS_21, "seq"]
    given = {name: value for name, value in shown.items() if value is not None}
    assert given == {
        "id": f"room-3-{AT:x}", "room_id": "room", "content_type": "text", "status": "sent", "metadata": {},
        "created_at": ISO, "updated_at": ISO, "seq": 3,
    }  # fmt: skip


def test_every_field_that_was_given_is_shown_as_given() -> None:
    content = {name: f"<{name}>" for name in MessageContent.__struct_fields__} | {"file_size": 0, "metadata": {"a": []}}
    shown = told(chat_wire.message(message(**content)))
    assert {name: shown[name] for name in content} == content


def test_a_room_has_all_its_fields_before_and_after_its_first_message() -> None:
    """004-7."""
    empty = told(chat_wire.room(room(None)))
    full = told(chat_wire.room(room(message(content_text="hi")), PRESENT))
    assert list(empty) == list(full) == ROOM_FIELDS
    assert [empty[name] for name in ROOM_FIELDS[6:10]] == [None] * 4
    assert full["last_message"] == {
        "id": f"room-3-{AT:x}", "content_text": "hi", "content_type": "text", "created_at": ISO, "user_id": None
    }  # fmt: skip
    assert [full[name] for name in ROOM_FIELDS[7:]] == ["hi", ISO, "text", 1, 1, [{"userId": "a"}]]


def test_leads_have_seven_fields_a_name_and_the_rooms_phone() -> None:
    """004-10: what was given for the lead is shown, but name and phone are the room's own."""
    assert told(chat_wire.room(room(None)))["leads_info"] == {
        "id": None, "name": "Ana", "phone": "628785390", "outstanding": None, "loan_type": None, "leads_status": None,
        "contact_status": None,
    }  # fmt: skip
    given = room(None, id=7, name="", phone="+62 878", outstanding=1.50, extra=[])
    leads = told(chat_wire.room(given))["leads_info"]
    assert (leads["id"], leads["name"], leads["phone"], leads["outstanding"], leads["extra"]) == (
        7, "Ana", "628785390", 1.5, []
    )  # fmt: skip


def test_the_first_message_announces_the_whole_room() -> None:
    first = room(message(content_text="hi"), id=7)
    whole = told(chat_wire.room(first, PRESENT))
    assert told(chat_wire.new_room_complete(first, PRESENT)) == whole | {"leads_id": 7}
    assert told(chat_wire.new_room_complete(room(None), ()))["leads_id"] is None


def test_the_old_events_carry_full_data() -> None:
    """004-6, 004-8."""
    first = room(message(content_text="hi"), id=7)
    head = {
        "room_id": "room", "room_phone": "628785390", "room_title": "Personal",
        "room_created_at": "2027-01-15T08:00:00.000Z", "room_updated_at": ISO,
        "leads_info": {"id": 7, "phone": "628785390", "name": "Ana"},
    }  # fmt: skip
    nothing: dict[str, Any] = {"unread_count": 0, "last_message": None, "participants": []}
    assert told(chat_wire.new_room(first, ())) == head | nothing
    assert told(chat_wire.new_room_with_message(first, PRESENT)) == head | {
        "last_message_text": "hi", "last_message_timestamp": ISO, "last_message_type": "text", "unread_count": 1,
        "participants": [{"userId": "a"}],
    }  # fmt: skip


def test_integers_of_any_size_are_exact() -> None:
    metadata = {"n": 10**30, "e": "🎉"}
    assert told(chat_wire.message(message(metadata=metadata)))["metadata"] == metadata


def test_a_rooms_unread_count_is_told_alone() -> None:
    assert told(chat_wire.room_unread(RoomRead("room", 3, 2))) == {"room_id": "room", "unread_count": 2}


def test_an_incoming_message_names_its_fields_as_the_wire_does() -> None:
    assert set(FIELDS_21) - set(IncomingMessage.__struct_fields__) == {
        "id", "room_id", "user_id", "created_at", "updated_at"
    }  # fmt: skip
