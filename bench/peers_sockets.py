"""Who is in the room, asked of two Socket.IO servers with an adapter, and of two of ours with the same sockets."""

import asyncio
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final

from websockets.asyncio.client import ClientConnection, connect

from bench.servers import running
from bench.wire import Wire
from presence_engine import PresenceEngine

ROOT: Final = Path(__file__).parent.parent
NODE_SCRIPT: Final = Path(__file__).with_name("peers_node.mjs")
PACKAGES: Final = ("socket.io", "@socket.io/redis-adapter", "@socket.io/redis-streams-adapter", "redis")
ADAPTERS: Final = {"redis": "@socket.io/redis-adapter", "streams": "@socket.io/redis-streams-adapter", "ours": "ours"}
CALLS: Final = 200
WARM_UP: Final = 20
MOMENTS_S: Final = (0.5, 2.0, 5.0, 20.0)
# What a thousand joins set off has been delivered by then.
SETTLED_S: Final = 2.0
_START_S: Final = 20
_AT_ONCE: Final = 50


@dataclass
class Site:
    """Two servers of one kind on one Redis. left: when the survivor's client heard that a user left, and why."""

    kind: str
    redis: str
    processes: list["subprocess.Popen[bytes]"]
    urls: list[str]
    sockets: list[ClientConnection] = field(default_factory=list)
    readers: list["asyncio.Task[None]"] = field(default_factory=list)
    left: list[tuple[float, str]] = field(default_factory=list)

    def path(self, what: str) -> str:
        if self.kind != "ours":
            return f"/{what}"
        return f"/api/chatroom/room/{'participants' if what == 'list' else 'count'}"


@contextmanager
def site(kind: str, folder: str) -> Iterator[tuple[Site, Wire]]:
    with ExitStack() as stack:
        redis = stack.enter_context(running("redis"))
        wire = stack.enter_context(Wire(redis.socket_path))
        argv = (
            [sys.executable, "-m", "server.cli", "serve", "--port", "0"]
            if kind == "ours"
            else ["node", str(NODE_SCRIPT), folder, kind, redis.socket_path]
        )
        environ = {"PATH": os.environ["PATH"], "REDIS_URL": redis.url, "PRESENCE_CONNECT_RATE": "0"}
        site = Site(kind, redis.url, [], [])
        for number in range(2):
            log = Path(folder, f"{kind}{number}.log")
            out = stack.enter_context(log.open("wb"))
            process = subprocess.Popen(argv, cwd=ROOT, env=environ, stdout=out, stderr=out)
            stack.callback(process.wait)
            stack.callback(process.kill)
            site.processes.append(process)
            site.urls.append(_url(log, process))
        yield site, wire


def _url(log: Path, process: "subprocess.Popen[bytes]") -> str:
    until = time.monotonic() + _START_S
    while not (found := re.search(r"serving http://([0-9.:]+)", log.read_text("utf-8"))):
        assert process.poll() is None, log.read_text("utf-8")
        assert time.monotonic() < until, "a server did not start"
        time.sleep(0.02)
    return found[1]


async def enter(site: Site, count: int) -> None:
    """`count` sockets, each its own user, half of them at each server; the first one, at the first, takes notes."""
    for start in range(0, count, _AT_ONCE):
        await asyncio.gather(*(_enter_one(site, number) for number in range(start, min(start + _AT_ONCE, count))))


async def _enter_one(site: Site, number: int) -> None:
    socket = await connect(
        f"ws://{site.urls[number % 2]}/socket.io/?EIO=4&transport=websocket", compression=None, max_size=None,
        ping_interval=None, proxy=None, open_timeout=60,
    )  # fmt: skip
    site.sockets.append(socket)
    user = {"userId": f"u{number:05d}", "username": f"Member {number}"}
    await socket.send("40" + json.dumps(user))
    while not str(await socket.recv()).startswith("40"):
        pass
    if site.kind == "ours":
        await socket.send("420" + json.dumps(["join_room", {"roomId": "room"}]))
        while not str(await socket.recv()).startswith("430"):
            pass
    site.readers.append(asyncio.create_task(_read(site, socket, takes_notes=number == 0)))


async def _read(site: Site, socket: ClientConnection, *, takes_notes: bool) -> None:
    async for frame in socket:
        if frame == "2":
            await socket.send("3")
        elif takes_notes and str(frame).startswith(('42["left"', '42["room:diff"')):
            name, told = json.loads(str(frame)[2:])
            reasons = [one["reason"] for one in told["left"]] if name == "room:diff" else ["left"]
            site.left += [(time.monotonic(), reason) for reason in reasons]


def ask(site: Site, what: str) -> tuple[float, dict[str, Any]]:
    """One request at the first server, over a connection of its own; ms it took, and the answer."""
    connection = http.client.HTTPConnection(site.urls[0], timeout=30)
    connection.connect()
    began = time.perf_counter()
    connection.request("GET", site.path(what))
    body = json.loads(connection.getresponse().read())
    took_ms = (time.perf_counter() - began) * 1000
    connection.close()
    return took_ms, body


@dataclass(frozen=True)
class Asked:
    """What CALLS of one question cost."""

    p50_ms: float
    p99_ms: float
    redis_bytes: float
    cpu_ms: tuple[float, float, float]


def _cpu_ms(pids: Sequence[int]) -> list[float]:
    ticks = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13] for pid in pids]
    return [1000 * sum(map(int, each)) / os.sysconf("SC_CLK_TCK") for each in ticks]


