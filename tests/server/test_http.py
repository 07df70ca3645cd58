"""The HTTP routes of presence: shapes, order, paging, ids in addresses, refusals."""

import json
import re
import socket
import time
from collections.abc import Callable

import pytest
from starlette.requests import Request

from presence_engine import EmbeddedServer, PresenceEngine
from server.auth import Authoriser
from server.http.health import HealthRoutes
from server.settings import Settings
from tests.client.driver import Client, eventually
from tests.server.conftest import RunningServer, Serve, in_path

Connect = Callable[..., Client]

ODD_IDS = [
    "a:b", "{x}", "{}", "}{", "*", "?", "h[a-z]llo", "a/b", "/", "//", "a/count", "x/participants", "a%2Fb", "100%",
    "a b", "a+b", "#", "~",
    "🙂 family \U0001f469\u200d\U0001f469\u200d\U0001f467", "\u202eright-to-left",
    "\u00e9", "e\u0301", "ünïcödé", "..", ".", "a&b=c", "'\"\\", "x" * 128, "é" * 64, "__proto__", "constructor", "-1",
]  # fmt: skip


def test_000_8_exact_body_and_order(server: RunningServer, connect: Connect, room: str) -> None:
    """000-8: exactly these two keys, users in the order they joined."""
    for user, name in (("u1", "migxtes4"), ("u2", "migxtes5")):
        connect(server).join(room, user, username=name)
    response = server.http.get(f"/api/chatroom/{room}/participants")
    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["content-type"] == "application/json"
    expected = '{"count":2,"users":[{"userId":"u1","username":"migxtes4"},{"userId":"u2","username":"migxtes5"}]}'
    assert response.text == expected


def test_000_8_an_unknown_room_is_empty_with_200(server: RunningServer, room: str) -> None:
    assert server.participants(room) == {"count": 0, "users": []}
    count = server.count(room)
    assert (count["roomId"], count["count"], count["connections"], count["seq"]) == (room, 0, 0, 0)


@pytest.mark.parametrize("name", ODD_IDS)
def test_t0_8_x1_odd_ids_in_addresses(server: RunningServer, connect: Connect, name: str) -> None:
    """T0.8, X1: every legal id is one room and one user, over sockets and in addresses."""
    client = connect(server)
    client.join(name, name, username=name)
    assert server.participants(name) == {"count": 1, "users": [{"userId": name, "username": name}]}
    assert server.count(name)["roomId"] == name
    rooms = server.get(f"/api/users/{in_path(name)}/rooms")
    assert rooms["userId"] == name
    assert [one["roomId"] for one in rooms["rooms"]] == [name]
    assert server.post("/api/chatrooms/counts", {"ids": [name]}) == {"counts": {name: 1}}
    assert server.get(f"/api/chatrooms/counts?ids={in_path(name)}") == {"counts": {name: 1}}
    assert server.kick(name, {"userId": name})["kicked"] is True
    assert client.wait("room:force-leave")["roomId"] == name
    assert server.participants(name)["count"] == 0


def test_x1_ids_in_two_normal_forms_are_two(server: RunningServer, connect: Connect) -> None:
    client = connect(server, auth={"userId": "u1"})
    client.join("caf\u00e9")
    assert server.participants("cafe\u0301")["count"] == 0
    client.emit("leave_room", {"roomId": "caf\u00e9"})


def test_participants_pages_and_next_cursor(server: RunningServer, connect: Connect, room: str) -> None:
    """`limit`, `cursor`; `nextCursor` only when more follow; `count` is of the room, not of the page."""
    for at in range(5):
        connect(server).join(room, at)
    first = server.participants(room, limit=2)
    assert (first["count"], [user["userId"] for user in first["users"]]) == (5, [0, 1])
    second = server.participants(room, limit=2, cursor=first["nextCursor"])
    third = server.participants(room, limit=2, cursor=second["nextCursor"])
    assert [user["userId"] for user in [*second["users"], *third["users"]]] == [2, 3, 4]
    assert "nextCursor" not in third
    assert "nextCursor" not in server.participants(room, limit=5)


