"""After an outage: what this process still holds is compared with Redis, and put back where Redis lost it."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from presence_engine import Absent, Full, Limited, PresenceEngine
from server.sockets.force_leave import ForceLeave
from server.sockets.session import Membership, Session

Assert = Callable[[Session, str, Membership], Awaitable[None]]
# Sockets and rooms.
_Places = set[tuple[str, str]]

_BATCH: Final = 500
_PACE_S: Final = 0.01
_DEPARTED_MOST: Final = 8192

log = logging.getLogger(__name__)


class Reassert:
    """Asserts the connections of this process anew, in paced batches; a member still there causes no event."""

    def __init__(
        self,
        engine: PresenceEngine,
        sessions: dict[str, Session],
        force_leave: ForceLeave,
        recovering: Callable[[], bool],
    ) -> None:
        self._engine, self._sessions, self._force_leave = engine, sessions, force_leave
        self._recovering = recovering
        # By socket and room the last departure, and whether the socket had ended: else it left, or was put out.
        self._departed: dict[tuple[str, str], tuple[Session, str, bool]] = {}
        # What has been asserted since so many breaks: a shard that stays away does not make it be done again.
        self._told: tuple[_Places, _Places] = set(), set()
        self._breaks = -1

    def departed(self, session: Session, room: str) -> None:
        """A socket is out of a room. The last are remembered: a Redis that fails over may forget that they are."""
        self._departed.pop((session.sid, room), None)
        self._departed[session.sid, room] = (session, room, session.closed)
        if len(self._departed) > _DEPARTED_MOST:
            del self._departed[next(iter(self._departed))]

    async def puts_back(self, session: Session, room: str) -> bool:
        """Whether a member whom Redis does not know is one that it has lost. It is looked after then: ask again."""
        if room not in session.rooms or not self._recovering():
            return False
        await self.restore(session, room)
        return True

    async def recovered(self) -> None:
        """Redis was away: a connection it lost joins again with its first joinedAt, one that was removed is told.

        Raises StoreUnavailable when Redis goes away again; the caller repeats the whole.
        """
        await self._engine.start()
        if self._breaks != (breaks := self._engine.store.breaks):
            self._breaks, self._told = breaks, (set(), set())
        failed = await self._each(list(self._departed.values()), self._depart, self._told[0])
        failed += await self._each(self._held(), self.restore, self._told[1])
        if failed:
            raise failed[0]

    async def condemned(self) -> None:
        """This node was taken for dead: only where the user is still present a connection comes back."""
        if failed := await self._each(
            self._held(), lambda session, room: self._settle(session, room, self._adopt), set()
        ):
            raise failed[0]

    def _held(self) -> Sequence[tuple[Session, str]]:
        return [(session, room) for session in list(self._sessions.values()) for room in list(session.rooms)]

    @staticmethod
    async def _each(
        places: Sequence[Any], assert_one: Callable[..., Awaitable[None]], told: _Places
    ) -> list[BaseException]:
        """Do it for each place but those `told`, and note them there; return what went wrong, when all are done."""
        places = [place for place in places if (place[0].sid, place[1]) not in told]
        log.info("asserting %d connections", len(places))
        failed: list[BaseException] = []
        for start in range(0, len(places), _BATCH):
            part = places[start : start + _BATCH]
            outcomes = await asyncio.gather(*(assert_one(*place) for place in part), return_exceptions=True)
            for place, outcome in zip(part, outcomes, strict=True):
                if outcome is None:
                    told.add((place[0].sid, place[1]))
                else:
                    failed.append(outcome)
            await asyncio.sleep(_PACE_S)
        return failed

    async def _depart(self, session: Session, room: str, broke_off: bool) -> None:
        """What Redis was told before it went away it may have lost with its last second."""
        if session.identity is None or session.is_in_or_coming(room):
            return
        if broke_off:
            await self._engine.detach(room, session.identity.user, session.sid)
        else:
            await self._engine.leave(room, session.identity.user, session.sid)

    async def restore(self, session: Session, room: str) -> None:
        """See that one held connection is in its room. A client that has been silent for a TTL is not brought back."""
        await self._settle(session, room, self._put_back)

    async def _settle(self, session: Session, room: str, assert_one: Assert) -> None:
        """A socket may leave, end, or join anew while it is asserted, and Redis hear of that first."""
        while (membership := session.rooms.get(room)) is not None:
            await assert_one(session, room, membership)
            if session.rooms.get(room) is membership:
                return
            await self._depart(session, room, session.closed)

    async def _put_back(self, session: Session, room: str, membership: Membership) -> None:
        identity = session.identity
        assert identity is not None  # noqa: S101 - a member has joined, and joining identifies
        outcome = await self._engine.heartbeat(room, identity.user, session.sid)
        if not isinstance(outcome, Absent) or session.rooms.get(room) is not membership:
            return
        silent_ms = (time.monotonic() - membership.beat_at_s) * 1000
        if outcome.reason is not None or silent_ms > self._engine.settings.rules(room).ttl_ms:
            self._force_leave.removed(session, room, outcome.reason or "inactivity_timeout")
            return
        restored = await self._engine.restore(
            room,
            identity.given,
            session.sid,
            joined_at_ms=membership.joined_at_ms,
            username=membership.username,
            data=membership.data,
        )
        if isinstance(restored, (Full, Limited)) and session.rooms.get(room) is membership:
            self._force_leave.removed(session, room, "not_in_room")

    async def _adopt(self, session: Session, room: str, membership: Membership) -> None:
        assert session.identity is not None  # noqa: S101 - a member has joined, and joining identifies
        outcome = await self._engine.heartbeat(room, session.identity.user, session.sid)
        if isinstance(outcome, Absent) and session.rooms.get(room) is membership:
            self._force_leave.removed(session, room, outcome.reason or "node_lost")
