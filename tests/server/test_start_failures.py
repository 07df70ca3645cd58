"""A start that fails under whichever runner, told by the ASGI lifespan."""

import re
from dataclasses import fields
from typing import Any

import pytest

from presence_engine import StoreUnavailable
from server.app import create_app
from server.settings import Settings
from server.start_failures import StartFailures
from tests.faults.processes import free_port


async def start(app: Any) -> list[dict[str, Any]]:
    """What the application says of its start."""
    told: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "lifespan.startup"}

    async def send(message: dict[str, Any]) -> None:
        told.append(message)

    try:
        await app({"type": "lifespan", "state": {}}, receive, send)
    except (StoreUnavailable, ZeroDivisionError):
        return told
    raise AssertionError("it started")


async def test_a_redis_out_of_reach_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    """000-4, C16: a worker that starts meanwhile printed a traceback, every five seconds."""
    url = f"redis://:secret@127.0.0.1:{free_port()}/0"
    [told] = await start(create_app(Settings.from_environ({"REDIS_URL": url})))
    assert told["type"] == "lifespan.startup.failed"
    assert told["message"].startswith("cannot start: Redis is out of reach")
    assert "\n" not in told["message"]
    assert "secret" not in told["message"]
    assert caplog.text == ""


@pytest.mark.parametrize("name", ["lifespan.startup.failed", "lifespan.shutdown.failed"])
async def test_what_is_not_foreseen_keeps_its_traceback(name: str) -> None:
    async def fails(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": name, "message": "Traceback …"})
        raise ZeroDivisionError

    assert await start(StartFailures(fails)) == [{"type": name, "message": "Traceback …"}]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (one.name, bound)
        for one in (field.metadata["variable"] for field in fields(Settings) if "variable" in field.metadata)
        for bound in re.findall(r"(?:at least|at most|from|to) (\d+)", one.parser.expected)
    ],
)
async def test_what_a_variable_may_be_the_server_takes(name: str, value: str) -> None:
    """A value that is refused later is refused by another name, once the address is already served."""
    create_app(Settings.from_environ({"REDIS_URL": "redis://127.0.0.1:1/0", name: value}))
