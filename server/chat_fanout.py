"""The chat's fanout: what the feed tells of any chat room goes to the sockets of this process, room by room in order.

Every server hears every change from Redis, so a message is announced everywhere even when the server that saved it is
gone. Nothing of a room's content is kept here, only how far the rooms heard of last have been told.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any, Final

import structlog

from presence_engine import (
    ChatChange,
    ChatEngine,
    ChatRoom,
    MessageSaved,
    PresenceEngine,
    RoomRead,
    StoreUnavailable,
    decode_chat_change,
)
from server import chat_wire
from server.chat_catch_up import Told, missed, standing
from server.chat_participants import participants_of
from server.fanout import Sender
from server.refusals import Refusal
from server.sockets.session import Identity, Session

ROOMS_OF_A_SOCKET: Final = 1000
_MOST_HELD: Final = 10_000
_AGAIN_S: Final = 0.2

CheckRoom = Callable[[Identity | None, str, str], None]

log = structlog.wrap_logger(logging.getLogger(__name__))


class ChatFanout:
    """Announces chat changes to `sessions`, the sockets of this process, whoever of them may see the room.

    send: delivers one event. check_room: as of Authoriser. legacy: also emit the two events that `new_room_complete`
    replaces.
    """

    def __init__(
        self,
        engine: PresenceEngine,
        chat: ChatEngine,
        sessions: dict[str, Session],
        send: Sender,
        check_room: CheckRoom,
        *,
        legacy: bool = False,
    ) -> None:
        self._engine, self._chat, self._sessions, self._send = engine, chat, sessions, send
        self._check_room, self._legacy = check_room, legacy
        self._listeners: dict[str, dict[str, Session]] = {}
        self._rooms_of: dict[str, dict[str, None]] = {}
        self._waiting: dict[str, list[ChatChange]] = {}
        self._introducing: set[asyncio.Task[None]] = set()
        self._told = Told(chat.keys.partition_of, 0)
        # By partition: the line of the feed over which all that was saved has been told.
        self._lines: dict[int, object] = {}
        # By partition: what has arrived since its line broke, until what was missed has been told.
        self._held: dict[int, list[ChatChange]] = {}
        self._catching_up: dict[object, asyncio.Task[None]] = {}
        self._feed = engine.open_feed(on_lost=self._lost, on_restored=self._restored)

    async def start(self) -> None:
        """Listen to every partition. Raises StoreUnavailable when no subscription is confirmed in time.

        Those of a shard of a Cluster that is away take effect when it is back.
        """
        partitions = range(self._chat.keys.partitions)
        self._told = Told(self._chat.keys.partition_of, self._engine.now_ms())
        outcomes = await asyncio.gather(*map(self._listen_to, partitions), return_exceptions=True)
        failures = [outcome for outcome in outcomes if outcome is not None]
        for failure in failures:
            if len(failures) == len(partitions) or not isinstance(failure, StoreUnavailable):
                raise failure
        if failures:
            log.warning("chat: not every shard answers", partitions=len(failures))
        await self._begin([partition for partition, line in self._lines.items() if line is not None])
        self._restored()

    async def _begin(self, partitions: Collection[int]) -> None:
        """Learn how the rooms stand: of one nothing is known of, nobody could tell that its mark was moved."""
        try:
            async for rooms in standing(self._chat, partitions):
                for room in rooms:
                    self._told.begins(room)
        except Exception as error:
            # Whatever it was: what is heard from now on is known all the same.
            log.warning("chat: how the rooms stand could not be read", error=type(error).__name__)

    async def _listen_to(self, partition: int) -> None:
        line = None
        try:
            await self._feed.subscribe(self._chat.keys.chat_feed(partition), partial(self.receive, partition))
            line = self._line(partition)
        finally:
            # Without one, what is saved there until it stands is missed.
            self._lines[partition] = line

    def _line(self, partition: int) -> object | None:
        return self._feed.line(self._chat.keys.chat_feed(partition))

    async def close(self) -> None:
        tasks = [*self._introducing, *self._catching_up.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._feed.close()

    def listen(self, session: Session, room: str) -> None:
        """Send a room's messages to a socket, as `room:new_message`. Of very many rooms the oldest is let go.

        Nothing is lost by that: `new_message` brings every message.
        """
        if session.closed:
            return
        rooms = self._rooms_of.setdefault(session.sid, {})
        rooms.pop(room, None)
        rooms[room] = None
        self._listeners.setdefault(room, {})[session.sid] = session
        if len(rooms) > ROOMS_OF_A_SOCKET:
            self.unlisten(session, next(iter(rooms)))

    def unlisten(self, session: Session, room: str) -> None:
        """Stop sending a room's messages to a socket; harmless when it did not listen."""
        rooms, listeners = self._rooms_of.get(session.sid, {}), self._listeners.get(room, {})
        rooms.pop(room, None)
        listeners.pop(session.sid, None)
        if not rooms:
            self._rooms_of.pop(session.sid, None)
        if not listeners:
            self._listeners.pop(room, None)

    def forget(self, session: Session) -> None:
        """A socket ended."""
        for room in list(self._rooms_of.get(session.sid, ())):
            self.unlisten(session, room)

    def receive(self, partition: int, message: bytes) -> None:
        """Announce one change of the feed, or let it wait for what comes before it."""
        change = decode_chat_change(message)
        if (held := self._held.get(partition)) is None:
            self._hear(change)
            return
        held.append(change)
        if (most := sum(map(len, self._held.values()))) > _MOST_HELD:
            # The feed is back, but what was missed cannot be read: clients must not wait for ever.
            log.warning("chat: announcing past a gap in the feed", changes=most)
            for waiting in [waiting for waiting, changes in self._held.items() if changes]:
                self._release(waiting)

    def _hear(self, change: ChatChange) -> None:
        """The feed may bring late what was already told from the store."""
        if not self._told.knows(change):
            self._in_order(change)

    def _in_order(self, change: ChatChange) -> None:
        self._told.note(change)
        room = change.room_id if isinstance(change, RoomRead) else change.message.room_id
        if room in self._waiting:
            self._waiting[room].append(change)
        elif isinstance(change, MessageSaved) and change.room is not None:
            # Whatever follows in this room waits until it is known who is present there.
            self._waiting[room] = [change]
            task = asyncio.create_task(self._introduce(room), name="chat-new-room")
            self._introducing.add(task)
            task.add_done_callback(self._introducing.discard)
        else:
            self._announce(change, ())

    async def _introduce(self, room: str) -> None:
        present: chat_wire.Present = ()
        try:
            present = (await participants_of(self._engine, [room]))[room]
        except Exception as error:
            log.warning("chat: a new room is announced without its participants", error=type(error).__name__)
        finally:
            for change in self._waiting.pop(room):
                self._announce(change, present)

    def _announce(self, change: ChatChange, present: chat_wire.Present) -> None:
        match change:
            case RoomRead():
                self._emit("room:unread", lambda: chat_wire.room_unread(change), self._audience(change.room_id))
            case MessageSaved():
                self._announce_message(change, present)

    def _announce_message(self, saved: MessageSaved, present: chat_wire.Present) -> None:
        """In this order a client that counts `new_message` ends with one unread after a first message."""
        room_id, room = saved.message.room_id, saved.room
        everybody = self._audience(room_id)
        names = "new_room_complete, new_message" if room else "new_message"
        log.info(f"[messageService] Emitting events: {names}", message_id=saved.message.id, room_id=room_id)
        if not everybody:
            return
        listeners = self._listeners.get(room_id, {})
        here = [session for session in everybody if session.sid in listeners]
        body = chat_wire.message(saved.message)
        if room and self._legacy:
            self._emit("new_room", lambda: chat_wire.new_room(room, present), everybody)
        self._emit("room:new_message", lambda: body, here)
        self._emit("new_message", lambda: body, everybody)
        if room and self._legacy:
            self._emit("new_room_with_message", lambda: chat_wire.new_room_with_message(room, present), everybody)
        if room:
            self._emit("new_room_complete", lambda: chat_wire.new_room_complete(room, present), everybody)

    def _audience(self, room: str) -> list[Session]:
        return [session for session in list(self._sessions.values()) if self._may_see(session, room)]

    def _may_see(self, session: Session, room: str) -> bool:
        try:
            self._check_room(session.identity, "chat", room)
        except Refusal:
            return False
        return not session.closed

    def _emit(self, event: str, body: Callable[[], Any], sessions: Collection[Session]) -> None:
        """The message is saved: an event that cannot be sent is logged, and the next one goes out all the same."""
        if not sessions:
            return
        try:
            self._send(event, body(), sessions)
        except Exception:
            log.exception("chat: an event could not be sent", name=event)

    def _lost(self) -> None:
        for partition in self._broken():
            self._held.setdefault(partition, [])

    def _broken(self) -> list[int]:
        """Partitions of which changes may have been missed."""
        return [
            partition for partition, line in self._lines.items() if line is None or line is not self._line(partition)
        ]

    def _restored(self) -> None:
        """What one server's line brings is caught up together, whether or not another's is back."""
        self._lost()
        self._catching_up = {line: task for line, task in self._catching_up.items() if not task.done()}
        for line in {self._line(partition) for partition in self._broken()} - {None, *self._catching_up}:
            self._catching_up[line] = asyncio.create_task(self._catch_up(line), name="chat-catch-up")

    async def _catch_up(self, line: object) -> None:
        """Announce what was saved while these partitions' feed was away, then what has come since."""
        while partitions := [partition for partition in self._broken() if self._line(partition) is line]:
            try:
                changes, rooms = await missed(self._chat, self._told, partitions)
            except StoreUnavailable:
                await asyncio.sleep(_AGAIN_S)
                continue
            except Exception:
                # Whatever it was, it may well be so again: what is held is not to wait for ever.
                log.exception("chat: what was missed could not be read")
                changes, rooms = [], []
            if any(self._line(partition) is not line for partition in partitions):
                continue
            log.info("chat: the feed is back", missed=len(changes))
            self._tell(changes, rooms)
            for partition in partitions:
                self._lines[partition] = line
                self._release(partition)

    def _tell(self, changes: Sequence[ChatChange], rooms: Sequence[ChatRoom]) -> None:
        """Announce what the store has beyond what was told. Where nothing is held the feed may have been faster."""
        for change in changes:
            if isinstance(change, RoomRead):
                self._in_order(change)
            else:
                self._hear(change)
        for room in rooms:
            if self._chat.keys.partition_of(room.room_id) in self._held:
                self._told.stands(room)

    def _release(self, partition: int) -> None:
        """Announce what was held."""
        for change in self._held.pop(partition, ()):
            self._hear(change)
