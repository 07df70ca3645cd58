"""The shared connection: order, silence, breaks, cancelled callers; nothing is ever sent twice."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

import pytest
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ResponseError

from presence_engine import ContractBroken, PresenceEngine, StoreUnavailable
from presence_engine.pipe import Pipe
from tests.conftest import MakeEngine, StartServer

MakePipe = Callable[..., Pipe]


@pytest.fixture
async def make_pipe(plain_url: str) -> AsyncIterator[MakePipe]:
    made = []

    def make(url: str = plain_url, timeout_ms: int = 1500) -> Pipe:
        pool = ConnectionPool.from_url(url, protocol=2, retry=Retry(NoBackoff(), 0))
        made.append(Pipe(pool.make_connection, timeout_ms))
        return made[-1]

    yield make
    for pipe in made:
        await pipe.close()


class Proxy:
    """Stands between a client and a server on 127.0.0.1; cuts the connection instead of passing on reply `cut_at`."""

    def __init__(self, port: int) -> None:
        self.upstream_port = port
        self.cut_at = 0
        self.replies = 0
        self.connections = 0
        self.writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> "Proxy":
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.server.close()
        for writer in self.writers:
            writer.close()
        await asyncio.sleep(0.01)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.upstream_port)
        self.writers += [writer, up_writer]
        with suppress(ConnectionError):
            await asyncio.gather(self._pass(reader, up_writer, False), self._pass(up_reader, writer, True))
        writer.close()
        up_writer.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, replies: bool) -> None:
        while data := await reader.read(65536):
            if replies:
                self.replies += data.count(b"\r\n")
                if self.cut_at and self.replies >= self.cut_at:
                    self.cut_at = 0
                    raise ConnectionResetError
            writer.write(data)
        writer.close()


async def test_replies_come_back_in_order(make_pipe: MakePipe) -> None:
    pipe = make_pipe()
    assert await asyncio.gather(*(pipe.call("ECHO", str(n)) for n in range(5000))) == [b"%d" % n for n in range(5000)]


async def test_an_error_is_its_own_callers_alone(make_pipe: MakePipe) -> None:
    pipe = make_pipe()
    calls = [
        pipe.call("ECHO", "a"),
        pipe.call("NOSUCH"),
        pipe.call("ECHO", "b"),
        pipe.call("GET"),
        pipe.call("ECHO", "c"),
    ]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert answers[::2] == [b"a", b"b", b"c"]
    assert all(isinstance(answer, ResponseError) for answer in answers[1::2])


async def test_a_command_that_cannot_be_written_is_its_own_callers_alone(make_pipe: MakePipe) -> None:
    pipe = make_pipe()
    first = pipe.call("ECHO", "first")
    for bad, error in (("\ud800", UnicodeEncodeError), ([], TypeError)):
        with pytest.raises(error):
            pipe.call("ECHO", bad)
    assert [await first, await pipe.call("ECHO", "second")] == [b"first", b"second"]


async def test_a_connection_that_cannot_even_be_made_fails_its_callers(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever is wrong with it: a call never waits for ever, and the log says why."""

    def broken() -> AbstractConnection:
        raise TypeError("an unexpected argument")

    pipe = Pipe(broken, 60_000)
    for _ in range(2):
        async with asyncio.timeout(5):
            with pytest.raises(StoreUnavailable, match="TypeError"):
                await pipe.call("PING")
    assert "an unexpected argument" in caplog.text
    await pipe.close()


async def test_cancelled_callers_do_not_disturb_others(make_pipe: MakePipe) -> None:
    pipe = make_pipe()
    await pipe.call("PING")
    calls = [pipe.call("ECHO", str(n)) for n in range(300)]
    for n in range(0, 300, 3):
        calls[n].cancel()
    await asyncio.sleep(0)
    for n in range(1, 300, 3):
        calls[n].cancel()
    assert [await calls[n] for n in range(2, 300, 3)] == [b"%d" % n for n in range(2, 300, 3)]
    assert await pipe.call("ECHO", "after") == b"after"


