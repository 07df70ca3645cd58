"""A browser tab: one Socket.IO connection that follows its rooms by diffs alone and checks the chain on the way."""

import asyncio
import contextlib
import itertools
import json
import time
from collections.abc import Callable
from typing import Any, Final, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

PATIENCE_S: Final = 15.0
Json = Any


class View:
    """What a tab knows of a room. gaps: how often a diff did not fit, and the tab asked; faults: what must never be."""

    def __init__(self) -> None:
        self.epoch, self.seq, self.count, self.connections = "", 0, 0, 0
        self.members: dict[str, Json] = {}
        self.mode = "diffs"
        self.gaps = 0
        self.syncing = False
        self.late: list[Json] = []
        self.left: list[tuple[str, str]] = []
        self.faults: list[str] = []

    def start(self, body: Json) -> None:
        self.epoch, self.seq = body["epoch"], body["seq"]
        self.count, self.connections, self.mode = body["count"], body["connections"], body["mode"]
        self.members = {str(member["userId"]): member for member in body["users"]}

    def apply(self, diff: Json) -> bool:
        """Apply one diff; False when it does not fit."""
        if diff["epoch"] != self.epoch or diff["from"] > self.seq:
            return False
        if diff["from"] < self.seq:
            self.faults.append(f"at {self.seq}, told again from {diff['from']}")
        for member in [*diff["joined"], *diff["updated"]]:
            self.members[str(member["userId"])] = member
        for gone in diff["left"]:
            self.left.append((str(gone["userId"]), gone["reason"]))
            if self.members.pop(str(gone["userId"]), None) is None:
                self.faults.append(f"{gone['userId']} left without having been there")
        self.seq, self.count, self.connections = diff["seq"], diff["count"], diff["connections"]
        if len(self.members) != self.count:
            self.faults.append(f"seq {self.seq}: {len(self.members)} members, told {self.count}")
        return True


