"""Servers as processes of their own: to kill, to stop, to freeze."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

START_S: Final = 20.0
ADMIN_TOKEN: Final = "an-admin-token-for-tests-only-0123456789"
ROOT: Final = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def command(*args: str, redis_url: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run `presence-engine` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "server.cli", *args], cwd=ROOT, env=environment(redis_url, environ), timeout=60,
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def environment(redis_url: str, environ: dict[str, str]) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "VIRTUAL_ENV") if name in os.environ}
    ours = {"PRESENCE_CONNECT_RATE": "0", "PRESENCE_RATE_LIMIT": "0", "PRESENCE_ADMIN_TOKEN": ADMIN_TOKEN}
    return {**kept, **ours, "REDIS_URL": redis_url, **environ}


class ServerProcess:
    """`presence-engine serve` on a port of its own; `restart()` takes the same port again."""

    def __init__(self, redis_url: str, log: Path, *args: str, **environ: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = log
        self._args, self._environ = args, environment(redis_url, environ)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *, wait: bool = True) -> "ServerProcess":
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "server.cli", "serve", "--port", str(self.port), *self._args],
                cwd=ROOT, env=self._environ, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        if wait:
            self.await_ready()
        return self

    def await_ready(self, timeout_s: float = START_S) -> None:
        until = time.monotonic() + timeout_s
        while self.status("/readyz") != 200:
            assert self.process is None or self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < until, f"not ready within {timeout_s:g} s\n{self.log.read_text()}"
            time.sleep(0.02)

    def status(self, path: str) -> int:
        """The status of an answer, 0 without one."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=5) as answer:  # noqa: S310 - loopback
                return int(answer.status)
        except urllib.error.HTTPError as error:
            error.close()
            return error.code
        except OSError:
            return 0

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:  # noqa: S310 - loopback
            return json.load(answer)

    def users(self, room: str) -> list[str]:
        found = self.get(f"/api/chatroom/{quote(room, safe='')}/participants")["users"]
        return [str(user["userId"]) for user in found]

    def count(self, room: str) -> Any:
        return self.get(f"/api/chatroom/{quote(room, safe='')}/count")

    def kick(self, room: str, user: str) -> Any:
        request = urllib.request.Request(  # noqa: S310 - loopback
            f"{self.url}/api/chatroom/{quote(room, safe='')}/kick", json.dumps({"userId": user}).encode(),
            {"Content-Type": "application/json", "Authorization": f"Bearer {ADMIN_TOKEN}"},
        )  # fmt: skip
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - loopback
            return json.load(answer)

    def signal(self, number: int) -> None:
        assert self.process is not None
        os.kill(self.process.pid, number)

    def kill(self) -> None:
        """End it as a crash does."""
        if self.process is not None:
            if self.process.poll() is None:
                self.signal(signal.SIGCONT)
                self.process.kill()
            self.process.wait(10)

    def stop(self) -> int:
        """End it as an operator does; return its exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGTERM)
        return self.process.wait(15)

    def restart(self, *, wait: bool = True) -> "ServerProcess":
        return self.start(wait=wait)
