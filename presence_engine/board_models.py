"""What the board's engine answers and what its feed carries: small immutable values.

Their wire names are camelCase, so `msgspec.to_builtins` of a state or an action item is what clients are sent.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import msgspec

from presence_engine.times import iso_time

Json = Any


class BoardPosition(msgspec.Struct, frozen=True, rename="camel"):
    """Where a board stands. `version` rises by one with every change, from 1 in each life of the board.

    A board that expired and is changed again starts a new life with version 1 and another created_at_ms, so versions
    are comparable only where created_at_ms is the same. updated_at_ms rises with every change, whatever the clock does.
    A board that is not there has zeros.
    """

    created_at_ms: int = msgspec.field(name="createdAt")
    version: int
    updated_at_ms: int = msgspec.field(name="updatedAt")

    @property
    def last_updated(self) -> str:
        """`updated_at_ms` as ISO-8601; 1970 where there is no board."""
        return iso_time(self.updated_at_ms)


NO_BOARD: Final = BoardPosition(0, 0, 0)


class ActionItem(msgspec.Struct, frozen=True, rename="camel"):
    """One action item. assignee_id and created_by are as the clients gave them; `edited` once it was changed."""

    id: str
    task: str
    assignee_id: str | int
    assignee_name: str
    created_by: str | int
    created_at_ms: int = msgspec.field(name="createdAt")
    edited: bool


class BoardState(msgspec.Struct, frozen=True, rename="camel"):
    """A whole board as of `version`; who takes part is not kept here, but asked of presence when it is shown."""

    item_positions: Mapping[str, Json]
    item_groups: Mapping[str, str]
    signature_colors: Mapping[str, str]
    action_items: Sequence[ActionItem]
    all_user_votes: Mapping[str, Mapping[str, int]]
    last_updated: str
    version: int
    created_at_ms: int = msgspec.field(name="createdAt")


class BoardSnapshot(msgspec.Struct, frozen=True):
    """A board read at now_ms. ttl_ms: what is left of its life; 0 and an empty state of version 0 without one."""

    now_ms: int
    ttl_ms: int
    position: BoardPosition
    state: BoardState


class Move(msgspec.Struct, frozen=True):
    """One item moved by a user. position: an object with finite numbers x and y. source: drag, drag-stop or bulk."""

    item_id: str | int
    position: Mapping[str, Json]
    user_id: str | int
    source: str = "drag"


# -- outcomes: now_ms is the Redis clock at the change, position where the board then stood


class BoardChanged(msgspec.Struct, frozen=True):
    """It was done."""

    now_ms: int
    position: BoardPosition


class BoardFull(msgspec.Struct, frozen=True):
    """The board holds as many items, action items or voters as it takes, `count`; nothing changed."""

    count: int


class BoardMoved(msgspec.Struct, frozen=True):
    """versions: one a move, the version it made; None where the board had no room for a new item."""

    now_ms: int
    position: BoardPosition
    versions: Sequence[int | None]


class BoardFilled(msgspec.Struct, frozen=True):
    """filled: the items that got a position; none means that nothing changed.

    held: positions that hold instead: of the items asked that had one, or of the whole board for an ignored first
    layout.
    """

    now_ms: int
    position: BoardPosition
    filled: Sequence[str]
    held: Mapping[str, Json]


class BoardGrouped(msgspec.Struct, frozen=True):
    """timestamp_ms: the grouping's time as it counted."""

    now_ms: int
    position: BoardPosition
    timestamp_ms: int


class BoardStale(msgspec.Struct, frozen=True):
    """A newer grouping holds, and is told; nothing changed."""

    now_ms: int
    position: BoardPosition
    timestamp_ms: int
    item_groups: Mapping[str, str]
    signature_colors: Mapping[str, str]


class ActionSaved(msgspec.Struct, frozen=True):
    """changed: false when the item was there already (a double add) or held the same already; nothing was announced."""

    now_ms: int
    position: BoardPosition
    item: ActionItem
    changed: bool


class ActionAbsent(msgspec.Struct, frozen=True):
    """The board has no such action item; nothing changed."""


# -- changes: what the feed carries, in the order of the board's versions


class ItemMoved(msgspec.Struct, frozen=True, rename="camel"):
    """One move of a `PositionsMoved`, with the version it made."""

    item_id: str
    position: Json
    user_id: str | int
    source: str
    version: int


class BoardChange(msgspec.Struct, frozen=True):
    """One change, or several moves of one call. now_ms: when; position: where the board stood after it."""

    now_ms: int
    position: BoardPosition

    @property
    def first_version(self) -> int:
        """1 begins a board's life: whoever still shows an earlier one must be sent the whole state."""
        return self.position.version


class PositionsMoved(BoardChange, frozen=True):
    """Items were moved, in this order."""

    moves: Sequence[ItemMoved]

    @property
    def first_version(self) -> int:
        """The version of the first move."""
        return self.position.version - len(self.moves) + 1


class PositionsFilled(BoardChange, frozen=True):
    """Items that had no position got one."""

    item_positions: Mapping[str, Json]
    user_id: str | int
    source: str


class GroupsReplaced(BoardChange, frozen=True):
    """Groups and colours are now these. timestamp_ms: the grouping's time as it counted."""

    item_groups: Mapping[str, str]
    signature_colors: Mapping[str, str]
    user_id: str | int
    timestamp_ms: int


class VotesReplaced(BoardChange, frozen=True):
    """user: canonical id of the voter, user_id as given. group_id and votes: as the client told them, or None."""

    user: str
    user_id: str | int
    group_id: str | int | None
    votes: int | None
    user_votes: Mapping[str, int]
    all_user_votes: Mapping[str, Mapping[str, int]]


class Relayed(BoardChange, frozen=True):
    """No change, but something told to everybody at the board. payload_json: the payload as JSON text."""

    event: str
    payload_json: str


class ActionsReplaced(BoardChange, frozen=True):
    """action_items: all of them, in the order they were added. item_id: the one that was `what`."""

    what: Literal["added", "updated", "deleted"]
    item_id: str
    action_items: Sequence[ActionItem]
