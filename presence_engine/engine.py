"""PresenceEngine: one method a verb, each one script of the same name."""

import asyncio
import contextlib
import logging
import secrets
import string
import time
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, Final, Self

from presence_engine import inputs, replies
from presence_engine.beats import HeartbeatBatch
from presence_engine.errors import ConfigurationError, InvalidInput, StoreUnavailable
from presence_engine.feed import Feed
from presence_engine.ids import canonical_id
from presence_engine.inputs import MAX_PAGE, clock
from presence_engine.keys import Keyspace
from presence_engine.models import (
    Absent,
    Beat,
    Detached,
    DueRooms,
    Full,
    Joined,
    Kicked,
    Left,
    Limited,
    Page,
    Position,
    Removal,
    RoomOfUser,
    Rooms,
    Updated,
)
from presence_engine.replies import NODE_LENGTH, RECORD_SEPARATOR, UNIT_SEPARATOR, Reply
from presence_engine.settings import EngineSettings
from presence_engine.store import Store, server_name

SWEEP_LIMIT: Final = 100
PARTITIONS_ASKED: Final = 8
Id = str | int

log = logging.getLogger(__name__)

_ALPHABET: Final = string.ascii_letters + string.digits


def new_node_id() -> str:
    """Return a boot id: 8 characters that no other process has."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(NODE_LENGTH))


class PresenceEngine:
    """Presence in one Redis: who is in which room, with which connections, until when.

    url: `redis://`, `unix://`, `redis+sentinel://` or `redis+cluster://`; over TLS `rediss` for `redis`. settings:
    times, bounds and layout. node: this process's id (8 letters or digits; default: a new one), the owner of the
    connections joined here.

    It belongs to one event loop at a time: closed in one it may be used in the next. With several loops, or threads,
    make one engine for each; a forked process connects anew.

    Rooms and users are text or integers (1–128 UTF-8 bytes, no control characters; `15` is `"15"`); a connection is any
    text of the same kind that is unique in this process, such as a socket's id. Times come from the Redis clock.

    What asks one room is one round trip; a beat that misses its connection, or a join beyond the user's rooms, asks
    again. What asks many is a call a partition, sent together. Two more go where something had passed its deadline: it
    is swept first, so no answer shows anyone past it. `sweep` and `reap` go on, a hundred a call, until they are done.

    All raise InvalidInput for a bad argument, before anything is sent, and StoreUnavailable when Redis answers nothing
    for `timeout_ms`: a change may then have been made; repeating any call is harmless. `now_ms` stands in for the Redis
    clock in tests.
    """

    def __init__(self, url: str, *, settings: EngineSettings | None = None, node: str | None = None) -> None:
        self.settings = settings or EngineSettings()
        self.node = node or new_node_id()
        if len(self.node) != NODE_LENGTH or not set(self.node) <= set(_ALPHABET):
            raise InvalidInput("node", f"must be {NODE_LENGTH} letters or digits")
        self.store = Store(url, timeout_ms=self.settings.timeout_ms)
        self.keys = Keyspace(self.settings.partitions, self.settings.prefix, self.store.database)
        self.on_removed: Callable[[Sequence[Removal]], None] | None = None
        self.on_deadline: list[Callable[[int], None]] = []
        self.clock_ahead_ms = 0
        self._beats = HeartbeatBatch(self._send_beats)

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()

    async def start(self) -> None:
        """Connect, load the scripts, and check that the data has as many partitions as the settings say.

        Raises StoreUnavailable when Redis is out of reach, ConfigurationError when the partitions differ or Redis does
        not permit what is needed.
        """
        keys = (self.keys.nodes("layout"), self.keys.nodes("feed"))
        given = self.keys.partitions
        stored = replies.partitions(await self.store.try_out("presence/layout", keys, {"partitions": given}))
        if stored != given:
            raise ConfigurationError(
                f"partitions (PRESENCE_PARTITIONS) is {given}, but the data was written with {stored}"
            )
        with contextlib.suppress(StoreUnavailable):
            # Another server of a Cluster may be away; each is taught what it does not know anyway.
            await self.store.load()

    async def close(self) -> None:
        """Close the connection. What is in Redis stays, until its deadlines."""
        await self.store.close()

    async def ping(self) -> bool:
        """Ask Redis for a sign of life: up to eight partitions at once, of which one has to answer.

        On a Cluster each may lie on another server. Raises StoreUnavailable when none answers.
        """
        partitions = range(0, self.keys.partitions, -(-self.keys.partitions // PARTITIONS_ASKED))
        asking = [asyncio.create_task(self._answers(partition)) for partition in partitions]
        try:
            for first in asyncio.as_completed(asking):
                if await first:
                    return True
        finally:
            for task in asking:
                task.cancel()
        raise StoreUnavailable("no partition answers")

    async def _answers(self, partition: int) -> bool:
        try:
            await self.due(partition, limit=1)
        except StoreUnavailable:
            return False
        return True

    def now_ms(self) -> int:
        """Tell the time of the Redis clock as last seen, going on with this process's."""
        return int(time.time() * 1000) + self.clock_ahead_ms

    async def server(self) -> str:
        """Name the server that answers, such as `Redis 7.0.15` or `Valkey 9.1.2`."""
        return server_name(await self.store.info("server"))

    def expect(self, deadline_ms: int) -> None:
        """Tell the sweepers of this engine that something is due then, perhaps earlier than they know."""
        for tell in self.on_deadline:
            tell(deadline_ms)

    def channel(self, room: Id) -> str:
        """Return the channel of a room's changes (`decode_change` reads its messages)."""
        return self.keys.room(canonical_id(room, "roomId")).feed

    def open_feed(self, *, on_lost: Callable[[], None], on_restored: Callable[[], None]) -> Feed:
        """Return a feed to subscribe to channels with, inside a running loop."""
        return self.store.open_feed(on_lost=on_lost, on_restored=on_restored)

    async def join(
        self,
        room: Id,
        user: Id,
        connection: str,
        *,
        username: str | None = None,
        data: dict[str, Any] | None = None,
        now_ms: int | None = None,
    ) -> Joined | Full | Limited:
        """Join a connection of a user to a room.

        username (1–128 UTF-8 bytes) and data (JSON object, at most 4 KiB) replace what the member shows; None keeps it.
        The user's first `joined_at_ms` stays; the user's connections that wait in grace are taken over. Full: the
        room's capacity is reached; Limited: a bound of the user is; nothing changed then. Joining again renews the
        deadline. Raises TooLarge for data beyond its bytes.
        Source: lua/v1/presence/join.lua. O(log n + k) for k connections that the user has in the room.
        """
        public = RECORD_SEPARATOR.join((inputs.id_json(user), inputs.name_json(username), inputs.data_json(data)))
        outcome = await self._join(room, user, connection, public, "join", now_ms)
        assert not isinstance(outcome, Absent)  # noqa: S101 - only adopting can find nobody
        return outcome

    async def restore(
        self,
        room: Id,
        user: Id,
        connection: str,
        *,
        joined_at_ms: int,
        username: str | None = None,
        data: dict[str, Any] | None = None,
        now_ms: int | None = None,
    ) -> Joined | Full | Limited:
        """Join again a connection that this process still holds and Redis has lost, with the user's first
        `joined_at_ms`.

        Where the user is present already it is a join like any other. Source: lua/v1/presence/join.lua. O(log n).
        """
        mode = str(inputs.checked_ms(joined_at_ms, "joinedAt", since_epoch=True))
        public = RECORD_SEPARATOR.join((inputs.id_json(user), inputs.name_json(username), inputs.data_json(data)))
        outcome = await self._join(room, user, connection, public, mode, now_ms)
        assert not isinstance(outcome, Absent)  # noqa: S101 - only adopting can find nobody
        return outcome

    async def _join(
        self, room: Id, user: Id, connection: str, public: str, mode: str, now_ms: int | None
    ) -> Joined | Full | Limited | Absent:
        room_id, user_id = canonical_id(room, "roomId"), canonical_id(user, "userId")
        rules = self.settings.rules(room_id)
        keys: Sequence[str] = self.keys.room(room_id)
        if self.settings.user_index:
            keys = (*keys, self.keys.user(self.keys.partition_of(room_id), user_id))
        values = {
            "room": room_id,
            "user": user_id,
            "connection": self._token(connection),
            "public": public,
            "life_ms": rules.life_ms,
            "bounds": self._bounds(rules.capacity),
            "mode": mode,
        }
        outcome = replies.joined(await self._in_room("presence/join", room_id, keys, values, now_ms))
        if isinstance(outcome, Limited) and outcome.bound == "rooms":
            # Of the rooms counted some may be past their deadline and not swept yet: looking sweeps them.
            await self._where(user_id, self.keys.partition_of(room_id), now_ms)
            outcome = replies.joined(await self._in_room("presence/join", room_id, keys, values, now_ms))
        if isinstance(outcome, Joined):
            self.expect(outcome.now_ms + rules.life_ms)
        return outcome

    async def heartbeat(
        self, room: Id, user: Id, connection: str, *, adopt: bool = True, now_ms: int | None = None
    ) -> Beat | Absent:
        """Move a connection's deadline to now + TTL; the heartbeats of one loop tick and room share a call.

        A connection that is not there takes a place only where the same user is still alive (`place`; not with
        adopt=False). Else it is Absent, with the reason when still known: a heartbeat brings nobody back.
        Source: lua/v1/presence/heartbeat.lua, and join.lua to adopt. O(log n).
        """
        room_id, user_id = canonical_id(room, "roomId"), canonical_id(user, "userId")
        slot = user_id + UNIT_SEPARATOR + self._token(connection)
        if now_ms is None:
            beat = await self._beats.beat(room_id, slot)
        else:
            (beat,) = replies.beats(await self._send_beats(room_id, [slot], now_ms))
        if beat is not None:
            return beat
        if not adopt:
            return Absent()
        outcome = await self._join(room_id, user_id, connection, "", "adopt", now_ms)
        return Beat(outcome.now_ms, outcome) if isinstance(outcome, Joined) else _as_absent(outcome)

    def _send_beats(self, room: str, slots: Sequence[str], now_ms: int | None = None) -> asyncio.Future[Reply]:
        rules = self.settings.rules(room)
        values = {"ttl_ms": rules.ttl_ms, "slack_ms": rules.slack_ms, "now_ms": clock(now_ms)}
        keys = (self.keys.room(room).deadlines,)
        return self.store.submit("presence/heartbeat", keys, values, slots)

    async def leave(
        self, room: Id, user: Id, connection: str, *, everywhere: bool = False, now_ms: int | None = None
    ) -> Left | Absent:
        """Take the connection out at once; with `everywhere` all connections of the user. Absent: it was not there.

        Source: lua/v1/presence/leave.lua. O(log n).
        """
        values = self._values(room, user, connection)
        values["scope"] = "user" if everywhere else "connection"
        return replies.left(await self._change("presence/leave", values, now_ms))

    async def detach(
        self, room: Id, user: Id, connection: str, *, grace_ms: int | None = None, now_ms: int | None = None
    ) -> Detached | Absent:
        """Put a connection that broke off into grace: it ends at min(deadline, now + grace) unless the user comes back.

        grace_ms: default the room's; 0 removes at once; at most 10^13. Absent: not in the room, or in grace already.
        Source: lua/v1/presence/detach.lua. O(log n).
        """
        values = self._values(room, user, connection)
        rules = self.settings.rules(str(values["room"]))
        values["grace_ms"] = rules.grace_ms if grace_ms is None else inputs.checked_ms(grace_ms, "graceMs")
        values["life_ms"] = rules.life_ms
        outcome = replies.detached(await self._change("presence/detach", values, now_ms))
        if isinstance(outcome, Detached):
            self.expect(outcome.deadline_ms)
        return outcome

    async def update(
        self,
        room: Id,
        user: Id,
        connection: str,
        *,
        username: str | None = None,
        data: dict[str, Any] | None = None,
        now_ms: int | None = None,
    ) -> Updated | Absent:
        """Replace the member's name or data (None keeps it). Absent: this connection is not in the room.

        Source: lua/v1/presence/update.lua. O(log n).
        """
        values = self._values(room, user, connection)
        values["name"], values["data"] = inputs.name_json(username), inputs.data_json(data)
        room_id = str(values["room"])
        return replies.updated(await self._in_room("presence/update", room_id, self.keys.room(room_id), values, now_ms))

    async def kick(
        self, room: Id, user: Id, *, message: str | None = None, now_ms: int | None = None
    ) -> Kicked | Absent:
        """Put every connection of a user out of a room.

        message: what the user is told instead of the usual text, 1–1024 UTF-8 bytes; TooLarge for more.
        Source: lua/v1/presence/kick.lua. O(k log n) for k connections.
        """
        values: dict[str, object] = {
            "room": canonical_id(room, "roomId"),
            "user": canonical_id(user, "userId"),
            "message": inputs.message_json(message),
        }
        return replies.kicked(await self._change("presence/kick", values, now_ms))

    async def list(
        self,
        room: Id,
        *,
        limit: int = 100,
        cursor: str | None = None,
        names_only: bool = False,
        now_ms: int | None = None,
    ) -> Page:
        """List a page of members in the order (joinedAt, user id), with the room's position at that moment.

        limit: 0–1000. cursor: from the page before; it stays valid when its member leaves. names_only saves reading the
        deadlines. Source: lua/v1/presence/list.lua. O(log n + limit).
        """
        room_id = canonical_id(room, "roomId")
        after_joined_at, after_user = inputs.read_cursor(cursor)
        keys = self.keys.room(room_id)
        values = {
            "after_joined_at": after_joined_at,
            "after_user": after_user,
            "limit": inputs.checked_limit(limit, 0),
            "detail": "names" if names_only else "full",
        }
        reply = await self._in_room("presence/list", room_id, keys[:3], values, now_ms)
        return replies.page(reply, self.settings.rules(room_id).life_ms)

    async def count(self, room: Id, *, now_ms: int | None = None) -> Position:
        """Count users and connections. Source: lua/v1/presence/count.lua. Flat in the room's size."""
        room_id = canonical_id(room, "roomId")
        return replies.counted(await self._in_room("presence/count", room_id, self.keys.room(room_id)[:2], {}, now_ms))

    async def counts(self, rooms: Iterable[Id], *, now_ms: int | None = None) -> dict[str, Position]:
        """Count many rooms, at most 1,000, in one round trip. Source: lua/v1/presence/counts.lua. O(k log n)."""
        if isinstance(rooms, str):
            raise InvalidInput("roomIds", "must be several rooms, not the letters of one")
        room_ids = list(dict.fromkeys(canonical_id(room, "roomIds") for room in rooms))
        if len(room_ids) > MAX_PAGE:
            raise InvalidInput("roomIds", f"takes at most {MAX_PAGE} rooms")
        found: dict[str, Position] = {}
        while asked := [room for room in room_ids if room not in found]:
            partitions: dict[int, list[str]] = {}
            for room in asked:
                partitions.setdefault(self.keys.partition_of(room), []).append(room)
            answers = await asyncio.gather(*(self._counts(part, now_ms) for part in partitions.values()))
            for part, positions in zip(partitions.values(), answers, strict=True):
                for room, position in zip(part, positions, strict=True):
                    if position is None:
                        await self.sweep(room, now_ms=now_ms)
                    else:
                        found[room] = position
        return {room: found[room] for room in room_ids}

    async def _counts(self, rooms: Sequence[str], now_ms: int | None) -> Sequence[Position | None]:
        keys = [key for room in rooms for key in self.keys.room(room)[:2]]
        return replies.counts(await self.store.run("presence/counts", keys, {"now_ms": clock(now_ms)}))

    async def where(self, user: Id, *, now_ms: int | None = None) -> Sequence[RoomOfUser]:
        """Tell the rooms of a user, by joinedAt. Needs `user_index`; one call a partition, sent together.

        Source: lua/v1/presence/where.lua. O(r log n) for r rooms.
        """
        user_id = canonical_id(user, "userId")
        parts = await asyncio.gather(*(self._where(user_id, p, now_ms) for p in range(self.keys.partitions)))
        return sorted((found for part in parts for found in part), key=lambda one: (one.joined_at_ms, one.room))

    async def _where(self, user: str, partition: int, now_ms: int | None) -> Sequence[RoomOfUser]:
        keys = (self.keys.user(partition, user), self.keys.stem(partition))
        return replies.rooms_of_user(await self._in_partition("presence/where", keys, {"user": user}, now_ms))

    async def rooms(self, *, limit: int = 100, now_ms: int | None = None) -> Rooms:
        """List the live rooms, largest first. limit: 0–1000. One call a partition, sent together.

        Source: lua/v1/presence/rooms.lua. O(log r + limit).
        """
        checked = inputs.checked_limit(limit, 0)
        parts = await asyncio.gather(*(self._rooms(p, checked, now_ms) for p in range(self.keys.partitions)))
        largest = sorted((room for part in parts for room in part.rooms), key=lambda room: (-room.count, room.room))
        return Rooms(sum(part.total for part in parts), largest[:checked])

    async def _rooms(self, partition: int, limit: int, now_ms: int | None) -> Rooms:
        keys = (self.keys.due(partition), self.keys.rooms(partition), self.keys.stem(partition))
        return replies.rooms(await self._in_partition("presence/rooms", keys, {"limit": limit}, now_ms))

    async def removals(self, *, days: int = 30, now_ms: int | None = None) -> dict[str, dict[str, int]]:
        """Tell how many users left, as {ISO date: {reason: users}}; days without any are left out.

        days: 1–30, today included, in UTC. Source: lua/v1/presence/removals.lua. One call a partition, sent together.
        """
        values = {"days": inputs.checked_whole(days, "days", 1, 30), "now_ms": clock(now_ms)}
        stems = (self.keys.stem(partition) for partition in range(self.keys.partitions))
        parts = await asyncio.gather(*(self.store.run("presence/removals", (stem,), values) for stem in stems))
        return replies.removals_by_day(parts)

    async def writing_since(self, partition: int) -> int:
        """Tell since when (µs, its own clock) the server of a partition has been the one that writes; 0 = it does not
        say.

        After a failover or a restart it is a later time, and the last changes before it may be lost.
        Source: lua/v1/presence/lineage.lua. O(1).
        """
        self._check_partition(partition)
        return replies.since(await self.store.run("presence/lineage", (self.keys.lineage(partition),), {}))

    async def renew_epoch(self, room: Id, since_us: int, *, now_ms: int | None = None) -> bool:
        """Give a room that was born before `since_us` (of `writing_since`) another epoch; return whether it was.

        The changes that a failover lost had positions of their own, and whoever has seen those takes the next changes
        for old news. In another epoch everybody sees that something is missing.
        Source: lua/v1/presence/renew_epoch.lua. O(1).
        """
        values: dict[str, object] = {"room": canonical_id(room, "roomId"), "since": since_us}
        room_id = str(values["room"])
        reply = await self._in_room("presence/renew_epoch", room_id, self.keys.room(room_id), values, now_ms)
        return replies.epoch_renewed(reply)

    async def due(self, partition: int, *, limit: int = SWEEP_LIMIT, now_ms: int | None = None) -> DueRooms:
        """Tell which rooms of a partition a sweeper should visit. limit: 1–1000. Source: lua/v1/presence/due.lua."""
        self._check_partition(partition)
        values = {"limit": inputs.checked_limit(limit, 1), "now_ms": clock(now_ms)}
        return replies.due_rooms(await self.store.run("presence/due", (self.keys.due(partition),), values))

    def _check_partition(self, partition: int) -> None:
        inputs.checked_whole(partition, "partition", 0, self.keys.partitions - 1)

    async def sweep(self, room: Id, *, now_ms: int | None = None) -> Sequence[Removal]:
        """Remove whatever has passed its deadline in a room, at most 100 connections a call, until nothing is due.

        Each removed connection is returned, and handed to `on_removed`, exactly once, whoever sweeps.
        Source: lua/v1/presence/sweep.lua. O(log n) a connection.
        """
        room_id = canonical_id(room, "roomId")
        removed: list[Removal] = []
        while True:
            values = {"room": room_id, "limit": SWEEP_LIMIT, "now_ms": clock(now_ms)}
            reply = await self.store.run("presence/sweep", self._removing(room_id), values)
            at_ms, next_ms, found = replies.removals(reply, room_id)
            removed.extend(found)
            if found:
                self._report(found)
            if next_ms is None or next_ms > at_ms:
                return removed

    def _report(self, found: Sequence[Removal]) -> None:
        """Whoever happened to ask a room that was due is not to suffer from what a listener does."""
        try:
            if self.on_removed:
                self.on_removed(found)
        except Exception:
            log.exception("on_removed failed on %d removals", len(found))

    async def reap(
        self, room: Id, node: str, reason: str, *, spare_grace: bool = False, now_ms: int | None = None
    ) -> int:
        """Remove every connection that `node` left in a room, looking at 100 users a call. Return how many there were.

        spare_grace: those in grace stay until their deadline.

        Source: lua/v1/presence/reap.lua. O(n log n) for n users in the room, less when few are left to find.
        """
        room_id = canonical_id(room, "roomId")
        cursor: tuple[str, str] | None = ("", "")
        removed = 0
        while cursor is not None:
            values: dict[str, object] = {"room": room_id, "node": node, "reason": reason, "limit": SWEEP_LIMIT}
            values["after_joined_at"], values["after_user"] = cursor
            values["spare"] = "grace" if spare_grace else ""
            cursor, found = replies.reaped(await self._change("presence/reap", values, now_ms))
            removed += found
        return removed

    def _bounds(self, capacity: int) -> str:
        bounds = (capacity, self.settings.max_user_connections, self.settings.max_user_rooms)
        return ",".join(map(str, bounds)) if any(bounds) else ""

    def _token(self, connection: str) -> str:
        return self.node + canonical_id(connection, "connection")

    def _values(self, room: Id, user: Id, connection: str) -> dict[str, object]:
        return {
            "room": canonical_id(room, "roomId"),
            "user": canonical_id(user, "userId"),
            "connection": self._token(connection),
        }

    def _removing(self, room: str) -> Sequence[str]:
        """The keys of scripts that may remove users: with the index, also where it lies."""
        keys = self.keys.room(room)
        return (*keys, self.keys.users(self.keys.partition_of(room))) if self.settings.user_index else keys

    async def _change(self, script: str, values: dict[str, object], now_ms: int | None) -> Reply:
        room = str(values["room"])
        return await self._in_room(script, room, self._removing(room), values, now_ms)

    async def _in_room(
        self, script: str, room: str, keys: Sequence[str], values: dict[str, object], now_ms: int | None
    ) -> Reply:
        """Run a script of one room; where it finds something due, sweep and run it again."""
        values["now_ms"] = clock(now_ms)
        while replies.word(reply := await self.store.run(script, keys, values)) == "due":
            await self.sweep(room, now_ms=now_ms)
        return reply

    async def _in_partition(
        self, script: str, keys: Sequence[str], values: dict[str, object], now_ms: int | None
    ) -> Reply:
        values["now_ms"] = clock(now_ms)
        while replies.word(reply := await self.store.run(script, keys, values)) == "due":
            for room in replies.rooms_to_sweep(reply):
                await self.sweep(room, now_ms=now_ms)
        return reply


def _as_absent(outcome: Full | Limited | Absent) -> Absent:
    return outcome if isinstance(outcome, Absent) else Absent()
