"""One board's sockets neither change nor hear another's; tokens bound boards."""

import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest

from tests.client.driver import Client, eventually
from tests.server.board.conftest import Sit, content, fill, stored
from tests.server.board.test_board_malformed import EVENTS, VALID
from tests.server.conftest import RunningServer, Serve

Connect = Callable[..., Client]
SECRET = "a-secret-for-tests-only-0123456789abcdef"


def token(user: str, **claims: Any) -> dict[str, str]:
    return {"token": jwt.encode({"sub": user, "exp": time.time() + 600, **claims}, SECRET, "HS256")}


@pytest.fixture(scope="module")
def guarded(serve: Serve) -> RunningServer:
    return serve(PRESENCE_JWT_SECRET=SECRET)


@pytest.mark.parametrize("event", EVENTS)
def test_t2_11_another_boards_id_is_forbidden(server: RunningServer, sit: Sit, board: str, event: str) -> None:
    """Whatever the event; the other board hears nothing."""
    other = f"{board} two"
    one, two = sit(server, "u1"), sit(server, "u2", other)
    payload = {**VALID, "retroId": other}
    heard = len(two.client.seen)
    assert one.client.emit(event, payload)["error"]["code"] == "forbidden"
    assert stored(server, other)["version"] == 0
    two.do("request-retro-state")
    assert {seen.name for seen in two.client.seen[heard:]} == {f"retro-state:{other}", "request-retro-state"}


def test_a_socket_is_at_one_board_at_a_time(server: RunningServer, sit: Sit, board: str) -> None:
    one = sit(server)
    assert one.client.emit("join-retro-room", f"{board} two")["error"]["code"] == "forbidden"
    assert stored(server, f"{board} two")["participants"] == []
    assert one.client.emit("leave-retro-room", f"{board} two")["left"] is False
    assert one.client.emit("leave-retro-room")["left"] is True
    assert one.client.emit("join-retro-room", f"{board} two")["ok"] is True


@pytest.mark.parametrize("event", EVENTS)
def test_a_socket_at_no_board_changes_none(server: RunningServer, connect: Connect, board: str, event: str) -> None:
    """Nor does being in the board's presence room suffice."""
    client = connect(server, auth={"userId": "u1"})
    client.join(f"retro:{board}")
    payload = {**VALID, "retroId": board}
    assert client.emit(event, payload)["error"]["code"] == "not_in_room"
    assert stored(server, board)["version"] == 0


def test_002_4_boards_share_nothing(server: RunningServer, sit: Sit, board: str) -> None:
    """Ids that differ in one character, or only in how they look."""
    names = [board, f"{board} ", f"{board}:feed", "e\u0301", "\u00e9", "a", "a:positions", "{a}"]
    seats = [sit(server, "u", name) for name in names]
    for number, seat in enumerate(seats):
        seat.move("i", number)
    for number, seat in enumerate(seats):
        assert [body["position"]["x"] for body in seat.events("item-position-update")] == [number]
        assert stored(server, seat.board)["itemPositions"] == {"i": {"x": number, "y": 0}}


def test_whoever_is_kicked_is_out_of_the_board(server: RunningServer, sit: Sit) -> None:
    one, two = sit(server, "u1"), sit(server, "u2")
    two.client.join("elsewhere")
    assert server.kick(f"retro:{one.board}", {"userId": "u2"})["kicked"] is True
    assert two.client.wait("room:force-leave")["reason"] == "kicked"
    assert two.refused("typing")["code"] == "not_in_room"
    two.client.forget()
    one.move("i", 1)
    two.client.emit("room:heartbeat", {"roomId": "elsewhere"})
    assert two.events("item-position-update") == []
    assert two.client.emit("join-retro-room", one.board)["ok"] is True
    assert two.wait("retro-state")["itemPositions"] == {"i": {"x": 1, "y": 0}}


def test_logging_out_leaves_the_board(server: RunningServer, sit: Sit) -> None:
    one, two = sit(server, "u1"), sit(server, "u2")
    two.client.emit("user:logout")
    one.move("i", 1)
    assert two.refused("typing")["code"] == "not_in_room"
    assert two.events("item-position-update") == []


def test_002_9_a_token_names_the_user_and_bounds_the_boards(guarded: RunningServer, connect: Connect) -> None:
    """The room pattern is the presence room's, `retro:<id>`."""
    client = connect(guarded, auth=token("u1", rooms=["retro:mine*"]))
    assert client.emit("join-retro-room", "others")["error"]["code"] == "forbidden"
    answer = client.emit("join-retro-room", "mine 1")
    assert (answer["ok"], answer["userId"]) == (True, "u1")
    body = {"retroId": "mine 1", "userId": "u2", "userVotes": {"1": 1}}
    assert client.emit("vote-update", body)["error"]["code"] == "forbidden"
    item = {"retroId": "mine 1", "task": "t", "assigneeId": "u9", "createdBy": "u2"}
    assert client.emit("action-item-added", item)["error"]["code"] == "forbidden"
    assert client.emit("action-item-added", {**item, "createdBy": "u1"})["ok"] is True
    other = connect(guarded, auth=token("u1"), query={"retroId": "mine 1", "userId": "u2"})
    assert other.wait("error")["code"] == "forbidden"


def test_the_route_needs_a_token_that_may_see_the_board(guarded: RunningServer) -> None:
    assert guarded.http.get("/api/retro/mine/state").status_code == 401
    for rooms, status in ((["retro:mine"], 200), (["mine"], 403), (["retro:min?"], 200), ([], 403)):
        bearer = {"Authorization": f"Bearer {token('u1', rooms=rooms)['token']}"}
        assert guarded.http.get("/api/retro/mine/state", headers=bearer).status_code == status


def test_two_servers_two_boards(server: RunningServer, serve: Serve, sit: Sit, board: str) -> None:
    far = serve()
    here, there, other = sit(server, "u1"), sit(far, "u2"), sit(far, "u3", f"{board} two")
    fill(here)
    end = content(stored(server, board))
    eventually(lambda: content(there.told()) == end, "the other server's picture")
    assert [seen.name for seen in other.client.seen if seen.name.endswith(f":{board}")] == []
    assert content(other.told()) == content(stored(far, other.board))
