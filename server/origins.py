"""From which pages sockets are taken: the server's own, and those that were named."""

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

Allows = Callable[[str | None, Mapping[str, Any]], bool]

_PAGES: Final = {"ws": "http", "wss": "https"}


def allowed_origins(named: tuple[str, ...]) -> Literal["*"] | Allows:
    """What Engine.IO asks. Naming origins adds to the server's own, which Engine.IO itself would then refuse."""
    return "*" if "*" in named else lambda origin, environ: origin in named or origin in _own_origins(environ)


def _own_origins(environ: Mapping[str, Any]) -> set[str]:
    """As Engine.IO reckons them by default: what a browser sees, through a proxy that says so in `X-Forwarded-…`.

    No page can make a browser send those headers, nor a `Host` that is not the one it asks.
    """
    # Engine.IO would take a server that has TLS itself for http, and does not know that some proxies say wss.
    scheme = _first(environ.get("HTTP_X_FORWARDED_PROTO") or environ["asgi.scope"].get("scheme", "http"))
    hosts = {_first(environ[name]) for name in ("HTTP_HOST", "HTTP_X_FORWARDED_HOST") if name in environ}
    return {f"{_PAGES.get(scheme, scheme)}://{host}" for host in hosts}


def _first(header: str) -> str:
    return header.partition(",")[0].strip()
