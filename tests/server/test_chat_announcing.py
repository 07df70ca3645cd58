"""What clients are told of chat messages: which events, in which order, with what in them."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis

from presence_engine import EmbeddedServer
from server import chat_messages
from tests.client.driver import Client, eventually
from tests.server.chat_scene import (
    LEAD_FIELDS,
    MESSAGE_FIELDS,
    ROOM_FIELDS,
    incoming,
    messages_of,
    new_phone,
    of_room,
    past_servers,
    post_past_servers,
    room_of,
    send,
    told,
    wait_for_seq,
)
from tests.server.conftest import RunningServer, Serve

Connect = Callable[..., Client]
ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@pytest.fixture(scope="module")
def other(serve: Serve) -> RunningServer:
    """A second server on the same Redis."""
    return serve()


@pytest.fixture
def phone() -> str:
    return new_phone()


def spellings(phone: str) -> list[str]:
    return [f"+{phone[:2]} {phone[2:6]}-{phone[6:]}", phone, f"00{phone}", f"+{phone[:2]} (0){phone[2:]}", f"0{phone}"]


def test_004_7_t4_1_fifty_first_messages_over_two_servers_make_one_room(
    server: RunningServer, other: RunningServer, connect: Connect, phone: str
) -> None:
    """T4.1, T4.2, T4.4, 004-13: one room, one new_room_complete a client, counts exact, order everywhere the room's."""
    clients = [connect(server), connect(other)]
    ways = spellings(phone)

    def post(number: int) -> Any:
        return incoming((server, other)[number % 2], ways[number % len(ways)], f"m{number}")

    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(post, range(50)))
    room = answers[0]["room_id"]
    assert {one["room_id"] for one in answers} == {room}
    assert sorted(one["is_new_room"] for one in answers) == [False] * 49 + [True]
    for client in clients:
        wait_for_seq(client, room, 50)
        assert [body["seq"] for body in of_room(client, "new_message", room)] == list(range(1, 51))
        assert told(client, room)[:2] == ["new_message", "new_room_complete"]
        complete = of_room(client, "new_room_complete", room)
        assert [(one["unread_count"], one["message_count"]) for one in complete] == [(1, 1)]
    for one in (server, other):
        found = room_of(one, room)
        assert (found["message_count"], found["unread_count"], found["room_phone"]) == (50, 50, phone)
        listed = [each for each in one.get("/rooms?limit=1000")["data"]["rooms"] if each["room_phone"] == phone]
        assert listed == [found]


def test_004_3_004_4_order_of_events_and_identical_payloads(
    server: RunningServer, connect: Connect, phone: str
) -> None:
    """C23, 004-1, 004-3, 004-4: room:new_message to those who opened the room, then new_message to all, the same."""
    witness = connect(server)
    room = post_past_servers(server.settings.redis_url or "", phone).room_id
    # What is told late would be heard by those who come now.
    wait_for_seq(witness, room, 1)
    inside, outside = connect(server), connect(server)
    assert inside.emit("room:join", {"room_id": room}) == {"ok": True, "room_id": room}
    posted = incoming(server, phone, "second")
    for client in (inside, outside):
        wait_for_seq(client, room, 2)
    assert told(inside, room) == ["room:new_message", "new_message"]
    assert told(outside, room) == ["new_message"]
    body = of_room(outside, "new_message", room)[0]
    assert of_room(inside, "room:new_message", room) == of_room(inside, "new_message", room) == [body]
    assert set(body) == MESSAGE_FIELDS | {"seq"}
    assert body["id"] == posted["message_id"]
    assert [name for name in MESSAGE_FIELDS if body[name] is None] == [
        name for name in MESSAGE_FIELDS if name not in {
            "id", "room_id", "content_type", "content_text", "status", "metadata", "created_at", "updated_at",
        }
    ]  # fmt: skip
    assert (body["content_text"], body["content_type"], body["status"], body["metadata"]) == (
        "second",
        "text",
        "sent",
        {},
    )
    assert messages_of(server, room)["messages"][1] == body


def test_004_1_leaving_a_room_and_closing_end_its_messages(server: RunningServer, connect: Connect, phone: str) -> None:
    """004-5, T4.8: joining many rooms, or twice, or never leaving, is harmless."""
    client, gone, witness = connect(server), connect(server), connect(server)
    room = incoming(server, phone)["room_id"]
    witness.wait("new_room_complete", lambda body: body["room_id"] == room)
    for _ in range(2):
        assert client.emit("room:join", {"roomId": room})["ok"] is True
    for number in range(50):
        assert client.emit("room:join", {"room_id": f"other-{number}"})["ok"] is True
    gone.emit("room:join", {"room_id": room})
    gone.close()
    incoming(server, phone, "second")
    wait_for_seq(witness, room, 2)
    wait_for_seq(client, room, 2)
    assert [body["seq"] for body in of_room(client, "room:new_message", room)] == [2]
    assert client.emit("room:leave", {"room_id": room}) == {"ok": True, "room_id": room}
    assert client.emit("room:leave", {"room_id": "never-joined"})["ok"] is True
    incoming(server, phone, "third")
    wait_for_seq(client, room, 3)
    assert [body["seq"] for body in of_room(client, "room:new_message", room)] == [2]


