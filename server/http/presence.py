"""Presence over HTTP: lists and counts for everyone who may see the room, kick for admins."""

from collections.abc import Sequence

from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from presence_engine import MAX_PAGE, InvalidInput, Kicked, LiveRoom, PresenceEngine, Rooms, canonical_id
from server import payloads, wire
from server.auth import Authoriser
from server.http.answers import body, fresh, in_path, in_query, listed, of_body, whole
from server.refusals import Refusal
from server.sockets.session import Identity


class IdConvertor(Convertor[str]):
    """An id in a path, decoded: any character, `/` and line breaks too, so that a wrong one is refused by name."""

    regex = r"[\s\S]*"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("id", IdConvertor())


class PresenceRoutes:
    """The routes below /api that speak of presence."""

    def __init__(self, engine: PresenceEngine, authoriser: Authoriser) -> None:
        self._engine, self._authoriser = engine, authoriser

    def routes(self) -> Sequence[BaseRoute]:
        room = "/api/chatroom/{room:id}"
        return [
            Route(f"{room}/participants", self.participants),
            Route(f"{room}/count", self.count),
            Route(f"{room}/kick", self.kick, methods=["POST"]),
            Route("/api/chatrooms/counts", self.counts, methods=["GET", "POST"]),
            Route("/api/chatrooms", self.rooms),
            Route("/api/users/{user:id}/rooms", self.rooms_of_user),
            Route("/api/analytics/removals", self.removals),
        ]

    async def participants(self, request: Request) -> Response:
        view = request.query_params.get("view", "names")
        # Whole members carry `data`, as `room:users:get` does: the same right.
        room = self._readable(request, "list" if view == "full" else "read")
        limit = whole(request, "limit", MAX_PAGE, 1, MAX_PAGE)
        if view not in {"names", "full"}:
            raise InvalidInput("view", "must be names or full")
        page = await self._engine.list(
            room, limit=limit, cursor=in_query(request, "cursor"), names_only=view == "names"
        )
        show = wire.member if view == "full" else wire.participant
        answer: wire.Json = {"count": page.position.count, "users": [show(member) for member in page.members]}
        if page.cursor is not None:
            answer["nextCursor"] = page.cursor
        return fresh(answer)

    async def count(self, request: Request) -> Response:
        room = self._readable(request)
        at = await self._engine.count(room)
        return fresh(
            {"roomId": room, "count": at.count, "connections": at.connections, "epoch": at.epoch, "seq": at.seq}
        )

    async def counts(self, request: Request) -> Response:
        identity = self._authoriser.bearer(request.headers)
        if request.method == "POST":
            wanted = await body(request, payloads.CountRooms)
            with of_body():
                ids = [canonical_id(one, "ids") for one in wanted.ids]
        else:
            ids = [canonical_id(one, "ids") for one in listed(request, "ids") or ()]
            if not ids or len(ids) > MAX_PAGE:
                raise InvalidInput("ids", f"must name 1–{MAX_PAGE} rooms, separated by commas")
        for room in ids:
            self._authoriser.check_room(identity, "read", room)
        found = await self._engine.counts(ids)
        return fresh({"counts": {room: at.count for room, at in found.items()}})

    async def rooms(self, request: Request) -> Response:
        identity = self._authoriser.bearer(request.headers)
        limit = whole(request, "limit", 100, 1, MAX_PAGE)
        found = await self._live(identity, limit)
        readable = [one for one in found.rooms if self._authoriser.allows(identity, "read", one.room)]
        shown = [{"roomId": one.room, "count": one.count, "connections": one.connections} for one in readable[:limit]]
        # Nobody is told how many there are besides those.
        total = found.total if len(readable) == len(found.rooms) else len(readable)
        return fresh({"rooms": shown, "total": total})

    async def _live(self, identity: Identity | None, limit: int) -> Rooms:
        """The live rooms that an identity may see are among these."""
        named = self._authoriser.rooms_named(identity)
        if named is None:
            # Its own rooms need not be among the largest.
            return await self._engine.rooms(limit=MAX_PAGE if self._authoriser.enabled else limit)
        counts = await self._engine.counts(named)
        live = [LiveRoom(room, at.count, at.connections) for room, at in counts.items() if at.count]
        return Rooms(len(live), sorted(live, key=lambda one: (-one.count, one.room)))

    async def rooms_of_user(self, request: Request) -> Response:
        identity = self._authoriser.bearer(request.headers)
        user = canonical_id(in_path(request, "user"), "userId")
        if not self._engine.settings.user_index:
            raise Refusal("not_found", "this server does not know where users are: PRESENCE_USER_INDEX is off")
        shown = [
            {"roomId": one.room, "connections": one.connections, "joinedAt": one.joined_at_ms}
            for one in await self._engine.where(user)
            if self._authoriser.allows(identity, "read", one.room)
        ]
        return fresh({"userId": user, "rooms": shown})

    async def kick(self, request: Request) -> Response:
        self._authoriser.check_admin(request.headers)
        room = canonical_id(in_path(request, "room"), "roomId")
        wanted = await body(request, payloads.Kick)
        with of_body():
            user = canonical_id(wanted.userId, "userId")
        outcome = await self._engine.kick(room, user, message=wanted.message)
        return fresh({"success": True, "kicked": isinstance(outcome, Kicked)})

    async def removals(self, request: Request) -> Response:
        self._authoriser.check_admin(request.headers)
        days = await self._engine.removals(days=whole(request, "days", 7, 1, 30))
        return fresh({"days": [{"date": date, "removals": reasons} for date, reasons in days.items()]})

    def _readable(self, request: Request, action: str = "read") -> str:
        identity = self._authoriser.bearer(request.headers)
        room = canonical_id(in_path(request, "room"), "roomId")
        self._authoriser.check_room(identity, action, room)
        return room
