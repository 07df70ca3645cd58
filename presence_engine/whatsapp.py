"""The webhook of WhatsApp's Cloud API: what its notifications say, and whether they are genuine."""

import hashlib
import hmac
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from presence_engine.chat_models import IncomingMessage
from presence_engine.errors import InvalidInput

SIGNATURE_HEADER: Final = "X-Hub-Signature-256"
_MEDIA: Final = frozenset(("image", "video", "audio", "voice", "document", "sticker"))


class Notification(msgspec.Struct, frozen=True):
    """messages: in the order given. skipped: messages without a sender or an id, which nothing can be done with."""

    messages: list[IncomingMessage]
    skipped: int


def signature_matches(secret: str, body: bytes, header: str | None) -> bool:
    """Tell whether `header` (`sha256=<hex>`) signs exactly these bytes with `secret`; takes the same time either way.

    body: as received, before any decoding. An absent or malformed header never matches, nor does an empty secret.
    """
    expected = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    given = (header or "").encode("utf-8", "surrogatepass")
    return hmac.compare_digest(expected.encode(), given) and secret != ""


def verification_answer(verify_token: str, query: Mapping[str, str]) -> str | None:
    """Return what to answer, as plain text, to the GET by which the network checks a new webhook; None = refuse it.

    query: `hub.mode`, `hub.verify_token` and `hub.challenge` of that request. An empty verify_token verifies nothing.
    """
    given = query.get("hub.verify_token", "").encode("utf-8", "surrogatepass")
    known = hmac.compare_digest(verify_token.encode(), given) and verify_token != ""
    return query.get("hub.challenge") if known and query.get("hub.mode") == "subscribe" else None


def read_notification(payload: object) -> Notification:
    """Read the customers' messages out of a webhook's JSON. Delivery statuses and other news are passed over.

    Raises InvalidInput(`payload`) when it is no object. A malformed message is skipped and counted, since refusing
    the call would have the good ones sent again for days. The fields are not checked here: posting a message does that.
    """
    if not isinstance(payload, dict):
        raise InvalidInput("payload", "must be an object")
    found = [_message(message, names) for message, names in _messages(payload)]
    good = [message for message in found if message is not None]
    return Notification(good, len(found) - len(good))


def _messages(payload: dict[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, str]]]:
    for entry in _objects(payload, "entry"):
        for change in _objects(entry, "changes"):
            value = _object(change, "value")
            names = {
                contact["wa_id"]: name
                for contact in _objects(value, "contacts")
                if isinstance(contact.get("wa_id"), str) and (name := _text(_object(contact, "profile"), "name"))
            }
            yield from ((message, names) for message in _objects(value, "messages"))


def _message(message: dict[str, Any], names: dict[str, str]) -> IncomingMessage | None:
    phone, wa_message_id = _text(message, "from"), _text(message, "id")
    if not phone or not wa_message_id:
        return None
    kind = _text(message, "type") or "text"
    part, reaction = _object(message, kind), _object(message, "reaction")
    media = part if kind in _MEDIA else {}
    return IncomingMessage(
        phone=phone,
        wa_message_id=wa_message_id,
        customer_name=names.get(phone),
        content_type=kind,
        content_text=_words(kind, part),
        reply_to_wa_message_id=_text(_object(message, "context"), "id"),
        reaction_emoji=_text(reaction, "emoji"),
        reaction_to_wa_message_id=_text(reaction, "message_id"),
        status_timestamp=_text(message, "timestamp"),
        media_type=kind if media else None,
        media_id=_text(media, "id"),
        mime_type=_text(media, "mime_type"),
        original_filename=_text(media, "filename"),
        metadata=_metadata(kind, message),
    )


def _words(kind: str, part: dict[str, Any]) -> str | None:
    """What a person would read: a text's body, a medium's caption, the words on a pressed button."""
    if kind == "interactive":
        chosen = _object(part, "button_reply") or _object(part, "list_reply")
        return _text(chosen, "title")
    return _text(part, {"text": "body", "button": "text"}.get(kind, "caption"))


def _metadata(kind: str, message: dict[str, Any]) -> dict[str, Any] | None:
    """What no other field holds (a place, contacts, an order …) is kept as it came."""
    if kind in _MEDIA or kind in {"text", "reaction", "button"}:
        return None
    return {kind: message[kind]} if kind in message else None


def _objects(parent: dict[str, Any], name: str) -> list[dict[str, Any]]:
    value = parent.get(name)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _object(parent: dict[str, Any], name: str) -> dict[str, Any]:
    value = parent.get(name)
    return value if isinstance(value, dict) else {}


def _text(parent: dict[str, Any], name: str) -> str | None:
    value = parent.get(name)
    return value if isinstance(value, str) else None
