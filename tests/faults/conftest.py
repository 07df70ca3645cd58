"""Stores to kill, servers to kill, and the table of what came of it."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from presence_engine import EmbeddedServer, EngineSettings, PresenceEngine, audit
from tests.faults.processes import ServerProcess
from tests.faults.proxy import Proxy
from tests.faults.tab import Tab
from tests.faults.table import Table

Opened = Callable[..., Awaitable[Tab]]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A directory whose path leaves room for a unix socket's name."""
    path = Path(tempfile.mkdtemp(prefix="pe-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def store(folder: Path) -> Iterator[EmbeddedServer]:
    """A store of the test's own."""
    with EmbeddedServer(folder / "store", persistent=False) as server:
        yield server


@pytest.fixture
def proxy(store: EmbeddedServer) -> Iterator[Proxy]:
    one = Proxy(store.url)
    yield one
    one.stop()


@pytest.fixture
def launch(folder: Path) -> Iterator[Callable[..., ServerProcess]]:
    """Start a server process: `launch(redis_url, PRESENCE_LEASE="1")`. All are killed at the end."""
    started: list[ServerProcess] = []

    def start(redis_url: str, *args: str, wait: bool = True, **environ: str) -> ServerProcess:
        server = ServerProcess(redis_url, folder / f"server-{len(started)}.log", *args, **environ)
        started.append(server)
        return server.start(wait=wait)

    yield start
    for server in started:
        server.kill()


@pytest.fixture
async def tab() -> AsyncIterator[Opened]:
    """Open a tab: `await tab(server.url, "u1")`. All are closed at the end."""
    opened: list[Tab] = []

    async def open_tab(url: str, user: str) -> Tab:
        one = await Tab.open(url, user)
        opened.append(one)
        return one

    yield open_tab
    for one in opened:
        await one.kill()


@pytest.fixture
def room() -> str:
    return f"room-{uuid4().hex[:8]}"


@pytest.fixture
def faultless() -> Callable[..., Awaitable[None]]:
    """Recount every room of a store: no drift."""

    async def check(url: str, partitions: int = 1) -> None:
        async with PresenceEngine(url, settings=EngineSettings(partitions=partitions)) as engine:
            async for found in audit(engine):
                assert found.settled, f"{found.room} keeps changing"
                assert found.faults == [], found.room

    return check


@pytest.fixture(scope="session")
def table() -> Table:
    """Note what came of a fault, for the documentation."""
    return Table()
