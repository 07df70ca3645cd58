"""Running the server: one process, or several that share a port."""

import contextlib
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any, Final

import uvicorn

from presence_engine import ConfigurationError
from server.app import MAX_PACKET_BYTES, PresenceServer
from server.handshake import WebSockets
from server.logs import configure_logs
from server.settings import Settings

_BACKLOG: Final = 2048
_STOP_WITHIN_S: Final = 10.0
_LOOK_EVERY_S: Final = 0.2
# Of the starts of one worker: one that cannot live would take the machine's time from the others.
_APART_S: Final = 3.0

log = logging.getLogger("presence")


def run(settings: Settings, redis_url: str, host: str, port: int, workers: int) -> None:
    """Serve until SIGTERM or Ctrl-C. Raises ConfigurationError when the address cannot be listened on."""
    with _listen(host, port) as listener:
        log.info("serving http://%s", _address(host, listener.getsockname()[1]))
        if workers == 1:
            serve_one(PresenceServer(settings, redis_url), listener)
        else:
            log.info("%d workers: WebSocket only, since a long-polling client would meet another worker", workers)
            _Workers(redis_url, listener, workers).run()


def serve_one(presence: PresenceServer, listener: socket.socket) -> None:
    server = _Uvicorn(presence)
    _heed_hangup(server.handle_exit)
    server.run(sockets=[listener])


def _heed_hangup(stop: Callable[[int, FrameType | None], None]) -> None:
    """The terminal is gone; `nohup` asks to live on."""
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, stop)


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise ConfigurationError(f"cannot listen on {_address(host, port)}: {error.strerror}") from None


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class _Uvicorn(uvicorn.Server):
    """Says goodbye to the sockets before uvicorn closes them."""

    def __init__(self, presence: PresenceServer) -> None:
        self._presence = presence
        options: dict[str, Any] = {"loop": "uvloop", "http": "httptools", "ws": WebSockets}
        super().__init__(
            uvicorn.Config(
                presence.asgi,
                log_config=None,
                access_log=False,
                ws_per_message_deflate=False,
                ws_max_size=MAX_PACKET_BYTES,
                timeout_graceful_shutdown=5,
                **options,
            )
        )

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop; a second Ctrl-C does not wait.

        uvicorn would raise the signal again at the end: a failure's exit code, and no time to stop the embedded server.
        """
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._presence.say_goodbye()
        await super().shutdown(sockets)


class _Workers:
    """A process a worker, each on the same listening socket; one that dies is started again."""

    def __init__(self, redis_url: str, listener: socket.socket, number: int) -> None:
        self._redis_url, self._listener, self._number = redis_url, listener, number
        self._started_s = [0.0] * number
        self._stopping = False

    def run(self) -> None:
        for kind in (signal.SIGTERM, signal.SIGINT):
            signal.signal(kind, self._stop)
        _heed_hangup(self._stop)
        running = [self._start(worker) for worker in range(1, self._number + 1)]
        while not self._stopping:
            time.sleep(_LOOK_EVERY_S)
            for at, worker in enumerate(running):
                rested = time.monotonic() - self._started_s[at] >= _APART_S
                if rested and worker.poll() is not None and not self._stopping:
                    log.error("worker %d ended with code %d; starting it again", at + 1, worker.returncode)
                    running[at] = self._start(at + 1)
        self._end(running)

    def _stop(self, _signal: int, _frame: FrameType | None) -> None:
        self._stopping = True

    def _start(self, number: int) -> subprocess.Popen[bytes]:
        self._started_s[number - 1] = time.monotonic()
        listener = self._listener.fileno()
        worker = subprocess.Popen(
            # -P: the folder it is started in may hold a `server` of its own.
            [sys.executable, "-P", "-m", "server.process"], stdin=subprocess.PIPE, bufsize=0, pass_fds=(listener,)
        )  # fmt: skip
        assert worker.stdin is not None  # noqa: S101 - a pipe was asked for
        # By the pipe, since arguments can be read by everybody; its end tells the worker that this process is gone.
        told = {"redis_url": self._redis_url, "worker": number, "listener": listener, "workers": self._number}
        # One that a closing terminal ended as it began reads nothing, and is looked at like any other.
        with contextlib.suppress(BrokenPipeError):
            worker.stdin.write(json.dumps(told).encode() + b"\n")
        return worker

    @staticmethod
    def _end(running: Sequence[subprocess.Popen[bytes]]) -> None:
        for worker in running:
            if worker.stdin:
                worker.stdin.close()
        until = time.monotonic() + _STOP_WITHIN_S
        for worker in running:
            try:
                worker.wait(max(until - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()


def work() -> None:
    """One worker: told by its standard input what to serve, ends when that closes."""
    told = json.loads(sys.stdin.buffer.readline())
    settings = Settings.from_environ().for_worker(told["worker"])
    configure_logs(settings)
    listener = socket.socket(fileno=told["listener"])
    # Ctrl-C and a closing terminal reach the whole group of processes; the parent decides when workers stop.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    server = _Uvicorn(PresenceServer(settings, told["redis_url"], websocket_only=True))
    threading.Thread(target=_until_closed, args=(server,), daemon=True).start()
    server.run(sockets=[listener])


def _until_closed(server: uvicorn.Server) -> None:
    # Not by way of sys.stdin, whose lock a thread that reads holds when Python shuts down.
    while os.read(0, 4096):
        pass
    server.should_exit = True


if __name__ == "__main__":
    work()
