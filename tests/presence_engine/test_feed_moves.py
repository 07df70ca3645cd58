"""The feed where channels have servers of their own, that change: a Cluster."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable

import pytest

from presence_engine import ConfigurationError, StoreUnavailable
from presence_engine.feed import Feed
from presence_engine.feed_connection import FeedConnection
from presence_engine.pipe import Connect, Pipe
from presence_engine.topology import OneServer, Topology, topology
from tests.conftest import StartServer
from tests.faults.proxy import Proxy


async def until(condition: Callable[[], object], what: str) -> None:
    try:
        async with asyncio.timeout(10):
            while not condition():
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise AssertionError(what) from None


def ignore(_message: bytes) -> None:
    """What is heard is of no interest."""


class SeveralServers(OneServer):
    """Channels by the server that has them, as the test says; some may be nobody's."""

    def __init__(self, **servers: Topology) -> None:
        self.servers = servers
        self.has: dict[str, str] = {}
        self.on_moved = set()

    def _server(self, key: str) -> Topology:
        return self.servers[self.place(key)]

    async def pipe(self, key: str) -> Pipe:
        return await self._server(key).pipe(key)

    def connect_for(self, key: str) -> Connect:
        return self._server(key).connect_for(key)

    def place(self, key: str) -> str:
        if key not in self.has:
            raise StoreUnavailable("no node serves it")
        return self.has[key]

    def address(self, key: str) -> str:
        return self.has[key]

    async def close(self) -> None:
        for server in self.servers.values():
            await server.close()


@pytest.fixture
async def servers(start_server: StartServer) -> AsyncIterator[SeveralServers]:
    several = SeveralServers(one=topology(start_server().url, 1000), two=topology(start_server().url, 1000))
    yield several
    await several.close()


@pytest.fixture(name="feed")
async def _feed(servers: SeveralServers) -> AsyncIterator[Feed]:
    one = Feed(servers, on_lost=lambda: None, on_restored=lambda: None, timeout_ms=1000)
    yield one
    await one.close()


async def test_a_subscription_that_ends_while_its_server_is_looked_for_never_stands(start_server: StartServer) -> None:
    servers, found = SeveralServers(one=topology(start_server().url, 1000)), asyncio.Event()
    servers.has = {"early": "one"}
    look = servers.pipe

    async def slow(key: str) -> Pipe:
        await found.wait()
        return await look(key)

    servers.pipe = slow  # type: ignore[method-assign]
    feed = Feed(servers, on_lost=lambda: None, on_restored=lambda: None, timeout_ms=1000)
    try:
        asking = asyncio.create_task(feed.subscribe("early", lambda _message: None))
        await asyncio.sleep(0)
        await feed.unsubscribe("early")
        found.set()
        with pytest.raises(StoreUnavailable, match="ended before"):
            await asking
        assert (feed._wanted, feed._connections) == ({}, {})
    finally:
        await feed.close()
        await servers.close()


async def test_a_channel_that_moved_is_told_though_another_server_is_away(start_server: StartServer) -> None:
    """A Cluster: one shard is dead, and a slot moves to another that stands."""
    proxy = Proxy(start_server().url)
    servers = SeveralServers(
        one=topology(start_server().url, 1000), two=topology(start_server().url, 1000), dead=topology(proxy.url, 1000)
    )
    servers.has = {"moves": "one", "stays": "two", "away": "dead"}
    told: list[bool] = []
    feed = Feed(
        servers,
        on_lost=lambda: told.append(feed.line("moves") is not None),
        on_restored=lambda: told.append(feed.line("moves") is not None),
        timeout_ms=1000,
    )
    try:
        for channel in servers.has:
            await feed.subscribe(channel, lambda _message: None)
        stays = feed.line("stays")
        servers.has["moves"] = "two"
        told.clear()
        proxy.refuse()
        await until(lambda: told[:1] == [True], "that the dead one is lost")
        await until(lambda: told[1:2] == [False], "that the moved one is lost")
        await until(lambda: told[-1], "that the moved one is back")
        assert not feed.connected
        assert feed.line("moves") is feed.line("stays") is stays
    finally:
        await feed.close()
        await servers.close()
        proxy.stop()


async def test_a_channel_that_nobody_served_is_listened_to_when_somebody_does(
    servers: SeveralServers, feed: Feed
) -> None:
    """C16: a subscription that is not confirmed stands all the same."""
    with pytest.raises(StoreUnavailable):
        await feed.subscribe("late", ignore)
    assert not feed.connected
    servers.has["late"] = "one"
    await until(lambda: feed.line("late"), "that it is listened to")
    assert feed.connected


async def test_a_channel_that_nobody_serves_keeps_no_other_from_moving(servers: SeveralServers, feed: Feed) -> None:
    servers.has = {"unserved": "one", "moves": "one"}
    for channel in servers.has:
        await feed.subscribe(channel, ignore)
    servers.has = {"moves": "two"}
    feed._moved()
    await until(lambda: "two" in feed._connections and feed.line("moves"), "the move")
    servers.has["unserved"] = "two"
    await until(lambda: list(feed._connections) == ["two"] and feed.line("unserved"), "the other's")


async def test_a_channel_that_is_unsubscribed_while_it_moves_stays_so(servers: SeveralServers, feed: Feed) -> None:
    servers.has = {"ended": "one", "moves": "one"}
    for channel in servers.has:
        await feed.subscribe(channel, ignore)
    servers.has = {"ended": "two", "moves": "two"}
    unsubscribing: list[asyncio.Task[None]] = []
    # It runs when the subscriptions have been begun, but before any of them.
    feed._on_lost = lambda: unsubscribing.append(asyncio.create_task(feed.unsubscribe("ended")))
    await feed._move(["ended", "moves"])
    await asyncio.gather(*unsubscribing)
    assert list(feed._wanted) == ["moves"]
    assert feed.line("moves")


async def test_a_channel_that_may_not_be_listened_to_does_not_end_the_looking(
    servers: SeveralServers, feed: Feed, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    servers.has = {"refused": "one", "moves": "one"}
    for channel in servers.has:
        await feed.subscribe(channel, ignore)
    subscribe = FeedConnection.subscribe

    async def refuse(self: FeedConnection, channel: str, handler: Callable[[bytes], None]) -> None:
        if channel == "refused":
            raise ConfigurationError("not permitted")
        await subscribe(self, channel, handler)

    monkeypatch.setattr(FeedConnection, "subscribe", refuse)
    servers.has = {"refused": "two", "moves": "two"}
    feed._moved()
    await until(lambda: list(feed._connections) == ["two"] and feed.line("moves"), "the move")
    assert [one.getMessage() for one in caplog.records if one.levelno == logging.ERROR] == [
        "channels that moved cannot be listened to: not permitted"
    ]
    assert feed._moving
    async with asyncio.timeout(5):
        await feed._moving
