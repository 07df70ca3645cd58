"""The recipes of scripts: a presence in the style of a well-known server, and ours by its real scripts."""

from collections.abc import Sequence
from functools import cache
from typing import Any, ClassVar, Final

from bench.commands import Calls
from bench.peers_recipes import TTL_MS, Counter, Keys, KeysAtOnce, LastSeen, Recipe, Sets
from bench.people import Person
from bench.wire import Command, Wire

SWEEP_LIMIT: Final = 100
PAGE: Final = 1000
# Two structures for connections (expiries, infos); with `users` two more for users (expiries, connections of each).
_DROP: Final = """
local function drop(expiries, values)
  local gone = redis.call('ZRANGEBYSCORE', expiries, '-inf', ARGV[1])
  for _, name in ipairs(gone) do redis.call('HDEL', values, name) end
  if #gone > 0 then redis.call('ZREMRANGEBYSCORE', expiries, '-inf', ARGV[1]) end
end
drop(KEYS[1], KEYS[2])
"""
_SCRIPTS: Final = {
    "enter": """
local new = KEYS[3] and redis.call('HEXISTS', KEYS[2], ARGV[3]) == 0
redis.call('ZADD', KEYS[1], ARGV[1], ARGV[3])
redis.call('HSET', KEYS[2], ARGV[3], ARGV[4])
if KEYS[3] then
  redis.call('ZADD', KEYS[3], ARGV[1], ARGV[5])
  if new then redis.call('HINCRBY', KEYS[4], ARGV[5], 1) end
end
for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, ARGV[2]) end
""",
    "leave": """
local was = redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[1], ARGV[1])
if KEYS[3] and was == 1 and redis.call('HINCRBY', KEYS[4], ARGV[2], -1) <= 0 then
  redis.call('HDEL', KEYS[4], ARGV[2])
  redis.call('ZREM', KEYS[3], ARGV[2])
end
""",
    "read": _DROP + "return redis.call('HGETALL', KEYS[2])",
    "stats": _DROP + "drop(KEYS[3], KEYS[4])\nreturn redis.call('HLEN', KEYS[4])",
}


class Channel(Recipe):
    """Lua: a sorted set of expiries and a hash of infos, by connection, both written by every heartbeat; a reader
    removes all that has expired, then answers `HGETALL`. Users are counted by the caller, from the whole list.
    """

    word = "Lua, zset + hash"
    stands_for = "Centrifugo's presence in Redis, as it is by default"
    users: ClassVar[bool] = False
    counts_by_list = True

    def load(self, wire: Wire) -> None:
        self._shas = {name: wire.ask("SCRIPT", "LOAD", source) for name, source in _SCRIPTS.items()}

    def _call(self, name: str, room: str, *values: str | int) -> Command:
        parts = ("expire", "data", "user.expire", "user.clients")[: 4 if self.users else 2]
        return ("EVALSHA", self._shas[name], len(parts), *(f"p.{part}.{room}" for part in parts), *values)

    def join(self, room: str, one: Person) -> Sequence[Command]:
        expires = self.now_ms() + self.ttl_ms
        return [self._call("enter", room, expires, self.ttl_ms, one.connection, f"{one.user}{one.public}", one.user)]

    def leave(self, room: str, one: Person) -> Sequence[Command]:
        return [self._call("leave", room, one.connection, one.user)]

    def reading(self, what: str, room: str) -> Sequence[Command]:
        counts = what == "count" and self.users
        return [self._call("stats" if counts else "read", room, self.now_ms())]

    def told(self, what: str, reply: Any) -> int:
        if isinstance(reply, int):
            return reply
        return len({info.partition(b"\x1e")[0] for info in reply[1::2]})


class ChannelOfUsers(Channel):
    """The same with its option to map users: two more keys a room, and a count that need not read the list."""

    word = "Lua, with users"
    stands_for = "the same with its user mapping on"
    users = True
    counts_by_list = False


@cache
def _calls(room: str) -> Calls:
    return Calls(room)


class Ours(Recipe):
    """The scripts of this project, with the user index, as the server calls them."""

    word = "ours"
    stands_for = "this project"

    def load(self, wire: Wire) -> None:
        _calls("any").load(wire)

    def _now(self) -> int | str:
        return self.now_ms() if self.ahead_ms else ""

    def join(self, room: str, one: Person) -> Sequence[Command]:
        return [_calls(room).join(one, self.ttl_ms)]

    def beat(self, room: str, one: Person) -> Sequence[Command]:
        # Without slack, so that every heartbeat writes, as those of the others do.
        return [_calls(room).heartbeat([one], 0)]

    def leave(self, room: str, one: Person) -> Sequence[Command]:
        return [_calls(room).leave(one)]

    def together(self, room: str, members: Sequence[Person]) -> Command:
        """Heartbeats as the server sends them: those of one tick and room in one call."""
        return _calls(room).heartbeat(members, 0)

    def reading(self, what: str, room: str) -> Sequence[Command]:
        calls = _calls(room)
        return [calls.count(self._now()) if what == "count" else calls.page(PAGE, self._now())]

    def told(self, what: str, reply: Any) -> int:
        return int(reply.split(b"\x1e")[3]) if what == "count" else len(reply[7::3])

    def ask(self, wire: Wire, what: str, room: str) -> int:
        """As the library does it: what is due is swept first, a hundred a call."""
        while (reply := wire.ask(*self.reading(what, room)[0])) in (b"due", [b"due"]):
            while not wire.ask(*_calls(room).sweep(SWEEP_LIMIT, self.now_ms())).startswith(b"clear"):
                pass
        return self.told(what, reply)


def recipes(ttl_ms: int = TTL_MS) -> list[Recipe]:
    kinds = (Keys, KeysAtOnce, Sets, Counter, LastSeen, Channel, ChannelOfUsers, Ours)
    return [kind(ttl_ms) for kind in kinds]
