"""The sockets of this process at each board: what the feed brings is sent to them in the order of the versions.

Nothing of a board's content is kept here, only how far each socket has been told.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from presence_engine import (
    NO_BOARD,
    BoardChange,
    BoardEngine,
    BoardPosition,
    BoardSnapshot,
    Feed,
    Page,
    Relayed,
    StoreUnavailable,
    decode_board_change,
)
from server import board_wire
from server.sockets.session import Session

_AGAIN_S: Final = 0.5
_READ_AT_ONCE: Final = 20

log = logging.getLogger(__name__)
Send = Callable[[Sequence[tuple[str, Any]], Sequence[Session]], None]
Read = Callable[[str], Awaitable[tuple[BoardSnapshot, Page]]]


def room_of(retro: str) -> str:
    """The board's presence room."""
    return f"retro:{retro}"


@dataclass(slots=True)
class Seat:
    """One socket at a board. told: as of its last whole state, None before the first.

    held: the changes that wait for the next whole state, None when none is awaited. behind: it lacks more than those,
    and nothing but the whole state will do.
    """

    session: Session
    told: BoardPosition | None = None
    held: list[BoardChange] | None = field(default_factory=list)
    behind: bool = False

    def lacks(self, change: BoardChange) -> bool:
        """Whether its last whole state was before this change."""
        if isinstance(change, Relayed):
            return True
        told, at = self.told, change.position
        return (
            told is None or told.version == 0 or (told.created_at_ms == at.created_at_ms and at.version > told.version)
        )


@dataclass(slots=True)
class LocalBoard:
    """One board as this process sees it. at: the newest position that anybody here was told.

    line: the line of the feed over which all was told. anew: the board is being read to be sent whole, unless it stands
    at `known` still.
    """

    retro: str
    room: str
    subscribed: "asyncio.Future[None] | None" = None
    seats: dict[str, Seat] = field(default_factory=dict)
    at: BoardPosition = NO_BOARD
    line: object | None = None
    known: BoardPosition | None = None
    anew: "asyncio.Task[None] | None" = None

    def sessions(self, change: BoardChange) -> Iterable[Session]:
        """Those who are to be told of a change now; for the others it waits. Who left the room is passed over."""
        for seat in self.seats.values():
            if self.room not in seat.session.rooms and seat.told is not None:
                continue
            if seat.held is not None:
                seat.held.append(change)
            elif seat.lacks(change):
                yield seat.session


