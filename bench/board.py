"""Boards under load over real sockets: many hands at once, and one change told to many.

    python -m bench.board [drag|change] [--servers N] …

The servers are processes of their own, with the embedded Valkey; this process is the clients. Both share the machine.
"""

import argparse
import asyncio
import os
import platform
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from bench.board_client import BoardClient, new_board
from bench.servers import running

SETTLE_S = 5


@contextmanager
def serving(redis_url: str, count: int) -> "Iterator[Servers]":
    """Run servers as users do, on free ports."""
    ports, processes = [_free_port() for _ in range(count)], []
    environ = {**os.environ, "REDIS_URL": redis_url, "PRESENCE_CONNECT_RATE": "0"}
    for port in ports:
        argv = [sys.executable, "-m", "server.cli", "serve", "--port", str(port)]
        processes.append(subprocess.Popen(argv, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
    try:
        for port in ports:
            _await_ready(port)
        yield Servers(ports, [process.pid for process in processes])
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(15)


@dataclass(frozen=True)
class Servers:
    ports: Sequence[int]
    pids: Sequence[int]

    def cpu_s(self) -> float:
        """CPU time that the servers have used so far."""
        fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in self.pids]
        return sum(int(one[11]) + int(one[12]) for one in fields) / os.sysconf("SC_CLK_TCK")


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _await_ready(port: int) -> None:
    give_up_at = time.monotonic() + 15
    while time.monotonic() < give_up_at:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    raise RuntimeError("the server did not start")


async def state_of(port: int, board: str) -> Any:
    async with httpx.AsyncClient(trust_env=False, timeout=30) as http:
        return (await http.get(f"http://127.0.0.1:{port}/api/retro/{quote(board, safe='')}/state")).json()


def now_ms() -> float:
    return time.perf_counter() * 1000


class Hand:
    """One user: drags an item of its own and notes where it sees all of them. x is when a move was made."""

    def __init__(self, number: int) -> None:
        self.item = f"item-{number}"
        self.user = f"u{number}"
        self.positions: dict[str, Any] = {}
        self.versions: dict[str, int] = {}
        self.latencies_ms: list[float] = []
        self.client: BoardClient

    def on_event(self, name: str, body: Any) -> None:
        if name.startswith("item-position-update:"):
            if body["version"] > self.versions.get(body["itemId"], 0):
                self.positions[body["itemId"]] = body["position"]
                self.versions[body["itemId"]] = body["version"]
            self.latencies_ms.append(now_ms() - body["position"]["x"])

    async def drag(self, board: str, hertz: float, seconds: float) -> None:
        started = time.perf_counter()
        for step in range(int(hertz * seconds)):
            await asyncio.sleep(max(0.0, started + step / hertz - time.perf_counter()))
            self.client.emit("item-position-update", self._moved(board, step, "drag"))
        answer = await self.client.ask("item-position-update", self._moved(board, -1, "drag-stop"))
        assert answer["ok"], answer

    def _moved(self, board: str, step: int, source: str) -> dict[str, Any]:
        position = {"x": now_ms(), "y": step}
        return {"retroId": board, "itemId": self.item, "position": position, "userId": self.user, "source": source}


async def drag(servers: Servers, users: int, hertz: float, seconds: float) -> dict[str, Any]:
    """Let `users` drag an item each; at the end each must have every item where the store has it."""
    ports, board, hands = servers.ports, new_board(), [Hand(number) for number in range(users)]
    for number, hand in enumerate(hands):
        port = ports[number % len(ports)]
        hand.client = await BoardClient.open(port, hand.user, hand.on_event)
        assert (await hand.client.ask("join-retro-room", board))["ok"]
    started, cpu_s = time.perf_counter(), servers.cpu_s()
    await asyncio.gather(*(hand.drag(board, hertz, seconds) for hand in hands))
    took_s, cpu_s = time.perf_counter() - started, servers.cpu_s() - cpu_s
    stored = (await state_of(ports[0], board))["itemPositions"]
    give_up_at = time.monotonic() + SETTLE_S
    while (same := sum(hand.positions == stored for hand in hands)) < users and time.monotonic() < give_up_at:
        await asyncio.sleep(0.05)
    ended = sum(position["y"] == -1 for position in stored.values())
    latencies = sorted(one for hand in hands for one in hand.latencies_ms)
    for hand in hands:
        hand.client.close()
    assert same == users, f"only {same} of {users} clients have what the store has"
    assert ended == users, "a last move is missing"
    return {
        "moves sent": users * (int(hertz * seconds) + 1), "seconds": round(took_s, 1), "server CPU, s": round(cpu_s, 1),
        "updates received": len(latencies), "clients as the store": f"{same}/{users}", **spread(latencies),
    }  # fmt: skip


async def change(servers: Servers, participants: int, changes: int, pause_s: float) -> dict[str, Any]:
    """Let one of `participants` change the grouping; measure until each of them has it."""
    ports, board = servers.ports, new_board()
    latencies: list[float] = []
    clients: list[BoardClient] = []

    def on_event(name: str, body: Any) -> None:
        if name.startswith("grouping-update:"):
            latencies.append(now_ms() - float(body["itemGroups"]["at"]))

    started = time.perf_counter()
    for first in range(0, participants, 50):
        some = range(first, min(first + 50, participants))
        opened = await asyncio.gather(*(BoardClient.open(ports[n % len(ports)], f"u{n}", on_event) for n in some))
        for answer in await asyncio.gather(*(client.ask("join-retro-room", board) for client in opened)):
            assert answer["ok"], answer
        clients += opened
    joining_s = time.perf_counter() - started
    await asyncio.sleep(2)
    for number in range(changes):
        body = {"retroId": board, "itemGroups": {"at": str(now_ms())}, "signatureColors": {}}
        assert (await clients[number].ask("grouping-update", body))["accepted"]
        await asyncio.sleep(pause_s)
    state = await state_of(ports[0], board)
    for client in clients:
        client.close()
    assert len(latencies) == participants * changes, "somebody did not get a change"
    assert state["participantCount"] == participants
    return {
        "participants": participants,
        "changes": changes,
        "joining, s": round(joining_s, 1),
        **spread(sorted(latencies)),
    }


def spread(sorted_ms: Sequence[float]) -> dict[str, float]:
    """Percentiles in ms."""
    cuts = statistics.quantiles(sorted_ms, n=1000)
    return {"p50 ms": round(cuts[499], 1), "p99 ms": round(cuts[989], 1), "max ms": round(sorted_ms[-1], 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=("drag", "change", "all"), default="all")
    parser.add_argument("--servers", type=int, default=1)
    parser.add_argument("--store", choices=("valkey", "redis"), default="valkey")
    parser.add_argument("--users", type=int, default=50, help="who drag")
    parser.add_argument("--hertz", type=float, default=30)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--participants", type=int, default=1000, help="who receive a change")
    given = parser.parse_args()
    with running(given.store) as store, serving(store.url, given.servers) as servers:
        machine = f"{platform.machine()}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}"
        print(f"{machine}, Python {platform.python_version()}, {store.version}, {given.servers} server(s)")
        if given.what != "change":
            print(asyncio.run(drag(servers, given.users, given.hertz, given.seconds)))
        if given.what != "drag":
            print(asyncio.run(change(servers, given.participants, 10, 0.5)))


if __name__ == "__main__":
    main()
