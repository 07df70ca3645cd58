"""The feed on a real server: confirmed subscriptions, lost connections, silence."""

# mypy: disable-error-code="misc"
# A lambda that binds a loop variable as its default is beyond what mypy infers.

import asyncio
import time
from collections.abc import AsyncIterator, Callable

import pytest

from presence_engine import PresenceEngine, StoreUnavailable
from presence_engine.feed import Feed
from presence_engine.topology import topology
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


async def test_a_closed_feed_forgets_and_may_be_used_again(engine: PresenceEngine, ear: Ear) -> None:
    """What it heard before it must be asked for again: `connected` would be said of channels nobody listens to."""
    await ear.feed.subscribe(engine.channel("before"), ear.heard.append)
    await ear.feed.close()
    again: list[bytes] = []
    await ear.feed.subscribe(engine.channel("after"), again.append)
    assert (ear.feed.connected, list(ear.feed._wanted)) == (True, [engine.channel("after")])
    await engine.join("before", "u", "c")
    await engine.join("after", "u", "c")
    await until(lambda: again, "the change")
    assert ear.heard == []
    await ear.feed.unsubscribe(engine.channel("before"))
    await ear.feed.subscribe(engine.channel("before"), ear.heard.append)
    await engine.leave("before", "u", "c")
    await until(lambda: ear.heard, "the change")


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


@pytest.mark.parametrize("fault", [KeyError("its own"), AttributeError("its own")], ids=repr)
async def test_a_listener_that_fails_does_not_end_the_feed(
    start_server: StartServer, make_engine: MakeEngine, caplog: pytest.LogCaptureFixture, fault: Exception
) -> None:
    """Nor is its fault taken for the connection's."""
    proxy = Proxy(start_server().url)
    engine = await make_engine(proxy.url)
    ear = Ear(engine)

    def fails() -> None:
        raise fault

    feed = engine.open_feed(on_lost=fails, on_restored=fails)
    try:
        await feed.subscribe(engine.channel("r"), ear.heard.append)
        line = feed.line(engine.channel("r"))
        proxy.cut_feed()
        await until(lambda: feed.line(engine.channel("r")) not in {None, line}, "that it is restored")
        await engine.join("r", "u", "c")
        await until(lambda: len(ear.heard) == 1, "the change")
        assert caplog.text.count("a listener to the feed failed") == 3
        assert caplog.text.count("feed lost") == 1
    finally:
        await feed.close()
        await engine.close()
        proxy.stop()


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


async def test_a_line_is_another_after_a_loss(start_server: StartServer, make_engine: MakeEngine) -> None:
    """Whoever finds the same line knows that nothing was missed."""
    proxy = Proxy(start_server().url)
    engine = await make_engine(proxy.url)
    ear, channel = Ear(engine), engine.channel("r")
    try:
        assert ear.feed.line(channel) is None
        await ear.feed.subscribe(channel, ear.heard.append)
        await ear.feed.subscribe(engine.channel("s"), ear.heard.append)
        before = ear.feed.line(channel)
        assert before is ear.feed.line(engine.channel("s")) is not None
        proxy.refuse()
        await until(lambda: ear.lost == 1, "that it is lost")
        assert ear.feed.line(channel) is None
        proxy.heal()
        await until(lambda: ear.restored == 2, "that it is restored")
        assert ear.feed.line(channel) not in {None, before}
        await ear.feed.unsubscribe(channel)
        assert ear.feed.line(channel) is None
    finally:
        await ear.feed.close()
        await engine.close()
        proxy.stop()


async def test_a_line_stands_once_its_own_subscription_is_confirmed(engine: PresenceEngine, ear: Ear) -> None:
    """Not when the last is of those that a connection begins with: whoever asks then would take it for broken."""

    async def line_of(room: str) -> object | None:
        await ear.feed.subscribe(engine.channel(room), ear.heard.append)
        return ear.feed.line(engine.channel(room))

    lines = await asyncio.gather(*(line_of(f"r{number}") for number in range(2000)))
    assert None not in lines
    assert len(set(map(id, lines))) == 1


async def test_a_subscription_that_is_confirmed_late_is_told(start_server: StartServer) -> None:
    """Who asked has been told `unavailable`; the connection stands all the while."""
    proxy = Proxy(start_server().url)
    servers, restored = topology(proxy.url, 300), []
    feed = Feed(servers, on_lost=lambda: None, on_restored=lambda: restored.append(feed.line("late")), timeout_ms=300)
    try:
        await feed.subscribe("r", lambda _message: None)
        line = feed.line("r")
        proxy.hold()
        with pytest.raises(StoreUnavailable):
            await feed.subscribe("late", lambda _message: None)
        assert (restored, feed.line("late")) == ([None], None)
        proxy.heal()
        await until(lambda: restored[1:] == [line], "that it is told")
    finally:
        await feed.close()
        await servers.close()
        proxy.stop()


async def test_a_subscription_that_ends_before_it_is_confirmed_leaves_nothing(start_server: StartServer) -> None:
    """Who asked is told at once, not when the time is up; asked again it is another one."""
    proxy = Proxy(start_server().url)
    servers, heard = topology(proxy.url, 5000), list[bytes]()
    feed = Feed(servers, on_lost=lambda: None, on_restored=lambda: None, timeout_ms=5000)
    try:
        await feed.subscribe("r", lambda _message: None)
        proxy.hold()
        asking = asyncio.create_task(feed.subscribe("early", heard.append))
        await until(lambda: "early" in feed._wanted, "that it is asked for")
        await asyncio.sleep(0)
        await feed.unsubscribe("early")
        with pytest.raises(StoreUnavailable, match="ended before"):
            async with asyncio.timeout(1):
                await asking
        again = asyncio.create_task(feed.subscribe("early", heard.append))
        proxy.heal()
        await again
        (connection,) = feed._connections.values()
        assert (list(feed._wanted), connection._confirmations) == (["r", "early"], {})
    finally:
        await feed.close()
        await servers.close()
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
