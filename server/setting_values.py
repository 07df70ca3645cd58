"""How the text of a variable becomes a value: what a variable is, and its parsers, each with what it expects."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from ipaddress import IPv6Address
from pathlib import Path
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

# Ten years: far above any sensible life, and the milliseconds stay exact in a Lua number.
LONGEST_S = 315_360_000

_NUMBER = re.compile(r"[0-9]{1,15}(\.[0-9]{1,9})?|\.[0-9]{1,9}")
_WHOLE = re.compile(r"[0-9]{1,15}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^\s/?#@,*]+", re.IGNORECASE)
_NAMESPACE = re.compile(r"/[^\s,?#]*")
_HOST = re.compile(r"[^\s/?#@,\[\]:]+|\[?[0-9a-f:.]*:[0-9a-f:.]*\]?", re.IGNORECASE)

SWITCH_WORDS = {"on": True, "true": True, "yes": True, "1": True, "off": False, "false": False, "no": False, "0": False}


@dataclass(frozen=True, slots=True)
class Parser:
    """Turns a text without surrounding whitespace into a value; raises `ValueError` for anything not `expected`."""

    expected: str
    parse: Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class Variable:
    """One environment variable: how it is read, its default as one would write it, and what it means.

    Without a `default` the value is None or found out at start; `shown` then says so in the documentation.
    """

    name: str
    parser: Parser
    default: str = ""
    doc: str = ""
    shown: str = ""
    secret: bool = False

    @property
    def shown_default(self) -> str:
        """The default as the documentation's table shows it."""
        return self.shown or (f"`{self.default}`" if self.default else "none")


def variable(
    name: str, parser: Parser, default: str = "", doc: str = "", *, shown: str = "", secret: bool = False
) -> Any:
    """Make a dataclass field that is read from the variable `name`; a secret stays out of the `repr`."""
    return field(repr=not secret, metadata={"variable": Variable(name, parser, default, doc, shown, secret)})


def _number(text: str, pattern: re.Pattern[str]) -> Decimal:
    # Decimal and float accept "1_000", "NaN", "inf" and Arabic digits; a setting does not.
    if pattern.fullmatch(text) is None:
        raise ValueError(text)
    return Decimal(text)


def seconds(minimum: str = "0.001") -> Parser:
    """Seconds from `minimum`, fractions allowed; the value is whole milliseconds (int)."""

    def parse(text: str) -> int:
        value = _number(text, _NUMBER)
        if not Decimal(minimum) <= value <= LONGEST_S:
            raise ValueError(text)
        return round(value * 1000)

    return Parser(f"seconds, {_at_least(minimum)} and at most {LONGEST_S}", parse)


def _at_least(minimum: str) -> str:
    return "more than 0" if minimum == "0.001" else f"at least {minimum}"


def whole(minimum: int, maximum: int) -> Parser:
    """A whole number from `minimum` to `maximum`."""

    def parse(text: str) -> int:
        value = int(_number(text, _WHOLE))
        if not minimum <= value <= maximum:
            raise ValueError(text)
        return value

    return Parser(f"a whole number from {minimum} to {maximum}", parse)


def one_of(*words: str) -> Parser:
    """One of `words`, in any case."""

    def parse(text: str) -> str:
        return words[words.index(text.lower())]

    return Parser(f"one of {', '.join(words)}", parse)


def _rate(text: str) -> tuple[float, int]:
    if text == "0":
        return 0.0, 0
    per_second, _, burst = (part.strip() for part in text.partition("/"))
    value = float(_number(per_second, _NUMBER)), int(_number(burst, _WHOLE))
    if not value[0] or not value[1]:
        raise ValueError(text)
    return value


def _text(maximum_bytes: int) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if _CONTROL.search(text) or len(text.encode()) > maximum_bytes:
            raise ValueError
        return text

    return parse


def _shared_secret(text: str) -> str:
    # A public key used as a shared secret lets everybody who has read it sign tokens.
    if "-----BEGIN" in text:
        raise ValueError
    return _text(4096)(text)


def _public_key(text: str) -> str:
    pem = text.replace("\\n", "\n") if text.startswith("-----BEGIN") else Path(text).read_text(encoding="ascii")
    try:
        key = load_pem_public_key(pem.encode("ascii"))
    except UnsupportedAlgorithm as error:
        raise ValueError from error
    if isinstance(key, RSAPublicKey) or (isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1)):
        return pem
    raise ValueError


def _namespaces(text: str) -> tuple[str, ...]:
    named = [part.strip() for part in text.split(",") if part.strip()]
    if not all(_NAMESPACE.fullmatch(part) for part in named):
        raise ValueError(text)
    return tuple(dict.fromkeys(["/", *named]))


def _origins(text: str) -> tuple[str, ...]:
    origins = [part.strip() for part in text.split(",") if part.strip()]
    if not all(part == "*" or _ORIGIN.fullmatch(part) for part in origins):
        raise ValueError(text)
    return tuple(dict.fromkeys(origins))


def _host(text: str) -> str:
    if _HOST.fullmatch(text) is None:
        raise ValueError(text)
    bare = text.strip("[]")
    # A colon belongs to an address of IPv6, or is a port that stands in the wrong variable.
    return str(IPv6Address(bare)) if ":" in bare else bare


switch = Parser("on or off", lambda text: SWITCH_WORDS[text.lower()])
path = Parser("a path", lambda text: Path(_text(4096)(text)))
host = Parser("a host name or address, without scheme or port", _host)
name = Parser("a name of at most 64 bytes without control characters", _text(64))
text = Parser("a text of at most 4096 bytes without control characters", _text(4096))
shared_secret = Parser("a shared secret without control characters, not a PEM key", _shared_secret)
public_key = Parser("an RSA or P-256 public key as PEM, or the path of a file with one", _public_key)
rate = Parser("events a second/burst, such as 50/100, or 0 for no limit", _rate)
namespaces = Parser("namespaces that start with /, separated by commas", _namespaces)
origins = Parser("origins such as https://example.org without a path, separated by commas, or *", _origins)
