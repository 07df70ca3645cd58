"""The commands of both sides: script calls spelled by the engine's own keys and argument names, and the plain ones."""

from collections.abc import Sequence
from typing import Final

from bench.people import Person
from bench.wire import Command, Wire
from presence_engine.keys import Keyspace
from presence_engine.scripts import ScriptLibrary

TTL_MS: Final = 21_600_000
SLACK_MS: Final = 120_000
LIFE_MS: Final = TTL_MS + SLACK_MS
SERVER_BOUNDS: Final = "0,20,100"
EMPTY_SCRIPT: Final = "#!lua flags=no-writes\nreturn 1"


class Calls:
    """Calls of the scripts for one room.

    user_index: joins keep where-is-user and check the bounds of a user, as the server has it by default; else
    neither.
    """

    def __init__(self, room: str, *, user_index: bool = True, library: ScriptLibrary | None = None) -> None:
        self.room = room
        self.user_index = user_index
        self.keyspace = Keyspace()
        self.keys = self.keyspace.room(room)
        self._library = library or ScriptLibrary(check=False)

    def load(self, wire: Wire) -> None:
        for script in self._library.values():
            wire.ask("SCRIPT", "LOAD", script.source)

    def _call(self, name: str, keys: Sequence[str], values: dict[str, str | int], more: Sequence[str] = ()) -> Command:
        script = self._library[name]
        return (script.command, script.sha, len(keys), *keys, *script.order(values), *more)  # type: ignore[arg-type]

    def join(self, member: Person, life_ms: int = LIFE_MS, now_ms: int | str = "") -> Command:
        keys: Sequence[str] = self.keys
        if self.user_index:
            keys = (*keys, self.keyspace.user(0, member.user))
        values: dict[str, str | int] = {
            "room": self.room, "user": member.user, "connection": member.connection, "public": member.public,
            "life_ms": life_ms, "bounds": SERVER_BOUNDS if self.user_index else "", "mode": "join", "now_ms": now_ms,
        }  # fmt: skip
        return self._call("presence/join", keys, values)

    def heartbeat(self, members: Sequence[Person], slack_ms: int) -> Command:
        values: dict[str, str | int] = {"ttl_ms": TTL_MS, "slack_ms": slack_ms, "now_ms": ""}
        return self._call("presence/heartbeat", self.keys[:1], values, [member.slot for member in members])

    def count(self, now_ms: int | str = "") -> Command:
        return self._call("presence/count", self.keys[:2], {"now_ms": now_ms})

    def page(self, limit: int, now_ms: int | str = "") -> Command:
        values: dict[str, str | int] = {
            "after_joined_at": "", "after_user": "", "limit": limit, "detail": "names", "now_ms": now_ms
        }  # fmt: skip
        return self._call("presence/list", self.keys[:3], values)

    def leave(self, member: Person) -> Command:
        values: dict[str, str | int] = {
            "room": self.room, "user": member.user, "connection": member.connection, "scope": "connection", "now_ms": ""
        }  # fmt: skip
        keys = (*self.keys, self.keyspace.users(0)) if self.user_index else self.keys
        return self._call("presence/leave", keys, values)

    def sweep(self, limit: int, now_ms: int) -> Command:
        return self._call("presence/sweep", self.keys, {"room": self.room, "limit": limit, "now_ms": now_ms})


def redis_time_ms(wire: Wire) -> int:
    seconds, micros = wire.ask("TIME")
    return int(seconds) * 1000 + int(micros) // 1000
