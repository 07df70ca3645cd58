"""The command line as its user runs it: a process of its own, watched by what it prints and how it ends."""

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Final

import httpx

from tests.client.driver import eventually

ROOT: Final = Path(__file__).resolve().parents[2]
START_S: Final = 30.0


class Command:
    """`presence-engine …` with exactly the environment given. `output` is what it has printed so far.

    folder: where it is run, from a package that is installed.
    """

    folder: Path | None = None

    def __init__(self, *arguments: str, **environ: str) -> None:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
        self.output = ""
        self._process = subprocess.Popen(
            [sys.executable, *(["-P"] if self.folder else []), "-m", "server.cli", *arguments],
            cwd=self.folder or ROOT, env={**kept, "PYTHONUNBUFFERED": "1", **environ}, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.url = ""

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            self.output += line

    @property
    def pid(self) -> int:
        return self._process.pid

    def serving(self) -> "Command":
        """Wait until it serves, and take over its address."""
        found = eventually(
            lambda: self._ended() or re.search(r"serving (http://[\w.:\[\]-]+)", self.output),
            "the server's start",
            START_S,
        )
        assert found is not True, f"it ended with {self._process.returncode}:\n{self.output}"
        self.url = found[1]
        eventually(self._ready, "the server's readiness", START_S)
        return self

    def _ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    def _ended(self) -> bool:
        return self._process.poll() is not None

    def get(self, path: str) -> Any:
        return httpx.get(self.url + path, trust_env=False, timeout=10).json()

    def users(self, room: str) -> list[Any]:
        return [user["userId"] for user in self.get(f"/api/chatroom/{room}/participants")["users"]]

    def ask(self, kind: signal.Signals) -> None:
        """Send a signal to the process, as a terminal or a supervisor does."""
        self._process.send_signal(kind)

    def exit_code(self, timeout_s: float = START_S) -> int:
        """Wait for its end."""
        code = self._process.wait(timeout_s)
        self._reader.join(timeout_s)
        return code

    def stop(self) -> None:
        if not self._ended():
            self._process.kill()
        self._process.wait(START_S)
        self._reader.join(START_S)
        assert self._process.stdout
        self._process.stdout.close()
