"""A client that sends whatever it is given, many at a time, and counts what stays without an answer."""

import json
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from websockets.exceptions import ConnectionClosed

from tests.client.raw import RawClient

ANSWER_WITHIN_S: Final = 20.0
MAX_FRAME_BYTES: Final = 900_000


class Assailant:
    """One socket, user `u1`, in the room `fuzz` and at the board `fuzz`.

    sent, unanswered, ends: counts so far; worst: payloads that got no answer, or `internal`."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.sent = self.unanswered = self.ends = 0
        self.codes: dict[str, int] = {}
        self.worst: list[str] = []
        self._open()

    def _open(self) -> None:
        self._socket = RawClient(self._url, auth={"userId": "u1"})
        self._number = 0

    def settle(self) -> None:
        """Be where the payloads aim at, whatever they did before."""
        for event in (
            '["join_room",{"roomId":"fuzz"}]',
            '["join-retro-room","fuzz"]',
            '["room:join",{"room_id":"fuzz"}]',
        ):
            self._socket.emit(event, number=999_999_999)

    def send(self, event: str, payloads: Sequence[str]) -> None:
        """Send one event with each of the payloads, which are JSON, and read until every acknowledgement is there."""
        waiting: dict[int, str] = {}
        try:
            for payload in payloads:
                text = f"[{json.dumps(event)},{payload}]"
                if len(text) < MAX_FRAME_BYTES:
                    self._number += 1
                    self._socket.send(f"42{self._number}{text}")
                    waiting[self._number] = text
                    self.sent += 1
            self._answers(waiting)
        except ConnectionClosed:
            self.ends += 1
            self.unanswered += len(waiting)
            self._open()

    def _answers(self, waiting: dict[int, str]) -> None:
        until = time.monotonic() + ANSWER_WITHIN_S
        with suppress(TimeoutError):
            while waiting:
                frame = self._socket.receive(max(until - time.monotonic(), 0))
                self._socket.frames.clear()
                if frame.startswith("43"):
                    number, _, rest = frame[2:].partition("[")
                    answer = json.loads("[" + rest)[0]
                    text = waiting.pop(int(number))
                    code = "ok" if answer["ok"] else answer["error"]["code"]
                    self.codes[code] = self.codes.get(code, 0) + 1
                    if code == "internal":
                        self.worst.append(text[:300])
        self.unanswered += len(waiting)
        self.worst += [text[:300] for text in list(waiting.values())[:3]]

    def throw(self, frames: Sequence[str | bytes]) -> None:
        """Send frames as they are, until the server hangs up."""
        with suppress(ConnectionClosed):
            for frame in frames:
                self._socket.send(frame if isinstance(frame, bytes) else frame.encode("utf-8", "replace").decode())

    def close(self) -> None:
        self._socket.close()
