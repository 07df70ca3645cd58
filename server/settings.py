"""The settings: one table, which is the settings object itself, and the only reader of the environment."""

import dataclasses
import difflib
import os
import secrets
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from presence_engine import MAX_PARTITIONS, ConfigurationError
from server import redis_address as address
from server import setting_values as kind
from server.masking import mask_url
from server.setting_values import Variable, variable

CLUSTER_PARTITIONS = 128
MANY = 1_000_000

REDIS_URL = Variable(
    "REDIS_URL",
    kind.Parser(address.EXPECTED, address.check_redis_url),
    doc="the store: `redis://` `rediss://` `unix://` `redis+sentinel://host:26379,…/service/0`"
    " `redis+cluster://host:7000,…`, both over TLS with `rediss`; wins over the four below",
    shown="embedded",
    secret=True,
)
REDIS_PARTS = (
    Variable("REDIS_HOST", kind.host, doc="host of the store", shown="localhost, once one of these four is set"),
    Variable("REDIS_PORT", kind.whole(1, 65535), doc="its port", shown="6379"),
    Variable("REDIS_PASSWORD", kind.text, doc="its password; empty means none", secret=True),
    Variable("REDIS_DB", kind.whole(0, 65535), doc="its database", shown="0"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything the server was told at start. Times are whole milliseconds (`*_ms`), limits of 0 mean no limit.

    `repr` and `masked_redis_url` may be logged; no secret appears in them.
    """

    redis_url: str | None = dataclasses.field(repr=False)
    data_dir: Path = variable("PRESENCE_DATA_DIR", kind.path, ".presence", "where the embedded store keeps its data")

    ttl_ms: int = variable("PRESENCE_TTL", kind.seconds(), "21600", "life without a heartbeat")
    heartbeat_interval_ms: int = variable("PRESENCE_HEARTBEAT_INTERVAL", kind.seconds(), "25", "told to clients")
    grace_ms: int = variable("PRESENCE_GRACE", kind.seconds("0"), "15", "life after an abrupt disconnect; 0 = none")
    grace_ping_timeout_ms: int = variable(
        "PRESENCE_GRACE_PING_TIMEOUT", kind.seconds("0"), "60", "life after a ping timeout; 0 = none"
    )
    sweep_interval_ms: int = variable(
        "PRESENCE_SWEEP_INTERVAL", kind.seconds(), "30", "the sweeper's longest sleep; it wakes for a nearer deadline"
    )
    lease_ms: int = variable("PRESENCE_LEASE", kind.seconds("1"), "10", "life of a node without renewal")
    node_name: str = variable(
        "PRESENCE_NODE_NAME",
        kind.name,
        doc="a fixed name makes a restart clean up after its own earlier boot at once; each worker adds its number."
        " No two live servers may share one: the second to start puts out whom the first holds",
        shown="host name + random",
    )
    node_name_fixed: bool
    room_policy_file: Path | None = variable(
        "PRESENCE_ROOM_POLICY",
        kind.path,
        doc="TOML file: room patterns → `ttl`, `grace`, `capacity`, `inactivity_message`",
    )
    force_disconnect: Literal["last-room", "always", "never"] = variable(
        "PRESENCE_FORCE_DISCONNECT",
        kind.one_of("last-room", "always", "never"),
        "last-room",
        "when a force-leave also closes the connection: `last-room` `always` `never`",
    )
    ping_interval_ms: int = variable("PRESENCE_PING_INTERVAL", kind.seconds(), "25", "Engine.IO ping interval")
    ping_timeout_ms: int = variable("PRESENCE_PING_TIMEOUT", kind.seconds(), "20", "Engine.IO ping timeout")
    namespaces: tuple[str, ...] = variable(
        "PRESENCE_NAMESPACES", kind.namespaces, "/", "Socket.IO namespaces, comma-separated; `/` is always one of them"
    )
    partitions: int = variable(
        "PRESENCE_PARTITIONS", kind.whole(1, MAX_PARTITIONS), doc="fixed with the data", shown="1 (Cluster: 128)"
    )
    user_index: bool = variable("PRESENCE_USER_INDEX", kind.switch, "on", "answers in which rooms a user is")

    diff_window_ms: int = variable("PRESENCE_DIFF_WINDOW", kind.seconds("0"), "0.05", "changes folded into one diff")
    large_room: int = variable("PRESENCE_LARGE_ROOM", kind.whole(1, MANY), "200", "members above which a room is large")
    diff_window_large_ms: int = variable(
        "PRESENCE_DIFF_WINDOW_LARGE", kind.seconds("0"), "0.25", "the same window in a large room"
    )
    counts_room: int = variable(
        "PRESENCE_COUNTS_ROOM", kind.whole(1, MANY), "2000", "members above which a room is told counts, not diffs"
    )
    count_window_ms: int = variable("PRESENCE_COUNT_WINDOW", kind.seconds("0"), "1.0", "time between two counts")

    env: Literal["development", "production"] = variable(
        "PRESENCE_ENV",
        kind.one_of("development", "production"),
        "development",
        "`production` refuses to start without authentication and warns about a loopback store",
    )
    jwt_secret: str | None = variable(
        "PRESENCE_JWT_SECRET",
        kind.shared_secret,
        doc="turns authentication on (HS256): claims `sub` (user), `name`, `rooms` (patterns, default all), `admin`",
        secret=True,
    )
    jwt_public_key: str | None = variable(
        "PRESENCE_JWT_PUBLIC_KEY",
        kind.public_key,
        doc="the same with RS256 or ES256: PEM text, or the path of a PEM file",
        secret=True,
    )
    jwt_audience: str | None = variable(
        "PRESENCE_JWT_AUDIENCE",
        kind.text,
        doc="the `aud` that every token must name; without this setting a token that names one is refused",
    )
    auth: Literal["auto", "none"] = variable(
        "PRESENCE_AUTH", kind.one_of("auto", "none"), "auto", "`none` allows production without authentication"
    )
    token_grace_ms: int = variable(
        "PRESENCE_TOKEN_GRACE", kind.seconds("0"), "30", "time for `auth:refresh` once a socket's token has expired"
    )
    admin_token: str | None = variable(
        "PRESENCE_ADMIN_TOKEN",
        kind.shared_secret,
        doc="bearer token of the admin routes; without it and without an admin claim they answer 403",
        secret=True,
    )
    cors_origins: tuple[str, ...] = variable(
        "PRESENCE_CORS_ORIGINS",
        kind.origins,
        doc="beside the server's own, comma-separated; `*` only if written",
        shown="same origin",
    )
    rate_limit: tuple[float, int] = variable(
        "PRESENCE_RATE_LIMIT", kind.rate, "50/100", "events a second / burst, per socket; heartbeats count; 0 = none"
    )
    max_user_connections: int = variable(
        "PRESENCE_MAX_USER_CONNECTIONS", kind.whole(0, MANY), "20", "connections a user may hold; 0 = no limit"
    )
    max_user_rooms: int = variable(
        "PRESENCE_MAX_USER_ROOMS", kind.whole(0, MANY), "100", "rooms a user may be in; 0 = no limit"
    )
    connect_rate: int = variable(
        "PRESENCE_CONNECT_RATE", kind.whole(0, MANY), "200", "new connections a second and address; 0 = no limit"
    )
    demo: bool = variable("PRESENCE_DEMO", kind.switch, doc="the demo page at `/`", shown="on (production: off)")

    board_ttl_ms: int = variable("BOARD_TTL", kind.seconds(), "86400", "life of a board without a change or a join")
    chat_legacy_events: bool = variable(
        "CHAT_LEGACY_EVENTS", kind.switch, "false", "adds `new_room` and `new_room_with_message`"
    )
    chat_max_messages: int = variable(
        "CHAT_MAX_MESSAGES", kind.whole(1, 100 * MANY), "10000", "messages kept in a chat room"
    )
    chat_max_age_ms: int = variable("CHAT_MAX_AGE", kind.seconds("0"), "0", "how long they are kept; 0 = no limit")
    chat_webhook_secret: str | None = variable(
        "CHAT_WEBHOOK_SECRET", kind.shared_secret, doc="checks the signature of webhook calls", secret=True
    )
    chat_webhook_verify_token: str | None = variable(
        "CHAT_WEBHOOK_VERIFY_TOKEN", kind.shared_secret, doc="answers the webhook's verification", secret=True
    )
    warnings: tuple[str, ...]

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] = os.environ) -> "Settings":
        """Read the settings from `environ`. Whitespace around a value is dropped and a blank value counts as unset.

        Raises `ConfigurationError` whose one line names the variable and what was expected, never a secret's value.
        """
        values = {name: _read(entry, environ) for name, entry in _fields()}
        values["redis_url"] = redis_url = _redis_url(environ)
        values["node_name_fixed"] = values["node_name"] is not None
        values["node_name"] = values["node_name"] or _random_node_name()
        values["cors_origins"] = values["cors_origins"] or ()
        on_cluster = redis_url is not None and redis_url.startswith(("redis+cluster:", "rediss+cluster:"))
        values["partitions"] = values["partitions"] or (CLUSTER_PARTITIONS if on_cluster else 1)
        if values["demo"] is None:
            values["demo"] = values["env"] == "development"
        settings = cls(**values, warnings=())
        _check_authentication(settings)
        return dataclasses.replace(settings, warnings=(*_warnings(settings), *_unknown(environ)))

    @property
    def embedded(self) -> bool:
        """Whether no store was named, so that the embedded one is started."""
        return self.redis_url is None

    @property
    def production(self) -> bool:
        """Whether `PRESENCE_ENV` is `production`."""
        return self.env == "production"

    @property
    def auth_enabled(self) -> bool:
        """Whether a key for tokens is set, so that sockets and routes ask for one."""
        return self.jwt_secret is not None or self.jwt_public_key is not None

    @property
    def masked_redis_url(self) -> str:
        """The store's address without credentials, or `embedded`."""
        return "embedded" if self.redis_url is None else mask_url(self.redis_url)

    @property
    def secret_values(self) -> tuple[str, ...]:
        """Every secret in these settings as it could turn up in a text, for logs to mask."""
        named = (self.jwt_secret, self.admin_token, self.chat_webhook_secret, self.chat_webhook_verify_token)
        in_url = address.credentials_of(self.redis_url) if self.redis_url else ()
        return (*(secret for secret in named if secret), *in_url)

    def for_worker(self, number: int) -> "Settings":
        """Return the settings of one of several workers: a fixed node name with its number, else a new random name."""
        name = f"{self.node_name}-{number}" if self.node_name_fixed else _random_node_name()
        return dataclasses.replace(self, node_name=name)


def variables() -> tuple[Variable, ...]:
    """Return every variable that is read, in the order of the documentation."""
    return (REDIS_URL, *REDIS_PARTS, *(entry for _, entry in _fields()))


def settings_table() -> str:
    """Return the table of all variables as Markdown, for the documentation."""
    rows = "".join(f"| `{v.name}` | {v.shown_default} | {v.doc} |\n" for v in variables())
    return f"| variable | default | meaning |\n|---|---|---|\n{rows}"


def _fields() -> Iterator[tuple[str, Variable]]:
    for field in dataclasses.fields(Settings):
        if "variable" in field.metadata:
            yield field.name, field.metadata["variable"]


def _read(entry: Variable, environ: Mapping[str, str]) -> Any:
    text = environ.get(entry.name, "").strip() or entry.default
    if not text:
        return None
    try:
        return entry.parser.parse(text)
    except (ValueError, KeyError, OSError):
        got = "" if entry.secret else f", got {ascii(text)[:60]}"
        # `from None`: the error it came from may hold the secret.
        raise ConfigurationError(f"{entry.name}: expected {entry.parser.expected}{got}") from None


def _redis_url(environ: Mapping[str, str]) -> str | None:
    url: str | None = _read(REDIS_URL, environ)
    # The parts are not even looked at beside a URL: Kubernetes sets REDIS_PORT=tcp://… for a service named redis.
    if url is not None or not any(environ.get(part.name, "").strip() for part in REDIS_PARTS):
        return url
    return address.url_from_parts(*(_read(part, environ) for part in REDIS_PARTS))


def _random_node_name() -> str:
    return f"{socket.gethostname()[:57]}-{secrets.token_hex(3)}"


def _check_authentication(settings: Settings) -> None:
    if settings.jwt_secret and settings.jwt_public_key:
        raise ConfigurationError("PRESENCE_JWT_PUBLIC_KEY: expected nothing beside PRESENCE_JWT_SECRET, one of the two")
    if settings.production and not settings.auth_enabled and settings.auth != "none":
        raise ConfigurationError(
            "PRESENCE_JWT_SECRET: expected a secret because PRESENCE_ENV is production"
            " (or PRESENCE_JWT_PUBLIC_KEY, or PRESENCE_AUTH=none to go without authentication)"
        )


def _warnings(settings: Settings) -> Iterator[str]:
    if settings.production:
        if settings.redis_url is None:
            yield "REDIS_URL: no store is named, so the embedded one runs; it is meant for development"
        elif address.is_local(settings.redis_url):
            yield "REDIS_URL: a loopback store in production; servers on other machines cannot share it"
        if settings.jwt_secret and len(settings.jwt_secret.encode()) < 32:
            yield "PRESENCE_JWT_SECRET: shorter than the 32 bytes that HS256 asks for"
    if settings.auth == "none" and settings.auth_enabled:
        yield "PRESENCE_AUTH: none has no effect beside a key for tokens; authentication is on"
    if settings.heartbeat_interval_ms >= settings.ttl_ms:
        yield "PRESENCE_HEARTBEAT_INTERVAL: not shorter than PRESENCE_TTL, so members expire between two beats"


def _unknown(environ: Mapping[str, str]) -> Iterator[str]:
    known = [v.name for v in variables()]
    kinds = tuple({f"{name.partition('_')[0]}_" for name in known})
    for name in sorted(environ):
        if name.startswith(kinds) and name not in known:
            # What does not start with our own name may well be somebody else's.
            ours = name.startswith("PRESENCE_")
            nearest = difflib.get_close_matches(name, known, 1, 0.6 if ours else 0.9)
            if ours or nearest:
                yield f"{name}: no such setting" + (f", perhaps {nearest[0]}" if nearest else "")
