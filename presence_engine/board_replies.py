"""The only reader of the board's replies and of its feed: they become values of `board_models`."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import count
from typing import Any, Final, cast

from presence_engine import board_models as models
from presence_engine.board_models import BoardPosition
from presence_engine.errors import ContractBroken
from presence_engine.replies import GROUP_SEPARATOR, RECORD_SEPARATOR, UNIT_SEPARATOR, Reply, word


def _unknown(reply: Reply) -> ContractBroken:
    return ContractBroken(f"an unknown outcome: {word(reply)!r}")


def _pairs(fields: Sequence[bytes]) -> Iterator[tuple[str, str]]:
    texts = [field.decode() for field in fields]
    return zip(texts[::2], texts[1::2], strict=True)


def _json_values(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Parse all values at once: one call of the parser for a whole board."""
    pairs = list(pairs)
    values = json.loads(f"[{','.join(value for _, value in pairs)}]")
    return dict(zip((name for name, _ in pairs), values, strict=True))


def _votes(text: str) -> dict[str, int]:
    fields = text.split(UNIT_SEPARATOR) if text else []
    return {group: int(number) for group, number in zip(fields[::2], fields[1::2], strict=True)}


def _all_votes(pairs: Iterable[tuple[str, str]]) -> dict[str, dict[str, int]]:
    """By user, so that two reads of the same votes look the same."""
    return {user: _votes(text) for user, text in sorted(pairs)}


def _action(item_id: str, record: str) -> tuple[int, models.ActionItem]:
    """The item, and its place among the others."""
    order, created_at, edited, task, assignee, name, created_by = record.split(RECORD_SEPARATOR)
    item = models.ActionItem(
        item_id,
        json.loads(task),
        json.loads(assignee),
        json.loads(name),
        json.loads(created_by),
        int(created_at),
        edited == "1",
    )
    return int(order), item


def _actions(pairs: Iterable[tuple[str, str]]) -> list[models.ActionItem]:
    ordered = sorted((_action(item_id, record) for item_id, record in pairs), key=lambda one: one[0])
    return [item for _, item in ordered]


def moved(reply: Reply) -> models.BoardMoved | models.BoardFull:
    match word(reply), *reply[1:]:
        case "moved", now, created, version, updated, accepted:
            made = count(version - accepted.count(b"1") + 1)
            versions = [next(made) if digit == ord("1") else None for digit in accepted]
            return models.BoardMoved(now, BoardPosition(created, version, updated), versions)
        case "full", size:
            return models.BoardFull(size)
    raise _unknown(reply)


def filled(reply: Reply) -> models.BoardFilled | models.BoardFull:
    match word(reply), *reply[1:]:
        case "filled" | "kept", now, created, version, updated, items, held:
            position = BoardPosition(created, version, updated)
            return models.BoardFilled(now, position, [item.decode() for item in items], _json_values(_pairs(held)))
        case "full", size:
            return models.BoardFull(size)
    raise _unknown(reply)


def grouped(reply: Reply) -> models.BoardGrouped | models.BoardStale:
    match word(reply), *reply[1:]:
        case "grouped", now, created, version, updated, timestamp:
            return models.BoardGrouped(now, BoardPosition(created, version, updated), timestamp)
        case "stale", now, created, version, updated, timestamp, groups, colors:
            position = BoardPosition(created, version, updated)
            return models.BoardStale(now, position, timestamp, json.loads(groups), json.loads(colors))
    raise _unknown(reply)


def voted(reply: Reply) -> models.BoardChanged | models.BoardFull:
    match word(reply), *reply[1:]:
        case "voted", now, created, version, updated:
            return models.BoardChanged(now, BoardPosition(created, version, updated))
        case "full", size:
            return models.BoardFull(size)
    raise _unknown(reply)


def action_added(reply: Reply) -> models.ActionSaved | models.BoardFull:
    match word(reply), *reply[1:]:
        case "added" | "duplicate" as outcome, now, created, version, updated, item_id, record:
            _, item = _action(item_id.decode(), record.decode())
            return models.ActionSaved(now, BoardPosition(created, version, updated), item, outcome == "added")
        case "full", size:
            return models.BoardFull(size)
    raise _unknown(reply)


def action_updated(reply: Reply) -> models.ActionSaved | models.ActionAbsent:
    match word(reply), *reply[1:]:
        case "updated" | "unchanged" as outcome, now, created, version, updated, item_id, record:
            _, item = _action(item_id.decode(), record.decode())
            return models.ActionSaved(now, BoardPosition(created, version, updated), item, outcome == "updated")
        case ("absent",):
            return models.ActionAbsent()
    raise _unknown(reply)


