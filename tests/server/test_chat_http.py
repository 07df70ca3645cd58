"""The chat's HTTP routes: pages, read marks, malformed input, the webhook."""

import hashlib
import hmac
import json
import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest

from presence_engine import EmbeddedServer
from server import chat_messages
from tests.client.driver import Client
from tests.server.chat_scene import (
    incoming,
    messages_of,
    new_phone,
    of_room,
    post_past_servers,
    room_of,
    send,
    told,
    wait_for_seq,
)
from tests.server.conftest import RunningServer, Serve, StartStore

Connect = Callable[..., Client]
SECRET = "a-webhook-secret-of-the-tests"
VERIFY = "a-verify-token-of-the-tests"


@pytest.fixture
def phone() -> str:
    return new_phone()


def refused(answer: Any, code: str, field: str | None = None) -> None:
    assert answer["success"] is False
    assert (answer["error"]["code"], answer["error"].get("field")) == (code, field), answer


def test_messages_page_backwards_without_gap_or_repeat(server: RunningServer, phone: str) -> None:
    for number in range(7):
        room = incoming(server, phone, f"m{number}")["room_id"]
    newest = messages_of(server, room, limit=3)
    assert ([one["seq"] for one in newest["messages"]], newest["count"], newest["has_more"]) == ([5, 6, 7], 3, True)
    incoming(server, phone, "meanwhile")
    older = messages_of(server, room, limit=3, before=5)
    oldest = messages_of(server, room, limit=3, before=2)
    assert ([one["seq"] for one in older["messages"]], older["has_more"]) == ([2, 3, 4], True)
    assert ([one["seq"] for one in oldest["messages"]], oldest["has_more"]) == ([1], False)
    assert messages_of(server, room, before=1)["messages"] == []
    assert set(newest) == {"success", "room_id", "messages", "count", "has_more"}


def test_rooms_page_by_newest_activity(new_store: StartStore, serve: Serve) -> None:
    server = serve(new_store().url)
    assert server.get("/rooms") == {"success": True, "data": {"rooms": [], "total_count": 0}}
    phones = [new_phone() for _ in range(5)]
    for phone in phones:
        incoming(server, phone)
    incoming(server, phones[0], "newest")
    expected = [phones[0], *reversed(phones[1:])]
    found, cursor = [], None
    for size in (2, 2, 1):
        data = server.get("/rooms", params={"limit": 2, **({"cursor": cursor} if cursor else {})})["data"]
        assert (len(data["rooms"]), data["total_count"]) == (size, 5)
        found += [room["room_phone"] for room in data["rooms"]]
        cursor = data.get("cursor")
    assert (found, cursor) == (expected, None)


def test_t4_4_reading_is_a_mark_and_loses_no_message(server: RunningServer, connect: Connect, phone: str) -> None:
    """T4.4: `seq` reads up to there only; over HTTP and sockets; told to all when it changed."""
    for number in range(4):
        room = incoming(server, phone, f"m{number}")["room_id"]
    client = connect(server)
    assert server.post(f"/rooms/{room}/read", {"seq": 2}) == {
        "success": True, "room_id": room, "unread_count": 2, "read_seq": 2
    }  # fmt: skip
    assert client.wait("room:unread") == {"room_id": room, "unread_count": 2}
    assert client.emit("room:read", {"room_id": room, "seq": 1}) == {
        "ok": True, "room_id": room, "unread_count": 2, "read_seq": 2
    }  # fmt: skip
    assert client.emit("room:read", {"roomId": room})["unread_count"] == 0
    assert server.http.post(f"/rooms/{room}/read").json()["unread_count"] == 0
    incoming(server, phone, "after")
    wait_for_seq(client, room, 5)
    assert [body["unread_count"] for body in of_room(client, "room:unread", room)] == [2, 0]
    assert room_of(server, room)["unread_count"] == 1


