"""A WebSocket that says exactly what it is told to: packets no client library would send, and silence."""

import json
import time
from contextlib import ExitStack
from typing import Any, Final

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

PATIENCE_S: Final = 10.0


class RawClient:
    """Speaks Engine.IO 4 and Socket.IO 5 by hand. It answers pings unless `pongs` is false."""

    def __init__(self, url: str, *, auth: Any = None, pongs: bool = True, namespace: str = "/") -> None:
        address = url.replace("http://", "ws://") + "/socket.io/?EIO=4&transport=websocket"
        self._open = ExitStack()
        self._socket = self._open.enter_context(
            connect(
                address,
                compression=None,
                max_size=None,
                max_queue=None,
                proxy=None,
                close_timeout=1,
                ping_interval=None,
            )
        )
        self.pongs = pongs
        self.frames: list[str] = []
        self.handshake = json.loads(self.receive()[1:])
        self._prefix = "" if namespace == "/" else f"{namespace},"
        self.send("40" + self._prefix + ("" if auth is None else json.dumps(auth)))
        self.connected = self.until("40", "44")

    def send(self, text: str | bytes) -> None:
        self._socket.send(text)

    def receive(self, timeout_s: float = PATIENCE_S) -> str:
        """Return the next frame; a ping is answered, and returned too."""
        frame = self._socket.recv(timeout=timeout_s)
        text = frame if isinstance(frame, str) else frame.decode(errors="replace")
        self.frames.append(text)
        if text == "2" and self.pongs:
            self.send("3")
        return text

    def until(self, *starts: str, timeout_s: float = PATIENCE_S) -> str:
        """Return the next frame that starts with one of `starts`."""
        deadline = time.monotonic() + timeout_s
        while True:
            frame = self.receive(max(0.0, deadline - time.monotonic()))
            if frame.startswith(starts):
                return frame

    def emit(self, text: str, number: int = 7) -> Any:
        """Send `text` as the JSON of an event with an acknowledgement; return the acknowledgement's first value."""
        self.send(f"42{self._prefix}{number}{text}")
        return json.loads(self.until(f"43{self._prefix}{number}[").removeprefix(f"43{self._prefix}{number}"))[0]

    def event(self, name: str, timeout_s: float = PATIENCE_S) -> Any:
        """Return the body of the next event of this name."""
        head = f"42{self._prefix}["
        while True:
            found = json.loads(self.until(head, timeout_s=timeout_s).removeprefix(f"42{self._prefix}"))
            if found[0] == name:
                return found[1]

    def closed(self, timeout_s: float = PATIENCE_S) -> bool:
        """Read until the server closes the connection; False when it does not within `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        try:
            while True:
                self.receive(max(0.0, deadline - time.monotonic()))
        except ConnectionClosed:
            return True
        except TimeoutError:
            return False

    def close(self) -> None:
        self._open.close()
