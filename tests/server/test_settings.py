"""What the environment may say, what it may not, and that nothing secret comes out again."""

import os
import re
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from redis.connection import parse_url

from presence_engine import ConfigurationError
from server.settings import Settings, settings_table, variables

SECRET = "s3cret-s3cret-s3cret-s3cret-s3cret"  # 34 bytes


def read(environ: Mapping[str, str] | None = None, **more: str) -> Settings:
    return Settings.from_environ({**(environ or {}), **more})


def refusal(environ: Mapping[str, str]) -> str:
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_environ(environ)
    message = str(caught.value)
    assert "\n" not in message
    assert caught.value.__cause__ is None
    return message


def public_pem(key: RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def test_an_empty_environment_gives_the_documented_defaults() -> None:
    settings = read()
    expected: dict[str, Any] = {
        "redis_url": None, "data_dir": Path(".presence"), "ttl_ms": 21_600_000, "heartbeat_interval_ms": 25_000,
        "grace_ms": 15_000, "grace_ping_timeout_ms": 60_000, "sweep_interval_ms": 30_000, "lease_ms": 10_000,
        "room_policy_file": None, "force_disconnect": "last-room", "ping_interval_ms": 25_000,
        "ping_timeout_ms": 20_000, "namespaces": ("/",), "partitions": 1, "user_index": True, "jwt_secret": None,
        "jwt_public_key": None, "auth": "auto", "admin_token": None, "env": "development", "cors_origins": (),
        "rate_limit": (50.0, 100), "board_ttl_ms": 86_400_000, "chat_legacy_events": False,
        "max_user_connections": 20, "max_user_rooms": 100, "connect_rate": 200, "diff_window_ms": 50,
        "diff_window_large_ms": 250, "large_room": 200, "counts_room": 2000, "count_window_ms": 1000, "demo": True,
        "chat_max_messages": 10_000, "chat_max_age_ms": 0, "chat_webhook_secret": None,
        "chat_webhook_verify_token": None, "node_name_fixed": False, "warnings": (),
    }  # fmt: skip
    assert {name: getattr(settings, name) for name in expected} == expected
    assert settings.embedded
    assert not settings.auth_enabled
    assert settings.masked_redis_url == "embedded"


@pytest.mark.parametrize(
    ("text", "ttl_ms"),
    [("2", 2000), (" 2.5\n", 2500), ("0.05", 50), (".5", 500), ("0.001", 1), ("315360000", 315_360_000_000)],
)
def test_003_12_durations_are_seconds_and_come_as_milliseconds(text: str, ttl_ms: int) -> None:
    assert read(PRESENCE_TTL=text).ttl_ms == ttl_ms


def test_c5_grace_of_zero_is_legal() -> None:
    assert read(PRESENCE_GRACE="0", PRESENCE_GRACE_PING_TIMEOUT="0").grace_ms == 0


BAD: list[tuple[str, str]] = [
    *(("PRESENCE_TTL", text) for text in ("0", "0.0", "-1", "NaN", "inf", "1e3", "1_0", "6h", "٣", "0.0001", "9" * 12)),
    ("PRESENCE_GRACE", "-0.1"),
    ("PRESENCE_LEASE", "0.999"),
    ("PRESENCE_SWEEP_INTERVAL", "0"),
    ("PRESENCE_DATA_DIR", "a\x00b"),
    ("PRESENCE_NODE_NAME", "n" * 65),
    ("PRESENCE_NODE_NAME", "two\nlines"),
    ("PRESENCE_FORCE_DISCONNECT", "sometimes"),
    ("PRESENCE_NAMESPACES", "/,chat"),
    ("PRESENCE_PARTITIONS", "0"),
    ("PRESENCE_PARTITIONS", "16385"),
    ("PRESENCE_PARTITIONS", "1.0"),
    ("PRESENCE_USER_INDEX", "maybe"),
    ("PRESENCE_AUTH", "jwt?"),
    ("PRESENCE_ENV", "prod"),
    ("PRESENCE_CORS_ORIGINS", "example.org"),
    ("PRESENCE_CORS_ORIGINS", "https://example.org/path"),
    ("PRESENCE_CORS_ORIGINS", "https://*.example.org"),
    *(("PRESENCE_RATE_LIMIT", text) for text in ("50", "50/", "/100", "0/100", "50/0", "50/1.5", "-5/10", "nan/5")),
    ("PRESENCE_MAX_USER_ROOMS", "-1"),
    ("PRESENCE_CONNECT_RATE", "1.5"),
    ("PRESENCE_LARGE_ROOM", "0"),
    ("PRESENCE_DEMO", "2"),
    ("CHAT_MAX_MESSAGES", "0"),
    ("CHAT_LEGACY_EVENTS", "wahr"),
    ("BOARD_TTL", "0"),
    ("REDIS_PORT", "70000"),
    ("REDIS_PORT", "0"),
    ("REDIS_PORT", "tcp://10.0.0.1:6379"),
    ("REDIS_DB", "-1"),
    ("REDIS_HOST", "redis://localhost"),
    ("REDIS_HOST", "local host"),
    ("REDIS_HOST", "127.0.0.1:5"),
    ("REDIS_HOST", "::1::"),
]


@pytest.mark.parametrize(("name", "text"), BAD)
def test_a_bad_value_is_refused_in_one_line_that_names_the_variable(name: str, text: str) -> None:
    message = refusal({name: text})
    assert message.startswith(f"{name}: expected ")
    assert f"got {ascii(text)[:60]}" in message


def test_every_variable_but_the_free_texts_refuses_nonsense() -> None:
    """A variable added without a check would pass here unseen."""
    takes_text = {"PRESENCE_DATA_DIR", "PRESENCE_NODE_NAME", "PRESENCE_ROOM_POLICY", "PRESENCE_JWT_AUDIENCE"}
    for variable in variables():
        nonsense = "\x07" if variable.secret or variable.name in takes_text else "= nonsense ="
        assert refusal({variable.name: f"x{nonsense}x"}).startswith(f"{variable.name}: expected ")


def test_a_blank_value_counts_as_unset() -> None:
    blank = read({variable.name: "  " for variable in variables()})
    unset = read()
    assert {f: getattr(blank, f) for f in blank.__slots__ if f != "node_name"} == {
        f: getattr(unset, f) for f in unset.__slots__ if f != "node_name"
    }


@pytest.mark.parametrize(("text", "value"), [("ON", True), ("True", True), ("1", True), ("no", False), ("off", False)])
def test_switches_are_read_in_any_spelling(text: str, value: bool) -> None:
    assert read(PRESENCE_USER_INDEX=text).user_index is value


def test_lists_are_split_and_the_main_namespace_is_always_there() -> None:
    settings = read(PRESENCE_NAMESPACES=" /chat , /chat,/a", PRESENCE_CORS_ORIGINS="https://a.example, http://b:81,*")
    assert settings.namespaces == ("/", "/chat", "/a")
    assert settings.cors_origins == ("https://a.example", "http://b:81", "*")


def test_limits_may_be_switched_off() -> None:
    settings = read(PRESENCE_RATE_LIMIT="0", PRESENCE_CONNECT_RATE="0", PRESENCE_MAX_USER_ROOMS="0")
    assert (settings.rate_limit, settings.connect_rate, settings.max_user_rooms) == ((0.0, 0), 0, 0)
    assert read(PRESENCE_RATE_LIMIT="2.5 / 7").rate_limit == (2.5, 7)


# The store's address


def test_002_7_the_four_parts_make_the_address_and_an_empty_password_is_none() -> None:
    parts = {"REDIS_HOST": "localhost", "REDIS_PORT": "6379", "REDIS_PASSWORD": "", "REDIS_DB": "0"}
    assert read(parts).redis_url == "redis://localhost:6379/0"


def test_c15_an_empty_password_alone_still_means_the_embedded_store() -> None:
    assert read(REDIS_PASSWORD="").embedded


@pytest.mark.parametrize(
    ("parts", "url"),
    [
        ({"REDIS_PORT": "7000"}, "redis://localhost:7000/0"),
        ({"REDIS_HOST": "::1", "REDIS_DB": "3"}, "redis://[::1]:6379/3"),
        ({"REDIS_HOST": "[::1]"}, "redis://[::1]:6379/0"),
        ({"REDIS_HOST": "db.example"}, "redis://db.example:6379/0"),
    ],
)
def test_missing_parts_take_their_defaults(parts: dict[str, str], url: str) -> None:
    assert read(parts).redis_url == url


@pytest.mark.parametrize("password", ["p@ss/w:rd%", "a%41b", "?#[]", "ünï 🔑", "100%"])
def test_000_4_an_odd_password_reaches_the_client_library_unchanged(password: str) -> None:
    settings = read(REDIS_HOST="h", REDIS_PORT="6380", REDIS_PASSWORD=password)
    assert settings.redis_url is not None
    parsed = parse_url(settings.redis_url)
    assert (parsed["host"], parsed["port"], parsed["password"], parsed["db"]) == ("h", 6380, password, 0)
    assert settings.masked_redis_url == "redis://***@h:6380/0"


@pytest.mark.parametrize("password", ["p@ss/w:rd%", "a?b#c", "//", "12/34", "p@h:1"])
def test_000_4_a_password_written_into_the_url_as_it_is_works_too(password: str) -> None:
    settings = read(REDIS_URL=f"redis://me:{password}@host:6380/2")
    assert settings.redis_url is not None
    parsed = parse_url(settings.redis_url)
    assert (parsed["username"], parsed["password"], parsed["host"], parsed["db"]) == ("me", password, "host", 2)
    assert settings.masked_redis_url == "redis://***@host:6380/2"


URLS = [
    "redis://h", "redis://h:1/", "redis://:pw@h:6379/0?socket_timeout=1", "rediss://u:pw@[fe80::1]:6380/1",
    "unix:///tmp/a@b.sock?db=1", "unix://u:pw@/run/redis.sock", "redis+sentinel://:pw@a:26379,b:26379/main/0",
    "rediss+sentinel://:pw@a/main/0", "rediss+cluster://a:7000,b:7000?ssl_check_hostname=no",
    "redis+sentinel://a/main", "redis+cluster://u:pw@a:7000,[::1]:7001", "redis+cluster://a", "redis://h/0?client_name=a@b",
]  # fmt: skip


@pytest.mark.parametrize("url", URLS)
def test_002_11_every_form_of_address_is_kept_as_written(url: str) -> None:
    assert read(REDIS_URL=f" {url} ", REDIS_HOST="elsewhere", REDIS_PORT="tcp://10.0.0.1:6379").redis_url == url


def test_the_scheme_may_be_written_in_capitals() -> None:
    assert read(REDIS_URL="REDIS+Cluster://a").partitions == 128


@pytest.mark.parametrize(
    "url",
    [
        "localhost:6379", "http://h", "valkey://h", "redis://", "redis:h", "redis://h:70000", "redis://h:0", "redis://h:x",
        "redis://h/zero", "redis://u:topsecret@", "unix://", "redis://a,b", "redis+cluster://a/3", "redis://[::1",
        "topsecret://h", "redis+sentinel://a:1:2/main",
    ],
)  # fmt: skip
def test_an_impossible_address_is_refused_without_being_repeated(url: str) -> None:
    message = refusal({"REDIS_URL": url})
    assert message.startswith("REDIS_URL: expected an address that starts with redis://, rediss://")
    assert "got" not in message
    assert "topsecret" not in message


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("redis://h:1/0", "redis://h:1/0"),
        ("unix:///tmp/a@b.sock", "unix:///tmp/a@b.sock"),
        ("unix://u:pw@/run/x.sock", "unix://***@/run/x.sock"),
        ("redis://h/0?password=pw%20x&db=2", "redis://h/0?password=***&db=2"),
        (
            "redis+sentinel://u:pw@a,b/main?sentinel_password=other",
            "redis+sentinel://***@a,b/main?sentinel_password=***",
        ),
        ("redis+cluster://:pw@a:1", "redis+cluster://***@a:1"),
        ("rediss+cluster://:p/w@a:1", "rediss+cluster://***@a:1"),
    ],
)
def test_c15_the_masked_address_keeps_all_but_the_credentials(url: str, masked: str) -> None:
    assert read(REDIS_URL=url).masked_redis_url == masked


