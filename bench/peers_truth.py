"""What each recipe answers when things go as they do: every cell of the table is decided by running it.

python -m bench.peers_truth --hold WORD --socket PATH    the process that is killed; started by the table itself
"""

import argparse
import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import Set
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import hiredis

from bench.peers_drivers import GRACE_MS, TTL_MS, Peer, make_peer
from bench.peers_recipes import KeysAtOnce, Recipe
from bench.peers_scripts import recipes
from bench.servers import running
from bench.wire import Wire

HELD: Final = 50
LEFT_OVER: Final = 10
UNREAD: Final = 50
_SETTLED_S: Final = 3 * GRACE_MS / 1000
_GIVE_UP_S: Final = 3 * TTL_MS / 1000
ROOT: Final = Path(__file__).parent.parent


class Ear:
    """Hears whatever is published: by any pattern, keyspace events among it, and on one sharded channel."""

    def __init__(self, socket_path: str, channel: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(socket_path)
        self._reader = hiredis.Reader()
        self._send("PSUBSCRIBE", "*")
        self._send("SSUBSCRIBE", channel)
        self.heard()

    def _send(self, *command: str) -> None:
        self._socket.sendall(hiredis.pack_command(command))  # type: ignore[arg-type]  # its stub knows tuples of one only

    def heard(self) -> list[bytes]:
        """What was published since, each message whole."""
        self._send("PING")
        messages: list[bytes] = []
        while True:
            reply: Any = self._reader.gets()
            if reply is False:
                self._reader.feed(self._socket.recv(1 << 18))
            elif reply[0] == b"pong":
                return messages
            elif reply[0] in (b"pmessage", b"smessage"):
                messages.append(reply[-1])

    def close(self) -> None:
        self._socket.close()


@dataclass
class Truth:
    """One row: what was counted where another number is right, or how long it took."""

    word: str
    tabs: int = -1
    tab: int = -1
    late: int = -1
    beats: int = -1
    twice: int = -1
    half: int = -1
    killed_s: float | None = None
    killed_counts: int = -1
    unread: int = -1
    announced: tuple[int, int] = (0, 0)


RIGHT: Final = {
    "tabs": 1,
    "tab": 1,
    "late": 1,
    "beats": 1,
    "twice": 1,
    "half": 0,
    "killed_counts": LEFT_OVER,
    "unread": 0,
}


async def _scenes(peer: Peer, truth: Truth) -> None:
    await peer.connect("tab", "ada", "tab1")
    await peer.connect("tab", "ada", "tab2")
    truth.tabs = await peer.count("tab")
    await peer.disconnect("tab", "ada", "tab2")
    await peer.connect("late", "ada", "old")
    await peer.connect("late", "ada", "new")
    await peer.disconnect("late", "ada", "old")
    await peer.connect("beats", "ada", "one")
    for _ in range(5):
        await peer.beat("beats", "ada", "one")
    for user in ("ada", "bob"):
        await peer.connect("twice", user, f"{user}1")
    for _ in range(2):
        await peer.disconnect("twice", "bob", "bob1")
    await asyncio.sleep(_SETTLED_S)
    truth.tab, truth.late = await peer.count("tab"), await peer.count("late")
    truth.beats, truth.twice = await peer.count("beats"), await peer.count("twice")


async def _half(peer: Peer, truth: Truth) -> None:
    """Of two tabs one falls silent with its process, the other beats past the TTL and then closes."""
    await peer.connect("half", "ada", "silent")
    await peer.connect("half", "ada", "other")
    for _ in range(6):
        await asyncio.sleep(TTL_MS / 4000)
        await peer.beat("half", "ada", "other")
    await peer.disconnect("half", "ada", "other")
    await asyncio.sleep(_SETTLED_S)
    truth.half = await peer.count("half")


async def _unread(peer: Peer, truth: Truth, socket_path: str) -> None:
    """Nobody beats, nobody reads; then it is read once. announced: how often, of the least and the most told user."""
    users = [f"silent{number}" for number in range(UNREAD)]
    for user in users:
        await peer.connect("unread", user, f"{user}c")
    ear = Ear(socket_path, peer.channel("unread"))
    await asyncio.sleep(2 * TTL_MS / 1000)
    truth.unread = await peer.count("unread")
    await asyncio.sleep(_SETTLED_S)
    heard = [message.replace(b"\x1e", b" ").replace(b":", b" ").split() for message in ear.heard()]
    ear.close()
    times = [sum(user.encode() in message for message in heard) for user in users]
    truth.announced = (min(times), max(times))


async def _killed(peer: Peer, truth: Truth, socket_path: str, starting: asyncio.Lock) -> None:
    """A process with HELD users is killed; LEFT_OVER users of this one go on beating."""
    # One after the other: what a start takes of the machine is not to keep others from beating in time.
    async with starting:
        holder = subprocess.Popen(
            [sys.executable, "-m", "bench.peers_truth", "--hold", peer.word, "--socket", socket_path], cwd=ROOT,
            stdout=subprocess.PIPE,
        )  # fmt: skip
        try:
            assert holder.stdout
            assert await asyncio.to_thread(holder.stdout.readline) == b"ready\n"
            beating = asyncio.create_task(_keep(peer, [f"mine{number}" for number in range(LEFT_OVER)]))
        except BaseException:
            _end(holder)
            raise
    try:
        # A node may declare another dead once its own lease has been in order for a whole one.
        await asyncio.sleep(1.5 * TTL_MS / 1000)
        assert await peer.count("killed") == HELD + LEFT_OVER, peer.word
        holder.kill()
        await _await_right(peer, truth)
    finally:
        beating.cancel()
        _end(holder)


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait()
    assert process.stdout
    process.stdout.close()


async def _await_right(peer: Peer, truth: Truth) -> None:
    began_s = time.monotonic()
    while time.monotonic() < began_s + _GIVE_UP_S:
        truth.killed_counts = await peer.count("killed")
        if truth.killed_counts == LEFT_OVER:
            truth.killed_s = time.monotonic() - began_s
            return
        await asyncio.sleep(0.02)


async def _keep(peer: Peer, users: list[str]) -> None:
    for user in users:
        await peer.connect("killed", user, f"{user}c")
    while True:
        await asyncio.sleep(TTL_MS / 4000)
        for user in users:
            await peer.beat("killed", user, f"{user}c")


async def _row(kind: str, recipe: Recipe, starting: asyncio.Lock) -> Truth:
    truth = Truth(recipe.word)
    async with AsyncExitStack() as stack:
        server = stack.enter_context(running(kind))
        wire = stack.enter_context(Wire(server.socket_path))
        wire.ask("CONFIG", "SET", "notify-keyspace-events", "Ex")
        peers: list[Peer] = [await make_peer(stack, recipe, server.socket_path, f"node{number}") for number in range(2)]
        async with asyncio.TaskGroup() as scenes:
            scenes.create_task(_scenes(peers[0], truth))
            scenes.create_task(_half(peers[0], truth))
            scenes.create_task(_unread(peers[0], truth, server.socket_path))
            scenes.create_task(_killed(peers[1], truth, server.socket_path, starting))
    return truth


async def _all(kind: str, words: Set[str]) -> list[Truth]:
    chosen = [recipe for recipe in recipes(TTL_MS) if recipe.word in words or not words]
    starting = asyncio.Lock()
    async with asyncio.TaskGroup() as group:
        rows = [group.create_task(_row(kind, one, starting)) for one in chosen if not isinstance(one, KeysAtOnce)]
    return [row.result() for row in rows]


def truths(kind: str, words: Set[str] = frozenset()) -> list[Truth]:
    """Every recipe, or those of some words, at once, each on a server of its own: they wait more than they work."""
    return asyncio.run(_all(kind, words))


async def hold(word: str, socket_path: str) -> None:
    """Hold HELD users until this process is killed."""
    (recipe,) = (one for one in recipes(TTL_MS) if one.word == word)
    async with AsyncExitStack() as stack:
        peer = await make_peer(stack, recipe, socket_path, "doomed")
        users = [f"held{number}" for number in range(HELD)]
        keeping = asyncio.create_task(_keep(peer, users))
        while await peer.count("killed") < HELD:
            await asyncio.sleep(0.01)
        print("ready", flush=True)
        await keeping


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hold", required=True)
    parser.add_argument("--socket", required=True)
    asked = parser.parse_args()
    asyncio.run(hold(asked.hold, asked.socket))
