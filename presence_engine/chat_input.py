"""Checks of what comes into the chat, and the form in which it is stored."""

import unicodedata
from typing import Any, Final, TypeVar

import msgspec

from presence_engine.chat_models import IncomingMessage, MessageContent, OutgoingMessage
from presence_engine.errors import InvalidInput
from presence_engine.ids import MAX_SAFE_INTEGER, utf8_size
from presence_engine.inputs import checked_whole, exact_json
from presence_engine.replies import RECORD_SEPARATOR

MAX_TEXT_BYTES: Final = 16_384
MAX_FIELD_BYTES: Final = 2_048
MAX_LEADS_BYTES: Final = 4_096
DEFAULT_TITLE: Final = "Personal"

T = TypeVar("T", IncomingMessage, OutgoingMessage)


def read_incoming(payload: object) -> IncomingMessage:
    """Read the body of a customer's message. Raises InvalidInput with the field's name; unknown fields are ignored."""
    return _read(payload, IncomingMessage)


def read_outgoing(payload: object) -> OutgoingMessage:
    """Read the body of an agent's message. Raises InvalidInput with the field's name; unknown fields are ignored."""
    return _read(payload, OutgoingMessage)


def _read(payload: object, kind: type[T]) -> T:
    if not isinstance(payload, dict):
        raise InvalidInput("payload", "must be an object")
    for name in kind.__struct_fields__:
        if name in payload:
            _check_type(kind, name, payload[name])
        elif name in {"phone", "room_id", "user_id"}:
            raise InvalidInput(name, "is missing")
    return msgspec.convert({name: payload[name] for name in kind.__struct_fields__ if name in payload}, kind)


def _check_type(kind: type[T], name: str, value: object) -> None:
    wanted = _TYPES[kind][name]
    try:
        msgspec.convert(value, wanted)
    except (msgspec.ValidationError, OverflowError):
        raise InvalidInput(name, "has the wrong type") from None


_TYPES: Final[dict[type[Any], dict[str, Any]]] = {
    kind: {field.name: field.type for field in msgspec.structs.fields(kind)}
    for kind in (IncomingMessage, OutgoingMessage)
}


def stored_body(content: MessageContent, user_id: str | None, text: str | None = None) -> str:
    """Return the JSON under which a message is kept: what was given, without empty fields."""
    kept: dict[str, Any] = {} if user_id is None else {"user_id": user_id}
    for name in MessageContent.__struct_fields__:
        value = getattr(content, name)
        if name == "content_text" and value in (None, ""):
            value = text
        if value is None or value == "":
            continue
        _check_size(name, value)
        kept[name] = value
    return exact_json(kept, "metadata")


def _check_size(name: str, value: Any) -> None:
    if isinstance(value, str):
        check_text(name, value, MAX_TEXT_BYTES if name == "content_text" else MAX_FIELD_BYTES)
    elif name == "metadata":
        _check_object(name, value, MAX_TEXT_BYTES)
    else:
        checked_whole(value, name, 0, MAX_SAFE_INTEGER)


def check_text(name: str, value: object, most: int = MAX_FIELD_BYTES) -> None:
    if not isinstance(value, str):
        raise InvalidInput(name, "must be text")
    if utf8_size(value, name) > most:
        raise InvalidInput(name, f"must have at most {most} UTF-8 bytes")


def _check_object(name: str, value: object, most: int) -> None:
    if not isinstance(value, dict):
        raise InvalidInput(name, "must be an object")
    if len(exact_json(value, name).encode()) > most:
        raise InvalidInput(name, f"must have at most {most} bytes as JSON")


def room_details(
    phone: str, customer_name: str | None, room_title: str | None, leads_info: dict[str, Any] | None
) -> str:
    """Return what a call tells about a room, in the form of lua/shared/chat_info.lua. phone: canonical.

    The name is the customer's, else a title other than `Personal`, else the lead's, else `Customer {phone}`; blank is
    missing. Its rank lets a later, better one take its place.
    """
    customer_name, room_title = _given("customer_name", customer_name), _given("room_title", room_title)
    if room_title is not None and room_title.strip().casefold() == DEFAULT_TITLE.casefold():
        room_title = None
    if leads_info is not None:
        _check_object("leads_info", leads_info, MAX_LEADS_BYTES)
    lead = leads_info.get("name") if leads_info else None
    lead_name = lead if isinstance(lead, str) and not is_blank(lead) else None
    names = (f"Customer {phone}", lead_name, room_title, customer_name)
    rank, name = max((rank, name) for rank, name in enumerate(names) if name)
    title = "" if room_title is None else exact_json(room_title, "room_title")
    leads = "" if leads_info is None else exact_json(leads_info, "leads_info")
    return RECORD_SEPARATOR.join((phone, title, str(rank), exact_json(name, "customer_name"), leads))


def _given(name: str, value: str | None) -> str | None:
    if value is None:
        return None
    check_text(name, value)
    return None if is_blank(value) else value


def is_blank(text: str) -> bool:
    """Nothing to see: white space, control characters and invisible marks only."""
    return all(char.isspace() or unicodedata.category(char) in {"Cc", "Cf"} for char in text)
