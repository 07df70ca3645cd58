"""What clients are told of a board: the one place where states and changes take their JSON shape."""

from collections.abc import Sequence
from typing import Any

import msgspec

from presence_engine import (
    ActionItem,
    ActionsReplaced,
    BoardChange,
    BoardPosition,
    BoardSnapshot,
    GroupsReplaced,
    Page,
    PositionsFilled,
    PositionsMoved,
    Relayed,
    VotesReplaced,
)
from server import wire
from server.wire import Json


def stand(at: BoardPosition) -> Json:
    return {"version": at.version, "lastUpdated": at.last_updated}


def state(snapshot: BoardSnapshot, present: Page) -> Json:
    """The whole board, with those present in its room; their number is the page's count."""
    return {
        **msgspec.to_builtins(snapshot.state),
        "participants": [wire.participant(member) for member in present.members],
    }


def events(change: BoardChange) -> list[tuple[str, Any]]:
    """Return what a change comes to: event (without the board's id) and body, in order."""
    about = {"timestamp": change.now_ms, **stand(change.position)}
    match change:
        case PositionsMoved():
            return [
                (
                    "item-position-update",
                    {
                        **about,
                        "itemId": move.item_id,
                        "position": move.position,
                        "userId": move.user_id,
                        "source": move.source,
                        "version": move.version,
                    },
                )
                for move in change.moves
            ]
        case PositionsFilled():
            return [("item-position-update", positions(change, change.item_positions, change.user_id, change.source))]
        case GroupsReplaced():
            body = {
                **about,
                "itemGroups": change.item_groups,
                "signatureColors": change.signature_colors,
                "userId": change.user_id,
                "timestamp": change.timestamp_ms,
            }
            return [("grouping-update", body)]
        case VotesReplaced():
            body = {
                **about,
                "groupId": change.group_id,
                "votes": change.votes,
                "userId": change.user_id,
                "userVotes": change.user_votes,
                "allUserVotes": change.all_user_votes,
            }
            return [("vote-update", body)]
        case ActionsReplaced():
            return [("action-items-update", action_items(change.action_items))]
        case Relayed():
            return [(change.event, msgspec.Raw(change.payload_json.encode()))]
    raise TypeError(f"unknown change: {type(change).__name__}")


def positions(at: Any, item_positions: Any, user: str | int | None, source: str) -> Json:
    """Many positions at once. at: whatever has now_ms and position; user None: what holds, not anybody's doing."""
    return {
        "itemPositions": item_positions,
        "userId": user,
        "source": source,
        "timestamp": at.now_ms,
        **stand(at.position),
    }


def action_items(items: Sequence[ActionItem]) -> Any:
    return msgspec.to_builtins(items)
