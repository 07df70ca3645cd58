"""Addresses of the store: which are accepted, and how they are put together."""

import re
from urllib.parse import quote, unquote

# With `rediss` for `redis` the same over TLS.
SCHEMES = ("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster")
EXPECTED = (
    "an address that starts with " + ", ".join(f"{scheme}://" for scheme in SCHEMES) + " and names a host or path"
)

_HOST = r"(?:\[[0-9a-fA-F:.]+\]|[^\s/?#@,:\[\]]+)"
_HOST_PORT = rf"{_HOST}(?::[0-9]{{1,5}})?"
_QUERY = r"(?:\?[^\s#]*)?"
_TAILS = {
    "redis": re.compile(rf"{_HOST_PORT}(?:/[0-9]{{0,5}}/?)?{_QUERY}"),
    "redis+sentinel": re.compile(rf"{_HOST_PORT}(?:,{_HOST_PORT})*(?:/[^\s/?#@]*(?:/[0-9]{{0,5}})?)?{_QUERY}"),
    "redis+cluster": re.compile(rf"{_HOST_PORT}(?:,{_HOST_PORT})*(?:/0?)?{_QUERY}"),
    "unix": re.compile(rf"/[^?#\x00-\x1f]+{_QUERY}"),
}
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_AUTHORITY = re.compile(r"[^/?#]*")
_PORT = re.compile(rf"(?:^|,){_HOST}:([0-9]{{1,5}})(?=[,/?]|$)")


def check_redis_url(url: str) -> str:
    """Return `url` in the form clients understand: lower-case scheme, credentials percent-encoded where they must be.

    A password written as it is, with `/`, `?`, `#` or `@` inside, is accepted when the address has no other reading.
    Raises `ValueError`, which never holds any part of the address.
    """
    scheme, mark, rest = url.partition("://")
    scheme = scheme.lower()
    if not mark or scheme not in SCHEMES or _CONTROL.search(rest):
        raise ValueError
    authority = _AUTHORITY.match(rest)
    userinfo, at, _ = (authority.group() if authority else "").rpartition("@")
    if _is_tail(scheme, rest[len(userinfo) + len(at) :]):
        return f"{scheme}://{rest}"
    userinfo, at, tail = rest.rpartition("@")
    if at and _is_tail(scheme, tail):
        return f"{scheme}://{_encode(userinfo)}@{tail}"
    raise ValueError


def _is_tail(scheme: str, tail: str) -> bool:
    if _TAILS[scheme.replace("rediss", "redis")].fullmatch(tail) is None:
        return False
    return scheme == "unix" or all(1 <= int(port) <= 65535 for port in _PORT.findall(tail))


def _encode(userinfo: str) -> str:
    return ":".join(quote(unquote(part), safe="") for part in userinfo.split(":", 1))


def url_from_parts(host: str | None, port: int | None, password: str | None, db: int | None) -> str:
    """Build the address from its parts; None stands for localhost, 6379, no password and database 0."""
    place = host or "localhost"
    place = f"[{place}]" if ":" in place else place
    credentials = f":{quote(password, safe='')}@" if password else ""
    return f"redis://{credentials}{place}:{port or 6379}/{db or 0}"


def credentials_of(url: str) -> tuple[str, ...]:
    """Return the passwords in `url`, as written and decoded, so that logs can be kept free of them."""
    userinfo, at, _ = url.partition("://")[2].rpartition("@")
    found = {userinfo.partition(":")[2]} if at and not userinfo.startswith("/") else set()
    found |= set(re.findall(r"passw(?:or)?d=([^&\s]+)", url))
    return tuple(sorted(found | {unquote(text) for text in found} - {""}))


def is_local(url: str) -> bool:
    """Tell whether only this machine reaches `url`: a loopback address or a unix socket."""
    scheme, _, rest = url.partition("://")
    if scheme == "unix":
        return True
    authority = _AUTHORITY.match(rest)
    hosts = (authority.group() if authority else "").rpartition("@")[2].split(",")
    return all(re.fullmatch(r"(localhost|127(\.[0-9]+){3}|\[::1\])(:[0-9]+)?", one, re.IGNORECASE) for one in hosts)