def test_t4_4_reads_racing_messages_never_lose_one(server: RunningServer, serve: Serve, phone: str) -> None:
    """T4.4: reading up to what was seen, over two servers while messages come in, leaves exactly what was not seen."""
    other = serve()
    room = incoming(server, phone)["room_id"]

    def step(number: int) -> None:
        one = (server, other)[number % 2]
        if number % 3 == 2:
            seen = messages_of(one, room, limit=1)["messages"][-1]["seq"]
            answer = one.post(f"/rooms/{room}/read", {"seq": seen})
            assert answer["read_seq"] >= seen
        else:
            incoming(one, phone, f"m{number}")

    with ThreadPoolExecutor(12) as threads:
        list(threads.map(step, range(90)))
    found = room_of(server, room)
    mark = server.post(f"/rooms/{room}/read", {"seq": 0})["read_seq"]
    assert found["message_count"] == 61
    assert found["unread_count"] == 61 - mark
    assert room_of(other, room) == found


def test_an_unknown_room_is_404(server: RunningServer, connect: Connect) -> None:
    refused(server.get("/rooms/nothing", 404), "not_found")
    refused(server.get("/messages?room_id=nothing", 404), "not_found")
    refused(server.post("/rooms/nothing/read", {}, 404), "not_found")
    refused(server.post("/messages/send", {"room_id": "nothing", "user_id": "a", "text": "x"}, 404), "not_found")
    assert connect(server).emit("room:read", {"room_id": "nothing"})["error"]["code"] == "not_found"


BAD_TEXTS: list[Any] = [5, True, [], {}, "\ud800"]


BAD: dict[str, list[Any]] = {
    "phone": [None, "", " ", "abc", "0", True, 1.5, -3, [], "1" * 16],
    **dict.fromkeys(
        ("content_text", "wa_message_id", "customer_name", "room_title", "content_type", "reaction_emoji"), BAD_TEXTS
    ),
    "leads_info": [5, [], "x", {"x": "y" * 4096}],
    "metadata": [5, [], "x", {"x": "y" * 16384}],
    "file_size": [-1, 1.5, "5", 2**53, True],
}
BODIES: list[tuple[Any, str]] = [
    ({}, "phone"),
    ({"phone": "621", "content_text": "é" * 8193}, "content_text"),
    ({"phone": "621", "wa_message_id": "x" * 2049}, "wa_message_id"),
    *(({"phone": "621", name: bad}, name) for name, values in BAD.items() for bad in values),
    *zip((None, [], "x", 5), ("payload",) * 4, strict=True),
]


@pytest.mark.parametrize(("body", "field"), BODIES)
def test_malformed_incoming_names_the_field_and_saves_nothing(server: RunningServer, body: Any, field: str) -> None:
    before = server.get("/rooms?limit=1")["data"]["total_count"]
    response = server.http.post(
        "/messages/incoming", content=json.dumps(body), headers={"Content-Type": "application/json"}
    )
    assert response.status_code == 422, response.text
    refused(response.json(), "invalid_input", field)
    assert server.get("/rooms?limit=1")["data"]["total_count"] == before


