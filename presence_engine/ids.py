"""The one rule of identities: what a room, a user, a connection may be called."""

import re
from typing import Final

from presence_engine.errors import InvalidInput

MAX_ID_BYTES: Final = 128
MAX_SAFE_INTEGER: Final = 2**53 - 1
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def canonical_id(value: object, field: str) -> str:
    """Return the canonical text of an id: `15`, `15.0` and `"15"` are one.

    value: str of 1–128 UTF-8 bytes without control characters, or an integer within ±(2^53−1).
    Raises InvalidInput naming `field` for everything else (booleans, null, fractions, lone surrogates).
    """
    if type(value) is str and value.isascii() and value.isprintable() and 0 < len(value) <= MAX_ID_BYTES:
        return value
    if isinstance(value, str):
        _check_text(value, field)
        # A member of an enumeration is text, but would be written by its name.
        return str.__str__(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        if abs(value) > MAX_SAFE_INTEGER:
            raise InvalidInput(field, "must lie within ±(2^53−1) as an integer; send larger ids as strings")
        return str(int(value))
    raise InvalidInput(field, "must be a string of 1–128 UTF-8 bytes or an integer")


def utf8_size(text: str, field: str) -> int:
    """How many bytes a text has. Raises InvalidInput naming `field` for half a surrogate pair."""
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        raise InvalidInput(field, "is not valid Unicode") from None


def _check_text(value: str, field: str) -> None:
    if not 1 <= utf8_size(value, field) <= MAX_ID_BYTES:
        raise InvalidInput(field, f"must have 1–{MAX_ID_BYTES} UTF-8 bytes")
    if _CONTROL.search(value):
        raise InvalidInput(field, "must not contain control characters")
