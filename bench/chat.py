"""Chat: what a message costs Redis, how many go through the library and through HTTP, and when other clients have them.

Every rate stands beside a bare XADD of the same body, played in the same run. `python -m bench.chat` prints the table.
"""

import asyncio
import itertools
import json
import platform
import re
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
from websockets.asyncio.client import ClientConnection, connect

from bench.servers import Server, running
from bench.wire import Command, Wire, encode
from presence_engine import ChatEngine, IncomingMessage, room_of_phone
from presence_engine.chat_input import room_details, stored_body
from presence_engine.keys import Keyspace
from presence_engine.scripts import ScriptLibrary
from presence_engine.store import Store

ROOMS: Final = 1000
MESSAGES: Final = 20_000
OVER_HTTP: Final = 4_000
IN_FLIGHT: Final = 64
TIMED: Final = 1_000
TIMED_PAUSE_S: Final = 0.01
TEXT: Final = "Hello, I would like to know how much is outstanding on my loan. " * 2
ONCE_MS: Final = 30 * 86_400_000

_EXPECTED_S: Final = 20
_ROOT: Final = Path(__file__).parent.parent


def phone(number: int) -> str:
    return f"62{81_000_000 + number % ROOMS}"


def message(number: int) -> IncomingMessage:
    return IncomingMessage(phone=phone(number), content_text=TEXT, wa_message_id=f"wamid.{number}")


def post_commands(library: ScriptLibrary, start: int, count: int) -> Iterator[Command]:
    """The script calls of `count` messages, as the library makes them."""
    keys, script = Keyspace(), library["chat/post"]
    for number in range(start, start + count):
        one = message(number)
        room = room_of_phone(phone(number))
        values: dict[str, str | int] = {
            "room": room, "author": "customer", "body": stored_body(one, None), "max_messages": 10_000,
            "details": room_details(phone(number), None, None, None), "once_ms": ONCE_MS, "now_ms": "",
        }  # fmt: skip
        names = (*keys.chat_room(room), keys.chat_once(room, f"wa:{number:032x}"))
        yield (script.command, script.sha, len(names), *names, *script.order(values))  # type: ignore[arg-type]


def bare_commands(start: int, count: int) -> Iterator[Command]:
    for number in range(start, start + count):
        body = stored_body(message(number), None)
        yield ("XADD", f"bare:{number % ROOMS}", "*", "t", "1700000000000", "b", body)


def redis_cost(server: Server) -> tuple[float, float]:
    """CPU of the server for one message and for one bare XADD, in µs."""
    library = ScriptLibrary(check=False)
    with Wire(server.socket_path) as wire:
        for script in library.values():
            wire.ask("SCRIPT", "LOAD", script.source)
        for commands in (post_commands(library, 0, ROOMS), bare_commands(0, ROOMS)):
            wire.play(encode(commands))
        post, replies = wire.measure(encode(post_commands(library, ROOMS, MESSAGES)))
        assert all(reply[0] == b"saved" for reply in replies)
        bare, _ = wire.measure(encode(bare_commands(ROOMS, MESSAGES)))
    return post.cpu_us / MESSAGES, bare.cpu_us / MESSAGES


async def rate(count: int, work: Callable[[int], Awaitable[object]]) -> float:
    """How many a second, IN_FLIGHT of them at a time."""
    numbers = iter(range(count))

    async def worker() -> None:
        for number in numbers:
            await work(number)

    began = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))
    return count / (time.perf_counter() - began)


async def library_rates(server: Server) -> tuple[float, float]:
    """Messages a second through ChatEngine.post, and bare XADDs a second over the same connection."""
    chat = ChatEngine(Store(server.url), Keyspace())
    for number in range(ROOMS):
        await chat.post(message(-1 - number))
    post = await rate(MESSAGES, lambda number: chat.post(message(number)))
    bare = await rate(
        MESSAGES,
        lambda number: chat.store.command(
            "XADD", f"bare:{number % ROOMS}", "*", "t", "1700000000000", "b", stored_body(message(number), None)
        ),
    )
    await chat.store.close()
    return post, bare


@contextmanager
def serving(redis_url: str) -> Iterator[str]:
    """A server in a process of its own, on a free port."""
    process = subprocess.Popen(
        [sys.executable, "-m", "server.cli", "serve", "--port", "0"], cwd=_ROOT, text=True, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, env={"PATH": "/usr/bin:/bin", "REDIS_URL": redis_url, "PRESENCE_ENV": "production",
                                     "PRESENCE_AUTH": "none"},
    )  # fmt: skip
    try:
        assert process.stderr
        found = None
        while found is None:
            line = process.stderr.readline()
            assert line, "the server ended while it started"
            found = re.search(r"serving (http://[0-9.:]+)", line)
        # Nobody reads on: the logs of the run must not fill the pipe.
        drain = subprocess.Popen(["cat"], stdin=process.stderr, stdout=subprocess.DEVNULL)
        _await_ready(found[1])
        yield found[1]
    finally:
        process.terminate()
        process.wait(_EXPECTED_S)
        drain.wait(_EXPECTED_S)


