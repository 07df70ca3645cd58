"""Kick: an admin puts every connection of a user out of a room, on whichever server it is."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.client.driver import Client
from tests.client.raw import RawClient
from tests.server.conftest import ADMIN_TOKEN, RunningServer, Serve

Connect = Callable[..., Client]


def test_kick_with_message_reason_and_last_room(server: RunningServer, connect: Connect, room: str) -> None:
    """Section 4: every connection of the user is told; `message` replaces the text, `popup` and `reason` are fixed."""
    one, two, other = connect(server), connect(server), connect(server)
    other.join(room, "other")
    one.join(room, 7, username="Seven")
    two.join(room, 7)
    other.wait("room:diff", lambda diff: diff["connections"] == 3)
    assert server.kick(room, {"userId": "7", "message": "Too loud"}) == {"success": True, "kicked": True}
    for client in (one, two):
        told = client.wait("room:force-leave")
        assert (told["roomId"], told["userId"], told["reason"]) == (room, 7, "kicked")
        assert (told["message"], told["popup"]) == ("Too loud", "You are not in the chatroom")
        client.wait("disconnect")
    diff = other.wait("room:diff", lambda diff: diff["left"])
    assert diff["left"] == [{"userId": 7, "username": "Seven", "reason": "kicked"}]
    assert server.users(room) == ["other"]
    assert server.kick(room, {"userId": 7}) == {"success": True, "kicked": False}
    assert server.kick(room, {"user_id": "other"}) == {"success": True, "kicked": True}
    assert other.wait("room:force-leave")["message"] == "You are not in the chatroom"


def test_with_its_last_socket_the_connection_ends(serve: Serve) -> None:
    """003-6 `disconnect(true)`: not every client closes by itself what carries nothing any more."""
    server = serve(PRESENCE_NAMESPACES="/,/other")
    one, both = RawClient(server.url), RawClient(server.url)
    both.send("40/other,")
    both.until("40/other,")
    for client, user in ((one, "u1"), (both, "u2")):
        assert client.emit(f'["join_room",{{"roomId":"r","userId":"{user}"}}]')["ok"] is True
        assert server.kick("r", {"userId": user})["kicked"] is True
        assert client.event("room:force-leave")["reason"] == "kicked"
        assert client.until("41") == "41"
    assert one.closed()
    both.send('42/other,5["room:heartbeat",{"roomId":"r"}]')
    assert both.until("43/other,5")
    both.send("41/other,")
    both.close()


def test_kick_is_for_admins(server: RunningServer, serve: Serve, connect: Connect, room: str) -> None:
    connect(server).join(room, "u1")
    path = f"/api/chatroom/{room}/kick"
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {ADMIN_TOKEN}"}):
        error = server.post(path, {"userId": "u1"}, 403, headers=headers)
        assert (error["success"], error["error"]["code"]) == (False, "forbidden")
    without = serve(PRESENCE_ADMIN_TOKEN="")
    assert without.post(path, {"userId": "u1"}, 403, headers={"Authorization": "Bearer x"})["success"] is False
    assert server.users(room) == ["u1"]


@pytest.mark.parametrize(
    ("body", "field"),
    [({}, "userId"), ([], "payload"), ({"userId": None}, "userId"), ({"userId": ""}, "userId"),
     ({"userId": "u", "message": 5}, "message"), ({"userId": "u", "message": {}}, "message"),
     ({"userId": "u", "message": ""}, "message")],
)  # fmt: skip
def test_kick_refuses_malformed_bodies(server: RunningServer, body: Any, field: str) -> None:
    error = server.kick("r", body, 422)["error"]
    assert (error["code"], error["field"]) == ("invalid_input", field)


def test_a_message_has_its_bound(server: RunningServer, connect: Connect, room: str) -> None:
    connect(server).join(room, "u1")
    for message in ("x" * 1025, "é" * 513):
        error = server.kick(room, {"userId": "u1", "message": message}, 413)["error"]
        assert (error["code"], error["field"], error["retryable"]) == ("too_large", "message", False)
    assert server.users(room) == ["u1"]
    assert server.kick(room, {"userId": "u1", "message": "é" * 512}) == {"success": True, "kicked": True}
    body = server.get("/openapi.json")["components"]["schemas"]["Kick"]["properties"]["message"]
    assert {(one.get("minLength"), one.get("maxLength")) for one in body["anyOf"] if one["type"] == "string"} == {
        (1, 1024)
    }
