"""Logs: one line a record, in the form the environment asks for, and nothing secret in any of them."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import socketio
import structlog
import uvicorn

from server.logs import configure_logs, mask_secrets
from server.masking import Masker, is_secret_key, mask_text, mask_url
from server.settings import Settings

PASSWORD = "p@ss/w:rd%-of-the-store"
SECRET = "a-shared-secret-of-at-least-32-bytes"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1MSJ9.c2lnbmF0dXJl"


@pytest.fixture(autouse=True)
def _restore_logging() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in (None, "uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi",
                                                    "socketio.server", "engineio.server")]  # fmt: skip
    before = [(one, one.handlers[:], one.level, one.propagate) for one in loggers]
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    for one, handlers, level, propagate in before:
        one.handlers[:], one.propagate = handlers, propagate
        one.setLevel(level)


def start(**environ: str) -> io.StringIO:
    stream = io.StringIO()
    parts = {"REDIS_HOST": "db.example", "REDIS_PASSWORD": PASSWORD, "PRESENCE_JWT_SECRET": SECRET}
    configure_logs(Settings.from_environ({**parts, **environ}), stream)
    return stream


def start_production() -> io.StringIO:
    return start(PRESENCE_ENV="production")


def records(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_004_12_production_writes_one_json_object_a_line_with_its_fields() -> None:
    stream = start_production()
    structlog.contextvars.bind_contextvars(node="n1")
    log = structlog.get_logger("chat")
    log.info("[roomService] New room created: room_id=7, phone=62878", room_id=7, name="Zoë\n🚪")
    (record,) = records(stream)
    assert record.pop("timestamp").endswith("Z")
    assert record == {
        "event": "[roomService] New room created: room_id=7, phone=62878", "level": "info", "logger": "chat",
        "node": "n1", "room_id": 7, "name": "Zoë\n🚪",
    }  # fmt: skip


def test_development_writes_a_readable_line_without_colours_off_a_terminal() -> None:
    stream = start()
    structlog.get_logger("presence").warning("room is full", room_id="a b", capacity=3)
    (line,) = stream.getvalue().splitlines()
    assert "room is full" in line
    assert "capacity=3" in line
    assert "warning" in line
    assert "\x1b" not in line
    with pytest.raises(ValueError):
        json.loads(line)


def test_colours_are_used_on_a_terminal() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    configure_logs(Settings.from_environ({}), stream)
    structlog.get_logger().info("hello")
    assert "\x1b[" in stream.getvalue()


def test_a_client_cannot_start_a_line_of_its_own_or_steer_the_terminal() -> None:
    stream = start()
    structlog.get_logger().info("joined\nevil", username="a\n2026-01-01 [error] fake\x1b[2J")
    logging.getLogger("other").warning("path /a\r\nb")
    assert len(stream.getvalue().splitlines()) == 2
    assert "\x1b" not in stream.getvalue()


def test_debug_lines_are_left_out() -> None:
    stream = start()
    structlog.get_logger().debug("quiet")
    logging.getLogger("other").debug("quiet too")
    assert stream.getvalue() == ""


@pytest.mark.parametrize("env", ["development", "production"])
def test_002_9_secrets_of_this_process_never_show_wherever_they_turn_up(env: str) -> None:
    stream = start(PRESENCE_ENV=env)
    log = structlog.get_logger()
    log.info(f"no answer from redis://:{PASSWORD}@db.example:6379", why=[f"AUTH {PASSWORD}", {"t": (SECRET,)}])
    log.info("handshake", auth={"token": JWT, "userId": "u1"}, headers={"Authorization": "Bearer abcdefgh"}, raw=JWT)
    log.info("bytes", payload=f'{{"token": "{JWT}"}}'.encode(), error=RuntimeError(f"key {SECRET}"))
    logging.getLogger("uvicorn.error").error('%s - "GET %s"', "127.0.0.1:1", f"/socket.io/?EIO=4&token={JWT}&t=abc")
    try:
        raise RuntimeError(f"refused for redis://u:{PASSWORD}@h")
    except RuntimeError:
        log.exception("failed")
        logging.getLogger("asyncio").exception("also failed")
    text = stream.getvalue()
    for hidden in (PASSWORD, "p@ss", "w:rd%", SECRET, JWT, "eyJ", "abcdefgh"):
        assert hidden not in text
    for shown in ("db.example:6379", "userId", "u1", "EIO=4", "t=abc", "RuntimeError", "Traceback"):
        assert shown in text


def test_local_variables_never_show_in_tracebacks() -> None:
    stream = start()

    def fails() -> None:
        hidden = "only-in-a-local-variable"
        raise RuntimeError(str(len(hidden)))

    try:
        fails()
    except RuntimeError:
        structlog.get_logger().exception("failed")
    assert "RuntimeError: 24" in stream.getvalue()
    assert "only-in-a-local-variable" not in stream.getvalue()


def test_uvicorn_and_socketio_take_the_same_way_once() -> None:
    stream = start_production()
    uvicorn.Config("server:none", log_config=None)
    socketio.AsyncServer(async_mode="asgi", logger=False, engineio_logger=False)
    for name in ("uvicorn.error", "uvicorn.access", "socketio.server", "engineio.server", "asyncio"):
        logging.getLogger(name).error("from %s", name)
    assert [record["event"] for record in records(stream)] == [
        f"from {name}" for name in ("uvicorn.error", "uvicorn.access", "socketio.server", "engineio.server", "asyncio")
    ]
    for name in ("uvicorn.error", "uvicorn.access", "socketio.server", "engineio.server"):
        logging.getLogger(name).warning("every handshake with its query, every packet")
    assert "every" not in stream.getvalue()


def test_configuring_twice_does_not_double_the_lines() -> None:
    start_production()
    stream = start_production()
    structlog.get_logger().info("once")
    assert len(records(stream)) == 1


def test_what_cannot_be_written_as_json_is_still_a_line() -> None:
    stream = start_production()
    loop: dict[str, Any] = {}
    loop["loop"] = loop
    structlog.get_logger().info("odd", lone="\ud800", keys={1: "a", None: "b"}, loop=loop, obj=object(), n=2**70)
    (record,) = records(stream)
    assert record["keys"] == {"1": "a", "None": "b"}
    assert record["n"] == 2**70


# The masks


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("redis://u:p@ss/w:rd%@h:6379/0 is away", "redis://***@h:6379/0 is away"),
        ("rediss://:x@h, redis+sentinel://:y@a,b/m", "rediss://***@h, redis+sentinel://***@a,b/m"),
        ("rediss+cluster://:p/w@a:1,b:1", "rediss+cluster://***@a:1,b:1"),
        ("https://u:p@h/a?mail=x@y.z", "https://***@h/a?mail=x@y.z"),
        ("https://h/room/a@b", "https://h/room/a@b"),
        ("unix:///tmp/a@b.sock", "unix:///tmp/a@b.sock"),
        ("/socket.io/?token=abc&room=7", "/socket.io/?token=***&room=7"),
        ("connect(password='abc', db=1)", "connect(password='abc', db=1)"),
        ("Authorization: Bearer abc.def-ghi", "Authorization: Bearer ***"),
        ("bearer of news", "bearer of news"),
        ("u1 joined room 15", "u1 joined room 15"),
    ],
)
def test_text_is_masked_no_further_than_needed(text: str, masked: str) -> None:
    assert mask_text(text) == masked


def test_a_whole_address_is_masked_whatever_is_in_the_password() -> None:
    assert mask_url("redis://u:a b@c\n/d@h:1/0") == "redis://***@h:1/0"
    assert mask_url("no address") == "no address"


def test_keys_that_name_secrets_hide_any_value_but_tell_presence() -> None:
    hidden = ("token", "adminToken", "Authorization", "redis_password", "JWT_SECRET", "set-cookie")
    assert all(map(is_secret_key, hidden))
    assert not any(map(is_secret_key, ("room_id", "userId", "phone", "event", "key", "author")))
    masked = Masker().value({"password": ["a", "b"], "token": None, "secret": {"x": 1}, "token_given": True})
    assert masked == {"password": "***", "token": None, "secret": "***", "token_given": True}


def test_masking_leaves_the_logged_value_itself_alone() -> None:
    given = {"auth": {"token": "abc"}, "list": ["redis://u:p@h"]}
    out = mask_secrets()(None, "info", {"event": "x", **given})
    assert given == {"auth": {"token": "abc"}, "list": ["redis://u:p@h"]}
    assert out == {"event": "x", "auth": {"token": "***"}, "list": ["redis://***@h"]}


def test_a_known_secret_inside_another_is_masked_whole_and_short_ones_not_at_all() -> None:
    assert Masker(["secret-1", "secret-1-longer", "abc"]).text("a secret-1-longer secret-1 abc") == "a *** *** abc"