def _await_ready(url: str) -> None:
    give_up_at = time.monotonic() + _EXPECTED_S
    while True:
        try:
            if httpx.get(f"{url}/readyz", trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            pass
        assert time.monotonic() < give_up_at, "the server is not ready"
        time.sleep(0.02)


class Poster:
    """Keep-alive connections that post and read no more than they must, so that the server is what is measured."""

    def __init__(self, url: str) -> None:
        self._host, port = url.removeprefix("http://").split(":")
        self._port = int(port)
        # In turn, since the server closes a connection that is idle for long.
        self._idle: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()

    async def open(self, connections: int) -> None:
        for _ in range(connections):
            self._idle.put_nowait(await asyncio.open_connection(self._host, self._port))

    async def post(self, body: dict[str, Any]) -> dict[str, Any]:
        reader, writer = await self._idle.get()
        data = json.dumps(body).encode()
        head = f"POST /messages/incoming HTTP/1.1\r\nHost: {self._host}\r\nContent-Length: {len(data)}\r\n\r\n"
        writer.write(head.encode() + data)
        answer = (await reader.readuntil(b"\r\n\r\n")).lower()
        assert answer.startswith(b"http/1.1 200"), answer
        length = int(answer.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        content: dict[str, Any] = json.loads(await reader.readexactly(length))
        self._idle.put_nowait((reader, writer))
        return content

    async def close(self) -> None:
        while not self._idle.empty():
            self._idle.get_nowait()[1].close()


async def http_rate(url: str) -> float:
    poster = Poster(url)
    await poster.open(IN_FLIGHT)
    found = await rate(OVER_HTTP, lambda number: poster.post({"phone": phone(number), "content_text": TEXT}))
    await poster.close()
    return found


async def listen(url: str) -> ClientConnection:
    """A Socket.IO client of few words."""
    socket = await connect(
        f"{url.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket", compression=None, proxy=None
    )
    await socket.recv()
    await socket.send("40")
    await socket.recv()
    return socket


async def latencies_ms(post_at: str, listen_at: str) -> list[float]:
    """From the start of a POST at one server to a client of the other, a message every 10 ms; sorted."""
    poster, socket = Poster(post_at), await listen(listen_at)
    await poster.open(4)
    sent: dict[str, float] = {}
    took: list[float] = []

    async def hear() -> None:
        while len(took) < TIMED:
            text = str(await socket.recv())
            if text == "2":
                await socket.send("3")
            elif text.startswith('42["new_message"'):
                at = time.perf_counter()
                if (began := sent.get(json.loads(text[2:])[1]["content_text"])) is not None:
                    took.append((at - began) * 1000)

    async def one(number: int) -> None:
        key = f"timed {number}"
        sent[key] = time.perf_counter()
        await poster.post({"phone": phone(number), "content_text": key})

    hearing = asyncio.create_task(hear())
    posting = []
    for number in range(TIMED):
        posting.append(asyncio.create_task(one(number)))
        await asyncio.sleep(TIMED_PAUSE_S)
    await asyncio.gather(*posting)
    await asyncio.wait_for(hearing, _EXPECTED_S)
    await socket.close()
    await poster.close()
    return sorted(took)


def measure(kind: str) -> dict[str, Any]:
    """All figures of one kind of server."""
    with running(kind) as server:
        post_us, bare_us = redis_cost(server)
    with running(kind) as server:
        post, bare = asyncio.run(library_rates(server))
    with ExitStack() as stack:
        server = stack.enter_context(running(kind))
        one, two = (stack.enter_context(serving(server.url)) for _ in range(2))
        over_http = asyncio.run(http_rate(one))
        took = asyncio.run(latencies_ms(one, two))
    return {
        "server": server.version, "post_us": post_us, "bare_us": bare_us, "post": post, "bare": bare,
        "http": over_http, "p50_ms": took[len(took) // 2], "p99_ms": took[int(len(took) * 0.99)], "max_ms": took[-1],
    }  # fmt: skip


def table(found: list[dict[str, Any]]) -> str:
    """The figures as Markdown."""
    rows: list[tuple[str, Callable[[dict[str, Any]], str]]] = [
        ("Redis CPU of one `post` (µs)", lambda one: f"{one['post_us']:.1f}"),
        ("Redis CPU of a bare `XADD` (µs)", lambda one: f"{one['bare_us']:.1f}"),
        ("ratio", lambda one: f"{one['post_us'] / one['bare_us']:.1f}×"),
        ("`ChatEngine.post`, messages/s", lambda one: f"{one['post']:,.0f}"),
        ("bare `XADD` over the same connection, /s", lambda one: f"{one['bare']:,.0f}"),
        ("ratio", lambda one: f"{one['bare'] / one['post']:.1f}×"),
        ("`POST /messages/incoming`, messages/s", lambda one: f"{one['http']:,.0f}"),
        ("ratio to the bare `XADD`", lambda one: f"{one['bare'] / one['http']:.1f}×"),
        ("message → client of another server, p50 (ms)", lambda one: f"{one['p50_ms']:.1f}"),
        ("p99 (ms)", lambda one: f"{one['p99_ms']:.1f}"),
        ("longest (ms)", lambda one: f"{one['max_ms']:.1f}"),
    ]
    head = f"| | {' | '.join(one['server'] for one in found)} |\n|---|{'---|' * len(found)}\n"
    return head + "".join(f"| {name} | {' | '.join(show(one) for one in found)} |\n" for name, show in rows)


def main(kinds: list[str]) -> None:
    print(f"Python {platform.python_version()}, {platform.machine()}\n")
    print(table([measure(kind) for kind in itertools.islice(kinds, 2)]))


if __name__ == "__main__":
    main(sys.argv[1:] or ["valkey", "redis"])
