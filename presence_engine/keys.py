"""The only speller of keys and channels. The map of what they hold is lua/README.md."""

from functools import lru_cache
from typing import Final, NamedTuple
from zlib import crc32

PREFIX: Final = "pr1"


class RoomKeys(NamedTuple):
    """The keys every script that changes a room declares, in the order it declares them."""

    deadlines: str
    members: str
    roster: str
    due: str
    rooms: str
    partition: str
    feed: str


class BoardKeys(NamedTuple):
    """The keys every script of a board declares, in the order it declares them: five parts, and the channel."""

    meta: str
    positions: str
    grouping: str
    actions: str
    votes: str
    feed: str


class ChatKeys(NamedTuple):
    """The keys of one chat room and of its partition, in the order the script `post` declares them."""

    state: str
    messages: str
    unseen: str
    activity: str
    oldest: str
    feed: str


class Keyspace:
    """Keys of one deployment: `partitions` hash tags `{0}` … `{n-1}`, each one cluster slot.

    database: its number in Redis, whose channels know no databases.
    """

    def __init__(self, partitions: int = 1, prefix: str = PREFIX, database: int = 0) -> None:
        self.partitions = partitions
        self.prefix = prefix
        self._feed = f"feed@{database}" if database else "feed"
        self.room = lru_cache(maxsize=8192)(self._room)
        self.board = lru_cache(maxsize=8192)(self._board)

    def partition_of(self, room: str) -> int:
        return crc32(room.encode()) % self.partitions if self.partitions > 1 else 0

    def stem(self, partition: int) -> str:
        return f"{self.prefix}:{{{partition}}}:"

    def _room(self, room: str) -> RoomKeys:
        stem = self.stem(self.partition_of(room))
        base = f"{stem}room:{room}:"
        return RoomKeys(
            f"{base}deadlines", f"{base}members", f"{base}roster", f"{stem}due", f"{stem}rooms", stem, base + self._feed
        )

    def due(self, partition: int) -> str:
        return f"{self.stem(partition)}due"

    def rooms(self, partition: int) -> str:
        return f"{self.stem(partition)}rooms"

    def lineage(self, partition: int) -> str:
        return f"{self.stem(partition)}lineage"

    def nodes(self, part: str) -> str:
        """The nodes have a slot of their own: `leases`, `condemned`, `gone`, `retired`, `layout`, and the
        channel `feed`.
        """
        return f"{self.prefix}:{{nodes}}:{part}"

    def users(self, partition: int) -> str:
        return f"{self.stem(partition)}user:"

    def user(self, partition: int, user: str) -> str:
        return f"{self.users(partition)}{user}"

    def node(self, partition: int, node: str) -> str:
        return f"{self.stem(partition)}node:{node}"

    def _board(self, retro: str) -> BoardKeys:
        """Boards are looked for as `retro:room:state:*`, so only a prefix of one's own goes in front of that."""
        space = "" if self.prefix == PREFIX else f"{self.prefix}:"
        base = f"{space}retro:room:state:{{{self.partition_of(retro)}}}:{retro}:"
        return BoardKeys(*(base + part for part in (*BoardKeys._fields[:-1], self._feed)))

    def chat_room(self, room: str) -> ChatKeys:
        stem = f"{self.stem(self.partition_of(room))}chat:"
        base = f"{stem}room:{room}:"
        return ChatKeys(
            f"{base}state", f"{base}messages", f"{base}unseen", f"{stem}activity", f"{stem}oldest", stem + self._feed
        )

    def chat_once(self, room: str, source: str) -> str:
        """The idempotency key of a message; source: who gave the id, and the id."""
        return f"{self.stem(self.partition_of(room))}chat:room:{room}:once:{source}"

    def chat_activity(self, partition: int) -> str:
        return f"{self.stem(partition)}chat:activity"

    def chat_oldest(self, partition: int) -> str:
        return f"{self.stem(partition)}chat:oldest"

    def chat_feed(self, partition: int) -> str:
        return f"{self.stem(partition)}chat:{self._feed}"
