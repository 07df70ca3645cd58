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


class Keyspace:
    """Keys of one deployment: `partitions` hash tags `{0}` … `{n-1}`, each one cluster slot."""

    def __init__(self, partitions: int = 1, prefix: str = PREFIX) -> None:
        self.partitions = partitions
        self.prefix = prefix
        self.room = lru_cache(maxsize=8192)(self._room)

    def partition_of(self, room: str) -> int:
        return crc32(room.encode()) % self.partitions if self.partitions > 1 else 0

    def stem(self, partition: int) -> str:
        return f"{self.prefix}:{{{partition}}}:"

    def _room(self, room: str) -> RoomKeys:
        stem = self.stem(self.partition_of(room))
        base = f"{stem}room:{room}:"
        return RoomKeys(
            f"{base}deadlines", f"{base}members", f"{base}roster", f"{stem}due", f"{stem}rooms", stem, f"{base}feed"
        )

    def due(self, partition: int) -> str:
        return f"{self.stem(partition)}due"

    def rooms(self, partition: int) -> str:
        return f"{self.stem(partition)}rooms"

    def user(self, partition: int, user: str) -> str:
        return f"{self.stem(partition)}user:{user}"

    def node(self, partition: int, node: str) -> str:
        return f"{self.stem(partition)}node:{node}"
