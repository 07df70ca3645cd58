"""A webhook's notifications, genuine or not, whole or not."""

import hashlib
import hmac
from typing import Any

import pytest

from presence_engine import InvalidInput
from presence_engine.chat_models import IncomingMessage
from presence_engine.whatsapp import read_notification, signature_matches, verification_answer

SECRET, BODY = "s3cret", b'{"entry":[]}'
SIGNED = "sha256=" + hmac.new(SECRET.encode(), BODY, hashlib.sha256).hexdigest()


def notification(*messages: object, name: object = "Ana") -> dict[str, Any]:
    value = {"contacts": [{"profile": {"name": name}, "wa_id": "628785390"}], "messages": list(messages)}
    return {"object": "whatsapp_business_account", "entry": [{"changes": [{"field": "messages", "value": value}]}]}


def one(**message: object) -> IncomingMessage:
    read = read_notification(notification({"from": "628785390", "id": "wamid.1", "timestamp": "1700000000", **message}))
    assert (len(read.messages), read.skipped) == (1, 0)
    return read.messages[0]


def test_a_text() -> None:
    """T4.7: the contact's name comes along as the customer's."""
    assert one(type="text", text={"body": "hé"}, context={"id": "wamid.0"}) == IncomingMessage(
        phone="628785390", wa_message_id="wamid.1", customer_name="Ana", content_type="text", content_text="hé",
        reply_to_wa_message_id="wamid.0", status_timestamp="1700000000",
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["image", "video", "audio", "document", "sticker"])
def test_media_with_a_caption_or_without(kind: str) -> None:
    """T4.3."""
    part = {"id": "m1", "mime_type": "a/b", "filename": "f.pdf"}
    message = one(type=kind, **{kind: part})
    assert (message.content_type, message.media_type, message.media_id) == (kind, kind, "m1")
    assert (message.mime_type, message.original_filename, message.content_text) == ("a/b", "f.pdf", None)
    assert one(type=kind, **{kind: {**part, "caption": "look"}}).content_text == "look"


def test_a_reaction() -> None:
    message = one(type="reaction", reaction={"message_id": "wamid.0", "emoji": "👍"})
    assert (message.reaction_emoji, message.reaction_to_wa_message_id, message.metadata) == ("👍", "wamid.0", None)


@pytest.mark.parametrize(
    ("kind", "part", "text"),
    [
        ("button", {"text": "Yes", "payload": "y"}, "Yes"),
        ("interactive", {"type": "button_reply", "button_reply": {"id": "1", "title": "Yes"}}, "Yes"),
        ("interactive", {"type": "list_reply", "list_reply": {"id": "1", "title": "One"}}, "One"),
        ("location", {"latitude": 1.5, "longitude": 2}, None),
    ],
)
def test_other_kinds_keep_what_no_field_holds(kind: str, part: dict[str, Any], text: str | None) -> None:
    message = one(type=kind, **{kind: part})
    assert message.content_text == text
    assert message.metadata == (None if kind == "button" else {kind: part})


def test_several_messages_keep_their_order_and_malformed_ones_are_counted() -> None:
    good = [{"from": "1", "id": str(n), "type": "text", "text": {"body": str(n)}} for n in range(3)]
    read = read_notification(
        notification(good[0], {"from": "1"}, "x", good[1], {"id": "5"}, {"from": 1, "id": "6"}, good[2])
    )
    assert [message.content_text for message in read.messages] == ["0", "1", "2"]
    assert read.skipped == 3


@pytest.mark.parametrize(
    "payload",
    [
        {}, {"entry": None}, {"entry": [None, {}, {"changes": "x"}]}, {"entry": [{"changes": [{"value": []}]}]},
        {"entry": [{"changes": [{"value": {"statuses": [{"id": "wamid.1", "status": "read"}]}}]}]},
    ],
)  # fmt: skip
def test_other_news_brings_no_message(payload: dict[str, Any]) -> None:
    read = read_notification(payload)
    assert (read.messages, read.skipped) == ([], 0)


@pytest.mark.parametrize("name", [None, 5, "", {}])
def test_a_contact_without_a_name_has_none(name: object) -> None:
    message = {"from": "628785390", "id": "1", "type": "text", "text": {"body": "x"}}
    assert read_notification(notification(message, name=name)).messages[0].customer_name in (None, "")


@pytest.mark.parametrize("message", [{"type": 5, "text": 5}, {"type": "image", "image": []}, {"type": "text"}])
def test_parts_of_the_wrong_kind_are_missing_parts(message: dict[str, object]) -> None:
    assert one(**message).content_text is None


@pytest.mark.parametrize("payload", [None, [], "x", 5])
def test_a_payload_that_is_no_object_is_refused(payload: object) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_notification(payload)
    assert caught.value.field == "payload"


def test_only_the_secrets_own_signature_of_these_bytes_matches() -> None:
    assert signature_matches(SECRET, BODY, SIGNED)
    assert not signature_matches("other", BODY, SIGNED)
    assert not signature_matches(SECRET, BODY + b" ", SIGNED)
    assert not signature_matches(SECRET, BODY, SIGNED[:-1])


@pytest.mark.parametrize(
    "header", [None, "", "sha256=", SIGNED[7:], SIGNED.upper(), "sha1=" + SIGNED[7:], "é", "\ud800"]
)
def test_a_malformed_header_never_matches(header: str | None) -> None:
    assert not signature_matches(SECRET, BODY, header)


def test_an_empty_secret_signs_nothing() -> None:
    assert not signature_matches("", BODY, "sha256=" + hmac.new(b"", BODY, hashlib.sha256).hexdigest())


def test_a_webhook_is_verified_by_its_token_only() -> None:
    asked = {"hub.mode": "subscribe", "hub.verify_token": "t", "hub.challenge": "123"}
    assert verification_answer("t", asked) == "123"
    assert verification_answer("other", asked) is None
    assert verification_answer("t", {**asked, "hub.mode": "unsubscribe"}) is None
    assert verification_answer("", {**asked, "hub.verify_token": ""}) is None
    assert verification_answer("t", {}) is None
    assert verification_answer("t", {"hub.mode": "subscribe", "hub.verify_token": "t"}) is None
