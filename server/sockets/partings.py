"""Who is to go: sockets that ended, joins and leaves in doubt. A Redis that did not hear it is told until it has."""

import asyncio
import logging
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from presence_engine import PresenceEngine, StoreUnavailable
from server.sockets.session import Membership

_RETRY_S: Final = 0.5
_BATCH: Final = 500

log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class Parting:
    """One wish that a connection goes; a later one of the same connection is another. leaves: at once, as its user
    said, instead of after a grace; membership: what it was here, should it come back instead.
    """

    grace_ms: int | None = None
    leaves: bool = False
    membership: Membership | None = None
    telling: asyncio.Future[None] | None = None

    async def was_on_its_way(self) -> bool:
        """Whether Redis is being told, and may hear this last; returns once it has."""
        if self.telling is None or self.telling.done():
            return False
        await asyncio.wait([self.telling])
        return True


# By room, user and connection.
_Leaving = dict[tuple[str, str, str], Parting]


class Partings:
    """Detaches connections. ping_timeout_grace_ms: the grace of a socket that fell silent, where a room gives any."""

    def __init__(self, engine: PresenceEngine, ping_timeout_grace_ms: int) -> None:
        self._engine, self._ping_timeout_grace_ms = engine, ping_timeout_grace_ms
        self._unheard: _Leaving = {}
        self._task: asyncio.Task[None] | None = None

    async def part(self, rooms: Iterable[str], user: str, connection: str, *, silent: bool = False) -> None:
        """Put one connection of each room into grace, all in one round trip. Never raises StoreUnavailable."""
        leaving = {(room, user, connection): Parting(self._grace_ms(room, silent=silent)) for room in rooms}
        self._unheard.update(leaving)
        await self._end(leaving)
        if self._unheard:
            # Without this the connections would count as present for as long as this process lives.
            self._start()

    async def undo_join(self, room: str, user: str, connection: str, *, rejoined: bool) -> None:
        """The socket died while its join ran: nothing of it may stay; a user who was there before keeps the grace."""
        with suppress(StoreUnavailable):
            if not rejoined:
                await self._engine.leave(room, user, connection)
                return
        await self.part([room], user, connection)

    def part_soon(self, room: str, user: str, connection: str, parting: Parting | None = None) -> None:
        """End a connection that Redis may or may not hold, unless `keep` is said before."""
        self._unheard[room, user, connection] = replace(parting, telling=None) if parting else Parting()
        self._start()

    def keep(self, room: str, user: str, connection: str) -> Parting | None:
        """The connection is in use again; return the wish that it goes, where there was one."""
        return self._unheard.pop((room, user, connection), None)

    async def finish(self) -> bool:
        """Tell all at once, for the last time; return whether Redis has heard of all."""
        await self._end(dict(self._unheard))
        return not self._unheard

    def _start(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._repeat(), name="partings")

    def _grace_ms(self, room: str, *, silent: bool) -> int | None:
        return self._ping_timeout_grace_ms if silent and self._engine.settings.rules(room).grace_ms else None

    async def _repeat(self) -> None:
        while self._unheard:
            await asyncio.sleep(_RETRY_S)
            await self._end(dict(list(self._unheard.items())[:_BATCH]))

    async def _end(self, leaving: _Leaving) -> None:
        """Tell Redis, and forget what it has heard."""
        tellings = [asyncio.ensure_future(self._tell(one, parting)) for one, parting in leaving.items()]
        for parting, telling in zip(leaving.values(), tellings, strict=True):
            parting.telling = telling
        outcomes = await asyncio.gather(*tellings, return_exceptions=True)
        for (one, parting), outcome in zip(leaving.items(), outcomes, strict=True):
            unheard = isinstance(outcome, StoreUnavailable)
            if isinstance(outcome, BaseException) and not unheard:
                log.error("a connection could not be ended", exc_info=outcome)
            if self._unheard.get(one) is parting:
                del self._unheard[one]
                if unheard:
                    # Behind the others: a shard that is away does not keep the rest waiting.
                    self._unheard[one] = parting

    async def _tell(self, one: tuple[str, str, str], parting: Parting) -> None:
        if self._unheard.get(one) is not parting:
            return  # in use again, and its join may be on its way
        if parting.leaves:
            await self._engine.leave(*one)
        else:
            await self._engine.detach(*one, grace_ms=parting.grace_ms)