def test_an_agents_ids_may_be_spelled_either_way(server: RunningServer, phone: str) -> None:
    """Section 1: clients may write `roomId` or `room_id`, `userId` or `user_id`."""
    room = incoming(server, phone)["room_id"]
    sent = server.post("/messages/send", {"roomId": room, "userId": "agent", "text": "hello"})
    assert sent["message"]["user_id"] == "agent"
    assert messages_of(server, room) == server.get("/messages", params={"roomId": room})
    assert server.get("/messages", 400)["error"]["field"] == "room_id"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"user_id": "a", "text": "x"}, "room_id"), ({"room_id": "r", "text": "x"}, "user_id"),
        ({"room_id": "", "user_id": "a"}, "room_id"), ({"room_id": 5, "user_id": "a"}, "room_id"),
        ({"room_id": "r", "user_id": ""}, "user_id"), ({"room_id": "r", "user_id": None}, "user_id"),
        ({"room_id": "r", "user_id": True}, "user_id"), ({"room_id": "r", "user_id": 2**53}, "user_id"),
        ({"room_id": "r", "user_id": "a", "text": 5}, "text"),
        ({"room_id": "r", "user_id": "a", "client_id": 5}, "client_id"),
        ({"room_id": "r", "user_id": "a\x00"}, "user_id"), ([], "payload"),
        ({"room_id": "r", "user_id": "a"}, "text"), ({"room_id": "r", "user_id": "a", "message": "hi"}, "text"),
        ({"room_id": "r", "user_id": "a", "content_type": "text", "content_text": ""}, "text"),
        ({"room_id": "r", "user_id": "a", "status": "sent", "wa_message_id": "w", "metadata": {}}, "text"),
    ],
)  # fmt: skip
def test_malformed_sends_name_the_field(server: RunningServer, body: Any, field: str) -> None:
    refused(server.post("/messages/send", body, 422), "invalid_input", field)


@pytest.mark.parametrize(
    "said",
    [
        {"content_text": "hi"},
        {"content_type": "image"},
        {"media_id": "m"},
        {"reaction_emoji": "+"},
        {"metadata": {"x": 0}},
    ],
)
def test_what_is_more_than_text_needs_none(server: RunningServer, phone: str, said: dict[str, Any]) -> None:
    """Of a customer's message nothing but the phone is asked for."""
    room = server.post("/messages/incoming", {"phone": phone})["room_id"]
    body = {"room_id": room, "user_id": "a", **said}
    assert server.post("/messages/send", body)["message"].items() >= said.items()


@pytest.mark.parametrize("path", ["/messages/incoming", "/messages/send", "/webhook/whatsapp", "/rooms/x/read"])
@pytest.mark.parametrize(
    "body", [b"{", b"\xff\xfe", b"[" * 100_000, b'{"metadata":' + b'{"a":' * 200 + b"1" + b"}" * 201]
)
def test_a_body_that_cannot_be_read_is_400(server: RunningServer, path: str, body: bytes) -> None:
    response = server.http.post(path, content=body)
    assert response.status_code == 400, response.text
    refused(response.json(), "invalid_input", "payload")
    assert server.http.post(path, content=b" " * 1_000_001).status_code == 413


QUERIES = {
    ("/messages?room_id=r&limit=", "limit"): ("0", "1001", "x", "-1", "1.5", ""),
    ("/messages?room_id=r&before=", "before"): ("0", "x", "-1", "9007199254740992", "1" * 40, ""),
    ("/messages?room_id=", "room_id"): ("", "a%00", "x" * 129),
    ("/messages", "room_id"): ("",),
    ("/rooms?limit=", "limit"): ("0", "1001", "x"),
    ("/rooms?cursor=", "cursor"): ("", "x", "1:2:3", "5", "1:9", "-1:0", "1" * 30 + ":0"),
    ("/rooms/", "room_id"): ("a%09b", "x" * 129),
}


@pytest.mark.parametrize(
    ("path", "field"), [(path + bad, field) for (path, field), values in QUERIES.items() for bad in values]
)
def test_malformed_queries_name_the_field(server: RunningServer, path: str, field: str) -> None:
    refused(server.get(path, 400), "invalid_input", field)


@pytest.mark.parametrize("event", ["room:join", "room:leave", "room:read"])
def test_malformed_events_name_the_field(server: RunningServer, connect: Connect, event: str) -> None:
    client = connect(server)
    ids: list[Any] = [None, True, "", {}, [], 1.5, 2**53, "x" * 129, "a\nb"]
    for bad in ids:
        error = client.emit(event, {"room_id": bad})["error"]
        assert (error["code"], error["field"]) == ("invalid_input", "room_id"), bad
    payloads: list[Any] = [None, [], "text", 5, True]
    for bad in payloads:
        assert client.emit(event, bad)["error"]["field"] == "payload"
    assert client.emit(event)["error"]["field"] == "payload"
    assert client.emit(event, {})["error"]["field"] == "room_id"


