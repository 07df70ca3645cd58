"""What the URL of a Redis says: its hosts, its credentials, and the options of its connections."""

import os
import re
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from redis.asyncio.connection import URL_QUERY_ARGUMENT_PARSERS

from presence_engine.errors import ConfigurationError

Place = tuple[str, int]

_HOST: Final = re.compile(r"^(\[[0-9a-fA-F:.]+\]|[^:\[\]]+)(?::(\d+))?$")

# What an address may say of its connections. Whatever else redis-py would take is ours to decide.
_PARAMETERS: Final = frozenset(
    {
        *("db", "username", "password", "client_name"),
        *("socket_timeout", "socket_connect_timeout", "socket_keepalive", "socket_read_size"),
    }
)
TLS_PARAMETERS: Final = frozenset(
    {
        *("ssl_ca_certs", "ssl_ca_path", "ssl_ca_data", "ssl_certfile", "ssl_keyfile", "ssl_password"),
        *("ssl_cert_reqs", "ssl_check_hostname", "ssl_min_version", "ssl_ciphers"),
        *("ssl_include_verify_flags", "ssl_exclude_verify_flags"),
    }
)
_FILES: Final = frozenset({"ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile"})
# An address is often shared with other programs: these are taken, and have no effect here.
_OURS: Final = frozenset(
    {
        *("protocol", "legacy_responses", "decode_responses", "encoding", "encoding_errors"),
        *("retry", "retry_on_timeout", "retry_on_error", "max_connections", "health_check_interval"),
    }
)


def shown(place: Place) -> str:
    """A place as it is written."""
    host, port = place
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def options_of(url: str, *own: str) -> dict[str, Any]:
    """What the query says of every connection, and `own` parameters. Raises ConfigurationError, which names one."""
    scheme, query = url.partition("://")[0], urlsplit(url).query
    takes = _PARAMETERS.union(own, TLS_PARAMETERS if scheme.startswith("rediss") else ())
    found: dict[str, Any] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in takes | _OURS:
            hint = "; TLS is asked for by its scheme, rediss instead of redis" if name.startswith("ssl") else ""
            named = repr(name) if name.isidentifier() else "of such a name"
            raise ConfigurationError(f"the Redis URL ({scheme}://…) takes no parameter {named}{hint}")
        try:
            if value and name not in _OURS:
                found.setdefault(name, URL_QUERY_ARGUMENT_PARSERS.get(name, str)(value))
        except (ValueError, TypeError):
            raise ConfigurationError(f"the Redis URL ({scheme}://…) has no usable value for {name!r}") from None
        # What fails to connect later says that there is no such file, and not which.
        if value and name in _FILES and not os.access(value, os.R_OK):
            raise ConfigurationError(f"the Redis URL ({scheme}://…) names nothing that can be read as {name!r}")
    return found


def parts_of(url: str, default_port: int) -> tuple[list[Place], dict[str, str], str]:
    """The hosts, the credentials, the path. Raises ValueError where a host or port cannot be read."""
    split = urlsplit(url)
    userinfo, _, hosts = split.netloc.rpartition("@")
    user, _, password = userinfo.partition(":")
    credentials = {"username": unquote(user), "password": unquote(password)}
    places = []
    for text in hosts.split(","):
        match = _HOST.match(text)
        if match is None:
            raise ValueError
        places.append((match.group(1).strip("[]"), int(match.group(2) or default_port)))
    return places, {key: value for key, value in credentials.items() if value}, split.path
