"""The only reader of replies: what a script returned becomes a value of `models`."""

import datetime
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final, Literal, TypeVar, cast

from presence_engine import models
from presence_engine.errors import ContractBroken
from presence_engine.models import Position, Reason

NODE_LENGTH: Final = 8
GROUP_SEPARATOR: Final = "\x1d"
RECORD_SEPARATOR: Final = "\x1e"
UNIT_SEPARATOR: Final = "\x1f"
IN_GRACE: Final = UNIT_SEPARATOR + "~"
_ONE: Final = ord("1")

Reply = list[Any]
T = TypeVar("T")


def word(reply: Reply) -> str:
    """The outcome: every script says it first."""
    try:
        return cast(bytes, reply[0]).decode()
    except (IndexError, TypeError, AttributeError):
        raise ContractBroken(f"a reply without its first word: {reply!r:.80}") from None


def _position(reply: Reply, at: int) -> Position:
    return Position(reply[at].decode(), int(reply[at + 1]), int(reply[at + 2]), int(reply[at + 3]))


def _groups(fields: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (fields[i : i + size] for i in range(0, len(fields), size))


def _unknown(reply: Reply) -> ContractBroken:
    return ContractBroken(f"an unknown outcome: {reply[0]!r}")


def partitions(reply: Reply) -> int:
    if word(reply) not in {"agreed", "differs"}:
        raise _unknown(reply)
    return int(reply[1])


def joined(reply: Reply) -> models.Joined | models.Full | models.Limited | models.Absent:
    match word(reply):
        case "joined" | "rejoined" as outcome:
            shown = (text.decode() for text in reply[8:10])
            return models.Joined(int(reply[6]), outcome == "rejoined", int(reply[1]), _position(reply, 2), *shown)
        case "full":
            return models.Full(int(reply[1]))
        case "limited":
            return models.Limited(cast(Literal["connections", "rooms"], reply[1].decode()))
        case "absent":
            return models.Absent(cast(Reason, reply[1].decode()) if reply[1] else None)
    raise _unknown(reply)


def left(reply: Reply) -> models.Left | models.Absent:
    match word(reply):
        case "left":
            return models.Left(int(reply[6]), reply[1] == b"1", _position(reply, 2))
        case "absent":
            return models.Absent()
    raise _unknown(reply)


def detached(reply: Reply) -> models.Detached | models.Absent:
    match word(reply):
        case "detached":
            return models.Detached(int(reply[1]))
        case "removed":
            return models.Detached(int(reply[5]))
        case "absent":
            return models.Absent()
    raise _unknown(reply)


def updated(reply: Reply) -> models.Updated | models.Absent:
    match word(reply):
        case "updated" | "unchanged" as outcome:
            return models.Updated(outcome == "updated", _position(reply, 1))
        case "absent":
            return models.Absent()
    raise _unknown(reply)


def since(reply: Reply) -> int:
    if word(reply) != "since":
        raise _unknown(reply)
    return int(reply[1])


def epoch_renewed(reply: Reply) -> bool:
    match word(reply):
        case "renewed" | "kept" | "absent" as outcome:
            return outcome == "renewed"
    raise _unknown(reply)


def kicked(reply: Reply) -> models.Kicked | models.Absent:
    match word(reply):
        case "kicked":
            return models.Kicked([_owner(token.decode()) for token in reply[6:]], _position(reply, 1))
        case "absent":
            return models.Absent()
    raise _unknown(reply)


def beats(reply: Reply) -> list[models.Beat | None]:
    """One answer a slot, None where it is due or absent."""
    if word(reply) != "beat":
        raise _unknown(reply)
    beat = models.Beat(int(reply[1]))
    return [beat if digit == _ONE else None for digit in reply[2]]


def counted(reply: Reply) -> Position:
    if word(reply) != "count":
        raise _unknown(reply)
    return _position(reply, 1)


def counts(reply: Reply) -> list[Position | None]:
    """One position a room, None where the room is due."""
    if word(reply) != "counts":
        raise _unknown(reply)
    return [None if reply[at + 2] < 0 else _position(reply, at) for at in range(2, len(reply), 4)]


def page(reply: Reply, life_ms: int) -> models.Page:
    if word(reply) != "page":
        raise _unknown(reply)
    members = [
        _member(user.decode(), record.decode(), deadline, life_ms) for user, record, deadline in _groups(reply[7:], 3)
    ]
    cursor = f"{members[-1].joined_at_ms}:{members[-1].user}" if reply[6] == 1 and members else None
    return models.Page(reply[1], _position(reply, 2), members, cursor)


def _member(user: str, record: str, deadline_ms: int, life_ms: int) -> models.Member:
    joined_at, connections, seen_at, id_json, name_json, data_json = record.split(RECORD_SEPARATOR)
    held = connections.count(UNIT_SEPARATOR) - 1
    away = connections.count(IN_GRACE) == held
    active_at = max(int(joined_at), int(seen_at or 0), int(deadline_ms) - life_ms)
    return models.Member(
        user, int(joined_at), active_at, "away" if away else "online", held, id_json, name_json, data_json
    )


def rooms_of_user(reply: Reply) -> list[models.RoomOfUser]:
    if word(reply) != "rooms":
        raise _unknown(reply)
    return [models.RoomOfUser(room.decode(), n, joined_at) for room, n, joined_at in _groups(reply[2:], 3)]


def rooms(reply: Reply) -> models.Rooms:
    if word(reply) != "rooms":
        raise _unknown(reply)
    return models.Rooms(reply[2], [models.LiveRoom(room.decode(), n, m) for room, n, m in _groups(reply[3:], 3)])


def due_rooms(reply: Reply) -> models.DueRooms:
    if word(reply) != "due":
        raise _unknown(reply)
    return models.DueRooms(reply[1], reply[2] if reply[2] >= 0 else None, [room.decode() for room in reply[3:]])


def removals_by_day(parts: Sequence[Reply]) -> dict[str, dict[str, int]]:
    """Sums over partitions, days in order."""
    days: dict[str, dict[str, int]] = {}
    for reply in parts:
        if word(reply) != "removals":
            raise _unknown(reply)
        for day, reason, users in _groups(reply[2:], 3):
            date = (datetime.date(1970, 1, 1) + datetime.timedelta(days=day)).isoformat()
            reasons = days.setdefault(date, {})
            reasons[reason.decode()] = reasons.get(reason.decode(), 0) + users
    return dict(sorted(days.items()))


def renewed(reply: Reply) -> models.Lease | None:
    """None: the node was condemned."""
    match word(reply):
        case "renewed":
            _, now_ms, in_time, next_ms, lapsed, *found = reply
            pairs = [_pair(entry.decode()) for entry in found]
            return models.Lease(
                now_ms, True, in_time == 1, next_ms if next_ms >= 0 else None, pairs[:lapsed], pairs[lapsed:]
            )
        case "registered":
            return models.Lease(reply[1], False, False, None, [], [])
        case "condemned":
            return None
    raise _unknown(reply)


def condemned(reply: Reply) -> tuple[list[str], int]:
    """The nodes, and how many of them had a lease still."""
    if word(reply) != "condemned":
        raise _unknown(reply)
    return [node.decode() for node in reply[3:]], reply[2]


def ended(reply: Reply) -> tuple[list[str], list[str]]:
    """The nodes that were declared dead, and those that stopped by themselves."""
    if word(reply) != "ended":
        raise _unknown(reply)
    found = [node.decode() for node in reply[2:]]
    return found[: reply[1]], found[reply[1] :]


def nodes(reply: Reply) -> models.Nodes:
    if word(reply) != "nodes":
        raise _unknown(reply)
    now_ms, leases = reply[1], reply[2]
    pairs = [(*_pair(entry.decode()), at_ms) for entry, at_ms in _groups(reply[3:], 2)]
    return models.Nodes(
        now_ms,
        [models.NodeLease(node, name, ends_ms - now_ms) for node, name, ends_ms in pairs[:leases]],
        [models.CondemnedNode(node, reason, now_ms - since_ms) for node, reason, since_ms in pairs[leases:]],
    )


def sweep_lag(parts: Sequence[Reply]) -> models.SweepLag:
    """The longest wait and all due rooms of several partitions."""
    if any(word(reply) != "lag" for reply in parts):
        raise _unknown(parts[0])
    waits = (now_ms - oldest_ms for _, now_ms, oldest_ms, _ in parts if oldest_ms >= 0)
    return models.SweepLag(max(waits, default=0), sum(reply[3] for reply in parts))


def reaped(reply: Reply) -> tuple[tuple[str, str] | None, int]:
    """The cursor to go on from (None = done), and how many connections were removed."""
    if word(reply) != "reaped":
        raise _unknown(reply)
    return (str(reply[2]), reply[3].decode()) if reply[3] else None, reply[4]


def audited(reply: Reply) -> models.AuditPage:
    if word(reply) != "audited":
        raise _unknown(reply)
    held = [re.split("[=/]", entry) for entry in reply[9].decode().split(",") if entry]
    return models.AuditPage(
        reply[1].decode(),
        reply[2],
        tuple(reply[3:7]),
        (str(reply[7]), reply[8].decode()) if reply[8] else None,
        {node: int(connections) for node, connections, _ in held},
        {node: int(noted) for node, _, noted in held},
        [fault.decode() for fault in reply[10:]],
    )


def _pair(entry: str) -> tuple[str, str]:
    first, _, second = entry.partition(UNIT_SEPARATOR)
    return first, second


def rooms_to_sweep(reply: Reply) -> list[str]:
    """The rooms that a `due` outcome names."""
    return [room.decode() for room in reply[1:]]


def removals(reply: Reply, room: str) -> tuple[int, int | None, list[models.Removal]]:
    """Redis' time, the room's next deadline (None = empty), and what a sweep removed."""
    match word(reply):
        case "clear":
            _, upcoming, now_ms = reply
            lasts, slots = b"", []
        case "swept":
            _, upcoming, lasts, *_, now_ms = reply[:8]
            slots = reply[8:]
        case _:
            raise _unknown(reply)
    found = []
    for slot, last in zip(slots, lasts, strict=True):
        user, _, token = slot.decode().partition(UNIT_SEPARATOR)
        node, connection = _owner(token)
        in_grace = token.startswith("~")
        reason: Reason = "disconnected" if in_grace else "inactivity_timeout"
        found.append(models.Removal(room, user, node, connection, reason, last == _ONE, in_grace))
    return int(now_ms), int(upcoming) if upcoming != b"-1" else None, found


def _owner(token: str) -> tuple[str, str]:
    connection = token.removeprefix("~")
    return connection[:NODE_LENGTH], connection[NODE_LENGTH:]