async def test_a_cancelled_task_does_not_disturb_others(make_pipe: MakePipe, prefix: str) -> None:
    pipe = make_pipe()

    async def count() -> int:
        return int(await pipe.call("INCR", f"{prefix}:n"))

    tasks = [asyncio.create_task(count()) for _ in range(100)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert answers[1::2] == list(range(2, 101, 2))
    assert await count() == 101


async def test_binary_and_empty_values(make_pipe: MakePipe) -> None:
    pipe = make_pipe()
    values = ["", "\r\n", "$5\r\nhello", "é" * 70000, "\x00"]
    assert await asyncio.gather(*(pipe.call("ECHO", value) for value in values)) == [value.encode() for value in values]


@pytest.mark.faults
async def test_a_server_that_hangs_is_noticed(start_server: StartServer, make_engine: MakeEngine) -> None:
    """T0.7: unavailable within two seconds, and no restart needed afterwards."""
    server = start_server()
    engine = await make_engine(server.url)
    await engine.join("r", "u", "c")
    assert server.pid is not None
    os.kill(server.pid, signal.SIGSTOP)
    started = time.monotonic()
    answers = await asyncio.gather(
        engine.count("r"), engine.heartbeat("r", "u", "c"), engine.join("r", "v", "c"), return_exceptions=True
    )
    assert [type(answer) for answer in answers] == [StoreUnavailable] * 3
    assert time.monotonic() - started < 2
    os.kill(server.pid, signal.SIGCONT)
    assert (await engine.count("r")).count >= 1


@pytest.mark.faults
async def test_a_killed_server_and_its_return(start_server: StartServer, make_engine: MakeEngine) -> None:
    """Fails at once while it is gone; works again without a new engine, scripts taught anew."""
    server = start_server()
    engine = await make_engine(server.url)
    await engine.join("r", "u", "c")
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            await engine.count("r")
    server.start()
    assert (await engine.count("r")).count == 0
    assert (await engine.join("r", "u", "c")).position.count == 1  # type: ignore[union-attr]


@pytest.mark.parametrize("cut_at", [1, 2, 3, 7])
async def test_nothing_is_sent_twice(start_server: StartServer, make_pipe: MakePipe, prefix: str, cut_at: int) -> None:
    """The reply is lost, the change was made: the caller is told, and nobody repeats it behind his back."""
    server = start_server(port=0)
    async with Proxy(int(server.url.rsplit(":", 1)[1].split("/")[0])) as proxy:
        pipe = make_pipe(f"redis://127.0.0.1:{proxy.port}/0?lib_name=&lib_version=")
        await pipe.call("PING")
        proxy.replies, proxy.cut_at = 0, cut_at
        outcomes: list[int | None] = []
        for _ in range(10):
            try:
                outcomes.append(await pipe.call("INCR", f"{prefix}:n"))
            except StoreUnavailable:
                outcomes.append(None)
        assert outcomes == [n if n != cut_at else None for n in range(1, 11)]
        assert proxy.connections == 2


async def test_all_calls_under_way_fail_when_the_connection_breaks(
    start_server: StartServer, make_pipe: MakePipe, prefix: str
) -> None:
    server = start_server(port=0)
    async with Proxy(int(server.url.rsplit(":", 1)[1].split("/")[0])) as proxy:
        pipe = make_pipe(f"redis://127.0.0.1:{proxy.port}/0?lib_name=&lib_version=")
        await pipe.call("PING")
        proxy.replies, proxy.cut_at = 0, 1
        answers = await asyncio.gather(*(pipe.call("INCR", f"{prefix}:n") for _ in range(50)), return_exceptions=True)
        assert {type(answer) for answer in answers} == {StoreUnavailable}
        assert await pipe.call("GET", f"{prefix}:n") == b"50"


async def test_nobody_listens(make_pipe: MakePipe) -> None:
    pipe = make_pipe("redis://127.0.0.1:1/0")
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            await pipe.call("PING")


async def test_the_error_does_not_tell_the_password(make_engine: MakeEngine, start_server: StartServer) -> None:
    server = start_server(port=0)
    right, wrong = (server.url.replace("redis://", f"redis://:{word}-secret@") for word in ("right", "wrong"))
    async with Redis.from_url(server.url) as client:
        await client.config_set("requirepass", "right-secret")
    with pytest.raises(StoreUnavailable) as caught:
        await make_engine(wrong)
    assert "secret" not in str(caught.value)
    assert "password" in str(caught.value)
    engine = await make_engine(right)
    assert (await engine.count("r")).count == 0
    async with Redis.from_url(right) as client:
        await client.config_set("requirepass", "")


async def test_close_fails_what_is_under_way_and_leaves_no_task(make_pipe: MakePipe) -> None:
    pipe = make_pipe()
    await pipe.call("PING")
    waiting = pipe.call("BLPOP", "nothing-here", 30)
    await asyncio.sleep(0.01)
    await pipe.close()
    with pytest.raises(StoreUnavailable):
        await waiting
    assert [task for task in asyncio.all_tasks() if task.get_name().startswith("redis-pipe")] == []
    assert await pipe.call("PING") == b"PONG"


async def test_a_call_at_the_moment_of_closing_keeps_its_connection(make_pipe: MakePipe) -> None:
    """It connects anew, and that connection is the pipe's: the next close ends it."""
    pipe = make_pipe()
    await pipe.call("PING")
    closing = asyncio.ensure_future(pipe.close())
    await asyncio.sleep(0)
    assert await pipe.call("PING") == b"PONG"
    await closing
    await pipe.close()
    assert [task for task in asyncio.all_tasks() if task.get_name().startswith("redis-pipe")] == []


async def test_closing_twice_or_unused_is_harmless(redis_url: str) -> None:
    engine = PresenceEngine(redis_url)
    await engine.close()
    await engine.close()


async def test_scripts_are_taught_again_after_a_flush(start_server: StartServer, make_engine: MakeEngine) -> None:
    """T1.9: NOSCRIPT → reload and once more, also when many calls are under way and between every two calls."""
    server = start_server()
    engine = await make_engine(server.url)
    for n in range(5):
        await engine.store.command("SCRIPT", "FLUSH")
        assert (await engine.join("r", f"u{n}", "c")).position.count == n + 1  # type: ignore[union-attr]
        await engine.store.command("SCRIPT", "FLUSH")
        assert (await engine.count("r")).count == n + 1
    await engine.store.command("SCRIPT", "FLUSH")
    await asyncio.gather(*(engine.join("r", f"v{n}", "c") for n in range(50)))
    assert (await engine.count("r")).count == 55
    assert (await engine.count("r")).seq == 55


async def test_a_key_of_another_kind_is_a_broken_contract(engine: PresenceEngine) -> None:
    """T0.4's WRONGTYPE: told as what it is, never as an empty room."""
    await engine.store.command("SET", engine.keys.room("r").members, "text")
    with pytest.raises(ContractBroken) as caught:
        await engine.count("r")
    assert "presence/count" in str(caught.value)


async def test_a_replica_is_unavailable_and_the_next_call_connects_anew(
    start_server: StartServer, make_engine: MakeEngine
) -> None:
    server = start_server()
    engine = await make_engine(server.url)
    await engine.join("r", "u", "c")
    await engine.store.command("REPLICAOF", "127.0.0.1", "1")
    with pytest.raises(StoreUnavailable):
        await engine.join("r", "v", "c")
    await engine.store.command("REPLICAOF", "NO", "ONE")
    assert (await engine.join("r", "v", "c")).position.count == 2  # type: ignore[union-attr]


async def test_a_swallowed_cancellation_ends_the_connection_all_the_same(plain_url: str) -> None:
    """As when a loop ends while a connection is made: else its end would wait for a writer that waits for ever."""
    make: Callable[[], AbstractConnection] = ConnectionPool.from_url(plain_url, protocol=2).make_connection
    connected = asyncio.Event()

    def deaf() -> AbstractConnection:
        connection = make()
        connect: Callable[[], Awaitable[None]] = connection.connect

        async def swallowing() -> None:
            await connect()
            connected.set()
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()

        connection.connect = swallowing  # type: ignore[method-assign]
        return connection

    pipe = Pipe(deaf, 60_000)
    waiting = pipe.call("PING")
    [writer] = [task for task in asyncio.all_tasks() if task.get_name() == "redis-pipe-writer"]
    await connected.wait()
    writer.cancel()
    with pytest.raises(StoreUnavailable):
        await asyncio.wait_for(waiting, 5)
    assert [task for task in asyncio.all_tasks() if task.get_name().startswith("redis-pipe")] == []
