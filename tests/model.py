"""What presence is, as plain dictionaries: the specification that the engine is compared with."""

from typing import Any

Answer = tuple[Any, ...]


class Member:
    def __init__(self, joined_at: int) -> None:
        self.joined_at = joined_at
        self.user_id: str | int = ""
        self.name: str | None = None
        self.data: dict[str, Any] | None = None
        self.seen_at = 0
        self.live: dict[str, int] = {}
        self.grace: dict[str, int] = {}

    @property
    def connections(self) -> dict[str, int]:
        return {**self.live, **self.grace}


class Model:
    """`now` only grows. A connection is node + id. Every verb first lets go what is past its deadline in its room."""

    def __init__(self, ttl: int, grace: int, slack: int) -> None:
        self.ttl, self.grace_ms, self.life = ttl, grace, ttl + slack
        self.now = 0
        self.rooms: dict[str, dict[str, Member]] = {}
        self.reasons: dict[tuple[str, str], str] = {}
        self.expired: list[Answer] = []

    def members(self, room: str) -> dict[str, Member]:
        """Alive ⇔ deadline > now; the rest is removed and told, each connection once."""
        members = self.rooms.setdefault(room, {})
        for user, member in list(members.items()):
            gone = {c: "inactivity_timeout" for c, deadline in member.live.items() if deadline <= self.now}
            gone |= {c: "disconnected" for c, deadline in member.grace.items() if deadline <= self.now}
            for at, (connection, own) in enumerate(gone.items(), 1):
                was_live = member.live.pop(connection, None) is not None
                member.grace.pop(connection, None)
                last = at == len(gone) and not member.connections
                self.expired.append((room, user, connection, own, not was_live))
                if last:
                    idle = "inactivity_timeout" in gone.values()
                    self._remove(room, user, "inactivity_timeout" if idle else "disconnected")
        return members

    def _remove(self, room: str, user: str, reason: str) -> None:
        del self.rooms[room][user]
        if reason in {"inactivity_timeout", "kicked"}:
            self.reasons[room, user] = reason

    def _enter(self, member: Member, connection: str) -> None:
        member.grace.clear()
        member.live[connection] = max(member.live.get(connection, 0), self.now + self.life)
        member.seen_at = 0

    def join(
        self, room: str, user_id: str | int, connection: str, name: str | None, data: dict[str, Any] | None
    ) -> Answer:
        members, user = self.members(room), str(user_id)
        rejoined = user in members
        member = members.setdefault(user, Member(self.now))
        self._enter(member, connection)
        member.user_id = user_id
        member.name = member.name if name is None else name
        member.data = member.data if data is None else data or None
        if not rejoined:
            self.reasons.pop((room, user), None)
        return ("joined", rejoined, member.joined_at)

    def heartbeat(self, room: str, user: str, connection: str, adopt: bool) -> Answer:
        member = self.rooms.get(room, {}).get(user)
        if member and member.live.get(connection, 0) > self.now:
            if member.live[connection] < self.now + self.ttl:
                member.live[connection] = self.now + self.life
            return ("beat", False)
        if not adopt:
            return ("absent", None)
        member = self.members(room).get(user)
        if member is None:
            return ("absent", self.reasons.get((room, user)))
        if connection in member.grace:
            return ("absent", None)
        self._enter(member, connection)
        return ("beat", True)

    def leave(self, room: str, user: str, connection: str, everywhere: bool) -> Answer:
        member = self.members(room).get(user)
        if member is None or connection not in member.connections:
            return ("absent", None)
        leaving = list(member.connections) if everywhere else [connection]
        for each in leaving:
            member.live.pop(each, None)
            member.grace.pop(each, None)
        if not member.connections:
            self._remove(room, user, "left")
            if len(leaving) > 1:
                self.reasons[room, user] = "left"  # The user's other sockets are told at their next beat.
        return ("left", bool(member.connections))

    def detach(self, room: str, user: str, connection: str, grace: int | None) -> Answer:
        member = self.members(room).get(user)
        if member is None or connection not in member.live:
            return ("absent", None)
        deadline = member.live.pop(connection)
        grace = self.grace_ms if grace is None else grace
        if grace == 0:
            if not member.connections:
                self._remove(room, user, "disconnected")
            return ("detached", self.now)
        active_at = deadline - self.life
        if active_at > (member.seen_at or member.joined_at):
            member.seen_at = active_at
        member.grace[connection] = min(deadline, self.now + grace)
        return ("detached", member.grace[connection])

    def update(self, room: str, user: str, connection: str, name: str | None, data: dict[str, Any] | None) -> Answer:
        member = self.members(room).get(user)
        if member is None or connection not in member.live:
            return ("absent", None)
        before = (member.name, member.data)
        member.name = member.name if name is None else name
        member.data = member.data if data is None else data or None
        return ("updated", before != (member.name, member.data))

    def kick(self, room: str, user: str) -> Answer:
        member = self.members(room).get(user)
        if member is None:
            return ("absent", None)
        self._remove(room, user, "kicked")
        return ("kicked", sorted(member.connections))

    def listed(self, room: str) -> list[Answer]:
        """In the order (joinedAt, user's bytes)."""
        found = []
        for user, member in self.members(room).items():
            newest = max(member.live.values(), default=0)
            active_at = max(member.joined_at, member.seen_at, newest - self.life)
            status = "online" if member.live else "away"
            name = str(member.user_id) if member.name is None else member.name
            size = len(member.connections)
            found.append((member.joined_at, user, member.user_id, name, member.data or {}, status, size, active_at))
        return sorted(found, key=lambda one: (one[0], one[1].encode()))

    def where(self, user: str) -> list[Answer]:
        found = [(room, self.members(room).get(user)) for room in self.rooms]
        rooms = [(room, len(member.connections), member.joined_at) for room, member in found if member]
        return sorted(rooms, key=lambda one: (one[2], one[0]))

    def live_rooms(self) -> dict[str, tuple[int, int]]:
        sizes = {room: [len(member.connections) for member in self.members(room).values()] for room in self.rooms}
        return {room: (len(each), sum(each)) for room, each in sizes.items() if each}
