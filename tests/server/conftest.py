"""Servers as users run them: in this process on a free port (fast), or as the command (to stop and kill)."""

import asyncio
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest
import redis
import uvicorn

from presence_engine import EmbeddedServer
from server.app import MAX_PACKET_BYTES, create_app
from server.auth import Authorize, room_claim
from server.settings import Settings
from tests.client.driver import Client, Driver, eventually
from tests.client.raw import RawClient

ADMIN_TOKEN = "an-admin-token-for-tests-only-0123456789"
# Whoever walks a key space or reads a whole set or hash makes Redis pay for the size of the data.
FORBIDDEN_COMMANDS = {"scan", "keys", "smembers", "sscan", "zscan", "hscan", "hgetall", "randomkey", "flushall"}
# A board's parts are bounded and read whole.
BOARDS_READ = {"hgetall"}


def in_path(name: str | int) -> str:
    """An id as one segment of a path; clients drop a segment that is only dots unless it is encoded."""
    text = quote(str(name), safe="")
    return text.replace(".", "%2E") if text.strip(".") == "" else text


Serve = Callable[..., "RunningServer"]
StartStore = Callable[..., EmbeddedServer]


class RunningServer:
    """A server on a free port of this process, with a thread and an event loop of its own.

    authorize: an application's own rule.
    """

    def __init__(self, redis_url: str, *, authorize: Authorize = room_claim, **environ: str) -> None:
        self.settings = Settings.from_environ({"REDIS_URL": redis_url, **environ})
        config = uvicorn.Config(
            create_app(self.settings, authorize=authorize), host="127.0.0.1", port=0, log_config=None, access_log=False,
            loop="uvloop", http="httptools", ws="websockets-sansio", ws_per_message_deflate=False,
            ws_max_size=MAX_PACKET_BYTES, timeout_graceful_shutdown=1,
        )  # fmt: skip
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name="server", daemon=True)
        self.url = ""
        self.http = httpx.Client()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=self._server.config.get_loop_factory()) as runner:
            runner.run(self._server.serve())

    def start(self) -> "RunningServer":
        self._thread.start()
        eventually(lambda: self._server.started or not self._thread.is_alive(), "the server's start")
        assert self._server.started, "the server ended while it started"
        port = self._server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.http = httpx.Client(base_url=self.url, timeout=10, trust_env=False)
        return self

    def stop(self) -> None:
        self.http.close()
        self._server.should_exit = True
        self._thread.join(15)
        assert not self._thread.is_alive(), "the server does not stop"

    def get(self, path: str, status: int = 200, **options: Any) -> Any:
        response = self.http.get(path, **options)
        assert response.status_code == status, response.text
        return response.json()

    def post(self, path: str, body: Any = None, status: int = 200, **options: Any) -> Any:
        response = self.http.post(path, json=body, **options)
        assert response.status_code == status, response.text
        return response.json()

    def participants(self, room: str | int, **query: str | int) -> Any:
        return self.get(f"/api/chatroom/{in_path(room)}/participants", params=query)

    def users(self, room: str | int) -> list[Any]:
        """The ids in the room, as the endpoint tells them."""
        return [user["userId"] for user in self.participants(room)["users"]]

    def count(self, room: str | int) -> Any:
        return self.get(f"/api/chatroom/{in_path(room)}/count")

    def kick(self, room: str | int, body: Any, status: int = 200, token: str = ADMIN_TOKEN) -> Any:
        headers = {"Authorization": f"Bearer {token}"}
        return self.post(f"/api/chatroom/{in_path(room)}/kick", body, status, headers=headers)


def commands_used(url: str) -> dict[str, int]:
    """How often each command ran on a store, those inside scripts included."""
    with redis.Redis.from_url(url) as client:
        found = client.info("commandstats")
    assert isinstance(found, dict)
    return {name.removeprefix("cmdstat_"): facts["calls"] for name, facts in found.items()}


def stop(store: EmbeddedServer) -> None:
    assert store.pid
    os.kill(store.pid, signal.SIGSTOP)


def go_on(store: EmbeddedServer) -> None:
    assert store.pid
    os.kill(store.pid, signal.SIGCONT)


@contextmanager
def refusing_writes(store: EmbeddedServer) -> Iterator[None]:
    """A master that has lost its replicas: nothing is carried out."""
    with redis.Redis.from_url(store.url) as admin:
        admin.config_set("min-replicas-to-write", 1)
        yield
        admin.config_set("min-replicas-to-write", 0)


@pytest.fixture(scope="session")
def short_dir() -> Iterator[Path]:
    """A directory whose path leaves room for a unix socket's name."""
    path = Path(tempfile.mkdtemp(prefix="pe-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def driver() -> Iterator[Driver]:
    if shutil.which("node") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("node is not installed")
        pytest.skip("node is not installed")
    one = Driver()
    yield one
    one.stop()


@pytest.fixture(scope="module")
def new_store(short_dir: Path) -> Iterator[StartStore]:
    """Start a store of the module's own. At the end none of them may have seen a command that walks all keys."""
    started: list[EmbeddedServer] = []

    def start(**options: Any) -> EmbeddedServer:
        store = EmbeddedServer(short_dir / uuid4().hex[:8], persistent=False, **options)
        started.append(store.start())
        return store

    yield start
    walked = {}
    for store in started:
        if store.owner and store.pid is not None:
            os.kill(store.pid, signal.SIGCONT)
            used = commands_used(store.url)
            walked.update({name: n for name, n in used.items() if name in FORBIDDEN_COMMANDS - BOARDS_READ})
        store.stop()
    assert not walked, "commands that walk all keys or read whole sets"


@pytest.fixture(scope="module")
def store(new_store: StartStore) -> EmbeddedServer:
    return new_store()


@pytest.fixture
def stoppable(new_store: StartStore) -> Iterator[EmbeddedServer]:
    store = new_store()
    yield store
    if store.pid is not None:
        os.kill(store.pid, signal.SIGCONT)


@pytest.fixture(scope="module")
def serve(store: EmbeddedServer, driver: Driver) -> Iterator[Serve]:
    """Start a server of the module's own: `serve(PRESENCE_TTL="1")`, or on another Redis: `serve(url, …)`."""
    started: list[RunningServer] = []

    def start(url: str | None = None, authorize: Authorize = room_claim, **environ: str) -> RunningServer:
        environ = {"PRESENCE_ADMIN_TOKEN": ADMIN_TOKEN, **environ}
        server = RunningServer(url or store.url, authorize=authorize, **environ)
        started.append(server)
        return server.start()

    yield start
    for server in started:
        server.stop()


@pytest.fixture(scope="module")
def server(serve: Serve) -> RunningServer:
    """A server with the default settings."""
    return serve()


@pytest.fixture
def room() -> str:
    return f"room-{uuid4().hex[:10]}"


@pytest.fixture
def connect(driver: Driver) -> Iterator[Callable[..., Client]]:
    """Open a client of the official library: `connect(server, auth={…})`. All are closed at the end."""
    opened: list[Client] = []

    def open_client(server: "RunningServer | Any", path: str = "", **options: Any) -> Client:
        client = driver.client(server.url + path, **options)
        opened.append(client)
        return client

    yield open_client
    for client in opened:
        driver.tell(do="close", socket=client.name)


@pytest.fixture
def raw(server: RunningServer) -> Iterator[RawClient]:
    """A connected WebSocket without any library, identified as `raw`."""
    client = RawClient(server.url, auth={"userId": "raw"})
    yield client
    client.close()
