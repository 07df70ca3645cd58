"""What the log says of a Redis that is away, or that cannot serve: once, and once that it is over."""

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from presence_engine import EmbeddedServer, Node, PresenceEngine, StoreUnavailable, Sweeper
from presence_engine.troubles import Troubles
from tests.conftest import MakeEngine, StartServer

Lines = Callable[[int], list[str]]


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Lines:
    """What the log says at a level, but for the embedded server's own end."""
    monkeypatch.setattr("presence_engine.troubles._CALM_S", 0.1)
    own = "presence_engine.embedded"
    return lambda level: [one.getMessage() for one in caplog.records if one.levelno == level and one.name != own]


async def refused(call: Callable[[], Awaitable[Any]]) -> None:
    for _ in range(5):
        with pytest.raises(StoreUnavailable):
            await call()


async def until_said(lines: Lines, what: str, call: Callable[[], Awaitable[Any]]) -> None:
    async with asyncio.timeout(10):
        while not any(what in line for line in lines(logging.WARNING)):
            with contextlib.suppress(StoreUnavailable):
                await call()
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("kind", [signal.SIGKILL, signal.SIGSTOP])
async def test_an_outage_is_one_line_and_its_end_another(
    start_server: StartServer, make_engine: MakeEngine, lines: Lines, kind: signal.Signals
) -> None:
    """C16: with the address; whoever tries again and again meanwhile is quiet."""
    server: EmbeddedServer = start_server(port=0)
    address = server.url.removeprefix("redis://").partition("/")[0]
    engine: PresenceEngine = await make_engine(server.url, timeout_ms=200)
    node, feed = Node(engine, "n", lease_ms=300), engine.open_feed(on_lost=lambda: None, on_restored=lambda: None)
    await node.start()
    await feed.subscribe(engine.channel("r"), lambda _message: None)
    async with Sweeper(engine, interval_ms=50):
        assert server.pid is not None
        os.kill(server.pid, kind)
        await refused(lambda: engine.join("r", "u", "c"))
        await asyncio.sleep(2)
        [line] = lines(logging.ERROR)
        assert address in line
        told = lines(logging.WARNING)
        assert len(told) <= 1, told
        assert all(line.startswith("feed lost: ") and address in line for line in told)
        if kind == signal.SIGSTOP:
            os.kill(server.pid, signal.SIGCONT)
        else:
            server.start()
        await until_said(lines, "serves again after", lambda: engine.join("r", "u", "c"))
        assert address in lines(logging.WARNING)[-1]
    await feed.close()
    await node.stop()
    assert len(lines(logging.ERROR)) == 1


async def test_a_full_store_says_so(start_server: StartServer, make_engine: MakeEngine, lines: Lines) -> None:
    """It still reads, which does not mean that it is well again."""
    server = start_server()
    engine = await make_engine(server.url)
    await engine.join("r", "u", "c")
    async with Redis.from_url(server.url) as admin:
        await admin.config_set("maxmemory", 1)
        await refused(lambda: engine.join("r", "v", "c"))
        await asyncio.sleep(0.2)
        assert (await engine.list("r")).position.count == 1
        [line] = lines(logging.ERROR)
        assert "OOM" in line
        assert server.url.removeprefix("unix://").partition("?")[0] in line
        assert lines(logging.WARNING) == []
        await admin.config_set("maxmemory", 0)
        await until_said(lines, "serves again after", lambda: engine.join("r", "v", "c"))
    assert len(lines(logging.ERROR)) == 1


async def test_a_server_that_refuses_a_ping_is_told_once(
    start_server: StartServer, make_engine: MakeEngine, lines: Lines
) -> None:
    """As one whose disk is full: its feed comes and goes, and was a line every 50 ms."""
    server = start_server()
    engine = await make_engine(server.url)
    restored: list[None] = []
    feed = engine.open_feed(on_lost=lambda: None, on_restored=lambda: restored.append(None))
    await feed.subscribe(engine.channel("r"), lambda _message: None)
    async with Redis.from_url(server.url) as admin:
        await admin.acl_setuser("default", enabled=True, nopass=True, commands=["-ping"])
        # It is asked every two seconds.
        await asyncio.sleep(3)
        [line] = lines(logging.WARNING)
        assert line.startswith("feed lost: ")
        assert "ping" in line
        assert len(restored) == 1
        await admin.acl_setuser("default", enabled=True, nopass=True, commands=["+ping"])
        async with asyncio.timeout(5):
            while not feed.connected:
                await asyncio.sleep(0.02)
    await feed.close()


class Clock:
    """Stands for `time`."""

    now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    one = Clock()
    monkeypatch.setattr("presence_engine.troubles.time", one)
    return one


def test_a_server_that_refuses_one_call_in_ten_seconds_is_told_once(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """Near a bound of its memory: it was a pair of lines each time."""
    troubles = Troubles()
    for _ in range(3):
        troubles.failed("h:1", "join", StoreUnavailable("OOM"))
        for _ in range(9):
            clock.now_s += 1
            troubles.succeeded("h:1", "join")
    assert [one.getMessage() for one in caplog.records] == ["OOM (h:1)"]
    clock.now_s += 1
    troubles.succeeded("h:1", "join")
    assert caplog.records[-1].getMessage() == "Redis serves again after 28 s (h:1)"
    assert not troubles


def test_a_server_that_is_not_called_again_is_forgotten(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    """A master of a Cluster that has a successor; and with it a call that nobody makes any more."""
    troubles = Troubles()
    troubles.failed("h:1", "join", StoreUnavailable("away"))
    troubles.failed("h:2", "join", StoreUnavailable("OOM"))
    for passed_s, is_open in ((59, True), (2, False)):
        clock.now_s += passed_s
        troubles.succeeded("h:2", "list")
        assert bool(troubles) is is_open
    told = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
    assert told == ["nothing has failed for 61 s (h:1)", "nothing has failed for 61 s (h:2)"]
