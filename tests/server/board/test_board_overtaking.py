"""What a socket asked of a board, or is shown on a refusal, comes before what changed after it was read."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, cast
from uuid import uuid4

import msgspec
import pytest

from presence_engine import BoardEngine, InvalidInput, PresenceEngine
from presence_engine.board_models import Move
from server.auth import Authoriser
from server.board_fanout import BoardFanout, room_of
from server.board_view import BoardView
from server.refusals import Refusal
from server.settings import Settings
from server.sockets.board import BoardEvents
from server.sockets.board_seats import BoardSeats
from server.sockets.session import Identity, Membership, Session
from tests.server.chat_scene import session, until

BOARD = "b"
NOBODY = cast(Any, None)


class Late:
    """A board engine whose answers arrive behind the feed: what `meanwhile` changes is heard before them."""

    def __init__(self, boards: BoardEngine, meanwhile: Callable[[], Awaitable[Any]]) -> None:
        self._boards, self._meanwhile = boards, meanwhile

    def __getattr__(self, verb: str) -> Callable[..., Awaitable[Any]]:
        async def call(*args: Any, **options: Any) -> Any:
            answer = await getattr(self._boards, verb)(*args, **options)
            await self._meanwhile()
            return answer

        return call


class Scene:
    """One socket at a board with a position, a grouping and a vote; another user changes it."""

    def __init__(self, engine: PresenceEngine) -> None:
        self.boards = BoardEngine(engine.store, engine.keys)
        self.feed = engine.open_feed(on_lost=lambda: None, on_restored=lambda: None)
        self.view = BoardView(engine, self.boards)
        self.fanout = BoardFanout(self.boards, self.feed, self._sent, self.view.whole)
        self.one, self.told = session("one"), list[tuple[str, Any]]()
        self.change: Callable[[], Awaitable[Any]] = self.move
        settings = Settings.from_environ({})
        authoriser, late = Authoriser(settings), cast(BoardEngine, Late(self.boards, self.meanwhile))
        sockets = cast(Any, self)
        seats = BoardSeats(engine, late, settings, sockets, self.fanout, self.view, NOBODY, NOBODY, authoriser)
        self.handlers = BoardEvents(late, sockets, seats, authoriser).handlers()

    async def sit(self) -> None:
        await self.move()
        await self.group()
        await self.vote()
        self.one.identity = Identity("one", "one")
        self.one.rooms[room_of(BOARD)] = Membership(BOARD, 0, beat_at_s=time.monotonic())
        await self.fanout.enter(self.one, BOARD)
        self.fanout.place(self.one, BOARD, *await self.view.whole(BOARD))
        self.told.clear()

    async def meanwhile(self) -> None:
        await self.change()
        version = (await self.boards.snapshot(BOARD)).position.version
        await until(lambda: self.fanout._local[BOARD].at.version == version)

    async def move(self) -> None:
        await self.boards.move(BOARD, [Move("i", {"x": 1, "y": 0}, "other")])

    async def group(self) -> None:
        await self.boards.group(BOARD, {"i": "s"}, {"s": "#f00"}, user_id="other")

    async def vote(self) -> None:
        await self.boards.vote(BOARD, {"1": 1}, user_id="one")

    async def add(self) -> None:
        """With the deletion, which finds nothing, comes the first; with what is read then, the second."""
        item = uuid4().hex
        await self.boards.action_add(BOARD, item, task=item, assignee_id="one", created_by="other")

    def _sent(self, events: Sequence[tuple[str, Any]], sessions: Sequence[Session]) -> None:
        assert list(sessions) == [self.one]
        for name, body in events:
            self._note(name, body)

    async def tell(self, told: Session, name: str, body: Any) -> None:
        """As a SocketServer."""
        assert told is self.one
        self._note(name, body)

    def _note(self, name: str, sent: Any) -> None:
        """Of action items how many there are, else who changed it: nobody in a part that was read."""
        body = msgspec.json.decode(msgspec.json.encode(sent))
        self.told.append((name.partition(":")[0], len(body) if isinstance(body, list) else body.get("userId")))


@pytest.fixture
async def scene(engine: PresenceEngine) -> AsyncIterator[Scene]:
    one = Scene(engine)
    await one.sit()
    yield one
    await one.fanout.close()
    await one.feed.close()


@pytest.mark.parametrize(
    ("event", "payload", "change", "told"),
    [
        ("request-user-votes", {}, Scene.vote, [("user-votes", None), ("vote-update", "one")]),
        ("request-voting-result", {}, Scene.vote, [("initial-voting-result", None), ("vote-update", "one")]),
        ("vote-update", {"userVotes": {"1": 9}}, Scene.vote, [("user-votes", None), ("vote-update", "one")]),
        ("action-item-deleted", {"actionItemId": "x"}, Scene.add, [("action-items-update", n) for n in (1, 1, 2)]),
        (
            "grouping-update",
            {"itemGroups": {}, "signatureColors": {}, "timestamp": 1},
            Scene.group,
            [("grouping-update", None), ("grouping-update", "other")],
        ),
        (
            "item-position-update",
            {"itemPositions": {"i": {"x": 9, "y": 9}}},
            Scene.move,
            [("item-position-update", None), ("item-position-update", "other")],
        ),
    ],
)  # fmt: skip
async def test_002_8_a_part_that_was_read_does_not_hide_what_came_after(
    scene: Scene, event: str, payload: dict[str, Any], change: Callable[[Scene], Awaitable[Any]], told: Any
) -> None:
    """002-8, concurrent operations: a client takes what has no version in the order it comes."""
    scene.change = lambda: change(scene)
    with suppress(Refusal, InvalidInput):
        await scene.handlers[event](scene.one, {"retroId": BOARD, **payload})
    await until(lambda: len(scene.told) >= len(told))
    assert scene.told == told
