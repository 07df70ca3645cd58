"""A join storm: a thousand sockets join one room within a second, everyone listening, against the real server.

    python -m bench.storm [--sockets 1000] [--seconds 1] [--runs 3]

Runs it with windows and without, and writes STORM.md beside this file. The clients
live in a process of their own, the server in another, Redis in a third.
"""

import argparse
import asyncio
import contextlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any, Final

import msgspec
from websockets.asyncio.client import ClientConnection, connect

from bench.servers import running

ROOM: Final = "storm"
HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parent
QUIET_S: Final = 3.0
CONNECTING_AT_ONCE: Final = 50
MODES: Final = {
    "folded": {},
    "unfolded": {"PRESENCE_DIFF_WINDOW": "0", "PRESENCE_DIFF_WINDOW_LARGE": "0", "PRESENCE_COUNTS_ROOM": "1000000"},
}


class Listener:
    """One socket that joins and listens. It keeps times, and reads of a diff only what it needs."""

    def __init__(self, number: int) -> None:
        self.user = f"u{number:05d}"
        self.asked_s = self.acked_s = 0.0
        self.diffs = self.counts = self.bytes = self.seq = self.gaps = 0
        self.heard: list[tuple[int, float]] = []
        self._at: int | None = None

    async def open(self, url: str) -> None:
        self._socket: ClientConnection = await connect(
            url, compression=None, max_size=None, ping_interval=None, proxy=None, open_timeout=60
        )
        await self._socket.send("40" + json.dumps({"userId": self.user}))
        while not str(await self._socket.recv()).startswith("40"):
            pass
        self._reader = asyncio.create_task(self._read())

    async def join(self) -> None:
        self.asked_s = time.monotonic()
        await self._socket.send("420" + json.dumps(["join_room", {"roomId": ROOM, "userId": self.user}]))

    async def _read(self) -> None:
        async for frame in self._socket:
            now_s = time.monotonic()
            assert isinstance(frame, str)
            if frame == "2":
                await self._socket.send("3")
            elif frame.startswith("430"):
                self.acked_s = now_s
                (answer,) = msgspec.json.decode(frame[3:])
                assert answer["ok"], answer
            elif frame.startswith('42["room:joined"'):
                self._at = msgspec.json.decode(frame[2:])[1]["seq"]
            elif frame.startswith('42["room:diff"'):
                self._diff(frame, now_s)
            elif frame.startswith('42["room:count"'):
                self.counts += 1
                self.bytes += len(frame)

    def _diff(self, frame: str, now_s: float) -> None:
        self.diffs += 1
        self.bytes += len(frame)
        head = frame.index('"from":')
        start, _, rest = frame[head + 7 :].partition(",")
        seq = int(rest.partition(":")[2].partition(",")[0])
        if self._at is not None and int(start) != self._at:
            self.gaps += 1
        self._at = self.seq = seq
        self.heard.append((seq, now_s))


async def storm(url: str, sockets: int, seconds: float) -> dict[str, Any]:
    """Connect everybody, then join evenly within `seconds`, then wait until nothing comes any more."""
    listeners = [Listener(number) for number in range(sockets)]
    for start in range(0, sockets, CONNECTING_AT_ONCE):
        await asyncio.gather(*(one.open(url) for one in listeners[start : start + CONNECTING_AT_ONCE]))
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    began_s = time.monotonic()
    for at, one in enumerate(listeners):
        await asyncio.sleep(began_s + seconds * at / sockets - time.monotonic())
        await one.join()
    while not all(one.acked_s for one in listeners):
        await asyncio.sleep(0.05)
    total = -1
    while total != (total := sum(one.diffs + one.counts for one in listeners)):
        await asyncio.sleep(QUIET_S)
    return _figures(listeners, began_s)


def _figures(listeners: list[Listener], began_s: float) -> dict[str, Any]:
    acks = sorted((one.acked_s - one.asked_s) * 1000 for one in listeners)
    # The join that raised seq to s was the s-th: its latency to a listener is counted from when it was asked for.
    asked = sorted(one.asked_s for one in listeners)
    waits = sorted(
        (at_s - asked[seq - 1]) * 1000 for one in listeners for seq, at_s in one.heard if 0 < seq <= len(asked)
    )
    return {
        "ack_p50_ms": _percentile(acks, 50), "ack_p99_ms": _percentile(acks, 99),
        "deliveries": sum(one.diffs + one.counts for one in listeners),
        "megabytes": sum(one.bytes for one in listeners) / 1e6,
        "diff_p50_ms": _percentile(waits, 50), "diff_p99_ms": _percentile(waits, 99),
        "gaps": sum(one.gaps for one in listeners),
        "settled_s": max(one.heard[-1][1] if one.heard else one.acked_s for one in listeners) - began_s,
    }  # fmt: skip


