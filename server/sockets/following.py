"""Following rooms: their pages, what a socket missed, and the counts of rooms it only watches."""

from collections.abc import Mapping
from typing import Any, Final

from presence_engine import MAX_PAGE, InvalidInput, Page, PresenceEngine, canonical_id
from server import payloads, wire
from server.auth import Authoriser
from server.fanout import Fanout
from server.payloads import read
from server.refusals import Refusal
from server.settings import Settings
from server.sockets.gateway import Answer, Handler
from server.sockets.session import Session

FIRST_PAGE: Final = 100


class FollowEvents:
    """The reading part of presence. Answers are the acks' bodies."""

    def __init__(self, engine: PresenceEngine, settings: Settings, fanout: Fanout, authoriser: Authoriser) -> None:
        self._engine, self._settings, self._fanout, self._authoriser = engine, settings, fanout, authoriser

    def handlers(self) -> Mapping[str, Handler]:
        return {
            "room:users:get": self.list,
            "room:sync": self.sync,
            "room:watch": self.watch,
            "room:unwatch": self.unwatch,
        }

    def snapshot(self, session: Session, room: str, page: Page) -> Answer:
        """Everything a client needs to follow a room from here on, as `room:joined` carries it."""
        identity = session.identity
        assert identity is not None  # noqa: S101 - a member has joined, and joining identifies
        membership = session.rooms.get(room)
        return {
            "roomId": membership.given if membership else room,
            "userId": identity.given,
            **wire.position(page.position),
            **wire.users(page),
            "mode": self._fanout.mode_of(room, page.position.count),
            "ttl": self._engine.settings.rules(room).ttl_ms,
            "heartbeatInterval": self._settings.heartbeat_interval_ms,
        }

    async def list(self, session: Session, payload: Any) -> Answer:
        wanted = read(payloads.ListUsers, payload)
        room = canonical_id(wanted.roomId, "roomId")
        self._authoriser.check_room(session.identity, "list", room)
        if not 1 <= wanted.limit <= MAX_PAGE:
            raise InvalidInput("limit", f"must be an integer from 1 to {MAX_PAGE}")
        page = await self._engine.list(room, limit=wanted.limit, cursor=wanted.cursor)
        return {"roomId": wire.echo(wanted.roomId), **wire.position(page.position), **wire.users(page)}

    async def sync(self, session: Session, payload: Any) -> Answer:
        wanted = read(payloads.SyncRoom, payload)
        room = canonical_id(wanted.roomId, "roomId")
        self._authoriser.check_room(session.identity, "sync", room)
        if room not in session.rooms:
            raise Refusal("not_in_room", "this socket is not in the room")
        given = wire.echo(wanted.roomId)
        if wanted.epoch is not None and wanted.seq is not None:
            known = self._fanout.since(room, wanted.epoch, wanted.seq)
            if known is not None:
                at, changes = known
                diffs = [wire.diff(given, change) for change in changes]
                self._fanout.place_soon(session, room, given, at)
                return {"roomId": given, "sync": "diffs", "epoch": at.epoch, "seq": at.seq, "diffs": diffs}
        page = await self._engine.list(room, limit=FIRST_PAGE)
        self._fanout.place_soon(session, room, given, page.position)
        return {"sync": "snapshot", **self.snapshot(session, room, page), "rejoined": True}

    async def watch(self, session: Session, payload: Any) -> Answer:
        wanted = read(payloads.WatchRooms, payload)
        rooms = {canonical_id(given, "roomIds"): wire.echo(given) for given in wanted.roomIds}
        for room in rooms:
            self._authoriser.check_room(session.identity, "watch", room)
        if len(session.watching | set(rooms)) > FIRST_PAGE:
            raise Refusal("invalid_input", f"roomIds may hold at most {FIRST_PAGE} rooms at a time", field="roomIds")
        added = set(rooms) - session.watching
        try:
            for room, given in rooms.items():
                session.watching.add(room)
                await self._fanout.watch(session, room, given)
            counts = await self._engine.counts(rooms)
        except BaseException:
            for room in added:
                await self._stop_watching(session, room)
            raise
        return {"rooms": [{"roomId": given, **wire.position(counts[room])} for room, given in rooms.items()]}

    async def unwatch(self, session: Session, payload: Any) -> Answer:
        wanted = read(payloads.WatchRooms, payload)
        for given in wanted.roomIds:
            await self._stop_watching(session, canonical_id(given, "roomIds"))
        return {"roomIds": [wire.echo(given) for given in wanted.roomIds]}

    async def _stop_watching(self, session: Session, room: str) -> None:
        session.watching.discard(room)
        await self._fanout.unwatch(session, room)