def test_partitions_default_to_128_on_a_cluster_only() -> None:
    assert read(REDIS_URL="redis+cluster://a:7000").partitions == 128
    assert read(REDIS_URL="rediss+cluster://a:7000").partitions == 128
    assert read(REDIS_URL="redis://a").partitions == 1
    assert read(REDIS_URL="redis+cluster://a", PRESENCE_PARTITIONS="16").partitions == 16


# Secrets


def test_002_9_no_secret_is_in_the_repr_or_in_an_error() -> None:
    secrets = {
        "REDIS_URL": "redis://someone:hunter2hunter2@h", "PRESENCE_JWT_SECRET": SECRET,
        "PRESENCE_ADMIN_TOKEN": "adm-1n-token",
        "CHAT_WEBHOOK_SECRET": "hook-secret", "CHAT_WEBHOOK_VERIFY_TOKEN": "verify-token",
    }  # fmt: skip
    settings = read(secrets)
    for hidden in ("hunter2", "someone", SECRET, "adm-1n-token", "hook-secret", "verify-token"):
        assert hidden not in repr(settings)
        assert hidden not in str(settings.masked_redis_url)
    assert set(settings.secret_values) == {"hunter2hunter2", SECRET, "adm-1n-token", "hook-secret", "verify-token"}
    for name, value in secrets.items():
        assert value not in refusal({name: f"{value}\x07"})


