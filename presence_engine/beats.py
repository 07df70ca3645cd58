"""Heartbeats of one loop tick and room leave in one script call."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from presence_engine import replies
from presence_engine.models import Beat
from presence_engine.replies import Reply

MAX_BEATS: Final = 1000
# So many callers in step leave as two halves; fewer would not be worth a second call.
IN_STEP: Final = 50

# The slots of one room, and whom each of them answers.
_Waiting = tuple[list[str], list[asyncio.Future[Beat | None]]]


class HeartbeatBatch:
    """Collects the heartbeats of one loop tick; each room's leave in one call, above 1,000 in several.

    Callers who beat again the moment they are answered are in step: they all wait while Redis works, and Redis waits
    while they work. From fifty on, half of them leave a tick later, and from then on the two take turns.

    `send(room, slots)` sends one call of heartbeat.lua and returns the future of its reply; an error reaches every
    caller of that call.
    """

    def __init__(self, send: Callable[[str, Sequence[str]], asyncio.Future[Reply]]) -> None:
        self._send = send
        # Of one loop: what another one left waiting, stopped or running, is its own to send.
        self._waiting: dict[str, _Waiting] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._answered: set[str] = set()

    def beat(self, room: str, slot: str) -> asyncio.Future[Beat | None]:
        """Return what Redis says of the slot, once the room's call is answered: None for one that is not alive."""
        loop = asyncio.get_running_loop()
        if not self._waiting or loop is not self._loop:
            self._loop, self._waiting = loop, {}
            loop.call_soon(self._flush, loop, self._waiting)
        future: asyncio.Future[Beat | None] = loop.create_future()
        waiting = self._waiting.get(room)
        if waiting is None:
            waiting = self._waiting[room] = ([], [])
        waiting[0].append(slot)
        waiting[1].append(future)
        return future

    def _flush(self, loop: asyncio.AbstractEventLoop, waiting: dict[str, _Waiting]) -> None:
        later: dict[str, _Waiting] = {}
        if self._waiting is waiting:
            self._waiting = later
        for room, (slots, futures) in waiting.items():
            end = len(slots)
            if end >= IN_STEP and room in self._answered:
                end //= 2
                later[room] = (slots[end:], futures[end:])
            for start in range(0, end, MAX_BEATS):
                stop = min(start + MAX_BEATS, end)
                self._call(room, slots[start:stop], futures[start:stop])
        if later:
            loop.call_soon(self._flush, loop, later)

    def _call(self, room: str, slots: list[str], futures: list[asyncio.Future[Beat | None]]) -> None:
        try:
            self._send(room, slots).add_done_callback(partial(self._answer, room, futures))
        except Exception as error:
            _refuse(futures, error)

    def _answer(self, room: str, futures: list[asyncio.Future[Beat | None]], call: asyncio.Future[Reply]) -> None:
        try:
            answers = list(zip(futures, replies.beats(call.result()), strict=True))
        except Exception as error:
            _refuse(futures, error)
            return
        for future, answer in answers:
            if not future.done():
                future.set_result(answer)
        # Callers go on in the next turn of the loop, and what they beat then leaves in the turn after it.
        self._answered.add(room)
        loop = call.get_loop()
        loop.call_soon(loop.call_soon, self._answered.discard, room)


def _refuse(futures: list[asyncio.Future[Beat | None]], error: Exception) -> None:
    for future in futures:
        if not future.done():
            future.set_exception(error)
            future.exception()  # a caller who is gone must not make the loop complain