@pytest.mark.parametrize(
    ("fields", "name", "title"),
    [
        ({"customer_name": "Ana"}, "Ana", "Personal"),
        ({"customer_name": "  ", "room_title": "VIP desk"}, "VIP desk", "VIP desk"),
        ({"customer_name": "", "room_title": "Personal"}, None, "Personal"),
        ({}, None, "Personal"),
        ({"customer_name": "👩‍👩‍👧 Zoë", "room_title": " personal "}, "👩‍👩‍👧 Zoë", "Personal"),
        ({"customer_name": "\u202eمرحبا عمر\u202c"}, "\u202eمرحبا عمر\u202c", "Personal"),
        ({"customer_name": "Mâ€œx"}, "Mâ€œx", "Personal"),
        ({"leads_info": {"name": "Lead", "id": 12345678901234567890, "extra": [1]}}, "Lead", "Personal"),
    ],
)
def test_004_10_names_are_never_empty_and_rest_equals_event(
    server: RunningServer, connect: Connect, phone: str, fields: dict[str, Any], name: str | None, title: str
) -> None:
    """004-10, 004-11, T4.7, X2: ROOM from REST, from the list and from the event are one, field by field."""
    client = connect(server)
    room = incoming(server, phone, **fields)["room_id"]
    complete = client.wait("new_room_complete", lambda body: body["room_id"] == room)
    found = room_of(server, room)
    assert {**json_as_javascript(found), "leads_id": complete["leads_info"]["id"]} == complete
    assert set(found) == ROOM_FIELDS
    assert set(found["leads_info"]) >= LEAD_FIELDS
    assert found["leads_info"]["name"] == (name or f"Customer {phone}")
    assert (found["room_title"], found["room_phone"], found["leads_info"]["phone"]) == (title, phone, phone)
    assert next(one for one in server.get("/rooms")["data"]["rooms"] if one["room_id"] == room) == found


def json_as_javascript(value: Any) -> Any:
    """As a JavaScript client reads it, to whom integers beyond 2^53 are floats."""
    if isinstance(value, dict):
        return {name: json_as_javascript(one) for name, one in value.items()}
    if isinstance(value, list):
        return [json_as_javascript(one) for one in value]
    return int(Decimal(repr(float(value)))) if isinstance(value, int) and abs(value) > 2**53 else value


@pytest.mark.parametrize(
    "media",
    [
        {"content_type": "image", "media_type": "image", "media_id": "m1", "mime_type": "image/jpeg", "file_size": 7},
        {"content_type": "document", "original_filename": "ünï 🙂.pdf", "gcs_url": "gs://b/o", "gcs_filename": "o"},
        {"content_type": "reaction", "reaction_emoji": "👍", "reaction_to_wa_message_id": "wamid.X"},
        {"content_type": "location", "metadata": {"location": {"latitude": -6.2, "n": 2**70}}},
    ],
)
def test_t4_3_a_first_message_of_any_kind_announces_the_room(
    server: RunningServer, connect: Connect, phone: str, media: dict[str, Any]
) -> None:
    """C19: by `new_room_complete` alone; the old names are behind a flag."""
    client = connect(server)
    room = incoming(server, phone, None, **media)["room_id"]
    complete = client.wait("new_room_complete", lambda body: body["room_id"] == room)
    assert told(client, room) == ["new_message", "new_room_complete"]
    assert (complete["unread_count"], complete["last_message_text"]) == (1, None)
    assert complete["last_message_type"] == complete["last_message"]["content_type"] == media["content_type"]
    kept = messages_of(server, room)["messages"][0]
    assert {name: kept[name] for name in media} == media
    assert kept["content_text"] is None


def test_t4_5_a_redelivered_message_changes_and_emits_nothing(
    server: RunningServer, other: RunningServer, connect: Connect, phone: str
) -> None:
    client = connect(server)
    first = incoming(server, phone, wa_message_id="wamid.1")
    again = [incoming(one, phone, wa_message_id="wamid.1") for one in (server, other, other)]
    assert (first["duplicate"], first["is_new_room"]) == (False, True)
    assert again == [{**first, "duplicate": True, "is_new_room": False}] * 3
    incoming(other, phone, "next")
    wait_for_seq(client, first["room_id"], 2)
    assert told(client, first["room_id"]) == ["new_message", "new_room_complete", "new_message"]
    assert room_of(server, first["room_id"])["unread_count"] == 2


def test_t4_4_agents_raise_nothing(server: RunningServer, other: RunningServer, connect: Connect, phone: str) -> None:
    """T4.4, 004-3, 004-13 scenario 2: known rooms get new_message only, an agent's leaves unread as it is."""
    client = connect(other)
    room = incoming(server, phone)["room_id"]
    answer = send(server, room, "yes?", user=15, client_id="c1")
    assert send(other, room, "yes?", user=15, client_id="c1")["duplicate"] is True
    wait_for_seq(client, room, 2)
    body = of_room(client, "new_message", room)[1]
    assert body == answer["message"]
    assert (body["user_id"], body["content_text"], body["seq"]) == ("15", "yes?", 2)
    found = room_of(server, room)
    assert (found["unread_count"], found["message_count"], found["last_message"]["user_id"]) == (1, 2, "15")
    assert told(client, room) == ["new_message", "new_room_complete", "new_message"]