@pytest.mark.parametrize("form", ["text", "escaped", "file"])
@pytest.mark.parametrize("curve", [None, ec.SECP256R1()])
def test_a_public_key_may_be_text_or_a_file(tmp_path: Path, form: str, curve: ec.EllipticCurve | None) -> None:
    key = rsa.generate_private_key(65537, 2048) if curve is None else ec.generate_private_key(curve)
    pem = public_pem(key)
    file = tmp_path / "key.pem"
    file.write_text(pem)
    given = {"text": pem, "escaped": pem.replace("\n", "\\n"), "file": str(file)}[form]
    settings = read(PRESENCE_JWT_PUBLIC_KEY=given, PRESENCE_ENV="production", REDIS_URL="rediss://db.example")
    assert (settings.jwt_public_key or "").strip() == pem.strip()
    assert settings.auth_enabled
    assert settings.warnings == ()


def test_what_is_no_public_key_for_tokens_is_refused(tmp_path: Path) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    for given in (pem, public_pem(ec.generate_private_key(ec.SECP384R1())), "-----BEGIN x", str(tmp_path / "none.pem")):
        message = refusal({"PRESENCE_JWT_PUBLIC_KEY": given})
        assert message.startswith("PRESENCE_JWT_PUBLIC_KEY: expected an RSA or P-256 public key")
        assert "BEGIN" not in message


