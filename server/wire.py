"""What clients get: the one place where members, pages and diffs take their JSON shape.

Text that clients gave as JSON goes out as the same bytes: it is spliced in, never parsed and written again.
"""

from collections.abc import Iterable
from typing import Any, cast

import msgspec

from presence_engine import Member, MemberJoined, MemberLeft, NetChange, Page, Position

Json = dict[str, Any]


def text(value: str) -> str:
    return msgspec.json.encode(value).decode()


def _identity(user: str, id_json: str, name_json: str) -> str:
    """`userId` as given; a missing name is the id as text."""
    return f'"userId":{id_json or text(user)},"username":{name_json or text(user)}'


def participant(member: Member) -> msgspec.Raw:
    return _raw("{" + _identity(member.user, member.id_json, member.name_json) + "}")


def member(member: Member) -> msgspec.Raw:
    return _whole(member, member.joined_at_ms, member.last_active_at_ms, member.status)


def _whole(one: Member | MemberJoined, joined_at_ms: int, last_active_at_ms: int, status: str) -> msgspec.Raw:
    return _raw(
        f"{{{_identity(one.user, one.id_json, one.name_json)},"
        f'"joinedAt":{joined_at_ms},"lastActiveAt":{last_active_at_ms},"status":"{status}",'
        f'"data":{one.data_json or "{}"}}}'
    )


def _raw(fragment: str) -> msgspec.Raw:
    return msgspec.Raw(fragment.encode())


def position(at: Position) -> Json:
    return {"epoch": at.epoch, "seq": at.seq, "count": at.count, "connections": at.connections}


def users(page: Page) -> Json:
    body: Json = {"users": [member(one) for one in page.members]}
    if page.cursor is not None:
        body["cursor"] = page.cursor
    return body


def diff(room: str | int, change: NetChange) -> Json:
    return {
        "roomId": room,
        "epoch": change.epoch,
        "from": change.from_seq,
        "seq": change.seq,
        "joined": _changed(change.joined, change.at_ms),
        "updated": _changed(change.updated, change.at_ms),
        "left": [_left(one) for one in change.left],
        "count": change.count,
        "connections": change.connections,
    }


def _changed(members: Iterable[MemberJoined], at_ms: int) -> list[msgspec.Raw]:
    return [_whole(one, one.joined_at_ms, max(at_ms, one.joined_at_ms), "online") for one in members]


def _left(one: MemberLeft) -> msgspec.Raw:
    return _raw(f'{{{_identity(one.user, one.id_json, one.name_json)},"reason":"{one.reason}"}}')


def echo(value: str | int | float) -> str | int:
    """An id as the client gave it; `15.0` is the integer 15. A fraction or NaN is left to be refused as an id."""
    if not isinstance(value, float):
        return value
    return int(value) if value.is_integer() else cast(int, value)
