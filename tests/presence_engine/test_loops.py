"""One engine in one event loop after another, in a forked process, and in a second thread."""

import asyncio
import gc
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from redis import Redis

from presence_engine import (
    Beat,
    ConfigurationError,
    EngineSettings,
    Joined,
    PresenceEngine,
    RoomRules,
    StoreUnavailable,
    Sweeper,
)
from tests.conftest import StartServer

ROOT = Path(__file__).parents[2]


@pytest.fixture
def engine(redis_url: str, prefix: str) -> PresenceEngine:
    """Not started, and made outside of any loop, as at the top of an application's module."""
    rules = RoomRules(ttl_ms=60_000)
    return PresenceEngine(redis_url, settings=EngineSettings(prefix=prefix, timeout_ms=1000, rules=lambda _: rules))


async def visit(engine: PresenceEngine, room: str = "r") -> None:
    """Every way a call takes to Redis, each with its own answer."""
    async with asyncio.timeout(5):
        joined, beat = await asyncio.gather(engine.join(room, "u", "c"), engine.heartbeat("nowhere", "u", "c"))
        assert isinstance(joined, Joined)
        assert not isinstance(beat, Beat)
        assert isinstance(await engine.heartbeat(room, "u", "c"), Beat)
        assert (await engine.count(room)).count == 1
        assert [member.user for member in (await engine.list(room)).members] == ["u"]


def test_closed_in_one_loop_and_used_in_the_next(engine: PresenceEngine) -> None:
    """With its sweeper, which goes on sweeping: a script, a test client, a notebook do so."""
    sweeper = Sweeper(engine, interval_ms=60_000)

    async def session() -> None:
        removed = asyncio.Event()
        engine.on_removed = lambda _: removed.set()
        async with asyncio.timeout(5), engine, sweeper:
            await visit(engine)
            await engine.join("short", "u", "c")
            await engine.detach("short", "u", "c", grace_ms=20)
            await removed.wait()

    for _ in range(3):
        asyncio.run(session())


def test_left_open_in_one_loop_and_used_in_the_next(start_server: StartServer, prefix: str) -> None:
    """Nothing is left behind either: neither a connection at the server, nor a warning here."""
    server = start_server()
    engine = PresenceEngine(server.url, settings=EngineSettings(prefix=prefix))
    sweeper = Sweeper(engine)
    left: list[asyncio.Future[object]] = []

    async def session() -> None:
        sweeper.start()
        await visit(engine)
        calls = (engine.count("r"), engine.heartbeat("r", "u", "c"), engine.join("r", "u", "c"))
        left.extend(asyncio.ensure_future(call) for call in calls)
        await asyncio.sleep(0)

    for _ in range(3):
        asyncio.run(session())
    gc.collect()
    with Redis.from_url(server.url) as client:
        assert len(client.client_list()) == 1
    asyncio.run(engine.close())


def test_a_loop_that_merely_stopped(engine: PresenceEngine) -> None:
    """What waits in it fails when it goes on, instead of waiting for ever; then it may have the engine again."""
    first = asyncio.new_event_loop()
    first.run_until_complete(visit(engine))
    never = engine.store.command("BLPOP", engine.keys.nodes("nothing"), 0)
    left = [first.create_task(never), first.create_task(engine.heartbeat("r", "u", "c"))]
    first.run_until_complete(asyncio.sleep(0))

    async def second() -> None:
        await visit(engine)
        await engine.close()

    asyncio.run(second())
    outcomes = first.run_until_complete(asyncio.wait_for(asyncio.gather(*left, return_exceptions=True), 5))
    assert isinstance(outcomes[0], StoreUnavailable)
    assert isinstance(outcomes[1], Beat | StoreUnavailable)
    first.run_until_complete(visit(engine))
    first.run_until_complete(engine.close())
    first.close()