def test_other_malformed_fields_of_events(server: RunningServer, connect: Connect, phone: str) -> None:
    room = incoming(server, phone)["room_id"]
    client = connect(server)
    values: list[Any] = ["1", 1.5, -1, 2**53, True]
    for bad in values:
        assert client.emit("room:read", {"room_id": room, "seq": bad})["error"]["field"] == "seq"
        refused(server.post(f"/rooms/{room}/read", {"seq": bad}, 422), "invalid_input", "seq")
    users: list[Any] = [True, "", {}, 1.5]
    for event in ("room:join", "room:leave"):
        for user in users:
            assert client.emit(event, {"room_id": room, "userId": user})["error"]["field"] == "userId"
    assert room_of(server, room)["participants"] == []
    assert room_of(server, room)["unread_count"] == 1


def test_answers_have_the_shape_the_specification_tells(server: RunningServer, phone: str) -> None:
    """Section 5: every answer converts into the struct that openapi.json is made of; unknown fields are refused."""
    posted = incoming(server, phone, "hi", metadata={"big": 2**80, "list": []}, leads_info={"id": 1, "more": None})
    room = posted["room_id"]
    shapes: list[tuple[Any, Any]] = [
        (posted, chat_messages.MessagePosted), (send(server, room), chat_messages.MessageSent),
        (server.get("/rooms"), chat_messages.ChatRooms), (server.get(f"/rooms/{room}"), chat_messages.ChatRoomFound),
        (messages_of(server, room), chat_messages.ChatMessages),
        (server.post(f"/rooms/{room}/read", {}), chat_messages.ChatRoomReadOverHttp),
    ]  # fmt: skip
    for answer, shape in shapes:
        msgspec.convert(answer, shape)
    assert messages_of(server, room)["messages"][0]["metadata"] == {"big": 2**80, "list": []}
    paths = server.get("/openapi.json")["paths"]
    assert {"/rooms", "/rooms/{room_id}", "/rooms/{room_id}/read", "/messages", "/messages/incoming"} <= set(paths)
    schemas = server.get("/asyncapi.json")["components"]["schemas"]
    assert set(schemas["NewRoomComplete"]["required"]) >= set(room_of(server, room))


def test_retention_bounds_a_room_and_leaves_its_numbers(new_store: StartStore, serve: Serve, phone: str) -> None:
    server = serve(new_store().url, CHAT_MAX_MESSAGES="5")
    for number in range(12):
        room = incoming(server, phone, f"m{number}")["room_id"]
    page = messages_of(server, room, limit=10)
    assert ([one["seq"] for one in page["messages"]], page["has_more"]) == ([8, 9, 10, 11, 12], False)
    found = room_of(server, room)
    assert (found["message_count"], found["unread_count"], found["last_message_text"]) == (12, 12, "m11")


def notification(phone: str, *messages: Any, name: str | None = "Ana") -> Any:
    contacts = [{"wa_id": phone, "profile": {"name": name}}] if name else []
    value = {"messaging_product": "whatsapp", "contacts": contacts, "messages": list(messages)}
    return {
        "object": "whatsapp_business_account",
        "entry": [{"id": "1", "changes": [{"field": "messages", "value": value}]}],
    }


def text(phone: str, number: int, body: str = "hi") -> Any:
    return {
        "from": phone,
        "id": f"wamid.{phone}.{number}",
        "timestamp": "1700000000",
        "type": "text",
        "text": {"body": body},
    }


