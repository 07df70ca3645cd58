"""The presence core beside the plain commands that do the least it has to do.

A test here fails when a script answers wrongly, never because it was slow: ratios are printed beside their targets.
"""

import asyncio
from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench import library, memory, record, workloads
from bench.record import Figure
from bench.servers import Server
from bench.wire import Chunk, Cost, Wire
from bench.workloads import Sizes, Workload

uvloop = pytest.importorskip("uvloop")


def compare(benchmark: BenchmarkFixture, workload: Workload, server: Server, wire: Wire, rounds: int) -> Figure:
    """Play plain and script in turns, `rounds` times; pytest-benchmark's own clock is on the script's rounds."""
    plain: list[Cost] = []
    script: list[Cost] = []

    def play_plain() -> tuple[tuple[list[Chunk]], dict[str, Any]]:
        number = len(script)
        plain.append(wire.measure(workload.plain(number))[0])
        return (workload.script(number),), {}

    def play_script(chunks: list[Chunk]) -> None:
        cost, replies = wire.measure(chunks)
        assert workload.right(replies)
        script.append(cost)

    benchmark.pedantic(play_script, setup=play_plain, rounds=rounds, iterations=1)  # type: ignore[no-untyped-call]
    figure = record.ratio(workload, server.version, plain, script)
    benchmark.extra_info.update({"ratio": figure.value, "target": figure.target, **figure.detail})
    return figure


@pytest.mark.parametrize(
    ("batch", "written", "target", "times"),
    [
        (100, True, 1.4, 1),
        (100, False, 0.75, 1),
        (1, True, 3.5, 1),
        (1, False, None, 1),
        (100, True, 1.4, 10),
        (1, True, 3.5, 10),
    ],
)
def test_heartbeat(
    benchmark: BenchmarkFixture, server: Server, wire: Wire, sizes: Sizes, figures: list[Figure],
    batch: int, written: bool, target: float | None, times: int,
) -> None:  # fmt: skip
    workload = workloads.heartbeat(wire, sizes.larger(times), batch=batch, written=written, target=target)
    figures.append(compare(benchmark, workload, server, wire, sizes.rounds))


@pytest.mark.parametrize(("user_index", "times"), [(False, 1), (True, 1), (True, 10)])
def test_join(
    benchmark: BenchmarkFixture, server: Server, wire: Wire, sizes: Sizes, figures: list[Figure],
    user_index: bool, times: int,
) -> None:  # fmt: skip
    workload = workloads.join(wire, sizes.larger(times), user_index=user_index)
    figures.append(compare(benchmark, workload, server, wire, sizes.rounds))


@pytest.mark.parametrize("part", [100, 10, 1])
def test_count(
    benchmark: BenchmarkFixture, server: Server, wire: Wire, sizes: Sizes, figures: list[Figure], part: int
) -> None:
    workload = workloads.count(wire, sizes, room_size=sizes.members // part)
    figures.append(compare(benchmark, workload, server, wire, sizes.rounds))


@pytest.mark.parametrize(
    ("user_index", "yardstick", "times"),
    [(False, 1, 1), (True, 1, 1), (False, 100, 1), (True, 100, 1), (True, 100, 10)],
)
def test_sweep(
    benchmark: BenchmarkFixture, server: Server, wire: Wire, sizes: Sizes, figures: list[Figure],
    user_index: bool, yardstick: int, times: int,
) -> None:  # fmt: skip
    workload = workloads.sweep(wire, sizes.larger(times), user_index=user_index, yardstick=yardstick)
    figure = compare(benchmark, workload, server, wire, sizes.rounds)
    figures.append(figure)
    if yardstick == workloads.SWEEP_LIMIT:
        name = f"{figure.workload}: longest call, p99"
        figures.append(Figure(name, server.version, figure.detail["call_p99_us"] / 1000, "ms", 2, False, {}))


def test_memory(server: Server, wire: Wire, sizes: Sizes, figures: list[Figure]) -> None:
    members = sizes.larger(10).members
    without_index, with_index = memory.bytes_a_member(wire, members)
    assert 0 < without_index < with_index
    room = f"memory a member, a room of {members:,}, user index"
    figures.append(Figure(f"{room} off", server.version, without_index, "B", 450, False, {}))
    figures.append(Figure(f"{room} on", server.version, with_index, "B", None, False, {}))


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_library(
    benchmark: BenchmarkFixture, server: Server, wire: Wire, sizes: Sizes, figures: list[Figure], loop: str
) -> None:
    everyone = library.fill(wire, sizes.members)
    rates: list[library.Rate] = []
    run = asyncio.run if loop == "asyncio" else uvloop.run

    def beat() -> None:
        rates.append(library.measure(server.url, everyone, run))

    benchmark.pedantic(beat, rounds=sizes.rounds, iterations=1)  # type: ignore[no-untyped-call]
    middle = sorted(rates, key=lambda rate: rate.a_second)[len(rates) // 2]
    name = f"library, {library.CALLERS} callers, {loop}"
    detail = {"a_cpu_second": round(middle.a_cpu_second)}
    figures.append(Figure(name, server.version, round(middle.a_second), "beats/s", 100_000, True, detail))
