"""Small sizes by default, so that the workloads themselves are tested; `pytest bench --full` measures."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import record, servers
from bench.record import Figure
from bench.servers import Server
from bench.wire import Wire
from bench.workloads import FULL, SMALL, Sizes

FIGURES = pytest.StashKey[list[Figure]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--full", action="store_true", help="benchmarks: measure the real sizes (minutes), write bench/results"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[FIGURES] = []


@pytest.fixture(scope="session")
def full(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--full"))


@pytest.fixture(scope="session")
def sizes(full: bool) -> Sizes:
    return FULL if full else SMALL


@pytest.fixture(scope="session")
def figures(request: pytest.FixtureRequest) -> list[Figure]:
    return request.config.stash[FIGURES]


@pytest.fixture(params=servers.KINDS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A fresh server for each workload: what one leaves behind is not the next one's cost."""
    if servers.find_binary(request.param) is None:
        pytest.skip(f"no {request.param} server is installed")
    with servers.running(request.param) as started:
        yield started


@pytest.fixture
def wire(server: Server) -> Iterator[Wire]:
    with Wire(server.socket_path) as connection:
        yield connection


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    found = config.stash[FIGURES]
    if not found:
        return
    is_full = bool(config.getoption("--full"))
    terminalreporter.section(
        "presence, ratios by the server's CPU time" + ("" if is_full else " (small sizes: not figures)")
    )
    for line in record.table(found):
        terminalreporter.write_line(line)
    if is_full:
        for name in dict.fromkeys(figure.server for figure in found):
            path = record.write(Path(__file__).parent / "results", name, [f for f in found if f.server == name], FULL)
            terminalreporter.write_line(f"written: {path}")