def test_a_second_thread_is_refused_and_the_first_loop_goes_on(engine: PresenceEngine) -> None:
    refused: list[str] = []
    enough = threading.Event()

    async def elsewhere() -> None:
        calls = (
            engine.start,
            engine.ping,
            engine.close,
            lambda: engine.join("r", "v", "c"),
            lambda: engine.heartbeat("r", "u", "c"),
            lambda: engine.count("r"),
            engine.rooms,
        )
        while not enough.is_set() or not refused:
            for call in calls:
                with pytest.raises(ConfigurationError) as caught:
                    await asyncio.wait_for(call(), 5)
                refused.append(str(caught.value))

    async def session() -> None:
        async with engine:
            await visit(engine)
            thread = threading.Thread(target=asyncio.run, args=(elsewhere(),))
            thread.start()
            for _ in range(300):
                assert isinstance(await engine.heartbeat("r", "u", "c"), Beat)
            enough.set()
            await asyncio.to_thread(thread.join)
            assert set(refused) == {"this engine is in use in another event loop: make one engine for each"}
            await visit(engine)
            assert engine.store.breaks == 0

    asyncio.run(session())
    # Once the first loop is gone, any thread may have it.
    thread = threading.Thread(target=asyncio.run, args=(visit(engine, "later"),))
    thread.start()
    thread.join()
    asyncio.run(visit(engine, "later"))


def test_who_calls_while_all_tasks_are_cancelled_does_not_wait_for_ever(engine: PresenceEngine) -> None:
    """As `asyncio.run` does at its end: a task that takes its leave then is answered, one way or the other."""
    outcomes: list[object] = []

    async def guest() -> None:
        await engine.join("r", "u", "c")
        try:
            await asyncio.Event().wait()
        finally:
            for _ in range(2):
                try:
                    outcomes.append(await engine.leave("r", "u", "c"))
                except StoreUnavailable as error:
                    outcomes.append(error)

    async def session() -> None:
        task = asyncio.create_task(guest())
        while not await engine.list("r", limit=0) or (await engine.count("r")).count == 0:
            pass
        ours = asyncio.current_task()
        for one in asyncio.all_tasks() - {ours}:
            one.cancel()
        await asyncio.wait([task], timeout=5)
        await engine.close()

    asyncio.run(session())
    assert len(outcomes) == 2


FORKED = """
import asyncio, gc, multiprocessing, os, sys, threading
from presence_engine import Beat, EngineSettings, Joined, PresenceEngine

url, prefix, how = sys.argv[1:]
engine = PresenceEngine(url, settings=EngineSettings(prefix=prefix, timeout_ms=1000))

async def use(user):
    for n in range(30):
        joined, count = await asyncio.wait_for(asyncio.gather(engine.join(user, user, "c"), engine.count(user)), 5)
        assert isinstance(joined, Joined) and count.count == 1, (user, joined, count)
        assert isinstance(await asyncio.wait_for(engine.heartbeat(user, user, "c"), 5), Beat)
        if n == 10:
            gc.collect()

def child():
    asyncio.run(use("child"))
    asyncio.run(use("child"))

async def inside():
    await use("parent")
    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    await use("parent")
    await asyncio.to_thread(process.join)
    assert process.exitcode == 0
    await use("parent")

if how == "inside":
    asyncio.run(inside())
elif how == "between":
    with asyncio.Runner() as runner:
        runner.run(use("parent"))
        if (pid := os.fork()) == 0:
            try:
                child()
            except BaseException as error:
                print(repr(error), flush=True)
                os._exit(1)
            os._exit(0)
        runner.run(use("parent"))
        assert os.waitpid(pid, 0)[1] == 0
        runner.run(use("parent"))
# The end of the run ends each connection, and nothing did before.
print(engine.store.breaks - len(engine.store._topology.pipes()))
"""


@pytest.mark.parametrize("how", ["between", "inside"])
def test_a_forked_process_and_its_parent(redis_url: str, prefix: str, how: str) -> None:
    """Both get their own answers, and the parent's connection stays whole."""
    command = [sys.executable, "-c", FORKED, redis_url, prefix, how]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=ROOT, check=False)
    assert (done.returncode, done.stdout) == (0, "0\n"), done.stderr


def test_a_feed_that_nobody_closed_ends_with_its_loop(engine: PresenceEngine, caplog: pytest.LogCaptureFixture) -> None:
    """Nobody is told of a loss, by which new work would begin in a loop that is over."""
    told: list[str] = []

    async def session() -> None:
        feed = engine.open_feed(on_lost=lambda: told.append("lost"), on_restored=lambda: told.append("restored"))
        await feed.subscribe(engine.channel("r"), lambda _: None)

    asyncio.run(session())
    gc.collect()
    assert told == ["restored"]
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []
