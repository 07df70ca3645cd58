"""Who may do what: tokens on sockets and HTTP alike, rooms, admins, tokens that end while sockets live (002-9)."""

import hmac
import inspect
from collections.abc import Callable
from typing import Any

import pytest

from server import auth
from server.auth import Authoriser
from server.refusals import Refusal
from server.settings import Settings
from tests.client.driver import Client
from tests.server.conftest import ADMIN_TOKEN, RunningServer, Serve
from tests.server.tokens import OTHER_SECRET, SECRET, bearer, claims, forged, pair, token

Connect = Callable[..., Client]
ROOM = "team-1"
KEY = SECRET.encode()
# Everything that tells of a room or a user, as a reader asks for it.
READS = [
    "/api/chatroom/team-1/participants", "/api/chatroom/team-1/participants?view=full", "/api/chatroom/team-1/count",
    "/api/chatrooms/counts?ids=team-1", "/api/retro/team-1/state", "/messages?room_id=team-1", "/rooms/team-1",
]  # fmt: skip
LISTS = ["/api/chatrooms", "/api/users/u1/rooms", "/rooms", "/metrics", "/openapi.json", "/asyncapi.json"]
ADMIN = ["/api/analytics/removals", "/api/admin/overview"]


@pytest.fixture(scope="module")
def guarded(serve: Serve) -> RunningServer:
    return serve(PRESENCE_JWT_SECRET=SECRET)


@pytest.fixture(scope="module", params=["RS256", "ES256"])
def by_key(request: pytest.FixtureRequest, serve: Serve) -> tuple[RunningServer, str]:
    """A server that knows a public key, and the kind of key."""
    return serve(PRESENCE_JWT_PUBLIC_KEY=pair(request.param)[1]), request.param


def refused(server: RunningServer, connect: Connect, given: Any) -> None:
    """The token opens neither a socket nor a route."""
    client = connect(server, auth={"token": given, "userId": "u1"}, wait=False)
    assert (client.sid, client.refused) == ("", "unauthorized")
    if isinstance(given, str) and given and given.isascii():
        answer = server.http.get(READS[0], headers={"Authorization": f"Bearer {given}"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthorized")
        assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_good_token_opens_socket_and_routes(guarded: RunningServer, connect: Connect) -> None:
    client = connect(guarded, auth={"token": token("u1", name="Ada")})
    joined = client.join(ROOM)
    assert (joined["userId"], joined["users"][0]["username"]) == ("u1", "Ada")
    assert [user["userId"] for user in guarded.get(READS[0], headers=bearer("someone"))["users"]] == ["u1"]
    for path in [*READS[:5], *LISTS]:
        assert guarded.http.get(path, headers=bearer()).status_code == 200, path


def test_a_name_too_long_for_any_join_is_passed_over(guarded: RunningServer, connect: Connect) -> None:
    client = connect(guarded, auth={"token": token("long", name="é" * 65)})
    assert client.join("named-1")["users"][0]["username"] == "long"


def test_keys_of_both_kinds_open(by_key: tuple[RunningServer, str], connect: Connect) -> None:
    server, kind = by_key
    good = token("u1", key=pair(kind)[0], algorithm=kind)
    assert connect(server, auth={"token": good}).join(ROOM)["userId"] == "u1"
    assert server.http.get(READS[0], headers={"Authorization": f"bearer {good}"}).status_code == 200


@pytest.mark.parametrize("path", [*READS, *LISTS])
def test_no_token_no_route(guarded: RunningServer, path: str) -> None:
    for headers in ({}, {"Authorization": "Basic abc"}, {"Authorization": "Bearer"}, {"Authorization": "Bearer x.y.z"}):
        answer = guarded.http.get(path, headers=headers)
        assert (answer.status_code, answer.json()["success"]) == (401, False)
        assert answer.json()["error"]["code"] == "unauthorized"


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_only_the_health_of_the_process_is_open(guarded: RunningServer, path: str) -> None:
    assert guarded.http.get(path).status_code == 200


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/chatrooms/counts", {"ids": ["team-1"]}), ("/messages/incoming", {"phone": "628785390"}),
        ("/messages/send", {"room_id": "team-1", "user_id": "u1", "text": "x"}), ("/rooms/team-1/read", {}),
        ("/webhook/whatsapp", {"entry": []}),
    ],
)  # fmt: skip
def test_no_token_no_post(guarded: RunningServer, path: str, body: Any) -> None:
    """Nor is a stranger told whether the body is any good."""
    assert guarded.http.post(path, json=body).status_code == 401
    for content in (b"{", b" " * 1_000_001):
        assert guarded.http.post(path, content=content).status_code == 401
    assert guarded.http.get("/api/chatrooms/counts").status_code == 401


@pytest.mark.parametrize("given", [None, "", 5, {}, [], True, "x", "a.b.c", "é.é.é", "." * 5000])
def test_what_is_no_token_is_unauthorized(guarded: RunningServer, connect: Connect, given: Any) -> None:
    refused(guarded, connect, given)


def test_no_handshake_at_all_is_unauthorized(guarded: RunningServer, connect: Connect) -> None:
    assert connect(guarded, wait=False).refused == "unauthorized"
    assert connect(guarded, wait=False, auth={"userId": "u1"}).refused == "unauthorized"
    assert connect(guarded, wait=False, query={"userId": "u1", "retroId": "r"}).refused == "unauthorized"


@pytest.mark.parametrize(
    "given",
    [
        token(key=OTHER_SECRET), token()[:-3], token() + "x", token(lives_s=-1), token(lives_s=-86400),
        token(algorithm="HS384"), token(algorithm="HS512"), token(nbf=4_000_000_000), token(iat=4_000_000_000),
        token(user=""), token(user="x" * 129), token(user="a\nb"), token(rooms="*"), token(rooms=[1]), token(rooms={}),
        forged({"alg": "none"}, claims()), forged({"alg": "None"}, claims()), forged({"alg": "nOnE"}, claims(), b""),
        forged({"alg": "none", "typ": "JWT"}, claims(admin=True), KEY), forged({}, claims(), KEY),
        forged({"alg": "HS256"}, {"exp": 4e9}, KEY), forged({"alg": "HS256"}, {"sub": True}, KEY), token(aud="other"),
        forged({"alg": "HS256"}, claims(user=None), KEY), forged({"alg": "HS256"}, claims(), b""),
        forged({"alg": "HS256"}, {"sub": "u1", "exp": "soon"}, KEY),
        forged({"alg": "HS256"}, {"sub": "u1", "exp": 1e400}, KEY),
        forged({"alg": "RS256"}, claims(), KEY), forged({"alg": "HS256", "crit": ["x"]}, claims(), KEY),
    ],
)  # fmt: skip
def test_forged_or_expired_is_unauthorized(guarded: RunningServer, connect: Connect, given: str) -> None:
    """Bad signature, expired, `alg: none`, another algorithm, claims that are missing or of the wrong kind."""
    refused(guarded, connect, given)


def test_a_public_key_is_no_shared_secret(by_key: tuple[RunningServer, str], connect: Connect) -> None:
    """HS/RS confusion: whoever has read the public key signs with it as if it were a secret."""
    server, kind = by_key
    public = pair(kind)[1]
    for key in (public, public.strip(), public.replace("\n", "")):
        refused(server, connect, forged({"alg": "HS256"}, claims(), key.encode()))
        refused(server, connect, forged({"alg": kind}, claims(), key.encode()))
    other = "ES256" if kind == "RS256" else "RS256"
    refused(server, connect, token(key=pair(other)[0], algorithm=other))
    refused(server, connect, forged({"alg": "none"}, claims()))
    refused(server, connect, token(key=SECRET))


def test_another_users_id_is_forbidden(guarded: RunningServer, connect: Connect) -> None:
    client = connect(guarded, auth={"token": token("u1")})
    for event in ("join_room", "room:heartbeat"):
        assert client.emit(event, {"roomId": ROOM, "userId": "u2"})["error"]["code"] == "forbidden"
    assert client.emit("room:join", {"room_id": ROOM, "user_id": "u2"})["error"]["code"] == "forbidden"
    assert client.emit("join-retro-room", {"retroId": "b", "userId": "u2"})["error"]["code"] == "forbidden"
    assert client.join(ROOM, "u1")["userId"] == "u1"
    answer = guarded.http.post(
        "/messages/send", json={"room_id": ROOM, "user_id": "u2", "text": "x"}, headers=bearer("u1")
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden")


EVENTS: list[tuple[str, dict[str, Any]]] = [
    *((event, {"roomId": ROOM}) for event in ("join_room", "leave_room", "room:heartbeat", "room:update")),
    *((event, {"roomId": ROOM}) for event in ("room:sync", "room:users:get")),
    *((event, {"roomIds": [ROOM]}) for event in ("room:watch", "room:unwatch")),
    *((event, {"room_id": ROOM}) for event in ("room:join", "room:leave", "room:read")),
    ("user:logout", {}), ("auth:refresh", {"token": token("15")}), ("leave-retro-room", {"retroId": "b"}),
    ("request-retro-state", {"retroId": "b"}), ("typing", {"retroId": "b"}),
]  # fmt: skip


@pytest.mark.parametrize(("event", "payload"), EVENTS)
def test_another_users_id_is_forbidden_in_every_event(
    guarded: RunningServer, connect: Connect, event: str, payload: dict[str, Any]
) -> None:
    """Nothing is done then. One's own is taken in both spellings; what is no id is named."""
    client = connect(guarded, auth={"token": token("15")})
    client.join(ROOM)
    client.emit("join-retro-room", "b")
    others: list[dict[str, Any]] = [{"userId": "u2"}, {"user_id": 2}, {"userId": 15, "user_id": "u2"}]
    for named in others:
        assert client.emit(event, {**payload, **named})["error"]["code"] == "forbidden"
    assert client.emit(event, {**payload, "userId": {}})["error"]["field"] == "userId"
    assert client.emit("room:heartbeat", {"roomId": ROOM})["ok"] is True
    own: list[dict[str, Any]] = [{"userId": 15}, {"user_id": "15"}, {"userId": None}]
    for named in own:
        assert client.emit(event, {**payload, **named})["ok"] is True or event == "room:read"


def test_an_id_is_the_same_user_as_text_and_number(guarded: RunningServer, connect: Connect) -> None:
    """T3.11."""
    client = connect(guarded, auth={"token": token("15")})
    assert client.join(ROOM, 15)["ok"] is True


OUTSIDE: list[tuple[str, Any]] = [
    ("join_room", {"roomId": "other"}), ("room:heartbeat", {"roomId": "other"}),
    ("room:users:get", {"roomId": "other"}), ("room:sync", {"roomId": "other"}),
    ("room:watch", {"roomIds": ["team-1", "other"]}), ("room:join", {"room_id": "other"}),
    ("room:read", {"room_id": "other"}), ("join-retro-room", "other"), ("join_room", {"roomId": "team-12"}),
    ("join_room", {"roomId": "TEAM-1"}), ("join_room", {"roomId": "xteam-1"}), ("join_room", {"roomId": "team-1 "}),
]  # fmt: skip


@pytest.mark.parametrize(("event", "payload"), OUTSIDE)
def test_outside_rooms_is_forbidden_on_sockets(
    guarded: RunningServer, connect: Connect, event: str, payload: Any
) -> None:
    """`rooms` bounds join, beat, lists, sync, watch, chat and board."""
    client = connect(guarded, auth={"token": token("u1", rooms=["team-?", "retro:mine"])})
    assert client.emit(event, payload)["error"]["code"] == "forbidden"
    assert client.wait("error")["code"] == "forbidden"
    assert client.join("team-2")["ok"] is True


@pytest.mark.parametrize("path", READS)
def test_outside_rooms_is_forbidden_over_http(guarded: RunningServer, path: str) -> None:
    answer = guarded.http.get(path, headers=bearer(rooms=["elsewhere"]))
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden")
    assert (
        guarded.http.post(
            "/api/chatrooms/counts", json={"ids": ["elsewhere", ROOM]}, headers=bearer(rooms=["elsewhere"])
        ).status_code
        == 403
    )
    assert guarded.http.get(path, headers=bearer(rooms=[])).status_code == 403


def test_a_chat_message_reaches_only_tokens_that_open_its_room(guarded: RunningServer, connect: Connect) -> None:
    """`new_message` goes to all sockets, but not past what their tokens open."""
    phone = "6287850001"
    room = guarded.post("/messages/incoming", {"phone": phone, "content_text": "a"}, headers=bearer())["room_id"]
    inside = connect(guarded, auth={"token": token("in", rooms=[room])})
    outside = connect(guarded, auth={"token": token("out", rooms=["nothing"])})
    guarded.post("/messages/incoming", {"phone": phone, "content_text": "b"}, headers=bearer())
    guarded.post(f"/rooms/{room}/read", {}, headers=bearer())
    assert inside.wait("new_message")["room_id"] == room
    inside.wait("room:unread")
    outside.emit("user:logout")
    assert [seen.name for seen in outside.seen if not seen.ack] == ["connect"]


@pytest.mark.parametrize("path", ADMIN)
def test_admin_routes_need_an_admin(guarded: RunningServer, path: str) -> None:
    assert guarded.http.get(path, headers=bearer()).status_code == 403
    assert guarded.http.get(path, headers=bearer(admin="yes")).status_code == 403
    assert guarded.http.get(path, headers=bearer(admin=1)).status_code == 403
    assert guarded.http.get(path, headers=bearer(admin=True)).status_code == 200
    assert guarded.http.get(path, headers={"Authorization": f"Bearer {ADMIN_TOKEN}"}).status_code == 200
    for wrong in (ADMIN_TOKEN[:-1], ADMIN_TOKEN + "x", ADMIN_TOKEN.upper(), "x"):
        assert guarded.http.get(path, headers={"Authorization": f"Bearer {wrong}"}).status_code in {401, 403}


@pytest.mark.parametrize("path", ADMIN)
def test_admin_routes_without_a_token_are_403(server: RunningServer, serve: Serve, path: str) -> None:
    """Without authentication too, and where no admin token is set at all."""
    closed = serve(PRESENCE_ADMIN_TOKEN="")
    for one in (server, closed):
        for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": "Bearer"}):
            answer = one.http.get(path, headers=headers)
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden")
    assert closed.http.post("/api/chatroom/r/kick", json={"userId": "u"}).status_code == 403
    assert server.http.get(path, headers={"Authorization": f"Bearer {ADMIN_TOKEN}"}).status_code == 200


def test_kick_needs_an_admin(guarded: RunningServer, connect: Connect) -> None:
    client = connect(guarded, auth={"token": token("kicked")})
    client.join("kick-1")
    for more in ({}, {"admin": "true"}):
        answer = guarded.http.post("/api/chatroom/kick-1/kick", json={"userId": "kicked"}, headers=bearer(**more))
        assert answer.status_code == 403
    assert guarded.http.post("/api/chatroom/kick-1/kick", json={"userId": "kicked"}).status_code in {401, 403}
    assert guarded.kick("kick-1", {"userId": "kicked"})["kicked"] is True
    assert client.wait("room:force-leave")["reason"] == "kicked"


def test_tokens_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every comparison of the admin token goes through hmac, also where lengths differ; none uses `==`."""
    seen: list[tuple[bytes, bytes]] = []
    real = hmac.compare_digest

    def watched(given: bytes, known: bytes) -> bool:
        seen.append((given, known))
        return real(given, known)

    monkeypatch.setattr(hmac, "compare_digest", watched)
    authoriser = Authoriser(Settings.from_environ({"PRESENCE_ADMIN_TOKEN": ADMIN_TOKEN}))
    authoriser.check_admin({"authorization": f"Bearer {ADMIN_TOKEN}"})
    for wrong in ("x", ADMIN_TOKEN[:-1], "é"):
        with pytest.raises(Refusal):
            authoriser.check_admin({"authorization": f"Bearer {wrong}"})
    assert [given.decode() for given, _ in seen] == [ADMIN_TOKEN, "x", ADMIN_TOKEN[:-1], "é"]
    source = inspect.getsource(auth)
    assert "admin_token ==" not in source
    assert "== self._settings" not in source


def test_a_token_that_ends_is_told_then_ends_the_socket(serve: Serve, connect: Connect) -> None:
    """Told with `unauthorized`, refused at every event, disconnected after the grace; its room goes into grace."""
    server = serve(PRESENCE_JWT_SECRET=SECRET, PRESENCE_TOKEN_GRACE="0.5", PRESENCE_GRACE="0.2")
    client = connect(server, auth={"token": token("ends", lives_s=1)})
    client.join(ROOM)
    told = client.wait("error")
    assert (told["code"], told["event"]) == ("unauthorized", None)
    assert "auth:refresh" in told["message"]
    client.wait("disconnect")
    assert 'presence_closed_sockets_total{reason="token_expired"}' in server.http.get("/metrics", headers=bearer()).text


def test_an_expired_token_opens_nothing_while_the_grace_runs(serve: Serve, connect: Connect) -> None:
    server = serve(PRESENCE_JWT_SECRET=SECRET, PRESENCE_TOKEN_GRACE="60")
    client = connect(server, auth={"token": token("late", lives_s=1)})
    client.join(ROOM)
    client.wait("error")
    for event, payload in [
        ("room:heartbeat", {"roomId": ROOM}),
        ("join_room", {"roomId": ROOM}),
        ("room:users:get", {"roomId": ROOM}),
        ("room:update", {"roomId": ROOM, "username": "x"}),
    ]:
        assert client.emit(event, payload)["error"]["code"] == "unauthorized"
    assert client.emit("auth:refresh", {"token": token("late", lives_s=-20)})["error"]["code"] == "unauthorized"
    assert client.emit("auth:refresh", {"token": token("late")})["ok"] is True
    assert client.emit("room:heartbeat", {"roomId": ROOM})["ok"] is True


def test_a_fresh_token_keeps_the_socket(serve: Serve, connect: Connect) -> None:
    server = serve(PRESENCE_JWT_SECRET=SECRET, PRESENCE_TOKEN_GRACE="0.4")
    client = connect(server, auth={"token": token("stays", lives_s=1)})
    client.join(ROOM)
    client.wait("error")
    assert client.emit("auth:refresh", {"token": token("stays")})["ok"] is True
    client.forget()
    with pytest.raises(AssertionError, match="did not come"):
        client.wait("disconnect", timeout_s=1.0)
    assert client.emit("room:heartbeat", {"roomId": ROOM})["ok"] is True


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (token("other"), "forbidden"), (token("u1", key=OTHER_SECRET), "unauthorized"),
        (token("u1", rooms=["x"]), "forbidden"), (forged({"alg": "none"}, claims("u1")), "unauthorized"),
        (token("u1", lives_s=-60), "unauthorized"), ("", "unauthorized"),
    ],
)  # fmt: skip
def test_a_refresh_by_another_token_is_refused(guarded: RunningServer, connect: Connect, given: str, code: str) -> None:
    """Of another user, forged, expired, or one that does not open the room the socket is in."""
    client = connect(guarded, auth={"token": token("u1")})
    client.join(ROOM)
    assert client.emit("auth:refresh", {"token": given})["error"]["code"] == code
    assert client.emit("room:heartbeat", {"roomId": ROOM})["ok"] is True


def test_a_refreshed_token_must_open_what_is_watched(guarded: RunningServer, connect: Connect) -> None:
    client = connect(guarded, auth={"token": token("u1")})
    assert client.emit("room:watch", {"roomIds": ["watched-1"]})["ok"] is True
    less = {"token": token("u1", rooms=["other-*"])}
    assert client.emit("auth:refresh", less)["error"]["code"] == "forbidden"
    assert client.emit("room:unwatch", {"roomIds": ["watched-1"]})["ok"] is True
    assert client.emit("auth:refresh", less)["ok"] is True


def test_data_and_reasons_reach_members_only(guarded: RunningServer, connect: Connect) -> None:
    """A watcher and a reader of names see neither `data` nor why somebody left."""
    member = connect(guarded, auth={"token": token("m")})
    watcher = connect(guarded, auth={"token": token("w")})
    leaver = connect(guarded, auth={"token": token("l")})
    member.join("data-1")
    assert watcher.emit("room:watch", {"roomIds": ["data-1"]})["ok"] is True
    leaver.join("data-1", data={"private": "shibboleth"})
    joined = member.wait("room:diff", lambda body: body["joined"])["joined"]
    assert joined[0]["data"] == {"private": "shibboleth"}
    names = guarded.get("/api/chatroom/data-1/participants", headers=bearer())
    assert [set(user) for user in names["users"]] == [{"userId", "username"}] * 2
    leaver.emit("leave_room", {"roomId": "data-1"})
    assert member.wait("room:diff", lambda body: body["left"])["left"][0]["reason"] == "left"
    watcher.wait("room:count", lambda body: body["seq"] == 3)
    seen = str([(one.name, one.body) for one in watcher.seen])
    assert "shibboleth" not in seen
    assert "reason" not in seen
