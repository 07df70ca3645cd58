"""What a server did not hear of the chat while its feed was away: read from the rooms, told as if it had been heard."""

import asyncio
from typing import Final

import msgspec

from presence_engine import ChatChange, ChatEngine, ChatMessage, ChatRoom, MessageSaved, RoomRead, UnknownRoom

ROOMS_REMEMBERED: Final = 10_000
_ROOMS_COMPARED: Final = 1000
_ROOMS_AT_ONCE: Final = 200
_MESSAGES_OF_A_ROOM: Final = 200
# Clocks of a Cluster's servers differ, and a replica's that took over may be behind.
_MARGIN_MS: Final = 10_000


class Told:
    """How far the clients of this process have been told: seq and unread count of the rooms heard of last.

    since_ms: what is older and not known by its room counts as told; what was saved before the start always does.
    """

    def __init__(self) -> None:
        self._rooms: dict[str, tuple[int, int]] = {}
        self.since_ms = 0

    def note(self, change: ChatChange) -> None:
        """A change is on its way to the clients."""
        if isinstance(change, RoomRead):
            if (known := self._rooms.get(change.room_id)) is not None:
                self._rooms[change.room_id] = (known[0], change.unread_count)
            return
        message = change.message
        self._rooms.pop(message.room_id, None)
        self._rooms[message.room_id] = (message.seq, change.unread_count)
        self.since_ms = max(self.since_ms, message.created_at_ms - _MARGIN_MS)
        if len(self._rooms) > ROOMS_REMEMBERED:
            del self._rooms[next(iter(self._rooms))]

    def knows(self, message: ChatMessage) -> bool:
        """Whether this message, or a later one of its room, has been told."""
        return message.seq <= self._rooms.get(message.room_id, (0, 0))[0]

    def of(self, room: ChatRoom) -> tuple[int, int] | None:
        """Return seq and unread count as told, None when nothing is known of the room in its present life."""
        known = self._rooms.get(room.room_id)
        return None if known is None or known[0] > room.message_count else known


async def missed(chat: ChatEngine, told: Told) -> tuple[list[ChatChange], dict[str, int]]:
    """Return the changes that have not been told, each room's in order, and the read marks their rooms are told with.
    Raises StoreUnavailable.

    Compared are the 1,000 rooms that were active last; of each at most the newest 200 messages are brought. Clients see
    by the seq that there were more.
    """
    changes: list[ChatChange] = []
    marks: dict[str, int] = {}
    cursor, compared = None, 0
    while compared < _ROOMS_COMPARED:
        page = await chat.rooms(limit=_ROOMS_AT_ONCE, cursor=cursor)
        parts = await asyncio.gather(*(_missed_of(chat, room, told.of(room), told.since_ms) for room in page.rooms))
        # The room that was active first comes first.
        changes[:0] = [change for part in reversed(parts) for change in part]
        for room, part in zip(page.rooms, parts, strict=True):
            if part or told.of(room):
                marks[room.room_id] = room.read_seq
        compared += len(page.rooms)
        cursor = page.cursor
        if cursor is None:
            break
    return changes, marks


async def _missed_of(
    chat: ChatEngine, room: ChatRoom, known: tuple[int, int] | None, since_ms: int
) -> list[ChatChange]:
    seq, unread = known or (0, 0)
    lacking = room.message_count - seq
    messages: list[ChatMessage] = []
    if lacking and (known or room.updated_at_ms >= since_ms):
        limit = min(lacking, _MESSAGES_OF_A_ROOM)
        page = await chat.messages(room.room_id, limit=limit, before=room.message_count + 1)
        if not isinstance(page, UnknownRoom):
            messages = [one for one in page.messages if known or one.created_at_ms >= since_ms]
    if not messages and not known:
        return []
    changes: list[ChatChange] = []
    for message in messages:
        unread += message.user_id is None
        changes.append(MessageSaved(message, unread, _at_its_birth(room, message) if message.seq == 1 else None))
    gap = bool(messages) and messages[0].seq != seq + 1
    if gap or unread != room.unread_count:
        changes.append(RoomRead(room.room_id, room.read_seq, room.unread_count))
    return changes


def _at_its_birth(room: ChatRoom, first: ChatMessage) -> ChatRoom:
    """The room as its first message left it: the ones after it are told one by one."""
    unread = 1 if first.user_id is None else 0
    return msgspec.structs.replace(
        room,
        message_count=1,
        unread_count=unread,
        read_seq=0,
        updated_at_ms=first.created_at_ms,
        last_message=first,
    )
