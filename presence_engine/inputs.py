"""The rules of arguments other than ids: checked before anything is sent, and turned into what scripts are given."""

import json
from typing import Any, Final

from presence_engine.errors import InvalidInput, TooLarge
from presence_engine.ids import canonical_id

MAX_PAGE: Final = 1000
MAX_NAME_BYTES: Final = 128
MAX_DATA_BYTES: Final = 4096


def id_json(user: str | int) -> str:
    """The JSON text of an id as given. A string is the default, and so `""`; a number is kept."""
    return "" if isinstance(user, str) else canonical_id(user, "userId")


def name_json(username: str | None) -> str:
    """The JSON text of a name, `""` for none. Raises InvalidInput naming `username`."""
    if username is None:
        return ""
    if not isinstance(username, str):
        raise InvalidInput("username", "must be a string of 1–128 UTF-8 bytes")
    try:
        size = len(username.encode())
    except UnicodeEncodeError:
        raise InvalidInput("username", "is not valid Unicode") from None
    if not 1 <= size <= MAX_NAME_BYTES:
        raise InvalidInput("username", "must have 1–128 UTF-8 bytes")
    return json.dumps(username, ensure_ascii=False)


def data_json(data: dict[str, Any] | None) -> str:
    """The JSON text of a member's data, `""` for none. Raises InvalidInput or TooLarge naming `data`."""
    if data is None:
        return ""
    if not isinstance(data, dict):
        raise InvalidInput("data", "must be an object")
    try:
        text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        size = len(text.encode())
    except (ValueError, TypeError, RecursionError, UnicodeEncodeError):
        raise InvalidInput("data", "must be a JSON object of finite numbers and valid Unicode") from None
    if size > MAX_DATA_BYTES:
        raise TooLarge("data", f"must have at most {MAX_DATA_BYTES} bytes as JSON")
    return text


def checked_limit(limit: int, least: int) -> int:
    """Raise InvalidInput naming `limit` unless it is an integer from `least` to 1,000."""
    if isinstance(limit, bool) or not isinstance(limit, int) or not least <= limit <= MAX_PAGE:
        raise InvalidInput("limit", f"must be an integer from {least} to {MAX_PAGE}")
    return limit


def read_cursor(cursor: str | None) -> tuple[str, str]:
    """The joinedAt and the user a cursor stands for, empty without one. Raises InvalidInput naming `cursor`."""
    if cursor is None:
        return "", ""
    joined_at, colon, user = cursor.partition(":") if isinstance(cursor, str) else ("", "", "")
    if not colon or not (joined_at.isascii() and joined_at.isdecimal() and len(joined_at) < 16):
        raise InvalidInput("cursor", "must be the cursor of an earlier page")
    return joined_at, canonical_id(user, "cursor")
