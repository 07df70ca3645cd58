"""Real servers, a key prefix for each test, engines that are closed, a clock that moves when told."""

import os
import shutil
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from presence_engine import EngineSettings, PresenceEngine, RoomRules
from presence_engine.embedded import EmbeddedServer
from tests.cluster.servers import SLOTS, Cluster

_TESTS = Path(__file__).parent
_TIMED = {"browser", "cluster", "faults", "fuzz", "server", "soak"}

MakeEngine = Callable[..., Awaitable[PresenceEngine]]
StartServer = Callable[..., EmbeddedServer]


class Clock:
    """What a test hands to the engine as `now_ms`; it moves only when told."""

    def __init__(self, now_ms: int = 1_800_000_000_000) -> None:
        self.now_ms = now_ms

    def advance(self, by_ms: int) -> int:
        self.now_ms += by_ms
        return self.now_ms


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--cluster", action="store_true", help="run against a three-node cluster instead of single servers"
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "server_binary" in metafunc.fixturenames:
        servers = ["cluster"] if metafunc.config.getoption("--cluster") else ["valkey", "redis"]
        metafunc.parametrize("server_binary", servers, indirect=True, scope="session")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of whole processes against the clock:
    in CI one that a busy machine spoilt runs again, which the summary tells.
    """
    if os.environ.get("CI") == "true":
        for item in items:
            if item.path.relative_to(_TESTS).parts[0] in _TIMED:
                item.add_marker(pytest.mark.flaky(reruns=2))


@pytest.fixture(scope="session")
def server_binary(request: pytest.FixtureRequest) -> Path | None:
    """None is the embedded Valkey; the other is the system's redis-server. Nodes of a cluster are the latter."""
    if request.param == "valkey":
        return None
    found = shutil.which("redis-server")
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail("redis-server is not installed")
        pytest.skip("redis-server is not installed")
    return Path(found)


@pytest.fixture(scope="session")
def cluster(server_binary: Path | None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three masters. The first has all slots but two, so that one plain client sees what the tests look for."""
    cluster = Cluster(str(server_binary), tmp_path_factory.mktemp("cluster"))
    cluster.await_ready(cuts=(SLOTS - 2, SLOTS - 1))
    yield cluster
    cluster.stop()


@pytest.fixture(scope="session")
def redis_url(
    server_binary: Path | None, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[str]:
    """A server that the session's tests share; each keeps to its own prefix and never flushes."""
    if request.config.getoption("--cluster"):
        found: Cluster = request.getfixturevalue("cluster")
        # The engine is shown the way by a node that has next to nothing itself.
        yield f"redis+cluster://127.0.0.1:{found.instances[2].port}"
        return
    with EmbeddedServer(tmp_path_factory.mktemp("redis"), persistent=False, binary=server_binary) as server:
        yield server.url


@pytest.fixture
def start_server(server_binary: Path | None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartServer]:
    """Start a server of the test's own, to fill, stop or kill: `start_server(maxmemory="10mb")`."""
    started: list[EmbeddedServer] = []

    def start(*, port: int | None = None, **config: str) -> EmbeddedServer:
        directory = tmp_path_factory.mktemp("own")
        extra = {name.replace("_", "-"): value for name, value in config.items()}
        server = EmbeddedServer(directory, persistent=False, binary=server_binary, port=port, extra_config=extra)
        started.append(server.start())
        return server

    yield start
    for server in started:
        if server.owner and server.pid is not None:
            os.kill(server.pid, signal.SIGCONT)
        server.stop()


@pytest.fixture
def prefix() -> str:
    return f"t{uuid4().hex[:12]}"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def make_engine(redis_url: str, prefix: str) -> AsyncIterator[MakeEngine]:
    """Make started engines; `ttl_ms`, `grace_ms`, `capacity` become the rules of every room."""
    made: list[PresenceEngine] = []

    async def make(url: str | None = None, *, node: str | None = None, **settings: Any) -> PresenceEngine:
        known = {name: settings.pop(name) for name in ("ttl_ms", "grace_ms", "capacity") if name in settings}
        if known:
            rules = RoomRules(**known)
            settings["rules"] = lambda _room: rules
        settings = {"prefix": prefix, **settings}
        engine = PresenceEngine(url or redis_url, settings=EngineSettings(**settings), node=node)
        made.append(engine)
        await engine.start()
        return engine

    yield make
    for engine in made:
        await engine.close()


@pytest.fixture
async def engine(make_engine: MakeEngine) -> PresenceEngine:
    """A started engine with the default rules: six hours, 15 s of grace."""
    return await make_engine()


@pytest.fixture(scope="session")
def plain_url(redis_url: str, request: pytest.FixtureRequest) -> str:
    """Where a plain client finds the data: on a cluster at the node that has the slots."""
    if not request.config.getoption("--cluster"):
        return redis_url
    return f"redis://127.0.0.1:{request.getfixturevalue('cluster').instances[0].port}"


@pytest.fixture
async def redis(plain_url: str) -> AsyncIterator[Redis]:
    """A plain client, to look at what the engine left behind. Answers are text."""
    async with Redis.from_url(plain_url, decode_responses=True) as client:
        yield client


@pytest.fixture
def keys_left(redis: Redis, prefix: str) -> Callable[[], Awaitable[list[str]]]:
    """Every key of this test's prefix, without prefix and partition; but what stays on purpose: layout, tallies."""

    async def left() -> list[str]:
        found = [key async for key in redis.scan_iter(match=f"{prefix}:*", count=1000)]
        names = (key.split("}:", 1)[-1] for key in found)
        return sorted(name for name in names if not name.startswith(("removals:", "layout")))

    return left