def action_deleted(reply: Reply) -> models.BoardChanged | models.ActionAbsent:
    match word(reply), *reply[1:]:
        case "deleted", now, created, version, updated:
            return models.BoardChanged(now, BoardPosition(created, version, updated))
        case ("absent",):
            return models.ActionAbsent()
    raise _unknown(reply)


def touched(reply: Reply) -> bool:
    if word(reply) not in {"touched", "empty"}:
        raise _unknown(reply)
    return word(reply) == "touched"


def relayed(reply: Reply) -> models.BoardChanged:
    match word(reply), *reply[1:]:
        case "relayed", now, created, version, updated:
            return models.BoardChanged(now, BoardPosition(created, version, updated))
    raise _unknown(reply)


def votes(reply: Reply) -> dict[str, dict[str, int]]:
    match word(reply), *reply[1:]:
        case "votes", *fields:
            return _all_votes(_pairs(fields))
    raise _unknown(reply)


def snapshot(reply: Reply) -> models.BoardSnapshot:
    match word(reply), *reply[1:]:
        case "state", now, created, version, updated, ttl_ms, positions, grouping, actions, all_votes:
            position = BoardPosition(created, version, updated)
            _, groups, colors = grouping or (b"", b"{}", b"{}")
            state = models.BoardState(
                _json_values(_pairs(positions)), json.loads(groups), json.loads(colors), _actions(_pairs(actions)),
                _all_votes(_pairs(all_votes)), position.last_updated, version, created,
            )  # fmt: skip
            return models.BoardSnapshot(now, ttl_ms, position, state)
        case "empty", now:
            nothing = models.NO_BOARD
            state = models.BoardState({}, {}, {}, [], {}, nothing.last_updated, nothing.version, nothing.created_at_ms)
            return models.BoardSnapshot(now, 0, nothing, state)
    raise _unknown(reply)


Entries = Sequence[Sequence[str]]


def _moves(now_ms: int, at: BoardPosition, entries: Entries) -> models.BoardChange:
    before = at.version - len(entries)
    made = [
        models.ItemMoved(item, json.loads(position), json.loads(user), json.loads(source), before + i)
        for i, (item, position, user, source) in enumerate(entries, 1)
    ]
    return models.PositionsMoved(now_ms, at, made)


def _fill(now_ms: int, at: BoardPosition, entries: Entries) -> models.BoardChange:
    (user, source), *places = entries
    positions = _json_values((item, position) for item, position in places)
    return models.PositionsFilled(now_ms, at, positions, json.loads(user), json.loads(source))


def _group(now_ms: int, at: BoardPosition, entries: Entries) -> models.BoardChange:
    ((user, timestamp, groups, colors),) = entries
    return models.GroupsReplaced(now_ms, at, json.loads(groups), json.loads(colors), json.loads(user), int(timestamp))


def _vote(now_ms: int, at: BoardPosition, entries: Entries) -> models.BoardChange:
    (user_id, group, number, user), *others = entries
    everybody = _all_votes((voter, text) for voter, text in others)
    return models.VotesReplaced(
        now_ms, at, user, json.loads(user_id), json.loads(group), json.loads(number), everybody[user], everybody
    )


def _actions_change(now_ms: int, at: BoardPosition, entries: Entries) -> models.BoardChange:
    (what, item_id), *stored = entries
    items = _actions((stored_id, RECORD_SEPARATOR.join(record)) for stored_id, *record in stored)
    return models.ActionsReplaced(now_ms, at, cast(Any, what), item_id, items)


def _relay(now_ms: int, at: BoardPosition, entries: Entries) -> models.BoardChange:
    ((event, payload_json),) = entries
    return models.Relayed(now_ms, at, event, payload_json)


_CHANGES: Final[Mapping[str, Callable[[int, BoardPosition, Entries], models.BoardChange]]] = {
    "move": _moves,
    "fill": _fill,
    "group": _group,
    "vote": _vote,
    "actions": _actions_change,
    "relay": _relay,
}


def decode_board_change(message: bytes) -> models.BoardChange:
    """Turn one message of a board's channel into the change it announces. Raises ContractBroken for anything else.

    Its format is told at the top of lua/shared/board.lua.
    """
    try:
        head, *entries = [entry.split(RECORD_SEPARATOR) for entry in message.decode().split(GROUP_SEPARATOR)]
        created, version, updated, now, kind = head
        at = BoardPosition(int(created), int(version), int(updated))
        return _CHANGES[kind](int(now), at, entries)
    except (ValueError, KeyError) as error:
        raise ContractBroken(f"a board's channel carried something else: {message[:80]!r}") from error
