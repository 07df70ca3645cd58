"""The board's part of both specifications. Events to clients end in the board's id: a client hears its own board."""

from typing import Any, Final

import msgspec

from server import payloads
from server.messages import Id, Participant
from server.specs.openapi import Operation

Positions = dict[str, dict[str, Any]]
Votes = dict[str, int]


class Standing(msgspec.Struct, forbid_unknown_fields=True):
    """Where the board stands. version rises by one with every change; lastUpdated is ISO-8601."""

    version: int
    lastUpdated: str


class ActionItem(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    task: str
    assigneeId: Id
    assigneeName: str
    createdBy: Id
    createdAt: int
    edited: bool


class BoardState(Standing, forbid_unknown_fields=True):
    """The whole board. createdAt tells one life of a board from the next; participants are those present now."""

    createdAt: int
    itemPositions: Positions
    itemGroups: dict[str, str]
    signatureColors: dict[str, str]
    actionItems: list[ActionItem]
    allUserVotes: dict[str, Votes]
    participants: list[Participant]


class BoardOverHttp(BoardState, forbid_unknown_fields=True):
    """participantCount: those present; ttl: seconds until the board ends unless it is used."""

    participantCount: int
    ttl: int


class BoardJoined(Standing, forbid_unknown_fields=True):
    retroId: Id
    userId: Id


class BoardLeft(msgspec.Struct, forbid_unknown_fields=True):
    retroId: Id | None
    left: bool


class ItemPlaced(Standing, forbid_unknown_fields=True):
    itemId: Id


class ItemsFilled(Standing, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """filled: the items that had no position yet; itemPositions: what held already."""

    filled: list[str]
    itemPositions: Positions | None = None


class Grouped(Standing, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """accepted: false when a newer grouping holds, which is told then."""

    accepted: bool
    timestamp: int
    itemGroups: dict[str, str] | None = None
    signatureColors: dict[str, str] | None = None


class ActionAdded(Standing, forbid_unknown_fields=True):
    actionItem: ActionItem
    added: bool


class ActionChanged(Standing, forbid_unknown_fields=True):
    actionItem: ActionItem
    updated: bool


class ItemsMoved(Standing, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """One item with its position, or itemPositions of many. userId null: what holds, told to the sender of a bulk."""

    userId: Id | None
    source: str
    timestamp: int
    itemId: Id | None = None
    position: dict[str, Any] | None = None
    itemPositions: Positions | None = None


class ItemsGrouped(Standing, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    itemGroups: dict[str, str]
    signatureColors: dict[str, str]
    userId: Id | None
    timestamp: int
    accepted: bool | None = None


class VotesCast(Standing, forbid_unknown_fields=True):
    groupId: Id | None
    votes: Any
    userId: Id
    userVotes: Votes
    allUserVotes: dict[str, Votes]
    timestamp: int


class OwnVotes(msgspec.Struct, forbid_unknown_fields=True):
    userVotes: Votes


class VotingResult(Standing, forbid_unknown_fields=True):
    allUserVotes: dict[str, Votes]


OPERATIONS: Final[dict[tuple[str, str], Operation]] = {
    ("get", "/api/retro/{retroId}/state"): Operation(
        "A board as it stands; reading does not prolong it.", BoardOverHttp
    ),
}

_RELAYED: Final = "Passed on to everybody at the board; nothing is kept."

FROM_CLIENTS: Final[dict[str, tuple[Any, tuple[Any, ...], str]]] = {
    "join-retro-room": (payloads.JoinBoard, (BoardJoined,), "Join a board; its id alone is a payload too."),
    "leave-retro-room": (payloads.Board, (BoardLeft,), "Leave the board; nothing of it is deleted."),
    "request-retro-state": (payloads.Board, (Standing,), "Send the whole state to the caller."),
    "item-position-update": (payloads.MoveItems, (ItemPlaced, ItemsFilled), "Move an item, or fill missing positions."),
    "grouping-update": (payloads.GroupItems, (Grouped,), "Replace the grouping, unless a newer one holds."),
    "vote-update": (payloads.CastVotes, (Standing,), "Replace the user's votes: integers ≥ 0, at most 3 in all."),
    "request-user-votes": (payloads.Board, (Standing,), "Send the user's own votes to the caller."),
    "request-voting-result": (payloads.Board, (Standing,), "Send all votes to the caller."),
    "action-item-added": (payloads.AddAction, (ActionAdded,), "Add an action item; twice within 500 ms is once."),
    "action-item-updated": (payloads.UpdateAction, (ActionChanged,), "Change an action item."),
    "action-item-deleted": (payloads.DeleteAction, (Standing,), "Delete an action item."),
    "phase-change": (payloads.Board, (Standing,), _RELAYED),
    "label-update": (payloads.Board, (Standing,), _RELAYED),
    "vote-submission": (payloads.Board, (Standing,), _RELAYED),
    "typing": (payloads.Board, (Standing,), _RELAYED),
}

TO_CLIENTS: Final[dict[str, tuple[Any, str]]] = {
    "retro-state:{retroId}": (BoardState, "The whole board: after a join, on request, and when a board began anew."),
    "item-position-update:{retroId}": (ItemsMoved, "Items were moved."),
    "grouping-update:{retroId}": (ItemsGrouped, "The grouping was replaced."),
    "vote-update:{retroId}": (VotesCast, "A user's votes were replaced."),
    "user-votes:{retroId}:{userId}": (OwnVotes, "To the caller of request-user-votes."),
    "initial-voting-result:{retroId}": (VotingResult, "To the caller of request-voting-result."),
    "action-items-update:{retroId}": (list[ActionItem], "All action items, `[]` when there are none."),
    "phase-change:{retroId}": (None, "As a client sent it."),
    "label-update:{retroId}": (None, "As a client sent it."),
    "vote-submission:{retroId}": (None, "As a client sent it."),
    "typing:{retroId}": (None, "As a client sent it."),
}
