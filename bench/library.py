"""How many heartbeats a second one process gets through the library, by callers that each wait for their answer."""

import asyncio
import gc
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bench.commands import Calls
from bench.people import NODE, Person, people, shuffled
from bench.wire import Wire, encode
from presence_engine import Beat, PresenceEngine

CALLERS: Final = 50
_SEED: Final = 11


@dataclass(frozen=True)
class Rate:
    """a_second: heartbeats by the clock on the wall. a_cpu_second: by this process' CPU time alone."""

    a_second: float
    a_cpu_second: float


def fill(wire: Wire, members: int) -> list[Person]:
    calls = Calls("library")
    calls.load(wire)
    everyone = people(members, _SEED)
    wire.play(encode(calls.join(member) for member in everyone))
    return everyone


def measure(url: str, everyone: Sequence[Person], run: Callable[[Coroutine[Any, Any, Rate]], Rate]) -> Rate:
    """Beat once for every member, in shuffled order, by CALLERS callers; `run` is an event loop's runner."""
    return run(_beat_all(url, shuffled(everyone, _SEED)))


async def _beat_all(url: str, everyone: Sequence[Person]) -> Rate:
    # What this process keeps for the benchmark is not the library's to walk through at every collection.
    gc.collect()
    gc.freeze()
    async with PresenceEngine(url, node=NODE) as engine:

        async def caller(part: Sequence[Person]) -> None:
            for member in part:
                outcome = await engine.heartbeat("library", member.user, member.connection[len(NODE) :])
                assert isinstance(outcome, Beat)
                assert not outcome.adopted

        wall, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*(caller(everyone[n::CALLERS]) for n in range(CALLERS)))
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return Rate(len(everyone) / wall, len(everyone) / cpu)
