"""The system's Chromium, pages in it, and servers as users run them."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, async_playwright

from presence_engine import EmbeddedServer

ADMIN_TOKEN = "an-admin-token-for-tests-only-0123456789"
ROOT = Path(__file__).parents[2]
ARGUMENTS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync",
)  # fmt: skip
FIGURES: list[str] = []

OpenPage = Callable[..., Awaitable[Page]]


class Served:
    """The command as a process, on a port that a restart keeps."""

    def __init__(self, directory: Path, **environ: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = directory / "server.log"
        self._environ = {
            "PATH": os.environ["PATH"], "PRESENCE_DATA_DIR": str(directory / "data"), "PRESENCE_NODE_NAME": "one",
            "PRESENCE_ADMIN_TOKEN": ADMIN_TOKEN, "PYTHONPATH": str(ROOT), **environ,
        }  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> "Served":
        command = [sys.executable, "-m", "server.cli", "serve", "--port", str(self.port)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, env=self._environ, cwd=ROOT, stdout=log, stderr=log)
        until = time.monotonic() + 20
        while not self._ready():
            assert self._process.poll() is None, self._log.read_text()[-2000:]
            assert time.monotonic() < until, "the server does not get ready"
            time.sleep(0.05)
        return self

    def _ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    def kill(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(10)

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(15)

    def get(self, path: str, *, admin: bool = False) -> Any:
        headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"} if admin else {}
        response = httpx.get(self.url + path, headers=headers, trust_env=False)
        assert response.status_code == 200, response.text
        return response.json()

    def post(self, path: str, body: Any) -> Any:
        headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
        response = httpx.post(self.url + path, json=body, headers=headers, trust_env=False)
        assert response.status_code == 200, response.text
        return response.json()

    def names(self, room: str) -> list[str]:
        return [user["username"] for user in self.get(f"/api/chatroom/{room}/participants")["users"]]


@pytest.fixture(scope="session")
def chromium_path() -> str:
    found = shutil.which("chromium")
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail("chromium is not installed")
        pytest.skip("chromium is not installed")
    return found


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser(chromium_path: str) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium_path, args=list(ARGUMENTS))
        yield browser
        await browser.close()


@pytest.fixture(scope="session")
def new_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Served]]:
    """Start a server with an embedded store of its own: `new_server(PRESENCE_TTL="2")`."""
    started: list[Served] = []

    def start(**environ: str) -> Served:
        server = Served(tmp_path_factory.mktemp("served"), **environ)
        started.append(server)
        return server.start()

    yield start
    for server in started:
        server.stop()


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    with EmbeddedServer(tmp_path_factory.mktemp("store"), persistent=False) as store:
        yield store


@pytest.fixture(scope="session")
def server(
    new_server: Callable[..., Served], store: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory
) -> Served:
    """The server most tests share; each takes rooms of its own. Grace is short, but in the room `patient`."""
    policy = tmp_path_factory.mktemp("policy") / "rooms.toml"
    policy.write_text('["patient"]\ngrace = 15\n')
    environ = {"REDIS_URL": store.url, "PRESENCE_GRACE": "0.5", "PRESENCE_ROOM_POLICY": str(policy)}
    return new_server(**environ, PRESENCE_RATE_LIMIT="500/1000")


@pytest_asyncio.fixture(loop_scope="session")
async def open_page(browser: Browser, request: pytest.FixtureRequest) -> AsyncIterator[OpenPage]:
    """Open a page in a browser profile of its own; `context=page.context` opens another tab of that one.

    What a page complains of on its console fails the test, but for what matches the test's `expect_console` marker.
    """
    contexts: list[BrowserContext] = []
    complaints: list[str] = []
    marker = request.node.get_closest_marker("expect_console")
    expected = marker.args[0] if marker else r"^$"

    def heard(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not re.search(expected, message.text):
            complaints.append(message.text)

    async def open(url: str, *, context: BrowserContext | None = None, wait: bool = True, **options: Any) -> Page:
        if context is None:
            context = await browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
            contexts.append(context)
        page = await context.new_page()
        page.set_default_timeout(8000)
        page.on("console", heard)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        await page.goto(url)
        if wait:
            await page.wait_for_selector("html[data-ready]", state="attached")
        return page

    yield open
    for context in contexts:
        await context.close()
    assert complaints == []


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Put a measured figure into the summary of the run."""

    def tell(text: str) -> None:
        FIGURES.append(f"{request.node.name}: {text}")

    return tell


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "expect_console(pattern): what the browser's console may say in this test")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if FIGURES:
        terminalreporter.section("figures of the browser")
        for text in FIGURES:
            terminalreporter.write_line(text)