async def asked(site: Site, wire: Wire, what: str, count: int) -> Asked:
    def traffic() -> int:
        told = wire.info("stats")
        return int(told["total_net_input_bytes"]) + int(told["total_net_output_bytes"])

    pids = [*(process.pid for process in site.processes), int(wire.info("server")["process_id"])]
    for _ in range(WARM_UP):
        await asyncio.to_thread(ask, site, what)
    bytes_before, cpu_before = traffic(), _cpu_ms(pids)
    took: list[float] = []
    for _ in range(CALLS):
        took_ms, told = await asyncio.to_thread(ask, site, what)
        assert told["count"] == count, told
        took.append(took_ms)
    cpu = [(after - before) / CALLS for after, before in zip(_cpu_ms(pids), cpu_before, strict=True)]
    took.sort()
    sent = (traffic() - bytes_before) / CALLS
    return Asked(median(took), took[int(CALLS * 0.99) - 1], sent, (cpu[0], cpu[1], cpu[2]))


async def _library(url: str, count: int) -> tuple[float, float]:
    """engine.count in this process, p50 and p99 in ms."""
    async with PresenceEngine(url) as engine:
        took: list[float] = []
        for _ in range(CALLS + WARM_UP):
            began = time.perf_counter()
            assert (await engine.count("room")).count == count
            took.append((time.perf_counter() - began) * 1000)
    took = sorted(took[WARM_UP:])
    return median(took), took[int(CALLS * 0.99) - 1]


async def _moment(site: Site, at_s: float) -> str:
    await asyncio.sleep(at_s)
    took_ms, told = await asyncio.to_thread(ask, site, "list")
    if "count" in told:
        return f"{told['count']:,} in {took_ms:,.0f} ms"
    return f"error after {took_ms / 1000:.1f} s: {told['error'][:15]}"


async def _lost(site: Site, count: int, how: signal.Signals) -> list[str]:
    """The second server gets a signal; what the first answers at each moment, and whom its client is told of."""
    await enter(site, count)
    await asyncio.sleep(SETTLED_S)
    site.left.clear()
    began_s = time.monotonic()
    site.processes[1].send_signal(how)
    cells = list(await asyncio.gather(*(_moment(site, at_s) for at_s in MOMENTS_S)))
    # What was told with the last answer is still on its way.
    await asyncio.sleep(SETTLED_S)
    reasons = ", ".join(sorted({reason for _, reason in site.left})) or "–"
    last = f", the last after {max(at_s for at_s, _ in site.left) - began_s:.1f} s" if site.left else ""
    return [*cells, f"{len(site.left):,} ({reasons}){last}" if site.left else "nobody"]


async def close(site: Site) -> None:
    for reader in site.readers:
        reader.cancel()
    await asyncio.gather(*site.readers, return_exceptions=True)
    for socket in site.sockets:
        socket.transport.abort()


async def _measured(kind: str, folder: str, count: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    with site(kind, folder) as (one, wire):
        await enter(one, count)
        await asyncio.sleep(SETTLED_S)
        found["list"], found["count"] = [await asked(one, wire, what, count) for what in ("list", "count")]
        if kind == "ours":
            found["library"] = await _library(one.redis, count)
        await close(one)
    for how in (signal.SIGKILL, signal.SIGSTOP):
        with site(kind, folder) as (one, _):
            found[how.name] = await _lost(one, count, how)
            await close(one)
    return found


def report(count: int) -> Iterator[str]:
    """The lines of the report; installs the packages for as long as it runs."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        yield "\nnode and npm are not installed: the Socket.IO adapters are left out"
        return
    with tempfile.TemporaryDirectory(prefix="peers-") as folder:
        install = [npm, "install", "--no-save", "--no-audit", "--no-fund", "--loglevel=error", "--prefix", folder]
        if subprocess.run([*install, *PACKAGES], check=False).returncode != 0:
            yield "\nthe npm packages could not be installed: the Socket.IO adapters are left out"
            return
        versions = [
            f"{name} {json.loads(Path(folder, 'node_modules', name, 'package.json').read_text())['version']}"
            for name in PACKAGES
        ]
        found = {kind: asyncio.run(_measured(kind, folder, count)) for kind in ADAPTERS}
    node = subprocess.run(["node", "--version"], check=True, capture_output=True, text=True).stdout.strip()
    yield f"\n## Socket.IO, two servers, {count:,} sockets in one room\n\nnode {node}, {', '.join(versions)}\n"
    yield "| | p50 ms | p99 ms | bytes over Redis | CPU ms: server asked | the other | Redis |"
    yield "|---|" + "---:|" * 6
    for kind, told in found.items():
        for what in ("list", "count"):
            asked: Asked = told[what]
            took = f"{asked.p50_ms:.1f} | {asked.p99_ms:.1f} | {asked.redis_bytes:,.0f}"
            yield f"| {ADAPTERS[kind]}, {what} | {took} | {' | '.join(f'{ms:.2f}' for ms in asked.cpu_ms)} |"
    p50_ms, p99_ms = found["ours"]["library"]
    yield f"| ours, `engine.count` | {p50_ms:.2f} | {p99_ms:.2f} | | | | |"
    yield f"\n| | {' | '.join(f'after {at_s:g} s' for at_s in MOMENTS_S)} | told as left |\n|---|{'---|' * 5}"
    for how, title in ((signal.SIGKILL, "one killed"), (signal.SIGSTOP, "one hung")):
        for kind, told in found.items():
            yield f"| {title}: {ADAPTERS[kind]} | {' | '.join(told[how.name])} |"
