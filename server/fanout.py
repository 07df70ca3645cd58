"""Fanout: what the feed brings of a room is folded a window at a time and sent to the sockets of this process.

Nothing of who is present is kept here: only which local sockets listen, the position each stands at, and a short log of
recent changes from which a socket that is behind is brought up.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Protocol

from presence_engine import (
    Change,
    ConnectionOut,
    Feed,
    NetChange,
    Position,
    PresenceEngine,
    decode_change,
    fold,
)
from server import wire
from server.comparing import Comparing
from server.local_room import LocalRoom, Windows, by_spelling, later, newer
from server.sockets.session import Session

_BACK_TO_DIFFS: Final = 0.8

log = logging.getLogger(__name__)


class Sender(Protocol):
    """Sends one event, encoded once, to sockets of one namespace."""

    def __call__(self, event: str, data: Any, sessions: Iterable[Session]) -> None: ...


class Fanout:
    """Feeds every local room. `put_out(room, entry, change)` is called for each connection of this node
    that was removed."""

    def __init__(
        self,
        engine: PresenceEngine,
        windows: Windows,
        send: Sender,
        put_out: Callable[[str, ConnectionOut, Change], None],
    ) -> None:
        self._engine, self._windows, self._send, self._put_out = engine, windows, send, put_out
        self._rooms: dict[str, LocalRoom] = {}
        self.comparing = Comparing(engine, self._rooms, self._go_on_from)
        self.on_restored: list[Callable[[], None]] = []
        self.on_exit: Callable[[Session, str], None] | None = None
        self.feed: Feed = engine.open_feed(on_lost=self._feed_lost, on_restored=self._feed_restored)

    def mode_of(self, room: str, count: int) -> str:
        """The mode a room of `count` users is in, before and after this process first hears of it."""
        local = self._rooms.get(room)
        if local is not None and local.received:
            return local.mode
        return "counts" if count > self._windows.counts_room else "diffs"

    async def enter(self, session: Session, room: str) -> None:
        """Listen to a room on a socket's behalf: before its script runs, so that nothing falls between.

        Raises StoreUnavailable when the first listener's subscription is not confirmed; the socket is not listed then.
        """
        local = self._rooms.get(room)
        if local is None:
            local = self._rooms[room] = LocalRoom(room)
        local.interested.add(session.sid)
        if local.subscribed is None:
            handler = self._handler(local)
            local.subscribed = asyncio.ensure_future(self.feed.subscribe(self._engine.channel(room), handler))
        try:
            await asyncio.shield(local.subscribed)
        except BaseException:
            local.subscribed = None
            await self.exit(session, room)
            raise

    def place_soon(self, session: Session, room: str, given: str | int, at: Position) -> None:
        """The socket is being told the room as of `at`: place it once that is on its way, send it nothing before."""
        if (local := self._rooms.get(room)) is not None:
            local.members.pop(session.sid, None)
            told = self.mode_of(room, at.count)
            asyncio.get_running_loop().call_soon(self.place, session, room, given, at, told)

    def place(self, session: Session, room: str, given: str | int, at: Position, told_mode: str | None = None) -> None:
        """The socket has been told the room as of `at`: its first diff starts there."""
        local = self._rooms.get(room)
        if local is None or session.closed or session.sid not in local.interested:
            return
        local.members[session.sid] = (session, given)
        local.newcomers.pop(session.sid, None)
        if not local.received and len(local.members) == 1:
            local.stand_at(at)
            local.counts_mode = at.count > self._windows.counts_room
        elif newer(at.epoch, local.epoch) or (at.epoch == local.epoch and at.seq > local.flushed):
            # The feed is behind this answer, and has yet to bring what leads up to it.
            local.newcomers[session.sid] = (at.epoch, at.seq)
        elif (at.epoch, at.seq) != (local.epoch, local.flushed) and not local.counts_mode:
            missing = local.since(at.epoch, at.seq)
            self._send("room:diff", wire.diff(given, fold(missing) if missing else local.gap()), [session])
        if told_mode not in {None, local.mode}:
            self._send("room:mode", {"roomId": given, "mode": local.mode}, [session])

    def add(self, session: Session, room: str, given: str | int) -> None:
        """The socket is in the room without having been told a position (adopted):
        it asks for one when it sees a gap.
        """
        if (local := self._rooms.get(room)) is not None and not session.closed:
            local.members[session.sid] = (session, given)

    def holds(self, session: Session, room: str) -> bool:
        local = self._rooms.get(room)
        return local is not None and session.sid in local.members

    async def exit(self, session: Session, room: str) -> None:
        """Stop sending a room's diffs to a socket; the last listener's end ends the subscription."""
        local = self._rooms.get(room)
        if local is None:
            return
        was_member = local.members.pop(session.sid, None) is not None
        local.newcomers.pop(session.sid, None)
        if was_member and self.on_exit:
            self.on_exit(session, room)
        if session.sid not in local.watchers:
            await self._release(session, local)

    async def watch(self, session: Session, room: str, given: str | int) -> None:
        await self.enter(session, room)
        if session.closed:
            await self.exit(session, room)
        else:
            self._rooms[room].watchers[session.sid] = (session, given)

    async def unwatch(self, session: Session, room: str) -> None:
        local = self._rooms.get(room)
        if local is None or not local.watchers.pop(session.sid, None):
            return
        if session.sid not in local.members and not session.is_in_or_coming(room):
            await self._release(session, local)

    async def _release(self, session: Session, local: LocalRoom) -> None:
        local.interested.discard(session.sid)
        if not local.interested and self._rooms.get(local.room) is local:
            del self._rooms[local.room]
            if local.timer:
                local.timer.cancel()
            await self.feed.unsubscribe(self._engine.channel(local.room))

    def since(self, room: str, epoch: str, seq: int) -> tuple[Position, list[NetChange]] | None:
        """Diffs that bring a client from `seq` to what this process last sent; None when the log cannot."""
        local = self._rooms.get(room)
        if local is None or local.counts_mode or not local.received:
            return None
        missing = local.since(epoch, seq)
        if missing is None:
            return None
        at = Position(local.epoch, local.flushed, local.last.count, local.last.connections)
        return at, [fold(missing)] if missing else []

    def _handler(self, local: LocalRoom) -> Callable[[bytes], None]:
        def receive(message: bytes) -> None:
            self._receive(local, decode_change(message), len(message))

        return receive

    def _receive(self, local: LocalRoom, change: Change, size: int) -> None:
        if change.epoch == local.epoch and change.seq <= local.received:
            return
        if change.epoch != local.epoch or change.seq != local.received + 1:
            # A new life of the room, or something was missed: whoever stands before it will see the gap and ask.
            self._flush(local)
            local.stand_at(Position(change.epoch, change.seq - 1, change.count, change.connections))
        local.received = change.seq
        local.last = Position(change.epoch, change.seq, change.count, change.connections)
        local.note(change, size)
        local.pending.append(change)
        for entry in change.entries:
            if isinstance(entry, ConnectionOut) and entry.node == self._engine.node:
                self._put_out(local.room, entry, change)
        if local.timer is None:
            local.timer = asyncio.get_running_loop().call_later(self._window_s(local), self._flush, local)

    def _window_s(self, local: LocalRoom) -> float:
        if local.counts_mode:
            return self._windows.count_window_ms / 1000
        large = local.last.count > self._windows.large_room
        return (self._windows.diff_window_large_ms if large else self._windows.diff_window_ms) / 1000

    def _flush(self, local: LocalRoom) -> None:
        """End the window: send its net effect, cut where a newcomer's answer stands."""
        if local.timer:
            local.timer.cancel()
            local.timer = None
        changes, local.pending = local.pending, []
        if not changes:
            return
        if not local.counts_mode:
            for part in self._cut(local, changes):
                self._send_diff(local, fold(part))
        local.flushed = local.received
        for sid, (epoch, seq) in list(local.newcomers.items()):
            if epoch == local.epoch and seq <= local.flushed:
                del local.newcomers[sid]
        self._send_counts(local)
        self._change_mode(local)

    def _cut(self, local: LocalRoom, changes: Sequence[Change]) -> Iterable[Sequence[Change]]:
        cuts = {seq for epoch, seq in local.newcomers.values() if epoch == local.epoch}
        part: list[Change] = []
        for change in changes:
            part.append(change)
            if change.seq in cuts:
                yield part
                part = []
        if part:
            yield part

    def _send_diff(self, local: LocalRoom, change: NetChange) -> None:
        for given, sessions in by_spelling(local.members.values()):
            behind = [
                session
                for session in sessions
                if not later(local.newcomers.get(session.sid), (change.epoch, change.from_seq))
            ]
            if behind:
                self._send("room:diff", wire.diff(given, change), behind)

    def _send_counts(self, local: LocalRoom) -> None:
        listeners = dict(local.watchers)
        if local.counts_mode:
            listeners.update(local.members)
        for given, sessions in by_spelling(listeners.values()):
            self._send("room:count", {"roomId": given, **wire.position(local.last)}, sessions)

    def _change_mode(self, local: LocalRoom) -> None:
        bound = self._windows.counts_room * (_BACK_TO_DIFFS if local.counts_mode else 1)
        if (local.last.count > bound) == local.counts_mode:
            return
        local.counts_mode = not local.counts_mode
        for given, sessions in by_spelling(local.members.values()):
            self._send("room:mode", {"roomId": given, "mode": local.mode}, sessions)

    def _feed_lost(self) -> None:
        log.warning("the feed was lost; %d rooms are compared when it is back", len(self._rooms))

    def _feed_restored(self) -> None:
        for restored in self.on_restored:
            restored()
        self.comparing.begin()

    def _go_on_from(self, local: LocalRoom, at: Position) -> None:
        """Changes are missing up to `at`: make every member see the gap, so that it asks."""
        self._flush(local)
        local.stand_at(at)
        if not local.counts_mode:
            self._send_diff(local, local.gap())
        self._send_counts(local)
        self._change_mode(local)

    async def close(self) -> None:
        self.comparing.close()
        for local in self._rooms.values():
            if local.timer:
                local.timer.cancel()
        await self.feed.close()