def test_full_view_gives_whole_members(server: RunningServer, connect: Connect, room: str) -> None:
    connect(server).join(room, "u1", data={"x": []})
    (member,) = server.participants(room, view="full")["users"]
    assert set(member) == {"userId", "username", "joinedAt", "lastActiveAt", "status", "data"}
    assert member["data"] == {"x": []}


def test_count_counts_and_rooms(server: RunningServer, connect: Connect, room: str) -> None:
    a, b = f"{room}-a", f"{room}-b"
    one, two = connect(server), connect(server)
    one.join(a, "u1")
    two.join(a, "u1")
    two.join(b, "u1")
    connect(server).join(a, "u2")
    count = server.count(a)
    assert set(count) == {"roomId", "count", "connections", "epoch", "seq"}
    assert (count["count"], count["connections"]) == (2, 3)
    assert server.get(f"/api/chatrooms/counts?ids={a},{b},none") == {"counts": {a: 2, b: 1, "none": 0}}
    assert server.post("/api/chatrooms/counts", {"ids": [a, b, a]}) == {"counts": {a: 2, b: 1}}
    found = server.get("/api/chatrooms?limit=1000")
    shown = [one for one in found["rooms"] if one["roomId"] in {a, b}]
    assert shown == [
        {"roomId": a, "count": 2, "connections": 3}, {"roomId": b, "count": 1, "connections": 1},
    ]  # fmt: skip
    assert found["total"] == len(found["rooms"])
    largest = server.get("/api/chatrooms?limit=1")
    assert (len(largest["rooms"]), largest["total"]) == (1, found["total"])
    where = server.get("/api/users/u1/rooms")
    assert [(one["roomId"], one["connections"]) for one in where["rooms"] if one["roomId"] in {a, b}] == [
        (a, 2),
        (b, 1),
    ]
    assert server.get("/api/users/nobody/rooms") == {"userId": "nobody", "rooms": []}


def test_the_rooms_of_a_user_tell_since_when(server: RunningServer, connect: Connect, room: str) -> None:
    """T3.3: `joinedAt` is that of the first join's answer, in each room its own, whatever tabs came later."""
    user, one, two = f"user-{room}", connect(server), connect(server)
    since = [
        {"roomId": name, "connections": 1, "joinedAt": one.join(name, user)["users"][0]["joinedAt"]}
        for name in (f"{room}-a", f"{room}-b")
    ]
    assert server.get(f"/api/users/{user}/rooms") == {"userId": user, "rooms": since}
    two.join(f"{room}-a", user)
    since[0]["connections"] = 2
    assert server.get(f"/api/users/{user}/rooms")["rooms"] == since


def test_without_an_index_nobody_is_told_that_a_user_is_nowhere(serve: Serve, connect: Connect, room: str) -> None:
    """C5: `PRESENCE_USER_INDEX=off`."""
    server = serve(PRESENCE_USER_INDEX="off")
    connect(server).join(room, "u1")
    error = server.get("/api/users/u1/rooms", 404)["error"]
    assert error["code"] == "not_found"
    assert "PRESENCE_USER_INDEX" in error["message"]
    assert server.get("/api/users/%00/rooms", 400)["error"]["field"] == "userId"


