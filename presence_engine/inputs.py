"""The rules of arguments other than ids: checked before anything is sent, and turned into what scripts are given."""

import json
from typing import Any, Final, TypeGuard

import msgspec

from presence_engine.errors import InvalidInput, TooLarge
from presence_engine.ids import canonical_id
from presence_engine.times import MAX_MS

MAX_PAGE: Final = 1000
MAX_NAME_BYTES: Final = 128
MAX_DATA_BYTES: Final = 4096
MAX_MESSAGE_BYTES: Final = 1024

# Python's own, exact for big integers; made once, which is most of its cost.
to_json: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def clock(now_ms: int | None) -> int | str:
    """What a script is told of the time: empty, and it asks the clock of Redis."""
    return "" if now_ms is None else now_ms


def text_json(value: str, field: str) -> str:
    """The JSON text of a string. Raises InvalidInput naming `field`."""
    if not isinstance(value, str):
        raise InvalidInput(field, "must be a string")
    try:
        return msgspec.json.encode(value).decode()
    except UnicodeEncodeError:
        raise InvalidInput(field, "is not valid Unicode") from None


def exact_json(value: object, field: str) -> str:
    """The JSON text of any value, integers of any size exact. Raises InvalidInput naming `field`."""
    try:
        text = to_json(value)
        text.encode()
    except (ValueError, TypeError, RecursionError):
        raise InvalidInput(field, "must be JSON of finite numbers and valid Unicode") from None
    return text


def id_json(user: str | int) -> str:
    """The JSON text of an id as given. A string is the default, and so `""`; a number is kept."""
    return "" if isinstance(user, str) else canonical_id(user, "userId")


def name_json(username: str | None) -> str:
    """The JSON text of a name, `""` for none. Raises InvalidInput naming `username`."""
    if username is None:
        return ""
    text = text_json(username, "username")
    if not 1 <= len(username.encode()) <= MAX_NAME_BYTES:
        raise InvalidInput("username", f"must have 1–{MAX_NAME_BYTES} UTF-8 bytes")
    return text


def message_json(message: str | None) -> str:
    """The JSON text of a message, `""` for none. Raises InvalidInput or TooLarge naming `message`."""
    if message is None:
        return ""
    text = text_json(message, "message")
    if not message:
        raise InvalidInput("message", "must not be empty")
    if len(message.encode()) > MAX_MESSAGE_BYTES:
        raise TooLarge("message", f"must have at most {MAX_MESSAGE_BYTES} UTF-8 bytes")
    return text


def data_json(data: dict[str, Any] | None) -> str:
    """The JSON text of a member's data, `""` for none. Raises InvalidInput or TooLarge naming `data`."""
    if data is None:
        return ""
    if not isinstance(data, dict):
        raise InvalidInput("data", "must be an object")
    text = exact_json(data, "data")
    if len(text.encode()) > MAX_DATA_BYTES:
        raise TooLarge("data", f"must have at most {MAX_DATA_BYTES} bytes as JSON")
    return text


def checked_ms(value: int, field: str, *, since_epoch: bool = False) -> int:
    """Raise InvalidInput naming `field` unless it is a whole number of milliseconds, 0 to some three hundred years."""
    if not is_whole(value, 0, MAX_MS):
        since = " since the epoch" if since_epoch else ""
        raise InvalidInput(field, f"must be whole milliseconds{since}, 0 to {MAX_MS}")
    return value


def lease(lease_ms: int) -> int:
    """Raise InvalidInput naming `leaseMs`: a shorter one would run out between two renewals, which go on and on."""
    return checked_whole(lease_ms, "leaseMs", 100, MAX_MS)


def node_name(name: str) -> str:
    """A control character would end the name where it is kept, and make it another's."""
    return canonical_id(name, "name")


def is_whole(value: object, least: int, most: int) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def checked_whole(value: int, field: str, least: int, most: int) -> int:
    """Raise InvalidInput naming `field` unless it is an integer from `least` to `most`."""
    if not is_whole(value, least, most):
        raise InvalidInput(field, f"must be an integer from {least} to {most}")
    return value


def checked_limit(limit: int, least: int) -> int:
    """Raise InvalidInput naming `limit` unless it is an integer from `least` to 1,000."""
    return checked_whole(limit, "limit", least, MAX_PAGE)


def read_cursor(cursor: str | None) -> tuple[str, str]:
    """The joinedAt and the user a cursor stands for, empty without one. Raises InvalidInput naming `cursor`."""
    if cursor is None:
        return "", ""
    joined_at, colon, user = cursor.partition(":") if isinstance(cursor, str) else ("", "", "")
    if not colon or not (joined_at.isascii() and joined_at.isdecimal() and len(joined_at) < 16):
        raise InvalidInput("cursor", "must be the cursor of an earlier page")
    return joined_at, canonical_id(user, "cursor")
