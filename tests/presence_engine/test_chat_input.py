"""Bodies of requests, and every malformed one named by its field."""

import pytest

from presence_engine import InvalidInput
from presence_engine.chat_input import is_blank, read_incoming, read_outgoing, stored_body
from presence_engine.chat_models import IncomingMessage, MessageContent, OutgoingMessage


def test_a_body_becomes_a_message_and_unknown_fields_are_ignored() -> None:
    body = {"phone": "1", "content_text": "hi", "metadata": {"n": 10**30}, "other": object(), "media_id": None}
    assert read_incoming(body) == IncomingMessage(phone="1", content_text="hi", metadata={"n": 10**30})
    sent = {"room_id": "r", "user_id": 15, "text": "hi", "client_id": "c"}
    assert read_outgoing(sent) == OutgoingMessage(room_id="r", user_id=15, text="hi", client_id="c")


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        (None, "payload"), ([], "payload"), ("x", "payload"), ({}, "phone"), ({"phone": None}, "phone"),
        ({"phone": True}, "phone"), ({"phone": 1.5}, "phone"), ({"phone": "1", "content_text": 5}, "content_text"),
        ({"phone": "1", "metadata": []}, "metadata"), ({"phone": "1", "metadata": {1: 2}}, "metadata"),
        ({"phone": "1", "leads_info": "x"}, "leads_info"), ({"phone": "1", "file_size": "5"}, "file_size"),
        ({"phone": "1", "file_size": True}, "file_size"), ({"phone": "1", "customer_name": {}}, "customer_name"),
        ({"phone": "1", "wa_message_id": 7}, "wa_message_id"), ({"phone": "1", "status": []}, "status"),
    ],
)  # fmt: skip
def test_a_malformed_incoming_body_names_the_field(payload: object, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_incoming(payload)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        ({"user_id": "a"}, "room_id"), ({"room_id": "r"}, "user_id"), ({"room_id": 5, "user_id": "a"}, "room_id"),
        ({"room_id": "r", "user_id": []}, "user_id"), ({"room_id": "r", "user_id": "a", "text": 1}, "text"),
        ({"room_id": "r", "user_id": "a", "client_id": 1}, "client_id"),
    ],
)  # fmt: skip
def test_a_malformed_outgoing_body_names_the_field(payload: object, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_outgoing(payload)
    assert caught.value.field == field


def test_what_is_empty_is_not_kept_and_zero_is_not_empty() -> None:
    """004-3: null when empty."""
    content = MessageContent(content_text="", status="", wa_message_id="", file_size=0, metadata={}, media_id=" ")
    assert stored_body(content, None) == '{"media_id":" ","file_size":0,"metadata":{}}'
    assert stored_body(MessageContent(content_text="a"), "15", "b") == '{"user_id":"15","content_text":"a"}'
    assert stored_body(MessageContent(content_text=""), "15", "b") == '{"user_id":"15","content_text":"b"}'


def test_no_separator_of_the_store_ever_stands_raw_in_a_body() -> None:
    body = stored_body(MessageContent(content_text="\x1e\x1f\x1d", metadata={"\x1e": "\x1e"}), None)
    assert min(body) >= " "


@pytest.mark.parametrize("text", ["", " ", "\t\n", "\u200e", "\u200b\u2060", "\u00a0", "\x00"])
def test_what_nobody_could_see_is_blank(text: str) -> None:
    assert is_blank(text)
    assert not is_blank(text + ".")
