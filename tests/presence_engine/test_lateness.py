"""What counts as late: a server from which no reply comes, not a loop that stood still, nor a queue that moves."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

import pytest
from redis.asyncio.connection import ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from presence_engine import StoreUnavailable
from presence_engine.pipe import Pipe
from tests.conftest import StartServer

MakePipe = Callable[[str, int], Pipe]


@pytest.fixture
async def make_pipe() -> AsyncIterator[MakePipe]:
    made = []

    def make(url: str, timeout_ms: int) -> Pipe:
        pool = ConnectionPool.from_url(url, protocol=2, retry=Retry(NoBackoff(), 0))
        made.append(Pipe(pool.make_connection, timeout_ms))
        return made[-1]

    yield make
    for pipe in made:
        await pipe.close()


async def test_a_loop_that_stood_still_reads_what_has_come_meanwhile(
    start_server: StartServer, make_pipe: MakePipe
) -> None:
    """Replies of 2 MB need several turns of the loop to be read, and all are after the timeout."""
    pipe = make_pipe(start_server().url, 100)
    await pipe.call("SET", "large", "x" * 2_000_000)
    for _ in range(3):
        calls = [pipe.call("GET", "large"), pipe.call("PING")]
        for _ in range(4):
            await asyncio.sleep(0)
        time.sleep(0.25)
        large, pong = await asyncio.gather(*calls)
        assert (len(large), pong) == (2_000_000, b"PONG")
    assert pipe.breaks == 0


@pytest.mark.faults
async def test_a_frozen_server_is_noticed_on_time(start_server: StartServer, make_pipe: MakePipe) -> None:
    """By everybody who calls while it is frozen, however long after the first."""
    server = start_server()
    pipe = make_pipe(server.url, 800)
    assert await pipe.call("PING") == b"PONG"
    assert server.pid is not None
    os.kill(server.pid, signal.SIGSTOP)

    async def timed(delay_s: float) -> float:
        await asyncio.sleep(delay_s)
        started = time.monotonic()
        with pytest.raises(StoreUnavailable):
            await pipe.call("PING")
        return time.monotonic() - started

    assert max(await asyncio.gather(*(timed(delay / 8) for delay in range(8)))) < 0.8 * 1.3
    os.kill(server.pid, signal.SIGCONT)


@pytest.mark.faults
@pytest.mark.parametrize(("pause_s", "calls"), [(0.1, 40), (0.02, 120)])
async def test_a_call_that_waits_behind_others_is_patient_but_not_for_ever(
    make_pipe: MakePipe, pause_s: float, calls: int
) -> None:
    """Replies trickle, fewer or more than are looked for: after four timeouts it is enough, for all that still wait."""

    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while count := await reader.readline():
                words = [await reader.readline() for _ in range(2 * int(count[1:]))]
                if words[1] == b"PING\r\n":
                    await asyncio.sleep(pause_s)
                writer.write(b"+PONG\r\n")
        writer.close()

    async with await asyncio.start_server(trickle, "127.0.0.1", 0) as server:
        pipe = make_pipe(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0?lib_name=&lib_version=", 200)
        started = time.monotonic()
        answers = await asyncio.gather(*(pipe.call("PING") for _ in range(calls)), return_exceptions=True)
        took = time.monotonic() - started
        await pipe.close()
    unavailable = [answer for answer in answers if isinstance(answer, StoreUnavailable)]
    assert answers == [b"PONG"] * (calls - len(unavailable)) + unavailable
    assert 0.5 / pause_s <= calls - len(unavailable) <= 1.2 / pause_s
    assert took < 2