def test_counts_takes_a_thousand_and_no_more(server: RunningServer) -> None:
    ids = [f"r{at}" for at in range(1000)]
    assert len(server.post("/api/chatrooms/counts", {"ids": ids})["counts"]) == 1000
    error = server.post("/api/chatrooms/counts", {"ids": [*ids, "one"]}, 422)["error"]
    assert (error["code"], error["field"]) == ("invalid_input", "ids")
    joined = ",".join([*ids, "one"])
    assert server.get(f"/api/chatrooms/counts?ids={joined}", 400)["error"]["field"] == "ids"


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/api/chatroom/r/participants?limit=0", "limit"),
        ("/api/chatroom/r/participants?limit=1001", "limit"),
        ("/api/chatroom/r/participants?limit=-1", "limit"),
        ("/api/chatroom/r/participants?limit=", "limit"),
        ("/api/chatroom/r/participants?limit=1e2", "limit"),
        ("/api/chatroom/r/participants?limit=%D9%A1", "limit"),
        ("/api/chatroom/r/participants?cursor=x", "cursor"),
        ("/api/chatroom/r/participants?cursor=99999999999999999999%3Au", "cursor"),
        ("/api/chatroom/r/participants?view=some", "view"),
        (f"/api/chatroom/{'x' * 129}/participants", "roomId"),
        ("/api/chatroom/%00/participants", "roomId"),
        ("/api/chatroom/a%0Ab/participants", "roomId"),
        ("/api/chatroom/%7F/count", "roomId"),
        (f"/api/users/{'%C3%A9' * 65}/rooms", "userId"),
        ("/api/chatrooms/counts", "ids"),
        ("/api/chatrooms/counts?ids=", "ids"),
        ("/api/chatrooms/counts?ids=a,,b", "ids"),
        ("/api/chatrooms?limit=0", "limit"),
        ("/api/chatrooms?limit=1001", "limit"),
    ],
)
def test_malformed_requests_name_the_field(server: RunningServer, path: str, field: str) -> None:
    response = server.http.get(path)
    assert response.status_code == 400, response.text
    body = response.json()
    assert body["success"] is False
    error = body["error"]
    assert (error["code"], error["field"], error["retryable"]) == ("invalid_input", field, False)
    assert set(error) == {"code", "message", "field", "retryable"}


@pytest.mark.parametrize(
    ("content", "status", "field"),
    [
        (b"", 400, "payload"),
        (b"{", 400, "payload"),
        (b"\xff\xfe", 400, "payload"),
        (b"[" * 5000, 400, "payload"),
        (b'{"ids":' + b"9" * 5000 + b"}", 400, "payload"),
        (b"[]", 422, "payload"),
        (b"null", 422, "payload"),
        (b"{}", 422, "ids"),
        (b'{"ids": "a"}', 422, "ids"),
        (b'{"ids": [null]}', 422, "ids"),
        (b'{"ids": [true]}', 422, "ids"),
        (b'{"ids": [1.5]}', 422, "ids"),
        (b'{"ids": [""]}', 422, "ids"),
        (b'{"ids": [9007199254740993]}', 422, "ids"),
        (b'{"ids": ["\\u0000"]}', 422, "ids"),
        (b'{"ids": ["\\ud800"]}', None, None),
    ],
)
def test_malformed_bodies(server: RunningServer, content: bytes, status: int | None, field: str | None) -> None:
    response = server.http.post("/api/chatrooms/counts", content=content)
    assert response.status_code == status or (status is None and response.status_code in {400, 422}), response.text
    assert response.json()["error"]["code"] == "invalid_input"
    if field is not None:
        assert response.json()["error"]["field"] == field


def test_a_body_too_large_is_too_large(server: RunningServer) -> None:
    response = server.http.post("/api/chatrooms/counts", content=b" " * 1_000_001)
    assert (response.status_code, response.json()["error"]["code"]) == (413, "too_large")


@pytest.mark.parametrize("path", ["/api/chatrooms/counts", "/messages/incoming"])
def test_a_client_that_hangs_up_in_its_body_is_no_fault(
    server: RunningServer, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    def refusals() -> float:
        figures = server.http.get("/metrics").text
        found = re.search(r'^presence_refusals_total\{code="invalid_input"\} (\S+)$', figures, re.MULTILINE)
        return float(found[1]) if found else 0.0

    before = refusals()
    with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2]))) as client:
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\nExpect: 100-continue\r\n\r\n"
        client.sendall(head.encode())
        assert client.recv(64).startswith(b"HTTP/1.1 100")
        client.sendall(b'{"ids":')
    eventually(lambda: refusals() > before, "the end of the request")
    assert [record.getMessage() for record in caplog.records if record.exc_info] == []


BROKEN = [
    ("/api/chatroom/%FF/participants", "roomId"), ("/api/chatroom/a%C3/count", "roomId"),
    ("/api/users/%ED%A0%80/rooms", "userId"), ("/api/chatrooms/counts?ids=a,%FF", "ids"),
    ("/api/chatroom/r/participants?cursor=1%3A%FF", "cursor"), ("/messages?room_id=%C3%28", "room_id"),
    ("/rooms/%FF", "room_id"), ("/api/retro/%FF/state", "retroId"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "field"), BROKEN)
