"""Who is at which board: joining, leaving, and what every event of a board is checked for."""

import asyncio
import time
from collections.abc import Awaitable, Mapping
from typing import Any
from urllib.parse import parse_qs

from presence_engine import Absent, BoardEngine, BoardSnapshot, InvalidInput, PresenceEngine, canonical_id
from server import payloads, wire
from server.auth import Authoriser
from server.board_fanout import BoardFanout, room_of
from server.board_moves import BoardMoves
from server.board_view import BoardView
from server.board_wire import stand
from server.payloads import read
from server.refusals import Refusal, refusal_of
from server.settings import Settings
from server.sockets.gateway import Answer, Handler
from server.sockets.heartbeat import Heartbeats
from server.sockets.presence import PresenceEvents
from server.sockets.session import Session
from server.sockets.transport import SocketServer


class BoardSeats:
    """A socket is at one board at a time, and in that board's presence room; what it does there is a heartbeat."""

    def __init__(
        self,
        engine: PresenceEngine,
        boards: BoardEngine,
        settings: Settings,
        sockets: SocketServer,
        fanout: BoardFanout,
        view: BoardView,
        presence: PresenceEvents,
        heartbeats: Heartbeats,
        authoriser: Authoriser,
    ) -> None:
        self._engine, self._boards, self._settings, self._sockets = engine, boards, settings, sockets
        self._fanout, self._view, self._authoriser = fanout, view, authoriser
        self._presence, self._heartbeats = presence, heartbeats
        self.moves, self.holding = BoardMoves(boards), fanout.holding
        self._opening: dict[str, asyncio.Task[None]] = {}

    def opened(self, session: Session, environ: Mapping[str, Any]) -> None:
        """A socket connected: where its handshake names a board it joins that; its events wait until it has."""
        query = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
        if "retroId" in query:
            named = {name: query[name][0] for name in ("retroId", "userId", "username") if name in query}
            task = self._opening[session.sid] = asyncio.create_task(self._open(session, named))
            task.add_done_callback(lambda _: self._opening.pop(session.sid, None))

    async def _open(self, session: Session, named: dict[str, str]) -> None:
        try:
            await self.join(session, named)
        except Exception as error:
            await self._sockets.tell(session, "error", refusal_of(error).event("join-retro-room"))

    async def after_opening(self, handler: Handler, session: Session, payload: Any) -> Answer | asyncio.Future[Any]:
        if (opening := self._opening.get(session.sid)) is not None:
            await asyncio.wait([opening])
        return await handler(session, payload)

    async def join(self, session: Session, payload: Any) -> Answer:
        wanted = read(payloads.JoinBoard, {"retroId": payload} if isinstance(payload, (str, int, float)) else payload)
        retro = board_id(wanted.retroId)
        if self._fanout.board_of(session) not in (None, retro):
            raise Refusal("forbidden", "this socket is at another board")
        room, known = room_of(retro), session.identity
        was_there, identity = room in session.rooms, self._authoriser.identify(session, wanted.userId, wanted.username)
        if identity is None:
            raise InvalidInput("userId", "is missing")
        try:
            self._authoriser.check_room(identity, "board", room)
            await self._fanout.enter(session, retro)
            await self._presence.join(session, {"roomId": room, "username": wanted.username})
            snapshot = await self.show(session, retro, self._boards.join(retro))
        except BaseException:
            if room not in session.rooms:
                # A join that was refused decides nothing about who this socket is.
                session.identity = known
            elif not was_there:
                await self._presence.abandon(session, room)
            await self._fanout.exit(session)
            raise
        if session.closed:
            await self._fanout.exit(session)
        return {"retroId": wire.echo(wanted.retroId), "userId": identity.given, **stand(snapshot.position)}

    async def leave(self, session: Session, payload: Any) -> Answer:
        joined = self._fanout.board_of(session)
        if isinstance(payload, (str, int, float)):
            payload = {"retroId": payload}
        given = joined if payload is None else wire.echo(read(payloads.Board, payload).retroId)
        named = None if given is None else canonical_id(given, "retroId")
        if joined is None or named != joined:
            return {"retroId": given, "left": False}
        await self.moves.flush(joined)
        await self._fanout.exit(session)
        answer = await self._presence.leave(session, {"roomId": room_of(joined)})
        return {"retroId": given, "left": answer["left"]}

    async def show(self, session: Session, retro: str, reading: Awaitable[BoardSnapshot]) -> BoardSnapshot:
        """Send the whole state to one socket: what changes meanwhile waits until it is out."""
        self._fanout.hold(session, retro)
        try:
            snapshot, present = await asyncio.gather(reading, self._view.present(retro))
        except BaseException:
            self._fanout.release(session, retro)
            raise
        self._fanout.place(session, retro, snapshot, present)
        return snapshot

    async def closed(self, session: Session) -> None:
        """A socket ended: its moves are written, its board stays."""
        retro = self._fanout.board_of(session)
        await self._fanout.exit(session)
        if retro is not None:
            await self.moves.flush(retro)

    async def at(self, session: Session, wanted: payloads.Board) -> str:
        """Return the board the socket is at, which must be the one it names, as the user it is."""
        retro, joined = board_id(wanted.retroId), self._fanout.board_of(session)
        if wanted.userId is not None:
            self._authoriser.identify(session, wanted.userId, None)
        if joined is None:
            raise Refusal("not_in_room", "this socket is at no board")
        if retro != joined:
            raise Refusal("forbidden", "this socket is at another board")
        room = room_of(retro)
        self._authoriser.check_room(session.identity, "board", room)
        await self._beat(session, room)
        return retro

    async def _beat(self, session: Session, room: str) -> None:
        """Clients of boards need not know of heartbeats."""
        membership, now_s = session.rooms[room], time.monotonic()
        if session.identity and (now_s - membership.beat_at_s) * 1000 >= self._settings.heartbeat_interval_ms:
            membership.beat_at_s = now_s
            if isinstance(await self._engine.heartbeat(room, session.identity.user, session.sid, adopt=False), Absent):
                # As for any beat that finds nobody: it takes a place of the user's, or is told.
                await self._heartbeats.heartbeat(session, {"roomId": room})


def board_id(given: str | int | float) -> str:
    """Return a board's canonical id. Its presence room's id is longer, and must be an id too."""
    retro = canonical_id(given, "retroId")
    try:
        canonical_id(room_of(retro), "retroId")
    except InvalidInput:
        raise InvalidInput("retroId", "must have at most 122 UTF-8 bytes") from None
    return retro
