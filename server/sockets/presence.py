"""Presence events: join, leave, heartbeat, update, list. Each checks, authorises and calls one engine method."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from presence_engine import (
    Absent,
    Beat,
    Full,
    InvalidInput,
    Joined,
    Left,
    Limited,
    PresenceEngine,
    StoreUnavailable,
    canonical_id,
)
from server import payloads, wire
from server.auth import Authoriser
from server.fanout import Fanout
from server.payloads import read
from server.refusals import Refusal
from server.settings import Settings
from server.sockets.following import FIRST_PAGE, FollowEvents
from server.sockets.force_leave import ForceLeave
from server.sockets.gateway import Answer, Handler
from server.sockets.partings import Parting, Partings
from server.sockets.session import Identity, Membership, Session
from server.sockets.transport import SocketServer


class PresenceEvents:
    """The presence part of the contract. Answers are the acks' bodies."""

    def __init__(
        self,
        engine: PresenceEngine,
        settings: Settings,
        sockets: SocketServer,
        fanout: Fanout,
        authoriser: Authoriser,
        following: FollowEvents,
        force_leave: ForceLeave,
        recovering: Callable[[], bool],
        restore: Callable[[Session, str], Awaitable[None]],
    ) -> None:
        self._engine, self._settings, self._sockets = engine, settings, sockets
        self._fanout, self._authoriser = fanout, authoriser
        self._following, self._force_leave = following, force_leave
        self._partings = Partings(engine, settings.grace_ping_timeout_ms)
        self._recovering, self._restore = recovering, restore
        self.stopping = False
        self.on_refreshed: Callable[[Session], None] | None = None

    def handlers(self) -> Mapping[str, Handler]:
        return {
            "join_room": self.join,
            "leave_room": self.leave,
            "room:heartbeat": self.heartbeat,
            "room:update": self.update,
            "user:logout": self.logout,
            "auth:refresh": self.refresh,
        }

    async def join(self, session: Session, payload: Any) -> Answer:
        wanted = read(payloads.JoinRoom, payload)
        room = canonical_id(wanted.roomId, "roomId")
        known, doubted, in_doubt = session.identity, None, False
        identity = self._authoriser.identify(session, wanted.userId, wanted.username)
        if identity is None:
            raise Refusal("invalid_input", "userId is missing", field="userId")
        membership = Membership(wire.echo(wanted.roomId), 0, wanted.username, wanted.data)
        session.joining.setdefault(room, [])
        try:
            self._authoriser.check_room(identity, "join", room)
            self._authoriser.check_rooms_of(session, room)
            await self._fanout.enter(session, room)
            # Redis may carry it out whatever we hear of it.
            in_doubt = room not in session.rooms
            doubted = self._partings.keep(room, identity.user, session.sid)
            membership.keep(session.rooms.get(room) or (doubted.membership if doubted else None))
            membership.username = membership.username or identity.username
            # Of a member only what it names now: another tab may have changed the rest.
            says = wanted if room in session.rooms else membership
            outcome = await self._admit(room, identity, session.sid, says)
            if doubted and await doubted.was_on_its_way():
                outcome = await self._admit(room, identity, session.sid, says)
            membership.joined_at_ms = outcome.joined_at_ms
            membership.joined_at = (outcome.position.epoch, outcome.position.seq)
            session.rooms[room] = membership
            if session.closed:
                session.rooms.pop(room)
                doubted = None
                await self._partings.undo_join(room, identity.user, session.sid, rejoined=outcome.rejoined)
                raise Refusal("not_in_room", "the socket closed while it joined")
            page = await self._engine.list(room, limit=FIRST_PAGE)
            self._force_leave.joined(session, room)
            if session.rooms.get(room) is not membership:
                raise Refusal("not_in_room", "the connection was put out while it joined")
        except BaseException as error:
            self._force_leave.joined(session, room)
            refused = isinstance(error, (Refusal, InvalidInput))
            if doubted and refused:
                self._partings.part_soon(room, identity.user, session.sid, doubted)
            elif in_doubt and not refused:
                await self.abandon(session, room, membership)
            if refused:
                # A join that was refused decides nothing about who this socket is.
                session.identity = known
            if room not in session.rooms:
                await self._fanout.exit(session, room)
            raise
        session.ever_joined.add(room)
        session.told.discard(room)
        body = {**self._following.snapshot(session, room, page), "rejoined": outcome.rejoined}
        await self._emit(session, "room:joined", body)
        # No turn of the loop lies between reading the page, this, and the acknowledgement.
        self._fanout.place_soon(session, room, wire.echo(wanted.roomId), page.position)
        return body

    async def abandon(
        self, session: Session, room: str, membership: Membership | None = None, *, leaves: bool = False
    ) -> None:
        """A join or a leave that is not acknowledged, whatever Redis made of it: its client may never ask again."""
        left = session.rooms.pop(room, None)
        await self._fanout.exit(session, room)
        if session.identity is not None:
            parting = Parting(leaves=leaves, membership=membership or left)
            self._partings.part_soon(room, session.identity.user, session.sid, parting)

    async def _admit(
        self, room: str, identity: Identity, connection: str, says: payloads.JoinRoom | Membership
    ) -> Joined:
        outcome = await self._engine.join(room, identity.given, connection, username=says.username, data=says.data)
        if isinstance(outcome, Full):
            raise Refusal("room_full", f"the room takes no more than {outcome.count} users")
        if isinstance(outcome, Limited) and outcome.bound == "rooms":
            raise Refusal("rate_limited", f"a user may be in at most {self._settings.max_user_rooms} rooms")
        if isinstance(outcome, Limited):
            most = self._settings.max_user_connections
            raise Refusal("rate_limited", f"a user may hold at most {most} connections in a room")
        return outcome

    async def leave(self, session: Session, payload: Any) -> Answer:
        wanted = read(payloads.LeaveRoom, payload)
        room = canonical_id(wanted.roomId, "roomId")
        left = await self._leave(session, room, everywhere=wanted.everywhere)
        body: Answer = {"roomId": wire.echo(wanted.roomId), "left": left}
        await self._emit(session, "room:left", body)
        return body

    async def _leave(self, session: Session, room: str, *, everywhere: bool = False) -> bool:
        outcome = None
        try:
            if session.identity is not None:
                user = session.identity.user
                outcome = await self._engine.leave(room, user, session.sid, everywhere=everywhere)
        except StoreUnavailable:
            if room in session.rooms:
                await self.abandon(session, room, leaves=True)
            raise
        session.rooms.pop(room, None)
        await self._fanout.exit(session, room)
        return isinstance(outcome, Left)

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
        await self._emit(session, "room:heartbeat:ack", {"roomId": given, **body})
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
        if isinstance(outcome, Absent) and outcome.reason is None and room in session.rooms and self._recovering():
            await self._restore(session, room)
            return await self._engine.heartbeat(room, identity.user, session.sid)
        if doubted and isinstance(outcome, Beat) and not outcome.place:
            # Redis has what was not acknowledged, or was to go: it is acknowledged now, with who is there, or goes.
            self._partings.part_soon(room, identity.user, session.sid, doubted)
            was = doubted.membership
            known = {"username": was.username, "data": was.data} if was else {}
            await self.join(session, {"roomId": given, **known})
        return outcome

    async def _come_back(self, session: Session, room: str, given: str | int, place: Joined) -> None:
        """An adopting beat put this socket back into the room."""
        assert session.identity is not None  # noqa: S101 - only an identified socket can adopt
        try:
            await self._fanout.enter(session, room)
        except BaseException:
            await self.abandon(session, room)
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

    async def update(self, session: Session, payload: Any) -> Answer:
        wanted = read(payloads.UpdateMember, payload)
        room = canonical_id(wanted.roomId, "roomId")
        if session.identity is None:
            raise Refusal("not_in_room", "this socket is not in the room")
        self._authoriser.check_fresh(session.identity)
        outcome = await self._engine.update(
            room, session.identity.user, session.sid, username=wanted.username, data=wanted.data
        )
        if isinstance(outcome, Absent):
            raise Refusal("not_in_room", "this socket is not in the room")
        if (membership := session.rooms.get(room)) is not None:
            membership.username = wanted.username or membership.username
            membership.data = membership.data if wanted.data is None else wanted.data
        at = outcome.position
        return {"roomId": wire.echo(wanted.roomId), "updated": outcome.changed, "epoch": at.epoch, "seq": at.seq}

    async def logout(self, session: Session, _payload: Any) -> Answer:
        rooms = dict(session.rooms)
        outcomes = await asyncio.gather(*(self._leave(session, room) for room in rooms), return_exceptions=True)
        for membership, outcome in zip(rooms.values(), outcomes, strict=True):
            if not isinstance(outcome, BaseException):
                await self._emit(session, "room:left", {"roomId": membership.given, "left": True})
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        return {"left": [membership.given for membership in rooms.values()]}

    async def refresh(self, session: Session, payload: Any) -> Answer:
        wanted = read(payloads.RefreshToken, payload)
        self._authoriser.refresh(session, wanted.token)
        if self.on_refreshed:
            self.on_refreshed(session)
        return {}

    async def finish(self) -> bool:
        """Tell Redis once more who is gone; return whether it has heard of all."""
        return await self._partings.finish()

    async def closed(self, session: Session, reason: str) -> None:
        """A socket ended: all its rooms go into grace, in one round trip."""
        rooms, identity = set(session.rooms), session.identity
        session.rooms.clear()
        if identity is not None:
            silent = reason == self._sockets.reason.PING_TIMEOUT
            await self._partings.part(rooms, identity.user, session.sid, silent=silent)
        for room in {*rooms, *session.watching}:
            await self._fanout.unwatch(session, room)
            await self._fanout.exit(session, room)

    async def _emit(self, session: Session, event: str, body: Answer) -> None:
        await self._sockets.emit(event, body, to=session.sid, namespace=session.namespace)
