"""People who come and go: each opens tabs, joins rooms, beats, leaves, vanishes, and comes back to another server."""

import asyncio
import random
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from websockets.exceptions import ConnectionClosed, InvalidHandshake

from tests.faults.processes import ServerProcess
from tests.faults.tab import Tab

ROOMS: Final = [f"soak-{number}" for number in range(6)]
_BEAT_S: Final = 1.0
_GONE: Final = (OSError, TimeoutError, ConnectionClosed, InvalidHandshake)


class Person:
    """One tab of a user at a time. rooms: where the person means to be. failed: answers that were neither ok nor a
    refusal one has to expect while things break.
    """

    def __init__(self, name: str, servers: Sequence[ServerProcess], seed: int) -> None:
        self.name, self._servers = name, servers
        self._random = random.Random(seed)
        self.rooms: set[str] = set()
        self.tab: Tab | None = None
        self.answers = 0
        self.failed: list[str] = []

    async def live(self, until: asyncio.Event) -> None:
        """Come and go until told to stay."""
        while not until.is_set():
            try:
                await self._come()
                await self._stay(until)
            except _GONE:
                await self.vanish()
            await asyncio.sleep(self._random.uniform(0, 0.3))

    async def _come(self) -> None:
        if self.tab is None or self.tab.closed:
            self.tab = await Tab.open(self._random.choice(self._servers).url, self.name)
        self.rooms = set(self._random.sample(ROOMS, self._random.randint(1, 3)))
        for room in self.rooms:
            await self._ask("join_room", room, data={"n": self._random.randint(0, 9)})

    async def _stay(self, until: asyncio.Event) -> None:
        for _ in range(self._random.randint(1, 6)):
            with suppress(TimeoutError):
                await asyncio.wait_for(until.wait(), _BEAT_S)
            if until.is_set():
                return
            for room in list(self.rooms):
                await self._beat(room)
        await self._go()

    async def _beat(self, room: str) -> None:
        if self._random.random() < 0.2:
            await self._ask("room:update", room, data={"n": self._random.randint(0, 9)})
        elif await self._ask("room:heartbeat", room) == "not_in_room":
            await self._ask("join_room", room)

    async def _go(self) -> None:
        assert self.tab is not None
        how = self._random.random()
        if how < 0.5:
            everywhere = self._random.random() < 0.2
            for room in list(self.rooms):
                await self._ask("leave_room", room, everywhere=everywhere)
                self.rooms.discard(room)
        elif how < 0.75:
            await self.tab.close()
        else:
            await self.tab.kill()

    async def _ask(self, event: str, room: str, **more: object) -> str:
        """Return the code of the answer, "" when it was ok."""
        assert self.tab is not None
        answer = await self.tab.emit(event, {"roomId": room, **more}, timeout_s=10)
        self.answers += 1
        if answer.get("adopted"):
            self.tab.follow(room)
        code = "" if answer["ok"] else str(answer["error"]["code"])
        if code not in {"", "not_in_room", "unavailable"}:
            self.failed.append(f"{event}: {code}")
        return code

    async def vanish(self) -> None:
        """Lose the tab without a word."""
        if self.tab is not None:
            await self.tab.kill()
        self.tab = None

    async def settle(self) -> None:
        """Be in every room one means to be in, for good."""
        while True:
            try:
                if self.tab is None or self.tab.closed:
                    self.tab = await Tab.open(self._random.choice(self._servers).url, self.name)
                    await self._rejoin()
                elif [room for room in self.rooms if await self._ask("room:heartbeat", room)]:
                    await self._rejoin()
                else:
                    return
            except _GONE:
                await self.vanish()
            await asyncio.sleep(0.1)

    async def _rejoin(self) -> None:
        for room in list(self.rooms):
            await self._ask("join_room", room)

    async def part(self) -> None:
        """Leave every room and close."""
        for room in list(self.rooms):
            await self._ask("leave_room", room)
        await self.vanish()