def test_t4_5_the_webhook_saves_each_message_once(server: RunningServer, connect: Connect, phone: str) -> None:
    """T4.3, T4.5, T4.7: the profile's name names the customer; statuses and what is malformed do no harm."""
    client = connect(server)
    image = {"from": phone, "id": f"wamid.{phone}.0", "type": "image", "image": {"id": "m1", "mime_type": "image/png"}}
    call = notification(phone, image, text(phone, 1), {"from": phone}, {**text(phone, 2), "from": "x"})
    assert server.post("/webhook/whatsapp", call) == {"success": True, "saved": 2, "duplicates": 0, "skipped": 2}
    assert server.post("/webhook/whatsapp", call) == {"success": True, "saved": 0, "duplicates": 2, "skipped": 2}
    complete = client.wait("new_room_complete", lambda body: body["room_phone"] == phone)
    room = complete["room_id"]
    wait_for_seq(client, room, 2)
    assert told(client, room) == ["new_message", "new_room_complete", "new_message"]
    assert (complete["leads_info"]["name"], complete["last_message_type"]) == ("Ana", "image")
    statuses = {"entry": [{"changes": [{"value": {"statuses": [{"id": "wamid.1", "status": "read"}]}}]}]}
    assert server.post("/webhook/whatsapp", statuses)["saved"] == 0
    refused(server.post("/webhook/whatsapp", [], 400), "invalid_input", "payload")


def test_the_webhook_with_a_secret(serve: Serve, store: EmbeddedServer, phone: str) -> None:
    """Only what is signed is saved, whatever tokens say; the verification answers the challenge as plain text."""
    server = serve(
        store.url, CHAT_WEBHOOK_SECRET=SECRET, CHAT_WEBHOOK_VERIFY_TOKEN=VERIFY, PRESENCE_JWT_SECRET="k" * 40
    )
    body = json.dumps(notification(phone, text(phone, 1, "péché 🙂")), ensure_ascii=False).encode()
    good = "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    for header in ({}, {"X-Hub-Signature-256": "sha256=" + "0" * 64}, {"X-Hub-Signature-256": good[:-1]}):
        response = server.http.post("/webhook/whatsapp", content=body, headers=header)
        assert response.status_code == 401
        refused(response.json(), "unauthorized")
    changed = server.http.post("/webhook/whatsapp", content=body + b" ", headers={"X-Hub-Signature-256": good})
    assert changed.status_code == 401
    saved = server.http.post("/webhook/whatsapp", content=body, headers={"X-Hub-Signature-256": good})
    assert saved.json() == {"success": True, "saved": 1, "duplicates": 0, "skipped": 0}
    query = {"hub.mode": "subscribe", "hub.verify_token": VERIFY, "hub.challenge": "1158201444<b>"}
    response = server.http.get("/webhook/whatsapp", params=query)
    assert (response.status_code, response.text) == (200, "1158201444<b>")
    assert response.headers["content-type"].startswith("text/plain")
    for name, value in (("hub.mode", "x"), ("hub.verify_token", "x"), ("hub.verify_token", "")):
        assert server.http.get("/webhook/whatsapp", params={**query, name: value}).status_code == 403


def test_without_a_verify_token_nothing_is_verified(server: RunningServer) -> None:
    query = {"hub.mode": "subscribe", "hub.verify_token": "", "hub.challenge": "1"}
    refused(server.get("/webhook/whatsapp", 403, params=query), "forbidden")


def test_redis_out_of_reach_is_unavailable_and_posting_again_saves_once(
    new_store: StartStore, serve: Serve, phone: str
) -> None:
    """Section 2: 503 within two seconds; a webhook is sent again by the network and finds its id unused."""
    store = new_store()
    server = serve(store.url)
    call = notification(phone, text(phone, 1))
    assert store.pid
    os.kill(store.pid, signal.SIGSTOP)
    try:
        assert server.post("/webhook/whatsapp", call, 503)["error"]["retryable"] is True
        refused(server.get("/rooms", 503), "unavailable")
    finally:
        os.kill(store.pid, signal.SIGCONT)
    found = server.post("/webhook/whatsapp", call)
    assert found["saved"] + found["duplicates"] == 1
    room = post_past_servers(store.url, phone).room_id
    assert room_of(server, room)["message_count"] == 2
