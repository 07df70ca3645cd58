"""Force-leave: a socket is told once that it is out of a room, and why;
its connection is closed when it was the last.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Final

from presence_engine import Change, ConnectionOut, EngineSettings, Reason
from server.fanout import Fanout
from server.metrics import FORCE_LEAVES
from server.refusals import Refusal
from server.settings import Settings
from server.sockets.session import Session
from server.sockets.transport import SocketServer

POPUP: Final = "You are not in the chatroom"
INACTIVITY: Final = "You have been logged out due to inactivity (6+ hours without activity)"
_OVERTAKING_S: Final = 3.0
_BEFORE_CLOSE_S: Final = 0.05

log = logging.getLogger(__name__)


class ForceLeave:
    """Delivers to the sockets of this process. `now_ms` tells the Redis time as last seen."""

    fanout: Fanout

    def __init__(
        self,
        settings: Settings,
        rules: EngineSettings,
        sockets: SocketServer,
        sessions: dict[str, Session],
        now_ms: Callable[[], int],
    ) -> None:
        self._settings, self._rules, self._sockets, self._sessions = settings, rules, sockets, sessions
        self._now_ms = now_ms
        self._tasks: set[asyncio.Task[None]] = set()

    def put_out(self, room: str, entry: ConnectionOut, change: Change) -> None:
        """A connection of this process was removed by somebody:
        its socket hears of it, unless it has joined again since.
        """
        session = self._sessions.get(entry.connection)
        if session is not None and room in session.joining:
            # Which of the two was first is known with the join's answer.
            session.joining[room].append((entry, change))
            return
        membership = session.rooms.get(room) if session else None
        if session is None or membership is None or membership.is_younger_than(change.epoch, change.seq):
            return
        self.removed(session, room, entry.reason, json.loads(entry.message_json) if entry.message_json else None)

    def joined(self, session: Session, room: str) -> None:
        """A join is over, whatever came of it: what was heard meanwhile counts now."""
        for entry, change in session.joining.pop(room, ()):
            self.put_out(room, entry, change)

    def removed(self, session: Session, room: str, reason: str, message: str | None = None) -> None:
        """A socket that is a member here is none in Redis: tell it."""
        if reason == "left":
            self._spawn(self._left_elsewhere(session, room, session.rooms.pop(room).given))
        else:
            self.tell(session, room, session.rooms[room].given, reason, message)

    def refuse_beat(self, session: Session, room: str, given: str | int, reason: Reason | None) -> dict[str, Any]:
        """Raise `not_in_room` for a beat that found nobody, and see that the socket is told, once."""
        if room in session.ever_joined or reason is not None:
            self.tell(session, room, given, reason or "not_in_room")
        elif room not in session.told:
            # A beat may overtake its own join: wait before the popup.
            session.told.add(room)
            self._spawn(self._tell_later(session, room, given))
        raise Refusal("not_in_room", "you are not in this room")

    def tell(self, session: Session, room: str, given: str | int, reason: str, message: str | None = None) -> None:
        """Take the socket out of the room and tell it, at most once a socket and room."""
        was_member = session.rooms.pop(room, None) is not None
        if room in session.told:
            return
        session.told.add(room)
        self._spawn(self._deliver(session, room, given, reason, message, was_member=was_member))

    async def _tell_later(self, session: Session, room: str, given: str | int) -> None:
        await asyncio.sleep(_OVERTAKING_S)
        if room in session.told and room not in session.ever_joined and not session.closed:
            await self._deliver(session, room, given, "not_in_room", None, was_member=False)

    async def _deliver(
        self, session: Session, room: str, given: str | int, reason: str, message: str | None, *, was_member: bool
    ) -> None:
        if was_member and not session.is_in_or_coming(room):
            await self.fanout.exit(session, room)
        body = {
            "roomId": given,
            "userId": session.identity.given if session.identity else None,
            "message": message or self._usual(room, reason),
            "popup": POPUP,
            "reason": reason,
            "timestamp": self._now_ms(),
        }
        await self._sockets.tell(session, "room:force-leave", body)
        FORCE_LEAVES.labels(reason).inc()
        if was_member and self._closes(session):
            # The packets on their way come first.
            await asyncio.sleep(_BEFORE_CLOSE_S)
            if not session.closed and self._closes(session):
                await self._sockets.disconnect(session.sid, namespace=session.namespace)

    def _usual(self, room: str, reason: str) -> str:
        if reason == "inactivity_timeout":
            return self._rules.rules(room).inactivity_message or INACTIVITY
        return POPUP

    def _closes(self, session: Session) -> bool:
        policy = self._settings.force_disconnect
        return policy == "always" or (policy == "last-room" and not session.rooms and not session.joining)

    async def _left_elsewhere(self, session: Session, room: str, given: str | int) -> None:
        if not session.is_in_or_coming(room):
            await self.fanout.exit(session, room)
        await self._sockets.tell(session, "room:left", {"roomId": given, "left": True})

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception():
            log.error("a socket could not be told to leave", exc_info=task.exception())
