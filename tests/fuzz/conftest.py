"""A server process to be fuzzed: its log is read for tracebacks, its figures for faults of its own."""

import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from presence_engine import EmbeddedServer
from tests.client.command import Command
from tests.server.conftest import ADMIN_TOKEN

SETTINGS = {
    "PRESENCE_RATE_LIMIT": "0", "PRESENCE_CONNECT_RATE": "0", "PRESENCE_FORCE_DISCONNECT": "never",
    "PRESENCE_GRACE": "1",
    "PRESENCE_ADMIN_TOKEN": ADMIN_TOKEN,
}  # fmt: skip


class Target:
    """The server under fire. `faults()` is what must stay empty."""

    def __init__(self, command: Command) -> None:
        self.command, self.url = command, command.url
        self.http = httpx.Client(base_url=command.url, trust_env=False, timeout=30)

    def faults(self) -> list[str]:
        found = re.findall(
            r'^presence_(?:refusals_total\{code="internal"\}).*$', self.http.get("/metrics").text, re.MULTILINE
        )
        # Engine.IO calls it an error when a client speaks another version, once.
        lines = [line for line in self.command.output.splitlines() if "[engineio.server]" not in line]
        return found + [line for line in lines if "Traceback" in line or re.search(r"\[(error|critical) *\]", line)]


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    folder = Path(tempfile.mkdtemp(prefix="pe-"))
    with EmbeddedServer(folder / "s", persistent=False) as store:
        command = Command("serve", "--port", "0", REDIS_URL=store.url, **SETTINGS).serving()
        target = Target(command)
        yield target
        target.http.close()
        command.stop()
    shutil.rmtree(folder, ignore_errors=True)
