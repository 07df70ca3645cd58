"""What this process may have missed of its rooms: they are compared with Redis, and whoever stands elsewhere hears."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from presence_engine import Position, PresenceEngine, StoreUnavailable
from server.local_room import LocalRoom

_RETRY_S: Final = 0.5
_BATCH: Final = 500

log = logging.getLogger(__name__)


class Comparing:
    """Compares the local rooms, partition by partition: one that does not answer keeps nobody else waiting.

    go_on_from(room, at): called for a room that has moved while nobody here heard of it.
    """

    def __init__(
        self,
        engine: PresenceEngine,
        rooms: Mapping[str, LocalRoom],
        go_on_from: Callable[[LocalRoom, Position], None],
    ) -> None:
        self._engine, self._rooms, self._go_on_from = engine, rooms, go_on_from
        self._task: asyncio.Task[None] | None = None
        self._again = False
        # By partition: since when its server has been the one that writes, when every room here was last compared.
        self._writing_since: dict[int, int] = {}

    def begin(self) -> None:
        """Compare every room, from the start where a comparison is under way."""
        self._again = True
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._compare_all(), name="feed-compare")

    async def learn_lineages(self) -> None:
        """Ask which servers write now, so that later ones are told from them. Who does not answer is asked later."""
        partitions = range(self._engine.keys.partitions)
        found = await asyncio.gather(*map(self._engine.writing_since, partitions), return_exceptions=True)
        self._writing_since = {p: since_us for p, since_us in enumerate(found) if isinstance(since_us, int)}

    async def _compare_all(self) -> None:
        """Compare until it is done: Redis may go away again, and so may the feed."""
        waiting: set[str] = set()
        while self._again or waiting:
            if self._again:
                self._again, waiting = False, set(self._rooms)
            parts: dict[int, list[str]] = {}
            for room in waiting:
                parts.setdefault(self._engine.keys.partition_of(room), []).append(room)
            left = await asyncio.gather(*(self._compare_partition(*part) for part in parts.items()))
            if waiting := {room for rooms in left for room in rooms}:
                await asyncio.sleep(_RETRY_S)

    async def _compare_partition(self, partition: int, rooms: Sequence[str]) -> Sequence[str]:
        """Compare the rooms of one partition; return those still to be compared, all where Redis went away."""
        try:
            since_us = await self._engine.writing_since(partition)
            for start in range(0, len(rooms), _BATCH):
                part = rooms[start : start + _BATCH]
                if since_us != self._writing_since.get(partition):
                    # The changes that a failover or a restart lost, and later ones, may bear the same positions.
                    await asyncio.gather(*(self._engine.renew_epoch(room, since_us) for room in part))
                await self._compare(part)
        except StoreUnavailable as error:
            log.debug("%d rooms could not be compared: %s", len(rooms), error)
            return rooms
        except Exception:
            # Whatever it was: no other partition is to wait for it, and it is not forgotten.
            log.exception("%d rooms could not be compared", len(rooms))
            return rooms
        self._writing_since[partition] = since_us
        return ()

    async def _compare(self, rooms: Sequence[str]) -> None:
        """Where a room moved while the feed was away, make every member see the gap, so that it asks."""
        here = [self._rooms[room] for room in rooms if room in self._rooms]
        before = {local.room: (local.epoch, local.received) for local in here}
        found = await self._engine.counts(before)
        for local in here:
            at, was = found[local.room], before[local.room]
            if was != (at.epoch, at.seq) and was == (local.epoch, local.received):
                self._go_on_from(local, at)

    def close(self) -> None:
        if self._task:
            self._task.cancel()
