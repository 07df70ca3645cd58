"""Somebody else on the same server: beats every few milliseconds and tells, at the end, how long the answers took.

A process of its own, so that what the test computes does not count as the server's slowness.
"""

import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Final, NamedTuple, Self

from tests.client.raw import RawClient

_PAUSE_S: Final = 0.01
_ROOT: Final = Path(__file__).parents[2]


class Latency(NamedTuple):
    """Round trips of heartbeats, ms."""

    beats: int
    p50_ms: float
    p99_ms: float
    max_ms: float

    def __str__(self) -> str:
        return f"{self.beats} beats, p50 {self.p50_ms:.2f} ms, p99 {self.p99_ms:.2f} ms, max {self.max_ms:.2f} ms"


class Bystander:
    """`with Bystander(url) as one:` starts it; `one.stop()` ends it and returns what it saw."""

    def __init__(self, url: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.fuzz.bystander", url], cwd=_ROOT, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        assert self._process.stdout
        assert self._process.stdout.readline() == "ready\n"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()

    def stop(self) -> Latency:
        """End it; to be called inside the `with` block."""
        out, _ = self._process.communicate("\n", timeout=30)
        times_ms = sorted(json.loads(out))
        return Latency(len(times_ms), _at(times_ms, 0.5), _at(times_ms, 0.99), times_ms[-1])


def _at(values: list[float], part: float) -> float:
    return values[min(int(len(values) * part), len(values) - 1)]


def _main(url: str) -> None:
    client = RawClient(url, auth={"userId": "bystander"})
    assert client.emit('["join_room",{"roomId":"elsewhere"}]')["ok"] is True
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    ended = threading.Event()

    def end() -> None:
        sys.stdin.readline()
        ended.set()

    threading.Thread(target=end, daemon=True).start()
    times_ms: list[float] = []
    while not ended.is_set():
        began = time.perf_counter()
        assert client.emit('["room:heartbeat",{"roomId":"elsewhere"}]')["ok"] is True
        times_ms.append((time.perf_counter() - began) * 1000)
        client.frames.clear()
        time.sleep(_PAUSE_S)
    client.close()
    sys.stdout.write(json.dumps(times_ms))


if __name__ == "__main__":
    _main(sys.argv[1])
