"""Heartbeats keep a connection in its room, bring it back where its user still is, and settle what is in doubt."""

import time
from collections.abc import Mapping
from typing import Any

from presence_engine import Absent, Beat, Joined, PresenceEngine, StoreUnavailable, canonical_id
from server import payloads, wire
from server.auth import Authoriser
from server.fanout import Fanout
from server.payloads import read
from server.reassert import Reassert
from server.refusals import Refusal
from server.sockets.force_leave import ForceLeave
from server.sockets.gateway import Answer, Handler
from server.sockets.partings import Partings
from server.sockets.presence import PresenceEvents
from server.sockets.session import Identity, Membership, Session
from server.sockets.transport import SocketServer


class Heartbeats:
    """The event that every client repeats. stopping: this process has begun to put its connections into grace."""

    def __init__(
        self,
        engine: PresenceEngine,
        sockets: SocketServer,
        fanout: Fanout,
        authoriser: Authoriser,
        force_leave: ForceLeave,
        partings: Partings,
        presence: PresenceEvents,
        reassert: Reassert,
    ) -> None:
        self._engine, self._sockets, self._fanout, self._authoriser = engine, sockets, fanout, authoriser
        self._force_leave, self._partings = force_leave, partings
        self._presence, self._reassert = presence, reassert
        self.stopping = False

    def handlers(self) -> Mapping[str, Handler]:
        return {"room:heartbeat": self.heartbeat}

    async def heartbeat(self, session: Session, payload: Any) -> Answer:
        wanted = read(payloads.Heartbeat, payload)
        room = canonical_id(wanted.roomId, "roomId")
        given = wire.echo(wanted.roomId)
        identity = self._authoriser.identify(session, wanted.userId, None)
        if identity is None:
            return self._force_leave.refuse_beat(session, room, given, None)
        self._authoriser.check_room(identity, "heartbeat", room)
        if room not in session.rooms:
            session.joining.setdefault(room, [])
        try:
            outcome = await self._beat(session, room, given, identity)
            if isinstance(outcome, Beat) and outcome.place:
                await self._come_back(session, room, given, outcome.place)
        finally:
            self._force_leave.joined(session, room)
        if isinstance(outcome, Absent):
            if self.stopping:
                raise StoreUnavailable("this server stops: it has put its connections into grace")
            return self._force_leave.refuse_beat(session, room, given, outcome.reason)
        if room in session.rooms:
            session.rooms[room].beat_at_s = time.monotonic()
        else:
            # Put out since Redis took the beat: who is told so must not be there by another beat.
            self._partings.part_soon(room, identity.user, session.sid)
            return self._force_leave.refuse_beat(session, room, given, None)
        body: Answer = {"timestamp": outcome.now_ms, "ttl": self._engine.settings.rules(room).ttl_ms}
        await self._sockets.tell(session, "room:heartbeat:ack", {"roomId": given, **body})
        return {**body, "adopted": True} if outcome.adopted else body

    async def _beat(self, session: Session, room: str, given: str | int, identity: Identity) -> Beat | Absent:
        """Beat, and settle what is in doubt: a join or leave that was not acknowledged, or what Redis has lost."""
        was_member, outcome = room in session.rooms, None
        doubted = self._partings.keep(room, identity.user, session.sid)
        try:
            beat = await self._engine.heartbeat(room, identity.user, session.sid)
            if doubted and await doubted.was_on_its_way():
                beat = await self._engine.heartbeat(room, identity.user, session.sid)
            outcome = beat
        finally:
            # A beat whose answer is lost may have been let in, too.
            if (doubted and not isinstance(outcome, Beat)) or (outcome is None and not was_member):
                self._partings.part_soon(room, identity.user, session.sid, doubted)
        if isinstance(outcome, Absent) and outcome.reason is None and await self._reassert.puts_back(session, room):
            return await self._engine.heartbeat(room, identity.user, session.sid)
        if doubted and isinstance(outcome, Beat) and not outcome.place:
            # Redis has what was not acknowledged, or was to go: it is acknowledged now, with who is there, or goes.
            self._partings.part_soon(room, identity.user, session.sid, doubted)
            was = doubted.membership
            known = {"username": was.username, "data": was.data} if was else {}
            await self._presence.join(session, {"roomId": given, **known})
        return outcome

    async def _come_back(self, session: Session, room: str, given: str | int, place: Joined) -> None:
        """An adopting beat put this socket back into the room."""
        assert session.identity is not None  # noqa: S101 - only an identified socket can adopt
        try:
            await self._fanout.enter(session, room)
        except BaseException:
            await self._presence.abandon(session, room)
            raise
        if session.closed:
            await self._fanout.exit(session, room)
            await self._partings.part([room], session.identity.user, session.sid)
            raise Refusal("not_in_room", "the socket closed while it came back")
        at = (place.position.epoch, place.position.seq)
        membership = Membership(given, place.joined_at_ms, place.username, place.data, joined_at=at)
        session.rooms.setdefault(room, membership).joined_at = at
        session.ever_joined.add(room)
        session.told.discard(room)
        self._fanout.add(session, room, given)
