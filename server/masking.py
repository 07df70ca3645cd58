"""Masking of secrets in anything that may reach a log line, an error or a `repr`."""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

MASK = "***"

_MAX_DEPTH = 8
_SHORTEST_KNOWN_SECRET = 6
_SECRET_KEY = re.compile(r"token|passw|secret|authorization|cookie|credential", re.IGNORECASE)

# Store addresses may carry a password written as it is, with `/`, `:` and `@` inside: everything up to the last `@`
# of the word is taken. Other addresses end their credentials before the first `/`.
_STORE_CREDENTIALS = re.compile(
    r"\b((?:redis|rediss|valkey|valkeys|rediss?\+\w+)://|unix://(?!/))[^\s\"'<>]*@", re.IGNORECASE
)
_URL_CREDENTIALS = re.compile(r"\b([a-z][a-z0-9+.-]*://)[^\s/?#\"'<>]*@", re.IGNORECASE)
_ASSIGNMENT = re.compile(
    r"((?:token|passw(?:or)?d|secret|username)[\w-]*=)[^&\s\"',;)}\]]+",
    re.IGNORECASE,
)
_BEARER = re.compile(r"\b(Bearer|bearer|BEARER|Basic|basic) +[\w.~+/=-]{6,}")
_JWT = re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]*")


def mask_url(url: str) -> str:
    """Return one whole store address without user name and password, also when they are not percent-encoded.

    Credentials among the query parameters are masked too. A text without credentials comes back unchanged.
    """
    scheme, mark, rest = url.partition("://")
    userinfo, at, tail = rest.rpartition("@")
    if mark and at and not (scheme.lower() == "unix" and userinfo.startswith("/")):
        url = f"{scheme}://{MASK}@{tail}"
    return _ASSIGNMENT.sub(rf"\1{MASK}", url)


def mask_text(text: str, known: Iterable[str] = ()) -> str:
    """Return `text` without credentials of addresses, bearer tokens, `password=…` pairs and the `known` secrets."""
    for secret in known:
        text = text.replace(secret, MASK)
    # Looking for a short text is far cheaper than a pattern, and most lines hold none of these.
    if "://" in text:
        text = _STORE_CREDENTIALS.sub(rf"\1{MASK}@", text)
        text = _URL_CREDENTIALS.sub(rf"\1{MASK}@", text)
    if "=" in text:
        text = _ASSIGNMENT.sub(rf"\1{MASK}", text)
    if " " in text:
        text = _BEARER.sub(rf"\1 {MASK}", text)
    return _JWT.sub(MASK, text) if "eyJ" in text else text


@lru_cache(maxsize=1024)
def is_secret_key(key: str) -> bool:
    """Tell whether a value under this key (`token`, `adminToken`, `Authorization`, `db_password`) is never shown."""
    return _SECRET_KEY.search(key) is not None


class Masker:
    """Masks whole values: texts, and mappings and sequences of them at any depth up to 8.

    `known` are secrets of this process, replaced wherever they occur; those under 6 characters are left out, since
    replacing them would tear ordinary words apart. Anything that is no JSON value comes back as its masked `repr`,
    so that no object can bring a secret past.
    """

    __slots__ = ("_known",)

    def __init__(self, known: Iterable[str] = ()) -> None:
        # Longest first: a secret that contains another must not leave its tail behind.
        self._known = tuple(sorted({s for s in known if len(s) >= _SHORTEST_KNOWN_SECRET}, key=len, reverse=True))

    def text(self, text: str) -> str:
        """Return `text` masked."""
        return mask_text(text, self._known)

    def value(self, value: Any, depth: int = 0) -> Any:
        """Return a masked copy of `value`; the value itself is not changed."""
        if isinstance(value, str):
            return self.text(value)
        if value is None or isinstance(value, (bool, int, float)):
            return value
        if depth >= _MAX_DEPTH:
            return "…"
        if isinstance(value, Mapping):
            return {str(k): self.pair(str(k), v, depth + 1) for k, v in value.items()}
        if isinstance(value, (list, tuple, set, frozenset)):
            return [self.value(item, depth + 1) for item in value]
        return self.text(repr(value))

    def pair(self, key: str, value: Any, depth: int = 0) -> Any:
        """Return the masked `value` of `key`: nothing of it when the key names a secret."""
        if is_secret_key(key) and value not in (None, "", False, True):
            return MASK
        return self.value(value, depth)