def test_a_public_key_is_never_taken_for_a_shared_secret() -> None:
    pem = public_pem(ec.generate_private_key(ec.SECP256R1()))
    assert refusal({"PRESENCE_JWT_SECRET": pem.replace("\n", " ")}).startswith("PRESENCE_JWT_SECRET: expected")
    both = {"PRESENCE_JWT_SECRET": SECRET, "PRESENCE_JWT_PUBLIC_KEY": pem}
    assert refusal(both).startswith("PRESENCE_JWT_PUBLIC_KEY: expected nothing beside PRESENCE_JWT_SECRET")


# Production


def test_002_9_production_refuses_to_start_without_authentication() -> None:
    assert refusal({"PRESENCE_ENV": "production"}).startswith("PRESENCE_JWT_SECRET: expected a secret")
    assert refusal({"PRESENCE_ENV": "production", "PRESENCE_JWT_SECRET": " "}).startswith("PRESENCE_JWT_SECRET")
    assert not read(PRESENCE_ENV="production", PRESENCE_AUTH="none").auth_enabled
    assert read(PRESENCE_ENV="Production", PRESENCE_JWT_SECRET=SECRET).auth_enabled


def test_the_demo_page_is_off_in_production_unless_asked_for() -> None:
    production = {"PRESENCE_ENV": "production", "PRESENCE_JWT_SECRET": SECRET}
    assert not read(production).demo
    assert read(production, PRESENCE_DEMO="on").demo
    assert not read(PRESENCE_DEMO="off").demo


