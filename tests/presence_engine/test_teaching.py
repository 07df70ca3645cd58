"""A Redis that has forgotten the scripts is taught them once, however many callers find out at one time."""

import asyncio
import re
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from presence_engine import Beat, Joined, PresenceEngine, StoreUnavailable
from tests.conftest import MakeEngine, StartServer


@pytest.fixture
async def engine(start_server: StartServer, make_engine: MakeEngine) -> PresenceEngine:
    """On a server of its own: a flush is everybody's."""
    engine = await make_engine(start_server().url)
    await engine.join("r", "u", "c")
    return engine


async def loads(engine: PresenceEngine) -> int:
    """How many scripts this Redis was ever taught, counted again for each time."""
    found = re.search(rb"cmdstat_script\|load:calls=(\d+)", await engine.store.command("INFO", "commandstats"))
    assert found is not None
    return int(found[1])


async def test_many_callers_teach_once(engine: PresenceEngine) -> None:
    for number in range(3):
        before = await loads(engine)
        await engine.store.command("SCRIPT", "FLUSH")
        joins = [engine.join("r", f"u{number}-{n}", "c") for n in range(200)]
        beats = [engine.heartbeat("r", "u", "c") for _ in range(100)]
        answers = await asyncio.gather(*joins, *beats, engine.count("r"), engine.list("r"), engine.rooms())
        assert all(isinstance(answer, Joined) for answer in answers[:200])
        assert all(isinstance(answer, Beat) for answer in answers[200:300])
        assert await loads(engine) - before == len(engine.store.library)
    assert (await engine.count("r")).count == 601


@pytest.mark.parametrize("turns", range(0, 12, 2))
async def test_who_is_cancelled_meanwhile_does_not_disturb_the_others(engine: PresenceEngine, turns: int) -> None:
    """Nor the one who happened to begin the teaching: it is nobody's own."""
    before = await loads(engine)
    await engine.store.command("SCRIPT", "FLUSH")
    tasks = [asyncio.create_task(engine.join("r", f"u{n}", "c")) for n in range(50)]
    for _ in range(turns):
        await asyncio.sleep(0)
    for task in tasks[:25]:
        task.cancel()
    answers = await asyncio.wait_for(asyncio.gather(*tasks[25:]), 5)
    assert all(isinstance(answer, Joined) for answer in answers)
    assert await loads(engine) - before == len(engine.store.library)


@pytest.mark.parametrize("turns", range(2, 16, 2))
@pytest.mark.parametrize("verb", ["join", "heartbeat"])
async def test_a_close_in_the_middle_is_unavailable(engine: PresenceEngine, verb: str, turns: int) -> None:
    """Never a CancelledError: nobody cancelled these callers. And nothing goes on behind the close."""
    await engine.store.command("SCRIPT", "FLUSH")
    others = asyncio.all_tasks()
    call: Callable[..., Coroutine[Any, Any, Any]] = getattr(engine, verb)
    tasks = [asyncio.create_task(call("r", "u", "c")) for _ in range(50)]
    for _ in range(turns):
        await asyncio.sleep(0)
    await engine.close()
    left = {task.get_name() for task in asyncio.all_tasks() - others - set(tasks)}
    assert left == set()
    answers = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 5)
    assert {type(answer) for answer in answers} <= {StoreUnavailable, Joined, Beat}
    assert not asyncio.all_tasks() - others
    assert (await engine.join("r", "u", "c")).position.count == 1  # type: ignore[union-attr]
