"""After an outage: what this process still holds is compared with Redis, and put back where Redis lost it."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final

from presence_engine import Absent, Full, PresenceEngine
from server.sockets.force_leave import ForceLeave
from server.sockets.session import Session

_BATCH: Final = 500
_PACE_S: Final = 0.01

log = logging.getLogger(__name__)


class Reassert:
    """Asserts the connections of this process anew, in paced batches; a member still there causes no event."""

    def __init__(self, engine: PresenceEngine, sessions: dict[str, Session], force_leave: ForceLeave) -> None:
        self._engine, self._sessions, self._force_leave = engine, sessions, force_leave

    async def recovered(self) -> None:
        """Redis was away: a connection it lost joins again with its first joinedAt, one that was removed is told.

        Raises StoreUnavailable when Redis goes away again; the caller repeats the whole.
        """
        await self._each(self.restore)

    async def condemned(self) -> None:
        """This node was taken for dead: only where the user is still present a connection comes back."""
        await self._each(self._adopt)

    async def _each(self, assert_one: Callable[[Session, str], Awaitable[None]]) -> None:
        held = [(session, room) for session in list(self._sessions.values()) for room in list(session.rooms)]
        log.info("asserting %d connections", len(held))
        for start in range(0, len(held), _BATCH):
            await asyncio.gather(*(assert_one(session, room) for session, room in held[start : start + _BATCH]))
            await asyncio.sleep(_PACE_S)

    async def restore(self, session: Session, room: str) -> None:
        """See that one held connection is in its room. A client that has been silent for a TTL is not brought back."""
        membership, identity = session.rooms.get(room), session.identity
        if membership is None or identity is None or session.closed:
            return
        outcome = await self._engine.heartbeat(room, identity.user, session.sid)
        if not isinstance(outcome, Absent):
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
        if isinstance(restored, Full):
            self._force_leave.removed(session, room, "not_in_room")
        elif session.sid not in self._sessions:
            await self._engine.detach(room, identity.user, session.sid)

    async def _adopt(self, session: Session, room: str) -> None:
        identity = session.identity
        if identity is None or session.closed or room not in session.rooms:
            return
        outcome = await self._engine.heartbeat(room, identity.user, session.sid)
        if isinstance(outcome, Absent):
            self._force_leave.removed(session, room, outcome.reason or "node_lost")
