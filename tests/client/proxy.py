"""A wire between a server and its Redis that can be slow, and remembers what went over it."""

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from urllib.parse import unquote, urlsplit


class Proxy:
    """Listens on a port of this machine and passes everything on to the store at `url` (a unix socket).

    delay_s: how long what is written towards the store is under way. written: those writes, one entry a packet.
    deaf: subscriptions do not arrive.
    """

    def __init__(self, url: str) -> None:
        self._path = unquote(urlsplit(url).path)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"
        self.delay_s, self.deaf = 0.0, False
        self.written: list[bytes] = []
        self._threads: list[threading.Thread] = []
        self._run(self._accept)

    def _run(self, work: Callable[..., None], *arguments: object) -> None:
        self._threads.append(threading.Thread(target=work, args=arguments, name="proxy", daemon=True))
        self._threads[-1].start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                store = socket.socket(socket.AF_UNIX)
                self._open += [client, store]
                store.connect(self._path)
                under_way: SimpleQueue[tuple[float, bytes]] = SimpleQueue()
                self._run(self._take, client, under_way)
                self._run(self._bring, under_way, store)
                self._run(self._pass_back, store, client)

    def _take(self, client: socket.socket, under_way: "SimpleQueue[tuple[float, bytes]]") -> None:
        data = b"more"
        while data:
            try:
                data = client.recv(1 << 20)
            except OSError:
                data = b""
            self.written.append(data)
            if self.deaf and b"SSUBSCRIBE" in data:
                continue
            under_way.put((time.monotonic() + self.delay_s, data))

    def _bring(self, under_way: "SimpleQueue[tuple[float, bytes]]", store: socket.socket) -> None:
        with suppress(OSError):
            while True:
                due, data = under_way.get()
                time.sleep(max(0.0, due - time.monotonic()))
                if not data:
                    return store.shutdown(socket.SHUT_WR)
                store.sendall(data)

    def _pass_back(self, store: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while data := store.recv(1 << 20):
                client.sendall(data)
            client.shutdown(socket.SHUT_WR)

    def stop(self) -> None:
        self.delay_s = 0.0
        for one in (self._listener, *self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)  # a close alone wakes no thread that waits on it
        for thread in self._threads:
            thread.join(10)
        for one in (self._listener, *self._open):
            one.close()
