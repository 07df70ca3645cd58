"""The popular ways to keep in Redis who is in a room by plain commands, each as small as it is usually written.

Each recipe is written here from what it does; none is anybody's code. Those of scripts are in peers_scripts.py.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Final

from bench.commands import SLACK_MS
from bench.people import Person
from bench.wire import Command, Wire, encode

TTL_MS: Final = 21_600_000
SCAN_COUNT: Final = 1000
PAGE: Final = 1000
SWEEP_LIMIT: Final = 100


class Recipe(ABC):
    """One way of knowing who is in a room. word: its short name. stands_for: who does it so. ahead_ms: how far the
    caller's clock is ahead, to let everybody expire without waiting.
    """

    word: ClassVar[str]
    stands_for: ClassVar[str]
    lists: ClassVar[bool] = True
    beats: ClassVar[bool] = True
    counts_by_list: ClassVar[bool] = False

    def __init__(self, ttl_ms: int = TTL_MS) -> None:
        self.ttl_ms = ttl_ms
        self.ahead_ms = 0

    def load(self, wire: Wire) -> None:  # noqa: B027 - most have nothing to teach
        """Teach the server what the recipe calls."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000 + self.ahead_ms

    @abstractmethod
    def join(self, room: str, one: Person) -> Sequence[Command]: ...

    def beat(self, room: str, one: Person) -> Sequence[Command]:
        """What a heartbeat sends: by default what a join does."""
        return self.join(room, one)

    @abstractmethod
    def leave(self, room: str, one: Person) -> Sequence[Command]: ...

    @abstractmethod
    def reading(self, what: str, room: str) -> Sequence[Command]:
        """The commands of one `count` or one `list`; none where one reply decides about the next command."""

    @abstractmethod
    def told(self, what: str, reply: Any) -> int:
        """How many users the last reply tells of."""

    def ask(self, wire: Wire, what: str, room: str) -> int:
        return self.told(what, wire.play(encode(self.reading(what, room)))[-1])

    def expire(self, wire: Wire, room: str, members: Sequence[Person]) -> None:
        """Let everybody be past the end at once."""
        self.ahead_ms = 2 * (self.ttl_ms + SLACK_MS)


class Keys(Recipe):
    """`SET room:user info PX ttl`, counted by walking the whole keyspace with `SCAN MATCH`."""

    word = "key a user, SCAN"
    stands_for = "the first answer of many tutorials"

    def _key(self, room: str, one: Person) -> str:
        return f"room:{room}:{one.user}"

    def join(self, room: str, one: Person) -> Sequence[Command]:
        return [("SET", self._key(room, one), one.public, "PX", self.ttl_ms)]

    def beat(self, room: str, one: Person) -> Sequence[Command]:
        return [("PEXPIRE", self._key(room, one), self.ttl_ms)]

    def leave(self, room: str, one: Person) -> Sequence[Command]:
        return [("DEL", self._key(room, one))]

    def reading(self, what: str, room: str) -> Sequence[Command]:
        return []

    def told(self, what: str, reply: Any) -> int:
        return sum(info is not None for info in reply)

    def ask(self, wire: Wire, what: str, room: str) -> int:
        found = self._found(wire, room)
        if what == "count":
            return len(found)
        return self.told(what, wire.ask("MGET", *found)) if found else 0

    def expire(self, wire: Wire, room: str, members: Sequence[Person]) -> None:
        # These end by the server's clock alone.
        at_ms = self.now_ms() + 100 + len(members) // 50
        wire.play(encode(("PEXPIREAT", self._key(room, one), at_ms) for one in members))
        time.sleep(max(0, at_ms - self.now_ms() + 1) / 1000)

    def _found(self, wire: Wire, room: str) -> set[bytes]:
        cursor, found = b"0", set[bytes]()
        while True:
            cursor, part = wire.ask("SCAN", cursor, "MATCH", f"room:{room}:*", "COUNT", SCAN_COUNT)
            found.update(part)
            if cursor == b"0":
                return found


class KeysAtOnce(Keys):
    """The same with `KEYS`, one call over the whole keyspace."""

    word = "key a user, KEYS"
    stands_for = "the same, where nobody has read the warning in KEYS' documentation"

    def _found(self, wire: Wire, room: str) -> set[bytes]:
        return set(wire.ask("KEYS", f"room:{room}:*"))


class Sets(Recipe):
    """A set a room: `SADD`, `SREM`, `SCARD`."""

    word = "set a room"
    stands_for = "chat samples: SADD on connect, SREM on disconnect"
    beats = False

    def join(self, room: str, one: Person) -> Sequence[Command]:
        return [("SADD", f"room:{room}", one.user)]

    def beat(self, room: str, one: Person) -> Sequence[Command]:
        return []

    def leave(self, room: str, one: Person) -> Sequence[Command]:
        return [("SREM", f"room:{room}", one.user)]

    def reading(self, what: str, room: str) -> Sequence[Command]:
        return [("SCARD" if what == "count" else "SMEMBERS", f"room:{room}")]

    def told(self, what: str, reply: Any) -> int:
        return int(reply) if what == "count" else len(reply)


class Counter(Sets):
    """A number a room: `INCR`, `DECR`, `GET`."""

    word = "counter a room"
    stands_for = "the cheapest: a number online"
    lists = False

    def join(self, room: str, one: Person) -> Sequence[Command]:
        return [("INCR", f"room:{room}")]

    def leave(self, room: str, one: Person) -> Sequence[Command]:
        return [("DECR", f"room:{room}")]

    def reading(self, what: str, room: str) -> Sequence[Command]:
        return [("GET", f"room:{room}")]

    def told(self, what: str, reply: Any) -> int:
        return int(reply or 0)


class LastSeen(Recipe):
    """A sorted set a room, user → last seen; every reader removes what is old first, in MULTI."""

    word = "zset, last seen"
    stands_for = "the usual advice for who is online with heartbeats"

    def join(self, room: str, one: Person) -> Sequence[Command]:
        return [("ZADD", f"room:{room}", self.now_ms(), one.user)]

    def leave(self, room: str, one: Person) -> Sequence[Command]:
        return [("ZREM", f"room:{room}", one.user)]

    def reading(self, what: str, room: str) -> Sequence[Command]:
        key = f"room:{room}"
        read: Command = ("ZCARD", key) if what == "count" else ("ZRANGE", key, 0, -1)
        return [("MULTI",), ("ZREMRANGEBYSCORE", key, "-inf", self.now_ms() - self.ttl_ms), read, ("EXEC",)]

    def told(self, what: str, reply: Any) -> int:
        return int(reply[1]) if what == "count" else len(reply[1])