class Tab:
    """`await Tab.open(url, user)`. events: everything but acks, as (name, body), in the order it came."""

    def __init__(self, socket: ClientConnection, user: str) -> None:
        self.user = user
        self.events: list[tuple[str, Json]] = []
        self.views: dict[str, View] = {}
        self.closed = False
        self._socket = socket
        self._numbers = itertools.count()
        self._acks: dict[int, asyncio.Future[Json]] = {}
        self._connected: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._syncs: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def open(cls, url: str, user: str) -> Self:
        address = url.replace("http://", "ws://") + "/socket.io/?EIO=4&transport=websocket"
        # A client on a slow machine must not be the one who hangs up.
        socket = await connect(
            address, compression=None, max_size=None, ping_interval=None, proxy=None, close_timeout=1
        )
        tab = cls(socket, user)
        await socket.send("40" + json.dumps({"userId": user}))
        async with asyncio.timeout(PATIENCE_S):
            await tab._connected
        return tab

    async def _read(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for frame in self._socket:
                assert isinstance(frame, str)
                if frame == "2":
                    await self._socket.send("3")
                elif frame.startswith("41"):
                    break
                elif frame.startswith("40"):
                    self._connected.set_result(json.loads(frame[2:])["sid"])
                elif frame.startswith("43"):
                    number, bracket, rest = frame[2:].partition("[")
                    if not (waiting := self._acks.pop(int(number))).done():
                        waiting.set_result(json.loads(bracket + rest)[0])
                elif frame.startswith("42"):
                    name, *bodies = json.loads(frame[2:])
                    self._event(name, bodies[0] if bodies else None)
                self._changed.set()
        self.closed = True
        self._socket.transport.abort()
        self._changed.set()

    def _event(self, name: str, body: Json) -> None:
        self.events.append((name, body))
        room = str(body.get("roomId")) if isinstance(body, dict) else ""
        if name == "room:joined":
            self.views.setdefault(room, View()).start(body)
        elif name in {"room:left", "room:force-leave"}:
            self.views.pop(room, None)
        elif (view := self.views.get(room)) is None:
            return
        elif name == "room:diff":
            if view.syncing:
                view.late.append(body)
            elif not view.apply(body):
                view.gaps += 1
                self._sync(room, view)
        elif name == "room:count":
            view.count, view.connections = body["count"], body["connections"]
        elif name == "room:mode":
            view.mode = body["mode"]
            if view.mode == "diffs":
                self._sync(room, view)

    def follow(self, room: str) -> None:
        """Ask for what was missed, as a client does whose beat was answered with `adopted`."""
        self._sync(room, self.views.setdefault(room, View()))

    def _sync(self, room: str, view: View) -> None:
        if view.syncing or self.views.get(room) is not view:
            return
        view.syncing = True
        task = asyncio.create_task(self._ask(room, view))
        self._syncs.add(task)
        task.add_done_callback(self._syncs.discard)

    async def _ask(self, room: str, view: View) -> None:
        """As the client library does: ask again while Redis is away, then apply what came meanwhile."""
        while not self.closed and self.views.get(room) is view:
            try:
                answer = await self.emit("room:sync", {"roomId": room, "epoch": view.epoch, "seq": view.seq})
            except (TimeoutError, ConnectionClosed):
                return
            if answer["ok"]:
                break
            if not answer["error"]["retryable"]:
                return
            await asyncio.sleep(0.1)
        else:
            return
        if answer["sync"] == "snapshot":
            view.start(answer)
        else:
            for diff in answer["diffs"]:
                if not view.apply(diff):
                    view.faults.append(f"a sync from {view.seq} brought a diff from {diff['from']}")
        view.syncing = False
        late, view.late = view.late, []
        for diff in late:
            if diff["epoch"] == view.epoch and diff["seq"] <= view.seq:
                continue
            if not view.apply(diff):
                view.gaps += 1
                self._sync(room, view)
                return

    async def emit(self, event: str, *payload: Json, timeout_s: float = PATIENCE_S) -> Json:
        """Emit and return the acknowledgement."""
        number = next(self._numbers)
        waiting = self._acks[number] = asyncio.get_running_loop().create_future()
        await self._socket.send(f"42{number}" + json.dumps([event, *payload]))
        async with asyncio.timeout(timeout_s):
            return await waiting

    async def join(self, room: str, **more: Json) -> Json:
        """Join, asking again while Redis is away."""
        return await self._insist("join_room", {"roomId": room, "userId": self.user, **more})

    async def leave(self, room: str) -> Json:
        return await self._insist("leave_room", {"roomId": room})

    async def _insist(self, event: str, payload: Json) -> Json:
        until = time.monotonic() + PATIENCE_S
        while True:
            answer = await self.emit(event, payload)
            if answer["ok"] or not answer["error"]["retryable"] or time.monotonic() > until:
                assert answer["ok"], answer
                return answer
            await asyncio.sleep(0.05)

    async def beat(self, room: str) -> Json:
        return await self.emit("room:heartbeat", {"roomId": room, "userId": self.user})

    def told(self, name: str, room: str | None = None) -> list[Json]:
        return [body for event, body in self.events if event == name and room in (None, body.get("roomId"))]

    async def until(self, condition: Callable[[], object], what: str, timeout_s: float = PATIENCE_S) -> None:
        """Wait until something this tab was told makes the condition true."""
        try:
            async with asyncio.timeout(timeout_s):
                while not condition():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"{self.user}: {what}: not within {timeout_s:g} s") from None

    async def close(self) -> None:
        """Say goodbye as a client library does."""
        with contextlib.suppress(ConnectionClosed):
            await self._socket.send("41")
            await self._socket.send("1")
        await self.kill()

    async def kill(self) -> None:
        """Go without a word."""
        self._socket.transport.abort()
        for task in (self._reader, *self._syncs):
            task.cancel()
        await asyncio.gather(self._reader, *self._syncs, return_exceptions=True)
        self.closed = True


async def eventually(condition: Callable[[], Any], what: str, timeout_s: float = PATIENCE_S) -> Any:
    """Ask until the answer (or what it awaits) is truthy, and return it."""
    until = time.monotonic() + timeout_s
    while True:
        found = condition()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return found
        assert time.monotonic() < until, f"{what}: not within {timeout_s:g} s"
        await asyncio.sleep(0.02)