class BoardFanout:
    """Feeds the sockets of every board that has one here. `read` gives a whole board with those present."""

    def __init__(self, boards: BoardEngine, feed: Feed, send: Send, read: Read) -> None:
        self._boards, self._feed, self._send, self._read = boards, feed, send, read
        self._local: dict[str, LocalBoard] = {}
        self._at: dict[str, str] = {}
        self._reading = asyncio.Semaphore(_READ_AT_ONCE)

    def board_of(self, session: Session) -> str | None:
        """The board a socket is at, if it is still in the board's room."""
        retro = self._at.get(session.sid)
        return retro if retro is not None and room_of(retro) in session.rooms else None

    async def enter(self, session: Session, retro: str) -> None:
        """Listen to a board on a socket's behalf; its changes wait for the whole state that `place` sends.

        Raises StoreUnavailable when the first listener's subscription is not confirmed; the socket is not listed then.
        """
        if self._at.get(session.sid, retro) != retro:
            await self.exit(session)
        local = self._local.get(retro)
        if local is None:
            local = self._local[retro] = LocalBoard(retro, room_of(retro))
        self._at[session.sid] = retro
        self._hold(local.seats.setdefault(session.sid, Seat(session)))
        if local.subscribed is None:
            local.subscribed = asyncio.ensure_future(self._listen(local))
        try:
            await asyncio.shield(local.subscribed)
        except BaseException:
            local.subscribed = None
            await self.exit(session)
            raise

    async def _listen(self, local: LocalBoard) -> None:
        await self._feed.subscribe(self._boards.channel(local.retro), self._handler(local))
        local.line = self._line(local)

    def _line(self, local: LocalBoard) -> object | None:
        return self._feed.line(self._boards.channel(local.retro))

    async def exit(self, session: Session) -> None:
        """The socket leaves its board, if any; the last one's end ends the subscription."""
        retro = self._at.pop(session.sid, None)
        local = self._local.get(retro) if retro is not None else None
        if local is None:
            return
        local.seats.pop(session.sid, None)
        if not local.seats:
            del self._local[local.retro]
            if local.anew:
                local.anew.cancel()
            await self._feed.unsubscribe(self._boards.channel(local.retro))

    def hold(self, session: Session, retro: str) -> None:
        """Let the changes wait for the whole state that is about to be read. Call before reading."""
        if (local := self._local.get(retro)) and (seat := local.seats.get(session.sid)):
            self._hold(seat)

    def release(self, session: Session, retro: str) -> None:
        """No whole state comes after all: who has had one gets the changes that waited, unless one is on its way."""
        local = self._local.get(retro)
        seat = local.seats.get(session.sid) if local else None
        if local is not None and seat is not None and seat.told is not None and not seat.behind:
            self._catch_up(local, seat)

    @contextmanager
    def holding(self, session: Session, retro: str) -> Iterator[None]:
        """Read a part of the board and send it to this socket inside: what changes meanwhile comes behind it.

        Two connections bring the one and the other, and most parts have no version to tell which is newer.
        """
        self.hold(session, retro)
        try:
            yield
        finally:
            self.release(session, retro)

    def place(self, session: Session, retro: str, snapshot: BoardSnapshot, present: Page) -> None:
        """Send a socket the whole state, and what has changed since."""
        local = self._local.get(retro)
        seat = local.seats.get(session.sid) if local else None
        if local is None or seat is None or session.closed:
            return
        # Another whole state may have gone out meanwhile; an older one would take the client back.
        if seat.held is not None or _order(snapshot.position) >= _order(local.at):
            self._send([(f"retro-state:{retro}", board_wire.state(snapshot, present))], [session])
            seat.told = snapshot.position
            self._catch_up(local, seat)
            if 0 < snapshot.position.created_at_ms < local.at.created_at_ms:
                # The board expired and began again while it was read.
                self._send_whole(local, None)
            local.at = max(local.at, snapshot.position, key=_order)

    def restored(self) -> None:
        """The feed of some server is back: those of its boards that moved meanwhile are sent whole."""
        boards = [local for local in self._local.values() if self._line(local) not in {None, local.line}]
        log.info("comparing %d boards", len(boards))
        for local in boards:
            self._send_whole(local, local.at)

    def _hold(self, seat: Seat) -> None:
        seat.held = [] if seat.held is None else seat.held

    def _catch_up(self, local: LocalBoard, seat: Seat) -> None:
        changes, seat.held, seat.behind = seat.held or (), None, False
        for change in changes:
            if seat.lacks(change):
                self._tell(local, change, [seat.session])

    def _tell(self, local: LocalBoard, change: BoardChange, sessions: list[Session]) -> None:
        if sessions:
            self._send([(f"{name}:{local.retro}", body) for name, body in board_wire.events(change)], sessions)

    def _handler(self, local: LocalBoard) -> Callable[[bytes], None]:
        def receive(message: bytes) -> None:
            change = decode_board_change(message)
            if self._line(local) is not local.line:
                # The first after a gap may come before the feed as a whole is back.
                self._send_whole(local, local.at)
            if not isinstance(change, Relayed):
                self._advance(local, change)
            self._tell(local, change, list(local.sessions(change)))

        return receive

    def _advance(self, local: LocalBoard, change: BoardChange) -> None:
        """Note how far the board is. One that expired and began again is sent whole: its clients show the old one."""
        if local.at.version and change.first_version == 1 and change.position.created_at_ms != local.at.created_at_ms:
            self._send_whole(local, None)
            local.at = change.position
        local.at = max(local.at, change.position, key=_order)

    def _send_whole(self, local: LocalBoard, known: BoardPosition | None) -> None:
        """Let everybody here wait for the whole board, as it stands after this moment.

        Whoever waits already was told up to the `known` of then.
        """
        for seat in local.seats.values():
            self._hold(seat)
            seat.behind = True
        if local.anew is None or local.anew.done():
            local.known = known
            local.anew = asyncio.create_task(self._anew(local), name="board-anew")
        elif known is None:
            local.known = None

    async def _anew(self, local: LocalBoard) -> None:
        while True:
            line = self._line(local)
            try:
                async with self._reading:
                    snapshot, present = await self._read(local.retro)
            except StoreUnavailable:
                await asyncio.sleep(_AGAIN_S)
                continue
            except Exception:
                # Whatever it was, it may well be so again: who is held is not to wait for ever.
                log.exception("a board could not be read")
                local.line = line
                for seat in local.seats.values():
                    if seat.told is not None:
                        self._catch_up(local, seat)
                return
            older = 0 < snapshot.position.created_at_ms < local.at.created_at_ms
            if not older and line is self._line(local):
                break
        if line is not None:
            local.line = line
        for seat in list(local.seats.values()):
            if seat.told is None:
                continue  # its own join sends it
            if local.room not in seat.session.rooms:
                seat.held, seat.behind = None, False  # put out; when it comes back its join sends it
            elif snapshot.position == local.known:
                self._catch_up(local, seat)
            else:
                self.place(seat.session, local.retro, snapshot, present)

    async def close(self) -> None:
        for local in self._local.values():
            if local.anew:
                local.anew.cancel()


def _order(at: BoardPosition) -> tuple[int, int]:
    return at.created_at_ms, at.version
