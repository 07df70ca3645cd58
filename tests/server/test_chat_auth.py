"""The chat with authentication on: who may read, write and hear of which room."""

import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest

from tests.client.driver import Client
from tests.server.chat_scene import incoming, new_phone, of_room, post_past_servers, told, wait_for_seq
from tests.server.conftest import ADMIN_TOKEN, RunningServer, Serve

Connect = Callable[..., Client]
KEY = "a-signing-key-of-the-tests-only-0123456789"


@pytest.fixture(scope="module")
def guarded(serve: Serve) -> RunningServer:
    return serve(PRESENCE_JWT_SECRET=KEY)


def token(user: str, rooms: list[str] | None = None, **claims: Any) -> str:
    about = {"sub": user, "exp": time.time() + 600, **claims, **({} if rooms is None else {"rooms": rooms})}
    return jwt.encode(about, KEY, algorithm="HS256")


def bearer(given: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {given}"}


def as_user(user: str, rooms: list[str] | None = None, **claims: Any) -> dict[str, Any]:
    return {"headers": bearer(token(user, rooms, **claims))}


@pytest.fixture
def room(guarded: RunningServer) -> str:
    return post_past_servers(guarded.settings.redis_url or "", new_phone()).room_id


def test_every_route_needs_a_token(guarded: RunningServer, room: str) -> None:
    for path in ("/rooms", f"/rooms/{room}", f"/messages?room_id={room}"):
        assert guarded.get(path, 401)["error"]["code"] == "unauthorized"
        assert guarded.get(path, 401, headers=bearer("nonsense"))["error"]["code"] == "unauthorized"
    for path in ("/messages/incoming", "/messages/send", f"/rooms/{room}/read", "/webhook/whatsapp"):
        assert guarded.post(path, {"phone": "621"}, 401)["error"]["code"] == "unauthorized"


def test_a_room_outside_the_claim_is_forbidden(guarded: RunningServer, connect: Connect, room: str) -> None:
    phone = new_phone()
    stranger, friend = as_user("s", ["nothing-*"]), as_user("f", [room[:8] + "*"])
    for path in (f"/rooms/{room}", f"/messages?room_id={room}"):
        assert guarded.get(path, 403, **stranger)["error"]["code"] == "forbidden"
        assert guarded.get(path, **friend)["success"] is True
    sent = {"room_id": room, "user_id": "s", "text": "x"}
    assert guarded.post("/messages/send", sent, 403, **stranger)["error"]["code"] == "forbidden"
    assert guarded.post(f"/rooms/{room}/read", {}, 403, **stranger)["error"]["code"] == "forbidden"
    assert guarded.post("/messages/incoming", {"phone": phone}, 403, **stranger)["error"]["code"] == "forbidden"
    client = connect(guarded, auth={"token": token("s", ["nothing-*"])})
    for event in ("room:join", "room:read"):
        assert client.emit(event, {"room_id": room})["error"]["code"] == "forbidden"
    assert guarded.post("/messages/incoming", {"phone": phone}, **as_user("any"))["is_new_room"] is True


def test_nobody_writes_as_another(guarded: RunningServer, connect: Connect, room: str) -> None:
    sent = {"room_id": room, "user_id": "boss", "text": "x"}
    assert guarded.post("/messages/send", sent, 403, **as_user("clerk"))["error"]["code"] == "forbidden"
    assert guarded.post("/messages/send", sent, **as_user("boss"))["message"]["user_id"] == "boss"
    assert guarded.post("/messages/send", sent, headers=bearer(ADMIN_TOKEN))["message"]["user_id"] == "boss"
    client = connect(guarded, auth={"token": token("clerk")})
    for event in ("room:join", "room:leave"):
        assert client.emit(event, {"room_id": room, "userId": "boss"})["error"]["code"] == "forbidden"
    assert client.emit("room:join", {"room_id": room, "userId": "clerk"})["userId"] == "clerk"


def test_lists_hold_what_one_may_see_and_fill_their_pages(guarded: RunningServer, room: str) -> None:
    for _ in range(7):
        post_past_servers(guarded.settings.redis_url or "", new_phone())
    page = guarded.get("/rooms?limit=2", **as_user("f", [room]))["data"]
    assert [one["room_id"] for one in page["rooms"]] == [room]
    assert len(guarded.get("/rooms?limit=2", **as_user("any"))["data"]["rooms"]) == 2
    assert guarded.get("/rooms", **as_user("s", []))["data"]["rooms"] == []


def test_004_1_all_means_those_who_may_see_the_room(
    guarded: RunningServer, server: RunningServer, connect: Connect
) -> None:
    """Section 8: a message reaches nobody outside the room's claim; an expired token hears nothing."""
    phone = new_phone()
    witness = connect(guarded, auth={"token": token("w")})
    room = incoming(server, phone)["room_id"]
    # Whoever comes after this hears nothing of the first message any more.
    witness.wait("new_room_complete")
    friend = connect(guarded, auth={"token": token("f", [room])})
    stranger = connect(guarded, auth={"token": token("s", ["other-*"])})
    expiring = connect(guarded, auth={"token": token("e", exp=time.time() + 1)})
    assert friend.emit("room:join", {"room_id": room})["ok"] is True
    assert expiring.emit("room:join", {"room_id": room})["ok"] is True
    time.sleep(1.2)
    incoming(server, phone, "second")
    wait_for_seq(friend, room, 2)
    server.post(f"/rooms/{room}/read", {})
    friend.wait("room:unread")
    assert told(friend, room) == ["room:new_message", "new_message", "room:unread"]
    assert of_room(stranger, "new_message", room) == of_room(stranger, "room:unread", room) == []
    assert told(expiring, room) == []