def test_004_7_participants_of_a_room_that_an_agent_opened(
    server: RunningServer, other: RunningServer, connect: Connect, phone: str
) -> None:
    """Participants come from presence when told; creating a room emits nothing, its first message announces it."""
    opened = past_servers(server.settings.redis_url or "", lambda chat: chat.open(phone, customer_name="Ana"))
    room = opened.room_id
    agent, witness = connect(server), connect(other)
    joined = agent.emit("room:join", {"room_id": room, "userId": 7, "username": "Agent Ü"})
    assert (joined["ok"], joined["room_id"], joined["count"]) == (True, room, 1)
    assert server.users(room) == [7]
    assert room_of(other, room)["last_message"] is None
    send(server, room, user=7)
    complete = witness.wait("new_room_complete", lambda body: body["room_id"] == room)
    assert told(witness, room) == ["new_message", "new_room_complete"]
    agent.wait("new_room_complete", lambda body: body["room_id"] == room)
    assert told(agent, room) == ["room:new_message", "new_message", "new_room_complete"]
    assert complete["participants"] == [{"userId": 7, "username": "Agent Ü"}]
    assert (complete["unread_count"], complete["message_count"]) == (0, 1)
    found = room_of(server, room)
    assert {**found, "leads_id": None} == complete
    left = agent.emit("room:leave", {"room_id": room, "userId": 7})
    assert (left["left"], left["room_id"]) == (True, room)
    assert room_of(other, room)["participants"] == []
    assert agent.emit("room:leave", {"room_id": room, "userId": 8})["error"]["code"] == "forbidden"


def test_004_6_004_8_legacy_events_in_their_order(serve: Serve, connect: Connect, phone: str) -> None:
    """C19: behind a flag, beside the event that takes their place."""
    server = serve(CHAT_LEGACY_EVENTS="true")
    client = connect(server)
    room = incoming(server, phone, "hi", customer_name="Ana")["room_id"]
    client.wait("new_room_complete", lambda body: body["room_id"] == room)
    assert told(client, room) == ["new_room", "new_message", "new_room_with_message", "new_room_complete"]
    early = of_room(client, "new_room", room)[0]
    assert (early["unread_count"], early["last_message"], early["participants"]) == (0, None, [])
    assert early["leads_info"] == {"id": None, "phone": phone, "name": "Ana"}
    flat = of_room(client, "new_room_with_message", room)[0]
    assert (flat["unread_count"], flat["last_message_text"], flat["last_message_type"]) == (1, "hi", "text")
    shapes = {
        "new_room": chat_messages.NewRoom,
        "new_message": chat_messages.ChatMessage,
        "new_room_with_message": chat_messages.NewRoomWithMessage,
        "new_room_complete": chat_messages.NewRoomComplete,
    }
    for event, shape in shapes.items():
        msgspec.convert(of_room(client, event, room)[0], shape)
    incoming(server, phone, "again")
    wait_for_seq(client, room, 2)
    assert told(client, room)[4:] == ["new_message"]


def test_tc14_chat_writes_no_presence_and_presence_no_chat(short_dir: Path, connect: Connect, phone: str) -> None:
    """C14, 000-10, 001-12: separate keys and events."""
    with EmbeddedServer(short_dir / "separate", persistent=False) as store:
        server = RunningServer(store.url).start()
        try:
            _keep_apart(server, connect(server), store.url, phone)
        finally:
            server.stop()


def _keep_apart(server: RunningServer, client: Client, url: str, phone: str) -> None:
    def keys() -> set[str]:
        with redis.Redis.from_url(url, decode_responses=True) as look:
            return {key for key in look.scan_iter(count=1000) if "{nodes}" not in key}

    before = keys()
    room = incoming(server, phone, wa_message_id="w1")["room_id"]
    send(server, room)
    client.emit("room:join", {"room_id": room})
    client.emit("room:read", {"room_id": room})
    client.wait("room:unread")
    added = keys() - before
    assert added
    assert [key for key in added if not key.startswith("pr1:{0}:chat:")] == []
    seen = {one.name for one in client.seen if not one.ack}
    assert seen <= {"connect", "new_message", "room:new_message", "new_room_complete", "room:unread"}
    before = keys()
    client.forget()
    client.join(room, "u1")
    client.emit("leave_room", {"roomId": room})
    client.wait("room:left")
    assert [key for key in keys() - before if ":chat:" in key] == []
    assert told(client, room) == []


def test_004_12_each_step_is_logged_though_nobody_listens(
    server: RunningServer, phone: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        room = incoming(server, phone)["room_id"]
        told = "[messageService] Emitting events: new_room_complete, new_message"
        eventually(lambda: any(told in one and room in one for one in caplog.messages), "the announcement")
    assert f"[roomService] New room created: room_id={room}, phone={phone}" in caplog.text
