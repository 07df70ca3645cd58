"""One spelling for every phone, and the chat room that belongs to it."""

import re
import unicodedata
import uuid
from typing import Final

from presence_engine.errors import InvalidInput

MAX_PHONE_DIGITS: Final = 15
"""As many as an international number may have (E.164)."""

_ROOMS: Final = uuid.UUID("5b1c6f0e-7d43-4b52-9a0e-3f6f1d0a2c84")
_TRUNK_ZERO: Final = re.compile(r"(?<=\d)\(0\)")
_PUNCTUATION: Final = frozenset("-./()\u2010\u2011\u2012\u2013\u2014\u2212")


def canonical_phone(phone: object) -> str:
    """Return the digits of a phone number as it is dialled from abroad, 1–15 of them, none leading zero.

    phone: text or a positive integer. Blanks, dashes, dots, slashes, brackets, invisible marks, a `+` in front, zeros
    in front and a `(0)` inside carry no meaning; digits of any script count. `+62 878-5390`, `0062 878 5390` and
    `628785390` are one phone; a national number, without its country, is another. Raises InvalidInput(`phone`).
    """
    if isinstance(phone, int) and not isinstance(phone, bool) and phone > 0:
        phone = str(phone)
    if not isinstance(phone, str):
        raise InvalidInput("phone", "must be a phone number as text")
    kept = "".join(_digit(char) for char in phone if char.isdecimal() or char in "+()" or not _is_filler(char))
    digits = _TRUNK_ZERO.sub("", kept).replace("(", "").replace(")", "").removeprefix("+").lstrip("0")
    if not digits:
        raise InvalidInput("phone", "must have at least one digit other than 0")
    if not (digits.isascii() and digits.isdecimal()):
        raise InvalidInput("phone", "must consist of digits, with the usual punctuation")
    if len(digits) > MAX_PHONE_DIGITS:
        raise InvalidInput("phone", f"must have at most {MAX_PHONE_DIGITS} digits")
    return digits


def room_of_phone(phone: str) -> str:
    """Return the id of a canonical phone's chat room: the same on every server, at every time.

    Whoever knows the phone can compute it, so an id is no secret: reading a room needs permission, not its name.
    """
    return str(uuid.uuid5(_ROOMS, phone))


def _digit(char: str) -> str:
    return str(unicodedata.decimal(char)) if char.isdecimal() else char


def _is_filler(char: str) -> bool:
    """White space, punctuation, and the direction marks that come along when a number is copied."""
    return char.isspace() or char in _PUNCTUATION or unicodedata.category(char) == "Cf"
