"""Presence events: join, leave, update, log out. Each checks, authorises and calls one engine method."""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from presence_engine import (
    Absent,
    Full,
    InvalidInput,
    Joined,
    Left,
    Limited,
    Page,
    PresenceEngine,
    StoreUnavailable,
    canonical_id,
)
from server import payloads, wire
from server.auth import Authoriser
from server.fanout import Fanout
from server.payloads import read
from server.reassert import Reassert
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
        partings: Partings,
        reassert: Reassert,
    ) -> None:
        self._engine, self._settings, self._sockets = engine, settings, sockets
        self._fanout, self._authoriser = fanout, authoriser
        self._following, self._force_leave = following, force_leave
        self._partings, self._reassert = partings, reassert
        self.on_refreshed: Callable[[Session], None] | None = None

    def handlers(self) -> Mapping[str, Handler]:
        return {
            "join_room": self.join,
            "leave_room": self.leave,
            "room:update": self.update,
            "user:logout": self.logout,
            "auth:refresh": self.refresh,
        }

    async def join(self, session: Session, payload: Any) -> Answer:
        wanted = read(payloads.JoinRoom, payload)
        room = canonical_id(wanted.roomId, "roomId")
        known = session.identity
        identity = self._authoriser.identify(session, wanted.userId, wanted.username)
        if identity is None:
            raise Refusal("invalid_input", "userId is missing", field="userId")
        session.joining.setdefault(room, [])
        try:
            self._authoriser.check_room(identity, "join", room)
            self._authoriser.check_rooms_of(session, room)
            await self._fanout.enter(session, room)
            outcome, page = await self._take_place(session, room, identity, wanted)
        except (Refusal, InvalidInput):
            # A join that was refused decides nothing about who this socket is.
            session.identity = known
            raise
        finally:
            self._force_leave.joined(session, room)
            if room not in session.rooms:
                await self._fanout.exit(session, room)
        session.ever_joined.add(room)
        session.told.discard(room)
        body = {**self._following.snapshot(session, room, page), "rejoined": outcome.rejoined}
        await self._sockets.tell(session, "room:joined", body)
        # No turn of the loop lies between reading the page, this, and the acknowledgement.
        self._fanout.place_soon(session, room, wire.echo(wanted.roomId), page.position)
        return body

    async def _take_place(
        self, session: Session, room: str, identity: Identity, wanted: payloads.JoinRoom
    ) -> tuple[Joined, Page]:
        """Write the join and read the first page. Without both nothing stays but what was there before."""
        member, user = session.rooms.get(room), identity.user
        doubted = self._partings.keep(room, user, session.sid)
        place = Membership(wire.echo(wanted.roomId), 0, wanted.username, wanted.data)
        place.keep(member or (doubted.membership if doubted else None))
        # An empty name is refused like any other that is none, not passed over for an earlier one.
        place.username = (place.username or identity.username) if wanted.username is None else wanted.username
        # Of a member only what it names now: another tab may have changed the rest.
        says = wanted if member else place
        try:
            outcome = await self._admit(room, identity, session.sid, says)
            if doubted and await doubted.was_on_its_way():
                outcome = await self._admit(room, identity, session.sid, says)
            place.joined_at_ms = outcome.joined_at_ms
            place.joined_at = (outcome.position.epoch, outcome.position.seq)
            session.rooms[room] = place
            if session.closed:
                session.rooms.pop(room)
                doubted = None
                await self._partings.undo_join(room, user, session.sid, rejoined=outcome.rejoined)
                raise Refusal("not_in_room", "the socket closed while it joined")
            page = await self._engine.list(room, limit=FIRST_PAGE)
            self._force_leave.joined(session, room)
            if session.rooms.get(room) is not place:
                raise Refusal("not_in_room", "the connection was put out while it joined")
        except (Refusal, InvalidInput):
            if doubted:
                self._partings.part_soon(room, user, session.sid, doubted)
            raise
        except BaseException:
            self._force_leave.joined(session, room)
            if not member:
                # Redis may carry it out whatever we hear of it.
                await self.abandon(session, room, place)
            raise
        return outcome, page

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
        await self._sockets.tell(session, "room:left", body)
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

    async def update(self, session: Session, payload: Any) -> Answer:
        wanted = read(payloads.UpdateMember, payload)
        room = canonical_id(wanted.roomId, "roomId")
        if session.identity is None:
            raise Refusal("not_in_room", "this socket is not in the room")
        self._authoriser.check_fresh(session.identity)
        change = partial(self._engine.update, username=wanted.username, data=wanted.data)
        outcome = await change(room, session.identity.user, session.sid)
        if isinstance(outcome, Absent) and await self._reassert.puts_back(session, room):
            outcome = await change(room, session.identity.user, session.sid)
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
                await self._sockets.tell(session, "room:left", {"roomId": membership.given, "left": True})
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
