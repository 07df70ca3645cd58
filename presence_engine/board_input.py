"""What a board takes: every value is checked here, by its name on the wire, before anything is sent to Redis."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from presence_engine.errors import InvalidInput
from presence_engine.ids import MAX_SAFE_INTEGER, canonical_id, utf8_size
from presence_engine.inputs import is_whole, to_json
from presence_engine.replies import RECORD_SEPARATOR

MAX_ITEMS: Final = 2000
MAX_ACTION_ITEMS: Final = 500
MAX_VOTERS: Final = 2000
MAX_VOTES: Final = 3
MAX_TEXT_BYTES: Final = 4096
MAX_GROUPING_BYTES: Final = 1_048_576
MAX_RELAYED_BYTES: Final = 16_384
FIRST_LAYOUT: Final = "init-layout"
SOURCES: Final = frozenset({"drag", "drag-stop", "bulk", FIRST_LAYOUT})

Id = str | int


def id_json(value: object, field: str) -> str:
    """An id as it was given, a whole float as the integer it is."""
    text = canonical_id(value, field)
    return to_json(text if isinstance(value, str) else int(text))


def checked_text(value: object, field: str, least: int = 1) -> str:
    if not isinstance(value, str):
        raise InvalidInput(field, f"must be a string of {least}–{MAX_TEXT_BYTES} UTF-8 bytes")
    if not least <= utf8_size(value, field) <= MAX_TEXT_BYTES:
        raise InvalidInput(field, f"must have {least}–{MAX_TEXT_BYTES} UTF-8 bytes")
    return value


def checked_source(value: object) -> str:
    if not isinstance(value, str) or value not in SOURCES:
        raise InvalidInput("source", f"must be one of {', '.join(sorted(SOURCES))}")
    return value


def position_json(value: object, field: str) -> str:
    """`{"x", "y"}` with the numbers as given; other members are not kept."""
    if not isinstance(value, Mapping):
        raise InvalidInput(field, "must be an object with finite numbers x and y")
    return to_json({axis: _finite(value.get(axis), field) for axis in ("x", "y")})


def _finite(value: object, field: str) -> int | float:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            if math.isfinite(value):
                return value
        except OverflowError:
            pass
    raise InvalidInput(field, "must have finite numbers")


def places(value: object) -> list[str]:
    """Item and position by turns."""
    if not isinstance(value, Mapping):
        raise InvalidInput("itemPositions", "must be an object of positions by item")
    if not 1 <= len(value) <= MAX_ITEMS:
        raise InvalidInput("itemPositions", f"must have 1–{MAX_ITEMS} items")
    found: list[str] = []
    for item, position in value.items():
        found += (canonical_id(item, "itemPositions"), position_json(position, "itemPositions"))
    return found


def texts_json(value: object, field: str) -> str:
    """An object of texts by text, such as signatures by item."""
    if not isinstance(value, Mapping) or len(value) > MAX_ITEMS:
        raise InvalidInput(field, f"must be an object of at most {MAX_ITEMS} members")
    for name, text in value.items():
        checked_text(name, field)
        checked_text(text, field, 0)
    encoded = to_json(value)
    if len(encoded.encode()) > MAX_GROUPING_BYTES:
        raise InvalidInput(field, f"must have at most {MAX_GROUPING_BYTES} bytes as JSON")
    return encoded


def groups_json(value: Mapping[str, str]) -> str:
    encoded = texts_json(value, "itemGroups")
    for item in value:
        canonical_id(item, "itemGroups")
    return encoded


def relayed_json(value: object) -> str:
    """An object that is passed on as it is."""
    try:
        encoded = to_json(value)
        size = len(encoded.encode())
    except (ValueError, RecursionError):
        raise InvalidInput("payload", "must be an object of plain JSON") from None
    if not isinstance(value, Mapping) or size > MAX_RELAYED_BYTES:
        raise InvalidInput("payload", f"must be an object of at most {MAX_RELAYED_BYTES} bytes as JSON")
    return encoded


def client_time_ms(value: object) -> str:
    """Milliseconds, or an ISO-8601 text (without a zone: UTC); empty for what is neither, which counts as now."""
    if isinstance(value, str):
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            return ""
        value = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000
    try:
        return str(round(_finite(value, "timestamp")))
    except InvalidInput:
        return ""


def user_votes(value: object) -> list[str]:
    """Group and number by turns: whole numbers from 0, at most 3 in all."""
    if not isinstance(value, Mapping) or len(value) > MAX_ITEMS:
        raise InvalidInput("userVotes", f"must be an object of numbers by group, at most {MAX_ITEMS} groups")
    found: dict[str, int] = {}
    for group, number in value.items():
        found[canonical_id(group, "userVotes")] = whole_number(number, "userVotes")
    if len(found) != len(value):
        raise InvalidInput("userVotes", "names a group twice")
    if sum(found.values()) > MAX_VOTES:
        raise InvalidInput("userVotes", f"must not add up to more than {MAX_VOTES}")
    return [field for group, number in found.items() for field in (group, str(number))]


def whole_number(value: object, field: str) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not is_whole(value, 0, MAX_SAFE_INTEGER):
        raise InvalidInput(field, "must be a whole number from 0")
    return value


def vote_public(user_id: object, group_id: object, votes: object) -> str:
    """What a change of votes shows beside them; group and number are the client's own account, or null."""
    shown = (
        id_json(user_id, "userId"),
        "null" if group_id is None else id_json(group_id, "groupId"),
        "null" if votes is None else str(whole_number(votes, "votes")),
    )
    return RECORD_SEPARATOR.join(shown)


def new_action(task: object, assignee_id: object, assignee_name: object, created_by: object) -> dict[str, Any]:
    """The new item, and what makes two the same: the task for an assignee, whether `15` or `"15"`."""
    task_json = to_json(checked_text(task, "task"))
    assignee = canonical_id(assignee_id, "assigneeId")
    name = checked_text(assignee if assignee_name is None else assignee_name, "assigneeName")
    item = (task_json, id_json(assignee_id, "assigneeId"), to_json(name), id_json(created_by, "createdBy"))
    return {"item": RECORD_SEPARATOR.join(item), "same": f"{task_json}{RECORD_SEPARATOR}{assignee}"}


def action_changes(task: object, assignee_id: object, assignee_name: object) -> dict[str, Any]:
    """What to change, empty where it stays."""
    if task is None and assignee_id is None and assignee_name is None:
        raise InvalidInput("task", "must be given, or assigneeId, or assigneeName")
    return {
        "task": "" if task is None else to_json(checked_text(task, "task")),
        "assignee_id": "" if assignee_id is None else id_json(assignee_id, "assigneeId"),
        "assignee_name": "" if assignee_name is None else to_json(checked_text(assignee_name, "assigneeName")),
    }
