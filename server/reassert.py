"""After an outage: what this process still holds is compared with Redis, and put back where Redis lost it."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from presence_engine import Absent, Full, Limited, PresenceEngine
from server.sockets.force_leave import ForceLeave
from server.sockets.session import Membership, Session

Assert = Callable[[Session, str, Membership], Awaitable[None]]

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
        # With each place whether the socket had ended: else it left, or was put out.
        self._departed: deque[tuple[Session, str, bool]] = deque(maxlen=_DEPARTED_MOST)

    def departed(self, session: Session, room: str) -> None:
        """A socket is out of a room. The last are remembered: a Redis that fails over may forget that they are."""
        self._departed.append((session, room, session.closed))

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
        await self._each(list(self._departed), self._depart)
        await self._each(self._held(), self.restore)

    async def condemned(self) -> None:
        """This node was taken for dead: only where the user is still present a connection comes back."""
        await self._each(self._held(), lambda session, room: self._settle(session, room, self._adopt))

    def _held(self) -> Sequence[tuple[Session, str]]:
        return [(session, room) for session in list(self._sessions.values()) for room in list(session.rooms)]

    @staticmethod
    async def _each(places: Sequence[Any], assert_one: Callable[..., Awaitable[None]]) -> None:
        """Do it for each place; what one of them raises is raised when all others are done."""
        log.info("asserting %d connections", len(places))
        failed: list[BaseException] = []
        for start in range(0, len(places), _BATCH):
            asserted = (assert_one(*place) for place in places[start : start + _BATCH])
            outcomes = await asyncio.gather(*asserted, return_exceptions=True)
            failed += (outcome for outcome in outcomes if outcome is not None)
            await asyncio.sleep(_PACE_S)
        if failed:
            raise failed[0]

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
