"""What a server did not hear of the chat while its feed was away: read from the rooms, told as if it had been heard."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from typing import Final, NamedTuple

import msgspec

from presence_engine import ChatChange, ChatEngine, ChatMessage, ChatRoom, MessageSaved, RoomRead, UnknownRoom

ROOMS_REMEMBERED: Final = 10_000
_ROOMS_COMPARED: Final = 1000
_ROOMS_AT_ONCE: Final = 200
_SMALLEST_SHARE: Final = 20
_MESSAGES_OF_A_ROOM: Final = 200
# Clocks of a Cluster's servers differ, and a replica's that took over may be behind.
_MARGIN_MS: Final = 10_000


class Newest(NamedTuple):
    """The newest message of a room that was told, and the unread count. The time tells it from another with its seq: a
    Redis that lost its newest writes gives their seqs away again.

    mark: the read mark that was told from the store, -1 once the feed has gone past it.
    """

    seq: int
    at_ms: int
    unread: int
    mark: int = -1


class Told:
    """How far the clients of this process have been told of the rooms heard of last.

    start_ms: what was saved before counts as told, and so does all of a room that `begins`.
    """

    def __init__(self, partition_of: Callable[[str], int], start_ms: int) -> None:
        self._partition_of, self._start_ms = partition_of, start_ms
        self._rooms: dict[str, Newest] = {}
        # By partition: what one has brought says nothing of another, whose feed may be away.
        self._since: dict[int, int] = {}

    def note(self, change: ChatChange) -> None:
        """A change is on its way to the clients."""
        if isinstance(change, RoomRead):
            if (known := self._rooms.get(change.room_id)) is not None:
                self._rooms[change.room_id] = Newest(known.seq, known.at_ms, change.unread_count)
            return
        message = change.message
        self._rooms.pop(message.room_id, None)
        self._rooms[message.room_id] = Newest(message.seq, message.created_at_ms, change.unread_count)
        self._tell_since(message.room_id, message.created_at_ms - _MARGIN_MS)
        while len(self._rooms) > ROOMS_REMEMBERED:
            forgotten = next(iter(self._rooms))
            self._tell_since(forgotten, self._rooms.pop(forgotten).at_ms + 1)

    def since_ms(self, room_id: str) -> int:
        """Return from when on a message of a room that is not known has not been told."""
        return self._since.get(self._partition_of(room_id), self._start_ms)

    def _tell_since(self, room_id: str, at_ms: int) -> None:
        self._since[self._partition_of(room_id)] = max(at_ms, self.since_ms(room_id))

    def begins(self, room: ChatRoom) -> None:
        """The room was there at the start, in this state; what has been heard of it since is newer."""
        if room.room_id not in self._rooms:
            self.stands(room)

    def stands(self, room: ChatRoom) -> None:
        """All of a room has been told as the store has it: what the feed brings of that comes late."""
        self._rooms[room.room_id] = Newest(room.message_count, room.updated_at_ms, room.unread_count, room.read_seq)

    def knows(self, change: ChatChange) -> bool:
        """Whether this very change, or a later one of its room, has been told."""
        if isinstance(change, RoomRead):
            known = self._rooms.get(change.room_id)
            return known is not None and change.read_seq <= known.mark
        return self.knows_message(change.message)

    def knows_message(self, message: ChatMessage) -> bool:
        """As `knows`. A message that is younger than the newest told one has only its seq from a lost one."""
        known = self._rooms.get(message.room_id)
        if known is None or message.seq > known.seq:
            return False
        if message.seq == known.seq:
            return message.created_at_ms == known.at_ms
        return message.created_at_ms <= known.at_ms

    def of(self, room: ChatRoom) -> Newest | None:
        """Return how far a room has been told, None when nothing is known of it."""
        return self._rooms.get(room.room_id)


async def missed(chat: ChatEngine, told: Told, partitions: Collection[int]) -> tuple[list[ChatChange], list[ChatRoom]]:
    """Return the changes of these partitions that have not been told, each room's in order, and the rooms as they stand
    with them. Raises StoreUnavailable.

    Compared are the 1,000 rooms that were active last; of each at most the newest 200 messages are brought. Clients see
    by the seq that there were more.
    """
    found: dict[str, tuple[ChatRoom, list[ChatChange]]] = {}
    async for some in compared(chat, partitions):
        parts = await asyncio.gather(*(_missed_of(chat, room, told) for room in some))
        # What was read of a room before says nothing any more, and its unread count would be an old one.
        found.update((room.room_id, (room, part)) for room, part in zip(some, parts, strict=True))
    # The room that was active first comes first; the pages know more of the order than a millisecond tells.
    last = sorted(found.values(), key=lambda one: one[0].updated_at_ms, reverse=True)[::-1]
    return [change for _, part in last for change in part], [room for room, _ in last]


async def standing(chat: ChatEngine, partitions: Collection[int]) -> AsyncIterator[Sequence[ChatRoom]]:
    """Read the rooms of each partition that were active last, its share of those that are compared.

    Partition by partition: to merge many, as `compared` does, costs as much for each. Raises StoreUnavailable.
    """
    for partition in partitions:
        share = max(_ROOMS_COMPARED // len(partitions), _SMALLEST_SHARE)
        async for rooms in compared(chat, [partition], share):
            yield rooms


async def compared(
    chat: ChatEngine, partitions: Collection[int], most: int = _ROOMS_COMPARED
) -> AsyncIterator[Sequence[ChatRoom]]:
    """Read the rooms of these partitions that were active last, some at a time; of many the newest once more.

    Raises StoreUnavailable.
    """
    cursor, read = None, 0
    while read < most:
        page = await chat.rooms(limit=min(_ROOMS_AT_ONCE, most), cursor=cursor, partitions=partitions)
        yield page.rooms
        read += len(page.rooms)
        cursor = page.cursor
        if cursor is None:
            break
    if read > _ROOMS_AT_ONCE:
        # Rooms that were written in meanwhile have moved to the front, perhaps past the page that was to bring them.
        yield (await chat.rooms(limit=_ROOMS_AT_ONCE, partitions=partitions)).rooms


async def _missed_of(chat: ChatEngine, room: ChatRoom, told: Told) -> list[ChatChange]:
    known, since_ms = told.of(room), told.since_ms(room.room_id)
    messages = await _messages_after(chat, room, known) if known or room.updated_at_ms >= since_ms else ()
    if known:
        messages = [one for one in messages if not told.knows_message(one)]
    else:
        messages = [one for one in messages if one.created_at_ms >= since_ms]
        if not messages:
            return []
    changes: list[ChatChange] = []
    seq, unread = (known.seq, known.unread) if known else (0, 0)
    # One that was made meanwhile is new to everybody, though its first messages are not brought.
    made = known is None and room.created_at_ms >= since_ms
    for message in messages:
        unread += message.user_id is None
        new = message.seq == 1 or (made and message is messages[0])
        changes.append(MessageSaved(message, unread, _as_of(room, message) if new else None))
    gap = bool(messages) and messages[0].seq != seq + 1
    if gap or unread != room.unread_count:
        changes.append(RoomRead(room.room_id, room.read_seq, room.unread_count))
    return changes


async def _messages_after(chat: ChatEngine, room: ChatRoom, known: Newest | None) -> Sequence[ChatMessage]:
    """The room's newest messages, from the known one on where it is still there; else as many as are brought."""
    lacking = room.message_count - known.seq if known else room.message_count
    if known and lacking == 0 and room.updated_at_ms == known.at_ms:
        return ()
    found = await _newest(chat, room, lacking + 1) if lacking > 0 else ()
    if lacking <= 0 or (known and any(one.seq == known.seq and one.created_at_ms != known.at_ms for one in found)):
        return await _newest(chat, room, room.message_count)
    return found


async def _newest(chat: ChatEngine, room: ChatRoom, wanted: int) -> Sequence[ChatMessage]:
    limit = max(1, min(wanted, _MESSAGES_OF_A_ROOM))
    page = await chat.messages(room.room_id, limit=limit, before=room.message_count + 1)
    return () if isinstance(page, UnknownRoom) else page.messages


def _as_of(room: ChatRoom, first: ChatMessage) -> ChatRoom:
    """The room as the first message of it that is told left it: the ones after it are told one by one."""
    unread = 1 if first.user_id is None else 0
    return msgspec.structs.replace(
        room,
        message_count=first.seq,
        unread_count=unread,
        read_seq=0,
        updated_at_ms=first.created_at_ms,
        last_message=first,
    )
