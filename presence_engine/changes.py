"""What the scripts publish, read back: one Change a message, and the net effect of many."""

from collections.abc import Iterable, Iterator, Sequence
from typing import cast

import msgspec

from presence_engine.errors import ContractBroken
from presence_engine.models import Reason
from presence_engine.replies import GROUP_SEPARATOR, NODE_LENGTH, RECORD_SEPARATOR


class MemberJoined(msgspec.Struct, frozen=True, tag=True):
    """A user joined. id_json, name_json, data_json: what the record says, as JSON text, `""` for the default."""

    user: str
    joined_at_ms: int
    id_json: str
    name_json: str
    data_json: str


class MemberUpdated(MemberJoined, frozen=True, tag=True):
    """A member's record changed, and is now this."""


class MemberLeft(msgspec.Struct, frozen=True, tag=True):
    """A user left, with the last connection."""

    user: str
    id_json: str
    name_json: str
    reason: Reason


class ConnectionOut(msgspec.Struct, frozen=True, tag=True):
    """A connection was removed, not by its own leave: told on the node that holds it.

    message_json `""` = the usual text.
    """

    user: str
    node: str
    connection: str
    reason: Reason
    message_json: str


Entry = MemberJoined | MemberUpdated | MemberLeft | ConnectionOut


class Change(msgspec.Struct, frozen=True):
    """One publication of a room: it brings whoever stood at `seq - 1` of the epoch to `seq`.

    Without entries only the number of connections changed. count and connections are those after it.
    """

    epoch: str
    seq: int
    count: int
    connections: int
    at_ms: int
    entries: Sequence[Entry]


class NetChange(msgspec.Struct, frozen=True):
    """What a run of changes comes to: brings whoever stood at `from_seq` to `seq`. at_ms is the last change's time."""

    epoch: str
    from_seq: int
    seq: int
    count: int
    connections: int
    at_ms: int
    joined: Sequence[MemberJoined]
    updated: Sequence[MemberJoined]
    left: Sequence[MemberLeft]


def decode_change(message: bytes) -> Change:
    """Read one message of a room's feed. Raises ContractBroken for anything else."""
    try:
        head, *entries = message.decode().split(GROUP_SEPARATOR)
        epoch, seq, count, connections, at_ms = head.split(RECORD_SEPARATOR)
        return Change(
            epoch,
            int(seq),
            int(count),
            int(connections),
            int(at_ms),
            [one for entry in entries for one in _read(entry)],
        )
    except (ValueError, KeyError) as error:
        raise ContractBroken(f"a message that is no change: {error}") from None


def _read(text: str) -> Iterator[Entry]:
    kind, user, *fields = text.split(RECORD_SEPARATOR)
    match kind:
        case "+" | "~":
            joined_at, id_json, name_json, data_json = fields
            shape = MemberJoined if kind == "+" else MemberUpdated
            yield shape(user, int(joined_at), id_json, name_json, data_json)
        case "-":
            id_json, name_json, reason, *told = fields
            yield MemberLeft(user, id_json, name_json, cast(Reason, reason))
            for token in told:
                yield ConnectionOut(user, token[:NODE_LENGTH], token[NODE_LENGTH:], cast(Reason, reason), "")
        case "x":
            token, reason, message_json = fields
            yield ConnectionOut(user, token[:NODE_LENGTH], token[NODE_LENGTH:], cast(Reason, reason), message_json)
        case _:
            raise ValueError(f"unknown entry {kind!r}")


def fold(changes: Sequence[Change]) -> NetChange:
    """Return the net effect of consecutive changes of one epoch, at least one.

    Joined and gone again: nothing. Gone and back: `updated`, since the record may be another. Order: of first mention.
    """
    before: dict[str, bool] = {}
    last: dict[str, MemberJoined | MemberLeft] = {}
    for entry in _member_entries(changes):
        if entry.user not in before:
            before[entry.user] = type(entry) is not MemberJoined
        last[entry.user] = entry
    joined, updated, left = [], [], []
    for user, entry in last.items():
        if isinstance(entry, MemberLeft):
            if before[user]:
                left.append(entry)
        elif before[user]:
            updated.append(entry)
        else:
            joined.append(entry)
    end = changes[-1]
    return NetChange(
        end.epoch, changes[0].seq - 1, end.seq, end.count, end.connections, end.at_ms, joined, updated, left
    )


def _member_entries(changes: Sequence[Change]) -> Iterable[MemberJoined | MemberLeft]:
    for change in changes:
        for entry in change.entries:
            if not isinstance(entry, ConnectionOut):
                yield entry
