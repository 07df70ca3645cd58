"""A transport that is closed by the time something is written to it: uvloop says so in its own way."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import uvloop

from presence_engine import EngineSettings, PresenceEngine, StoreUnavailable


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def whole() -> None:
        faults: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
        await work()
        assert faults == []

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(whole())


def abort(connection: Any) -> None:
    connection._writer.transport.abort()


def test_a_call_fails_as_unavailable_and_the_next_connects_anew(plain_url: str, prefix: str) -> None:
    async def work() -> None:
        async with PresenceEngine(plain_url, settings=EngineSettings(prefix=prefix)) as engine:
            [pipe] = engine.store._topology.pipes()
            for _ in range(3):
                assert pipe._line is not None
                abort(pipe._line.connection)
                with pytest.raises(StoreUnavailable):
                    await engine.count("r")
                assert (await engine.count("r")).count == 0

    run(work)


def test_a_feed_goes_on(plain_url: str, prefix: str) -> None:
    async def work() -> None:
        async with PresenceEngine(plain_url, settings=EngineSettings(prefix=prefix)) as engine:
            restored = asyncio.Event()
            got: asyncio.Queue[bytes] = asyncio.Queue()
            feed = engine.open_feed(on_lost=lambda: None, on_restored=restored.set)
            await feed.subscribe(engine.channel("a"), got.put_nowait)
            restored.clear()
            for one in feed._connections.values():
                abort(one._connection)
            waiting = asyncio.ensure_future(feed.subscribe(engine.channel("b"), got.put_nowait))
            await asyncio.wait_for(restored.wait(), 5)
            await waiting
            await engine.join("b", "u", "c")
            assert b"u" in await asyncio.wait_for(got.get(), 5)
            await feed.close()

    run(work)


def test_what_was_not_sent_is_dropped_with_its_connection(plain_url: str, prefix: str) -> None:
    """A kernel that went on delivering it would do so behind what its callers have done since: the end is a reset."""

    async def work() -> None:
        ends: asyncio.Queue[str] = asyncio.Queue()

        async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                while data := await reader.read(1 << 16):
                    writer.write(data)
                ends.put_nowait("end")
            except ConnectionResetError:
                ends.put_nowait("reset")
            writer.close()

        async def wire(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            to = urlsplit(plain_url)
            unix, tcp = asyncio.open_unix_connection, asyncio.open_connection
            store = await (unix(unquote(to.path)) if to.scheme == "unix" else tcp(to.hostname, to.port))
            await asyncio.gather(carry(reader, store[1]), carry(store[0], writer))

        async with await asyncio.start_server(wire, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            url = f"redis://127.0.0.1:{port}/0"
            async with PresenceEngine(url, settings=EngineSettings(prefix=prefix)) as engine:
                assert (await engine.count("r")).count == 0
                [pipe] = engine.store._topology.pipes()
                assert pipe._line is not None
                pipe._line.end(StoreUnavailable("late"))
                assert await asyncio.wait_for(ends.get(), 5) == "reset"
                assert (await engine.count("r")).count == 0

    run(work)