@pytest.mark.parametrize(
    ("url", "warns"),
    [
        ("", True), ("redis://localhost:6379", True), ("redis://127.0.0.9", True), ("redis://:pw@[::1]:6379/0", True),
        ("unix:///run/redis.sock", True), ("redis+cluster://127.0.0.1:7000,127.0.0.1:7001", True),
        ("redis+cluster://127.0.0.1:7000,db.example:7000", False), ("rediss://127.0.0.1.example", False),
    ],
)  # fmt: skip
def test_c15_production_warns_about_a_store_on_this_machine(url: str, warns: bool) -> None:
    settings = read(PRESENCE_ENV="production", PRESENCE_JWT_SECRET=SECRET, REDIS_URL=url)
    assert [line.split(":")[0] for line in settings.warnings] == (["REDIS_URL"] if warns else [])
    assert read(REDIS_URL=url).warnings == ()


def test_what_is_legal_but_surely_not_meant_is_warned_about() -> None:
    environ = {"PRESENCE_GRACEE": "1", "PRESENCE_TTL": "20", "PRESENCE_AUTH": "none", "PRESENCE_JWT_SECRET": SECRET}
    first, second, third = read(environ, HOME="/root", CHAT_OTHER="x").warnings
    assert first.startswith("PRESENCE_AUTH: none has no effect")
    assert second.startswith("PRESENCE_HEARTBEAT_INTERVAL: not shorter than PRESENCE_TTL")
    assert third == "PRESENCE_GRACEE: no such setting, perhaps PRESENCE_GRACE"
    secret, *others = read(
        CHAT_WEBHOOK_SECRETS="x", CHAT_MODEL="x", REDIS_USERNAME="x", REDIS_PORT_6379_TCP="x"
    ).warnings
    assert (secret, others) == ("CHAT_WEBHOOK_SECRETS: no such setting, perhaps CHAT_WEBHOOK_SECRET", [])
    short = read(PRESENCE_ENV="production", PRESENCE_JWT_SECRET="short", REDIS_URL="redis://db.example")
    assert short.warnings == ("PRESENCE_JWT_SECRET: shorter than the 32 bytes that HS256 asks for",)


# Names of nodes


def test_t1_6_a_fixed_name_is_told_apart_from_a_random_one() -> None:
    fixed = read(PRESENCE_NODE_NAME=" node-a ")
    assert (fixed.node_name, fixed.node_name_fixed) == ("node-a", True)
    one, other = read(), read()
    assert re.fullmatch(re.escape(socket.gethostname()[:57]) + "-[0-9a-f]{6}", one.node_name)
    assert one.node_name != other.node_name


def test_t1_6_workers_never_share_a_name() -> None:
    fixed = read(PRESENCE_NODE_NAME="node-a")
    assert [fixed.for_worker(n).node_name for n in (0, 1)] == ["node-a-0", "node-a-1"]
    assert fixed.for_worker(1).node_name_fixed
    random = read()
    assert len({random.node_name, random.for_worker(0).node_name, random.for_worker(1).node_name}) == 3
    assert not random.for_worker(1).node_name_fixed


# The table


def test_the_table_has_one_line_for_every_variable() -> None:
    table = settings_table().splitlines()
    assert table[:2] == ["| variable | default | meaning |", "|---|---|---|"]
    names = [variable.name for variable in variables()]
    assert [re.match(r"\| `(\w+)` \|", line).group(1) for line in table[2:]] == names  # type: ignore[union-attr]  # None fails the test as it should
    assert len(set(names)) == len(names)
    assert all(line.count(" | ") == 2 and not line.endswith("|  |") for line in table[2:])


def test_defaults_in_the_table_are_what_the_parsers_make_of_them() -> None:
    given = {variable.name: variable.default for variable in variables() if variable.default}
    assert {**_plain(read(given)), "node_name": ""} == {**_plain(read()), "node_name": ""}


def _plain(settings: Settings) -> dict[str, Any]:
    return {name: getattr(settings, name) for name in settings.__slots__}


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        read().ttl_ms = 1  # type: ignore[misc]  # the assignment under test


def test_the_process_environment_is_the_default_source(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("PRESENCE_", "REDIS_", "CHAT_", "BOARD_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PRESENCE_TTL", "77")
    assert Settings.from_environ().ttl_ms == 77_000
