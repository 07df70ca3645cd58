"""The sweeper: visits what is due, sleeps until the nearest deadline."""

import asyncio
import contextlib
import logging
from typing import Final

from presence_engine.engine import SWEEP_LIMIT, PresenceEngine
from presence_engine.errors import ContractBroken, StoreUnavailable
from presence_engine.inputs import MAX_PAGE
from presence_engine.settings import within
from presence_engine.tasks import end_tasks
from presence_engine.times import MAX_MS

_RETRY_S: Final = 0.5
_LEAST_SLEEP_S: Final = 0.005

log = logging.getLogger(__name__)


class Sweeper:
    """Removes expired connections soon after their deadline; any number may run against one Redis.

    It wakes at the nearest deadline it knows, at the latest every `interval_ms`. Answers do not depend on it (every
    call sweeps what it finds due): it makes departures known while nobody asks.

        async with Sweeper(engine): ...
    """

    def __init__(self, engine: PresenceEngine, *, interval_ms: int | None = None) -> None:
        self.engine = engine
        given_ms = engine.settings.sweep_interval_ms if interval_ms is None else interval_ms
        self.interval_ms = within("interval_ms", given_ms, 1, MAX_MS)
        self._wake = asyncio.Event()
        self._planned_ms = 0
        self._task: asyncio.Task[None] | None = None
        # Rooms whose damage has been told.
        self._damaged: set[str] = set()

    async def __aenter__(self) -> "Sweeper":
        self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def start(self) -> None:
        """Begin, in the running loop, unless it has begun."""
        loop = asyncio.get_running_loop()
        if self._task is not None and not self._task.done() and self._task.get_loop() is loop:
            return
        self._wake = asyncio.Event()
        if self.nudge not in self.engine.on_deadline:
            self.engine.on_deadline.append(self.nudge)
        self._task = loop.create_task(self._run(), name="presence-sweeper")

    async def stop(self) -> None:
        """End; a sweep under way may have been carried out."""
        task, self._task = self._task, None
        if task is not None:
            self.engine.on_deadline.remove(self.nudge)
            await end_tasks([task])

    def nudge(self, deadline_ms: int) -> None:
        """A deadline was set, perhaps earlier than the planned visit."""
        if deadline_ms < self._planned_ms:
            self._wake.set()

    async def sweep_all(self, *, now_ms: int | None = None) -> int | None:
        """Visit every room that is due. Return ms until the next deadline, None when nothing waits.

        Bounded calls only: 100 rooms an index read, 100 connections a sweep.
        """
        waits = await asyncio.gather(
            *(self._sweep_partition(partition, now_ms) for partition in range(self.engine.keys.partitions))
        )
        return min((wait for wait in waits if wait is not None), default=None)

    async def _sweep_partition(self, partition: int, now_ms: int | None) -> int | None:
        failed: set[str] = set()
        while True:
            limit = min(SWEEP_LIMIT + len(failed), MAX_PAGE)
            due = await self.engine.due(partition, limit=limit, now_ms=now_ms)
            waiting = [room for room in due.rooms if room not in failed]
            for room in waiting:
                try:
                    await self.engine.sweep(room, now_ms=now_ms)
                except ContractBroken as error:
                    # It is due until it is mended; the rooms behind it are due, too.
                    failed.add(room)
                    if room not in self._damaged:
                        log.error("room %r could not be swept: %s", room, error)
                        self._damaged.add(room)
                else:
                    self._damaged.discard(room)
            if not waiting:
                self._planned_ms = min(self._planned_ms, due.next_ms or self._planned_ms)
                return None if due.next_ms is None else due.next_ms - due.now_ms

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            try:
                self._planned_ms = 2**62
                wait_ms = await self.sweep_all()
            except StoreUnavailable as error:
                log.debug("sweep put off: %s", error)
                wait_ms = int(_RETRY_S * 1000)
            except Exception:
                # Whatever it was: expired connections have to go all the same.
                log.exception("a sweep failed")
                wait_ms = int(_RETRY_S * 1000)
            sleep_s = min(self.interval_ms, self.interval_ms if wait_ms is None else wait_ms) / 1000
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(sleep_s, _LEAST_SLEEP_S)):
                    await self._wake.wait()
