"""The audit: every room recounted from its members, and whatever does not agree, named."""

import itertools
from collections import Counter
from collections.abc import AsyncIterator
from typing import Final

import msgspec

from presence_engine import replies
from presence_engine.engine import PresenceEngine
from presence_engine.errors import ContractBroken
from presence_engine.inputs import MAX_PAGE
from presence_engine.models import AuditPage

_ATTEMPTS: Final = 5


class RoomAudit(msgspec.Struct, frozen=True):
    """One room recounted. settled: false when it changed under every attempt, so that nothing is said of it.

    connections: by node, as the members' records have them.
    """

    room: str
    users: int
    connections: dict[str, int]
    faults: list[str]
    settled: bool


async def audit(engine: PresenceEngine) -> AsyncIterator[RoomAudit]:
    """Recount every room that is noted anywhere, and yield each.

    Expired connections are swept first, as for every other answer. A room that changes while it is read is read again,
    at most five times. Changes nothing else. Source: lua/v1/presence/audit.lua. O(n log n) for n users.
    """
    async for room in _rooms(engine):
        for attempt in range(_ATTEMPTS):
            try:
                found = await _audit_room(engine, room, last=attempt == _ATTEMPTS - 1)
            except ContractBroken as error:
                found = RoomAudit(room, 0, {}, [f"unreadable: {error}"], settled=True)
            if found is not None:
                yield found
                break


async def _rooms(engine: PresenceEngine) -> AsyncIterator[str]:
    """Every room in either index, once; one that comes or goes meanwhile may be missed."""
    for partition in range(engine.keys.partitions):
        keys = (engine.keys.due(partition), engine.keys.rooms(partition))
        seen: set[str] = set()
        for offset in itertools.count(0, MAX_PAGE):
            reply = await engine.store.run("presence/index", keys, {"offset": offset, "limit": MAX_PAGE})
            rooms = replies.rooms_to_sweep(reply)
            for room in rooms:
                if room not in seen:
                    seen.add(room)
                    yield room
            if not rooms:
                break


async def _audit_room(engine: PresenceEngine, room: str, *, last: bool) -> RoomAudit | None:
    """None when the room moved while it was read, unless this is the last attempt."""
    # Sweeps only where something is due: a sweep for nothing would mend the index that is to be looked at.
    await engine.count(room)
    first = page = await _page(engine, room, ("", ""))
    connections, noted = Counter(page.connections), dict(page.noted)
    faults = list(page.faults)
    while page.cursor is not None:
        page = await _page(engine, room, page.cursor)
        connections.update(page.connections)
        noted |= page.noted
        faults += page.faults
    if (page.epoch, page.seq) != (first.epoch, first.seq):
        return None if not last else RoomAudit(room, 0, {}, [], settled=False)
    users, roster, deadlines, indexed = first.sizes
    if roster != users:
        faults.append(f"roster: {roster} users, but {users} members")
    if indexed != (users or -1):
        faults.append(f"rooms: noted with {indexed} users, but {users} members")
    if deadlines != connections.total():
        faults.append(f"deadlines: {deadlines}, but the members have {connections.total()} connections")
    for node, held in connections.items():
        if noted[node] != held:
            faults.append(f"node {node}: noted with {noted[node]} connections, but the members have {held}")
    return RoomAudit(room, users, dict(connections), faults, settled=True)


async def _page(engine: PresenceEngine, room: str, cursor: tuple[str, str]) -> AuditPage:
    values = {"room": room, "after_joined_at": cursor[0], "after_user": cursor[1], "limit": MAX_PAGE}
    return replies.audited(await engine.store.run("presence/audit", engine.keys.room(room)[:6], values))
