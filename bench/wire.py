"""A connection that plays commands encoded beforehand, and the server's own account of what they cost.

Both sides of a comparison go through it: the same socket, the same depth of pipeline, the same reading of replies.
Nothing is encoded while a clock runs.
"""

import socket
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

import hiredis

# Bytes of commands under way at once: enough that the server never waits, little enough for its caches.
DEPTH_BYTES: Final = 64 * 1024
Command = tuple[str | int | bytes, ...]


class Chunk(NamedTuple):
    """Commands of one write, and how many replies they bring."""

    payload: bytes
    replies: int


@dataclass(frozen=True)
class Cost:
    """What a run of commands cost, in µs over the whole run.

    cpu_us: the server's main thread, parsing and replying included. execution_us: inside the commands (commandstats).
    wall_us: from the first write to the last reply. p50_us, p99_us: execution of one call of the slowest kind.
    """

    cpu_us: float
    execution_us: float
    wall_us: float
    p50_us: float
    p99_us: float


def _pack(command: Command) -> bytes:
    packed: bytes = hiredis.pack_command(command)  # type: ignore[arg-type]  # its stub knows tuples of one only
    return packed


def encode(commands: Iterable[Command], depth_bytes: int = DEPTH_BYTES) -> list[Chunk]:
    """Encode commands into chunks of about `depth_bytes`."""
    chunks: list[Chunk] = []
    packed: list[bytes] = []
    size = 0
    for command in commands:
        packed.append(_pack(command))
        size += len(packed[-1])
        if size >= depth_bytes:
            chunks.append(Chunk(b"".join(packed), len(packed)))
            packed, size = [], 0
    if packed:
        chunks.append(Chunk(b"".join(packed), len(packed)))
    return chunks


class Wire:
    """One blocking connection to a server's unix socket."""

    def __init__(self, socket_path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(60)
        self._socket.connect(socket_path)
        self._reader = hiredis.Reader(encoding=None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._socket.close()

    def ask(self, *command: str | int | bytes) -> Any:
        """Run one command and return its reply."""
        return self.play([Chunk(_pack(command), 1)])[0]

    def play(self, chunks: Sequence[Chunk]) -> list[Any]:
        """Send each chunk and read its replies; an error reply raises."""
        replies: list[Any] = []
        for payload, count in chunks:
            self._socket.sendall(payload)
            wanted = len(replies) + count
            while len(replies) < wanted:
                reply = self._reader.gets()
                if reply is False:
                    self._reader.feed(self._socket.recv(1 << 18))
                elif isinstance(reply, Exception):
                    raise reply
                else:
                    replies.append(reply)
        return replies

    def info(self, section: str) -> dict[str, str]:
        lines = self.ask("INFO", section).decode().splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)

    def measure(self, chunks: Sequence[Chunk]) -> tuple[Cost, list[Any]]:
        """Play chunks; return what they cost the server, and their replies."""
        kinds = _kinds(chunks)
        self.ask("CONFIG", "RESETSTAT")
        cpu_before_us = self.cpu_us()
        started_at = time.perf_counter()
        replies = self.play(chunks)
        wall_us = (time.perf_counter() - started_at) * 1e6
        cpu_us = self.cpu_us() - cpu_before_us
        spent = self.info("commandstats")
        # A command that a script calls is counted too: only the kinds sent from outside are added up.
        execution_us = sum(float(_field(spent[f"cmdstat_{kind}"], "usec")) for kind in kinds)
        latency = self.info("latencystats")
        told = [latency[f"latency_percentiles_usec_{kind}"] for kind in kinds]
        p50_us, p99_us = (max(float(_field(text, p)) for text in told) for p in ("p50", "p99"))
        return Cost(cpu_us, execution_us, wall_us, p50_us, p99_us), replies

    def cpu_us(self) -> float:
        """What the server's main thread has used so far."""
        told = self.info("cpu")
        return 1e6 * sum(float(told[f"used_cpu_{mode}_main_thread"]) for mode in ("user", "sys"))


def _kinds(chunks: Sequence[Chunk]) -> set[str]:
    """The commands that chunks send, by name in lower case: two kinds at most take turns, so the first few tell."""
    reader = hiredis.Reader()
    reader.feed(chunks[0].payload)
    return {command[0].decode().lower() for command in islice(iter(reader.gets, False), 4)}


def _field(text: str, name: str) -> str:
    return dict(pair.split("=") for pair in text.split(","))[name]