def _percentile(values: list[float], percent: int) -> float:
    return values[min(len(values) - 1, len(values) * percent // 100)] if values else 0.0


def run(mode: str, sockets: int, seconds: float) -> tuple[dict[str, Any], str]:
    """One storm against a fresh server and a fresh Redis; returns the figures, and what Redis it was."""
    with running("redis") as redis, tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        port, log = _free_port(), stack.enter_context(Path(folder, "log").open("wb"))
        environ = {"REDIS_URL": redis.url, "PRESENCE_CONNECT_RATE": "0", **MODES[mode]}
        server = subprocess.Popen(
            [sys.executable, "-m", "server.cli", "serve", "--port", str(port)], cwd=ROOT, stdout=log, stderr=log,
            env={"PATH": os.environ["PATH"], **environ},
        )  # fmt: skip
        stack.callback(server.wait)
        stack.callback(server.kill)
        _await_ready(f"http://127.0.0.1:{port}/readyz")
        url = f"ws://127.0.0.1:{port}/socket.io/?EIO=4&transport=websocket"
        clients = subprocess.Popen(
            [sys.executable, "-m", "bench.storm", "--clients", url, f"--sockets={sockets}", f"--seconds={seconds}"],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        stack.callback(clients.wait)
        stack.callback(clients.kill)
        assert clients.stdin
        assert clients.stdout
        assert clients.stdout.readline() == "ready\n"
        before_s = _cpu_s(server.pid)
        clients.stdin.write("go\n")
        clients.stdin.flush()
        figures = json.loads(clients.stdout.readline())
        figures["server_cpu_s"] = _cpu_s(server.pid) - before_s
        for pipe in (clients.stdin, clients.stdout):
            pipe.close()
        return figures, redis.version


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _await_ready(url: str) -> None:
    until = time.monotonic() + 20
    while True:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - loopback
            if answer.status == 200:
                return
        if time.monotonic() > until:
            raise TimeoutError("the server did not become ready")
        time.sleep(0.05)


PACKAGES: Final = ("python-socketio", "uvicorn", "uvloop", "redis")
ROWS: Final = {
    "ack_p50_ms": ("ack of a join, p50", "{:,.0f} ms"),
    "ack_p99_ms": ("ack of a join, p99", "{:,.0f} ms"),
    "deliveries": ("diffs and counts delivered", "{:,.0f}"),
    "megabytes": ("bytes of them", "{:,.1f} MB"),
    "diff_p50_ms": ("from a join to a listener's diff, p50", "{:,.0f} ms"),
    "diff_p99_ms": ("from a join to a listener's diff, p99", "{:,.0f} ms"),
    "settled_s": ("until the last diff", "{:,.2f} s"),
    "server_cpu_s": ("CPU of the server", "{:,.2f} s"),
    "gaps": ("gaps in a listener's chain", "{:,.0f}"),
}


def report(found: dict[str, list[dict[str, Any]]], sockets: int, seconds: float, redis: str) -> str:
    runs = len(next(iter(found.values())))
    lines = [
        "# A join storm",
        "",
        f"{sockets:,} sockets are connected; all join one room within {seconds:g} s, and every one of them listens.",
        f"Median of {runs} run{'s' * (runs > 1)}. Server, clients and Redis are one process each, on one machine, so",
        "the clients' own work is in every latency. `unfolded` is the same server with windows of 0 and diffs at any",
        "size: a diff a turn of the event loop, so what arrives while the server is busy still shares one.",
        f"A diff for every single join would have been {sockets * (sockets - 1) // 2:,} deliveries.",
        "",
        f"| | {' | '.join(found)} |",
        "|---|" + "---:|" * len(found),
    ]
    for key, (title, shape) in ROWS.items():
        cells = (shape.format(statistics.median(run[key] for run in each)) for each in found.values())
        lines.append(f"| {title} | {' | '.join(cells)} |")
    lines += [
        "",
        f"Machine: {_processor()}, {os.cpu_count()} cores; {platform.system()} {platform.release()}; Python"
        f" {platform.python_version()}; {redis}.",
        "Versions: " + ", ".join(f"{name} {_version(name)}" for name in PACKAGES) + ".",
        f"Made by `python -m bench.storm --sockets {sockets} --seconds {seconds:g} --runs {runs}`.",
        "",
    ]  # fmt: skip
    return "\n".join(lines)


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _version(name: str) -> str:
    from importlib.metadata import version

    return version(name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sockets", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--clients", help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.clients:
        print(json.dumps(asyncio.run(storm(told.clients, told.sockets, told.seconds))), flush=True)
        return
    found: dict[str, list[dict[str, Any]]] = {mode: [] for mode in MODES}
    version = ""
    for _ in range(told.runs):
        for mode, runs in found.items():
            figures, version = run(mode, told.sockets, told.seconds)
            print(mode, json.dumps({key: round(value, 2) for key, value in figures.items()}), flush=True)
            runs.append(figures)
    (HERE / "STORM.md").write_text(report(found, told.sockets, told.seconds, version), "utf-8")


if __name__ == "__main__":
    main()
