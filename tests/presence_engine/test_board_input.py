"""What a board refuses, by the name of the field; nothing is left behind."""

from collections.abc import Awaitable
from typing import Any

import pytest
from redis.asyncio import Redis

from presence_engine import InvalidInput, PresenceEngine
from presence_engine.board import BoardEngine
from presence_engine.board_models import Move

AT = {"x": 1, "y": 2.5}
LONG = "é" * 2048
TOO_LONG = LONG + "x"
NOT_NUMBERS: list[Any] = [float("nan"), float("inf"), float("-inf"), "1", None, True, [1], 10**400]
BAD_POSITIONS: list[Any] = [None, [], "1", {"x": 1}, {}]
BAD_SOURCES: list[Any] = ["init-layout", "", "hack", None, 1, ["drag"]]
BAD_RETROS: list[Any] = [None, "", {}, 1.5, True, "a\n", "x" * 129, 2**53]
BAD_GROUPS: list[Any] = ["", 1.5, {}]
BAD_IDS: list[Any] = [None, "", "a\x1e", "\ud800", {}, 1.5, True]


@pytest.fixture
def board(engine: PresenceEngine) -> BoardEngine:
    return BoardEngine(engine.store, engine.keys)


def add(board: Any, item_id: Any = "a1", task: Any = "t", **given: Any) -> Awaitable[Any]:
    given = {"assignee_id": "u", "created_by": "u", **given}
    call: Awaitable[Any] = board.action_add("r", item_id, task=task, **given)
    return call


@pytest.mark.parametrize(
    "votes",
    [
        {"1": 5, "2": -3}, {"1": 4}, {"1": 2, "2": 2}, {"1": 1.5}, {"1": "1"}, {"1": True}, {"1": None},
        {"1": float("nan")}, {"1": float("inf")}, {"": 1}, {"a\x1f": 1}, {None: 1}, {1: 1, "1": 1}, None, [1], "1", 3,
    ],
)  # fmt: skip
async def test_t2_7_bad_votes_name_user_votes(board: BoardEngine, votes: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        await board.vote("r", votes, user_id="u")
    assert caught.value.field == "userVotes"


def refusals(board: Any) -> dict[str, list[Awaitable[Any]]]:
    """Calls that break a rule, by the field they must name."""
    nothing: tuple[Any, ...] = (None, [], "", 1)
    return {
        "retroId": [board.snapshot(retro) for retro in BAD_RETROS],
        "itemId": [board.move("r", [Move(item, AT, "u")]) for item in BAD_IDS],
        "position": [
            *(board.move("r", [Move("i", {"x": x, "y": 0}, "u")]) for x in NOT_NUMBERS),
            *(board.move("r", [Move("i", at, "u")]) for at in BAD_POSITIONS),
        ],
        "source": [
            *(board.move("r", [Move("i", AT, "u", source)]) for source in BAD_SOURCES),
            board.fill("r", {"i": AT}, user_id="u", source="hack"),
        ],
        "userId": [
            *(board.move("r", [Move("i", AT, user)]) for user in BAD_IDS),
            *(board.fill("r", {"i": AT}, user_id=user) for user in BAD_IDS),
            *(board.group("r", {}, {}, user_id=user) for user in BAD_IDS),
            *(board.vote("r", {}, user_id=user) for user in BAD_IDS),
        ],
        "itemPositions": [
            *(
                board.fill("r", places, user_id="u")
                for places in (*nothing, {}, {"": AT}, {"i": None}, {"i": {"x": 1}})
            ),
            board.fill("r", {f"i{n}": AT for n in range(2001)}, user_id="u"),
            board.move("r", []),
        ],
        "itemGroups": [
            *(
                board.group("r", groups, {}, user_id="u")
                for groups in (*nothing, {"i": 1}, {"": "s"}, {"x" * 129: "s"})
            ),
            board.group("r", {"i": TOO_LONG}, {}, user_id="u"),
            board.group("r", {f"i{n}": LONG for n in range(300)}, {}, user_id="u"),
            board.group("r", {f"i{n}": "" for n in range(2001)}, {}, user_id="u"),
        ],
        "signatureColors": [
            board.group("r", {}, colors, user_id="u") for colors in (*nothing, {"s": None}, {"s": "\ud800"}, {"": "s"})
        ],
        "groupId": [board.vote("r", {}, user_id="u", group_id=group) for group in BAD_GROUPS],
        "votes": [board.vote("r", {}, user_id="u", votes=votes) for votes in (-1, 0.5, "1", True)],
        "task": [
            *(add(board, task=task) for task in (None, "", 1, TOO_LONG, "\ud800")),
            board.action_update("r", "a", task=""),
            board.action_update("r", "a"),
        ],
        "assigneeId": [
            *(add(board, assignee_id=assignee) for assignee in BAD_IDS),
            board.action_update("r", "a", assignee_id=""),
        ],
        "assigneeName": [add(board, assignee_name=""), add(board, assignee_name=TOO_LONG)],
        "createdBy": [add(board, created_by=None)],
        "actionItemId": [add(board, ""), board.action_delete("r", "a\x1d"), board.action_update("r", None, task="t")],
    }


async def test_t2_11_002_9_what_breaks_a_rule_is_refused_by_name_and_leaves_nothing(
    board: BoardEngine, redis: Redis
) -> None:
    for field, calls in refusals(board).items():
        for call in calls:
            with pytest.raises(InvalidInput) as caught:
                await call
            assert caught.value.field == field
    assert await redis.exists(*board.keys.board("r")) == 0
