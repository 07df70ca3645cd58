"""The feed on a real server: confirmed subscriptions, lost connections, silence."""

# mypy: disable-error-code="misc"
# A lambda that binds a loop variable as its default is beyond what mypy infers.

import asyncio
import time
from collections.abc import AsyncIterator, Callable

import pytest

from presence_engine import PresenceEngine, StoreUnavailable
from presence_engine.feed import Feed
from tests.conftest import MakeEngine, StartServer
from tests.faults.proxy import Proxy


async def until(condition: Callable[[], object], what: str, timeout_s: float = 10) -> None:
    give_up_at = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < give_up_at, what
        await asyncio.sleep(0.005)


class Ear:
    """A feed and what it told."""

    def __init__(self, engine: PresenceEngine) -> None:
        self.heard: list[bytes] = []
        self.lost = self.restored = 0
        self.feed: Feed = engine.open_feed(on_lost=self._lost, on_restored=self._restored)

    def _lost(self) -> None:
        self.lost += 1

    def _restored(self) -> None:
        self.restored += 1


@pytest.fixture
async def ear(engine: PresenceEngine) -> AsyncIterator[Ear]:
    one = Ear(engine)
    yield one
    await one.feed.close()


async def test_nothing_is_missed_from_the_moment_it_returns(engine: PresenceEngine, ear: Ear) -> None:
    for number in range(20):
        heard: list[bytes] = []
        await ear.feed.subscribe(engine.channel(f"r{number}"), heard.append)
        await engine.join(f"r{number}", "u", "c")
        await until(lambda heard=heard: len(heard) == 1, "the change")
        await ear.feed.unsubscribe(engine.channel(f"r{number}"))
        await engine.leave(f"r{number}", "u", "c")
    assert ear.feed.connected


async def test_messages_come_in_the_order_of_the_changes(engine: PresenceEngine, ear: Ear) -> None:
    await ear.feed.subscribe(engine.channel("r"), ear.heard.append)
    await asyncio.gather(*(engine.join("r", f"u{number}", "c") for number in range(200)))
    await until(lambda: len(ear.heard) == 200, "all changes")
    assert [int(message.split(b"\x1e")[1]) for message in ear.heard] == list(range(1, 201))


async def test_an_unsubscribed_channel_is_quiet_and_can_be_taken_again(engine: PresenceEngine, ear: Ear) -> None:
    channel = engine.channel("r")
    for _ in range(5):
        await ear.feed.subscribe(channel, ear.heard.append)
        await ear.feed.unsubscribe(channel)
    await engine.join("r", "u", "c")
    again: list[bytes] = []
    await ear.feed.subscribe(channel, again.append)
    await engine.leave("r", "u", "c")
    await until(lambda: again, "the change")
    assert (len(again), ear.heard) == (1, [])


async def test_a_handler_that_fails_does_not_end_the_feed(
    engine: PresenceEngine, ear: Ear, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(_message: bytes) -> None:
        raise RuntimeError("a handler's own fault")

    await ear.feed.subscribe(engine.channel("bad"), fails)
    await ear.feed.subscribe(engine.channel("good"), ear.heard.append)
    await engine.join("bad", "u", "c")
    await engine.join("good", "u", "c")
    await until(lambda: ear.heard, "the other room's change")
    assert ear.lost == 0
    assert "a feed handler failed" in caplog.text


async def test_a_lost_connection_is_told_and_restored(start_server: StartServer, make_engine: MakeEngine) -> None:
    """T1.4: on_lost, then every channel again, then on_restored."""
    server = start_server()
    proxy = Proxy(server.url)
    engine = await make_engine(proxy.url)
    ear = Ear(engine)
    try:
        await ear.feed.subscribe(engine.channel("r"), ear.heard.append)
        restored = ear.restored
        proxy.cut_feed()
        await until(lambda: ear.lost == 1 and ear.restored > restored, "that it is restored")
        await engine.join("r", "u", "c")
        await until(lambda: len(ear.heard) == 1, "the change")
    finally:
        await ear.feed.close()
        await engine.close()
        proxy.stop()


async def test_a_subscription_without_redis_is_unavailable_but_stands(
    start_server: StartServer, make_engine: MakeEngine
) -> None:
    """C16: it is not confirmed in time; when Redis is back it takes effect."""
    server = start_server()
    proxy = Proxy(server.url)
    engine = await make_engine(proxy.url, timeout_ms=300)
    ear = Ear(engine)
    try:
        proxy.refuse()
        with pytest.raises(StoreUnavailable):
            await ear.feed.subscribe(engine.channel("r"), ear.heard.append)
        assert not ear.feed.connected
        proxy.heal()
        await until(lambda: ear.restored == 1 and ear.feed.connected, "that it is restored")
        async with PresenceEngine(server.url, settings=engine.settings) as other:
            await other.join("r", "u", "c")
        await until(lambda: len(ear.heard) == 1, "the change")
    finally:
        await ear.feed.close()
        await engine.close()
        proxy.stop()


@pytest.mark.nightly
async def test_silence_is_noticed(start_server: StartServer, make_engine: MakeEngine) -> None:
    """A connection that died silently: no PONG within five seconds, and it is made anew."""
    server = start_server()
    proxy = Proxy(server.url)
    engine = await make_engine(proxy.url)
    ear = Ear(engine)
    try:
        await ear.feed.subscribe(engine.channel("r"), ear.heard.append)
        assert proxy.deafen_feed() == 1
        await engine.join("r", "u", "c")
        await until(lambda: ear.lost == 1 and ear.restored == 2, "that it is restored", 15)
        assert ear.heard == []
        await engine.leave("r", "u", "c")
        await until(lambda: len(ear.heard) == 1, "the change after it")
    finally:
        await ear.feed.close()
        await engine.close()
        proxy.stop()
