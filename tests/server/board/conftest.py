"""Boards on a server: sockets that sit at them, and what a client makes of what it is told."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest

from presence_engine import EmbeddedServer
from tests.client.driver import Client, eventually
from tests.server.conftest import RunningServer, Serve

Json = dict[str, Any]
Sit = Callable[..., "Seat"]
EMPTY: Json = {"itemPositions": {}, "itemGroups": {}, "signatureColors": {}, "actionItems": [], "allUserVotes": {}}


class Seat:
    """A client at a board. `told` is the board as its events say."""

    def __init__(self, client: Client, board: Any, user: Any) -> None:
        self.client, self.board, self.user = client, board, user

    def do(self, event: str, **payload: Any) -> Json:
        """Emit with the board's id and the user's, and return the answer, which must be ok."""
        answer: Json = self.client.emit(event, {"retroId": self.board, "userId": self.user, **payload})
        assert answer["ok"] is True, answer
        return answer

    def refused(self, event: str, **payload: Any) -> Json:
        """Return the error of an event that must be refused."""
        answer = self.client.emit(event, {"retroId": self.board, "userId": self.user, **payload})
        assert answer["ok"] is False, answer
        error: Json = answer["error"]
        return error

    def move(self, item: Any, x: float, y: float = 0, source: str = "drag-stop") -> Json:
        return self.do("item-position-update", itemId=item, position={"x": x, "y": y}, source=source)

    def events(self, name: str) -> list[Any]:
        return self.client.events(f"{name}:{self.board}")

    def wait(self, name: str, where: Callable[[Any], object] = lambda _: True) -> Any:
        return self.client.wait(f"{name}:{self.board}", where)

    def comes_to(self, end: str) -> None:
        """Wait until what it was told comes to this content."""
        eventually(lambda: content(self.told()) == end, "the same picture")

    def told(self) -> Json:
        """The last whole state and what was told after it, as a simple client takes it: in order, as it comes."""
        state: Json = {}
        tail = f":{self.board}"
        for seen in list(self.client.seen):
            if seen.ack or not seen.name.endswith(tail):
                continue
            body = seen.body
            match seen.name.removesuffix(tail):
                case "retro-state":
                    state = {part: body[part] for part in EMPTY}
                case "item-position-update":
                    moved = body.get("itemPositions") or {body["itemId"]: body["position"]}
                    state["itemPositions"] = {**state["itemPositions"], **moved}
                case "grouping-update":
                    state |= {part: body[part] for part in ("itemGroups", "signatureColors")}
                case "vote-update":
                    state["allUserVotes"] = body["allUserVotes"]
                case "action-items-update":
                    state["actionItems"] = body
        return state


def participants(server: Any, board: Any) -> list[Any]:
    return [user["userId"] for user in stored(server, board)["participants"]]


def stored(server: Any, board: Any) -> Json:
    """The board as the HTTP route shows it."""
    found: Json = server.get(f"/api/retro/{quote(str(board), safe='')}/state")
    return found


def content(state: Json) -> str:
    """The kept parts of a state, byte for byte but for the order of keys."""
    return json.dumps({part: state[part] for part in EMPTY}, sort_keys=True, ensure_ascii=False)


def fill(seat: Seat) -> None:
    """Change every part of a board, with values that JSON handles with care."""
    seat.move("item 1", 1.5, -0.25)
    seat.move("ähm:{2}", 12345678901234567, 1e-9)
    seat.do("item-position-update", itemPositions={"item 1": {"x": 9, "y": 9}, "i3": {"x": 3.0, "y": 4}}, source="bulk")
    seat.do("grouping-update", itemGroups={"item 1": "s|1", "i3": "s|1"}, signatureColors={"s|1": "#f80", "s|2": ""})
    seat.do("vote-update", groupId=1, votes=2, userVotes={"1": 2, "7": 0})
    seat.do("action-item-added", task='Würzburg 🙂 \\ "x"', assigneeId=15, assigneeName="Ö", createdBy="u1")
    seat.do("action-item-added", task="second", assigneeId="15", createdBy="u1")


@pytest.fixture(scope="module")
def store(short_dir: Path) -> Iterator[EmbeddedServer]:
    """A store that may read whole boards, which are bounded."""
    with EmbeddedServer(short_dir / uuid4().hex[:8], persistent=False) as one:
        yield one


@pytest.fixture(scope="module")
def server(serve: Serve) -> RunningServer:
    """A server where one user may be at more boards than people are: every test has its own."""
    return serve(PRESENCE_MAX_USER_ROOMS="0", PRESENCE_MAX_USER_CONNECTIONS="0", PRESENCE_CONNECT_RATE="0")


@pytest.fixture
def board() -> str:
    """Free text, with all that could break an event's name or a key."""
    return f"Retro {{{uuid4().hex[:6]}}}: *?[é/%2F"


@pytest.fixture
def sit(connect: Callable[..., Client], board: str) -> Sit:
    """Join a board: `sit(server, "u1")`; with `handshake=True` by the connection's query."""

    def join(server: Any, user: Any = "u1", at: Any = None, *, handshake: bool = False, **options: Any) -> Seat:
        where = board if at is None else at
        if handshake:
            client = connect(server, query={"retroId": where, "userId": user}, **options)
        else:
            client = connect(server, **options)
            assert client.emit("join-retro-room", {"retroId": where, "userId": user})["ok"] is True
        seat = Seat(client, where, user)
        seat.wait("retro-state")
        return seat

    return join
