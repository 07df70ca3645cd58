"""Lists of rooms: a token sees its own, however many there are besides, and nobody is told how many."""

from collections.abc import Callable

import pytest

from tests.client.driver import Client
from tests.server.chat_scene import new_phone
from tests.server.conftest import RunningServer, Serve
from tests.server.tokens import SECRET, bearer, token

Connect = Callable[..., Client]


@pytest.fixture(scope="module")
def guarded(serve: Serve) -> RunningServer:
    return serve(PRESENCE_JWT_SECRET=SECRET)


def test_lists_of_rooms_show_only_what_the_token_opens(guarded: RunningServer, connect: Connect) -> None:
    client = connect(guarded, auth={"token": token("seen")})
    client.join("open-1")
    client.join("shut-1")
    mine = bearer("other", rooms=["open-*"])
    assert [room["roomId"] for room in guarded.get("/api/users/seen/rooms", headers=mine)["rooms"]] == ["open-1"]
    live = guarded.get("/api/chatrooms", headers=mine)
    assert [room["roomId"] for room in live["rooms"]] == ["open-1"]
    assert live["total"] == 1
    everything = guarded.get("/api/chatrooms", headers=bearer("other"))
    assert everything["total"] == len(everything["rooms"]) >= 2
    for _ in range(2):
        posted = guarded.http.post("/messages/incoming", json={"phone": new_phone()}, headers=bearer("other"))
    chat_room = posted.json()["room_id"]
    assert guarded.get("/rooms", headers=bearer(rooms=[]))["data"] == {"rooms": [], "total_count": 0}
    everything = guarded.get("/rooms?limit=1", headers=bearer("other"))["data"]
    assert (len(everything["rooms"]), everything["total_count"]) == (1, 2)
    for query in ("", "?limit=1"):
        seen = guarded.get(f"/rooms{query}", headers=bearer(rooms=[chat_room]))["data"]
        assert ([room["room_id"] for room in seen["rooms"]], seen["total_count"]) == ([chat_room], 1)


def test_a_small_room_is_found_behind_larger_ones(guarded: RunningServer, connect: Connect) -> None:
    connect(guarded, auth={"token": token("alone")}).join("little-1")
    for user in ("u1", "u2"):
        connect(guarded, auth={"token": token(user)}).join("big-1")
    live = guarded.get("/api/chatrooms?limit=1", headers=bearer("alone", rooms=["little-*"]))
    assert live == {"rooms": [{"roomId": "little-1", "count": 1, "connections": 1}], "total": 1}
    assert guarded.get("/api/chatrooms?limit=1", headers=bearer("alone"))["rooms"][0]["roomId"] != "little-1"


def test_a_token_that_names_its_rooms_sees_them_however_many_are_larger(
    guarded: RunningServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand of the largest are looked through for a pattern; here it is one."""
    monkeypatch.setattr("server.http.presence.MAX_PAGE", 1)
    connect(guarded, auth={"token": token("alone")}).join("named-1")
    for user in ("u1", "u2"):
        connect(guarded, auth={"token": token(user)}).join("large-1")
        connect(guarded, auth={"token": token(user)}).join("named-2")
    seen = [
        {"roomId": "named-2", "count": 2, "connections": 2},
        {"roomId": "named-1", "count": 1, "connections": 1},
    ]
    named = {"rooms": ["named-1", "nobody's", "named-2"]}
    assert guarded.get("/api/chatrooms", headers=bearer("alone", **named)) == {"rooms": seen, "total": 2}
    assert guarded.get("/api/chatrooms?limit=1", headers=bearer("alone", **named)) == {"rooms": seen[:1], "total": 2}
    assert guarded.get("/api/chatrooms", headers=bearer(rooms=["", "[*]", "team[1]", "named-1"]))["total"] == 1
    assert guarded.get("/api/chatrooms", headers=bearer(rooms=[])) == {"rooms": [], "total": 0}