def test_bytes_that_are_no_text_are_no_id(server: RunningServer, path: str, field: str) -> None:
    error = server.get(path, 400)["error"]
    assert (error["code"], error["field"]) == ("invalid_input", field)
    assert "Unicode" in error["message"]


def test_the_sign_for_bytes_that_are_no_text_is_an_id_like_any_other(server: RunningServer) -> None:
    assert server.count("\ufffd")["roomId"] == "\ufffd"
    assert server.get("/api/chatrooms/counts?ids=%EF%BF%BD&x=%FF") == {"counts": {"\ufffd": 0}}
    assert server.get("/api/chatroom/r/participants?cursor=1%3A%EF%BF%BD&x=%FF")["users"] == []


@pytest.mark.parametrize("path", ["/healthz/", "/api/chatrooms/", "/admin/", "/api/chatroom/r/count/", "/messages/"])
def test_a_slash_at_the_end_is_another_address(server: RunningServer, path: str) -> None:
    """Not sent elsewhere: behind a proxy that would be an address of the server's own, without TLS."""
    assert server.get(path, 404)["error"]["code"] == "not_found"


@pytest.mark.parametrize(
    "path", ["/nowhere", "/api", "/api/chatroom", "/api/chatroom/r", "/api/chatroom//participants/x"]
)
def test_unknown_paths_are_404_in_the_contracts_shape(server: RunningServer, path: str) -> None:
    body = server.get(path, 404)
    assert set(body) == {"success", "error"}
    assert body["success"] is False
    assert body["error"]["code"] == "not_found"


def test_an_empty_room_id_is_no_room(server: RunningServer) -> None:
    assert server.http.get("/api/chatroom//participants").status_code in {400, 404}


@pytest.mark.parametrize(
    ("method", "path"),
    [("DELETE", "/api/chatroom/r/participants"), ("GET", "/api/chatroom/r/kick"), ("PUT", "/api/chatrooms/counts"),
     ("POST", "/rooms"), ("GET", "/messages/incoming"), ("POST", "/healthz")],
)  # fmt: skip
def test_a_method_that_a_path_does_not_take(server: RunningServer, method: str, path: str) -> None:
    """Section 2: the contract knows no 405."""
    response = server.http.request(method, path)
    assert response.status_code == 404
    assert response.json() == {
        "success": False,
        "error": {"code": "not_found", "message": "this address does not take that method", "retryable": False},
    }


def test_health_readiness_and_figures(server: RunningServer, connect: Connect, room: str) -> None:
    connect(server).join(room, "u1")
    assert server.get("/healthz")
    ready = server.get("/readyz")
    assert (ready["status"], ready["redis"]) == ("ok", "connected")
    assert abs(ready["timestamp"] - time.time() * 1000) < 60_000
    figures = server.http.get("/metrics")
    assert figures.status_code == 200
    assert figures.headers["content-type"].startswith("text/plain")
    assert 'presence_events_total{event="join_room",outcome="ok"}' in figures.text


async def test_readiness_tells_the_time_of_redis(store: EmbeddedServer) -> None:
    async with PresenceEngine(store.url) as engine:
        engine.clock_ahead_ms = 3_600_000
        health = HealthRoutes(engine, Authoriser(Settings.from_environ({})), lambda: True)
        answer = await health.readiness(Request({"type": "http"}))
    assert abs(json.loads(bytes(answer.body))["timestamp"] - time.time() * 1000 - 3_600_000) < 60_000


def test_cors_is_same_origin_unless_named(server: RunningServer, serve: Serve) -> None:
    asked = {"Origin": "https://a.example"}
    plain = server.http.get("/api/chatroom/r/participants", headers=asked)
    assert "access-control-allow-origin" not in plain.headers
    named = serve(PRESENCE_CORS_ORIGINS="https://a.example")
    allowed = named.http.get("/api/chatroom/r/participants", headers=asked)
    assert allowed.headers["access-control-allow-origin"] == "https://a.example"
    other = named.http.get("/api/chatroom/r/participants", headers={"Origin": "https://b.example"})
    assert "access-control-allow-origin" not in other.headers
