"""Malformed input: every payload gets its answer, names its field, and harms nobody else."""

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest

from tests.client.driver import Client, eventually
from tests.client.raw import RawClient
from tests.server.conftest import RunningServer

Connect = Callable[..., Client]

BAD_IDS: list[Any] = [
    None,
    True,
    False,
    "",
    {},
    [],
    1.5,
    2**53,
    -(2**53),
    "x" * 129,
    "é" * 65,
    "a\nb",
    "\x00",
    "\x7f",
    "\x85",
]
NEEDS_ROOM = ["join_room", "leave_room", "room:heartbeat", "room:update", "room:sync", "room:users:get"]


@pytest.mark.parametrize("event", NEEDS_ROOM)
def test_every_bad_room_id_is_named(server: RunningServer, connect: Connect, event: str) -> None:
    """Section 1: ack and `error` event with `invalid_input` and the camelCase field."""
    client = connect(server, auth={"userId": "u1"})
    for bad in BAD_IDS:
        answer = client.emit(event, {"roomId": bad})
        assert answer["ok"] is False
        error = answer["error"]
        assert (error["code"], error["field"], error["retryable"]) == ("invalid_input", "roomId", False), bad
        assert set(error) == {"code", "message", "field", "retryable"}
        assert client.emit(event, {"room_id": bad})["error"]["field"] == "roomId"
    assert client.emit(event, {})["error"]["field"] == "roomId"
    told = client.events("error")
    assert len(told) == 2 * len(BAD_IDS) + 1
    assert all({"code", "message", "event"} <= set(body) <= {"code", "message", "event", "roomId"} for body in told)
    assert all(body["event"] == event for body in told)


@pytest.mark.parametrize("event", ["join_room", "room:heartbeat"])
def test_every_bad_user_id_is_named(server: RunningServer, connect: Connect, room: str, event: str) -> None:
    """T3.11. `null` counts as missing, as JavaScript sends it."""
    client = connect(server)
    for bad in BAD_IDS[1:]:
        error = client.emit(event, {"roomId": room, "userId": bad})["error"]
        assert (error["code"], error["field"]) == ("invalid_input", "userId"), bad
    assert server.users(room) == []
    assert client.join(room, 0)["userId"] == 0


@pytest.mark.parametrize("event", [*NEEDS_ROOM, "room:watch", "room:unwatch", "auth:refresh"])
@pytest.mark.parametrize("payload", [None, [], "text", 5, True])
def test_a_payload_that_is_no_object(server: RunningServer, connect: Connect, event: str, payload: Any) -> None:
    client = connect(server, auth={"userId": "u1"})
    error = client.emit(event, payload)["error"]
    assert (error["code"], error["field"]) == ("invalid_input", "payload")
    assert client.wait("error")["event"] == event


def test_events_without_payload_or_with_too_many_are_answered(
    server: RunningServer, connect: Connect, room: str
) -> None:
    client = connect(server)
    assert client.emit("join_room")["error"]["field"] == "payload"
    assert client.emit("join_room", {"roomId": room, "userId": "u1"}, 2, [3])["ok"] is True
    assert client.emit("user:logout")["ok"] is True
    assert client.emit("user:logout", 1, 2)["ok"] is True


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"username": 5}, "username"), ({"username": ""}, "username"), ({"username": "x" * 129}, "username"),
        ({"username": {}}, "username"), ({"data": []}, "data"), ({"data": "x"}, "data"), ({"data": 5}, "data"),
    ],
)  # fmt: skip
def test_join_and_update_name_the_field(
    server: RunningServer, connect: Connect, room: str, more: dict[str, Any], field: str
) -> None:
    client = connect(server)
    error = client.emit("join_room", {"roomId": room, "userId": "u1", **more})["error"]
    assert (error["code"], error["field"]) == ("invalid_input", field)
    assert server.users(room) == []
    client.join(room, "u1")
    error = client.emit("room:update", {"roomId": room, **more})["error"]
    assert (error["code"], error["field"]) == ("invalid_input", field)


def test_data_of_more_than_four_kib_is_too_large(server: RunningServer, connect: Connect, room: str) -> None:
    """Section 1: at most 4 KiB encoded; exactly that much fits."""
    client = connect(server)
    most = {"x": "y" * (4096 - len('{"x":""}'))}
    client.join(room, "u1", data=most)
    for event in ("join_room", "room:update"):
        error = client.emit(event, {"roomId": room, "data": {"x": most["x"] + "y"}})["error"]
        assert (error["code"], error["field"], error["retryable"]) == ("too_large", "data", False)


@pytest.mark.parametrize(
    ("event", "more", "field"),
    [
        ("leave_room", {"everywhere": "yes"}, "everywhere"), ("leave_room", {"everywhere": 1}, "everywhere"),
        ("room:sync", {"seq": "1"}, "seq"), ("room:sync", {"epoch": 5}, "epoch"), ("room:sync", {"seq": 1.5}, "seq"),
        ("room:users:get", {"cursor": "nonsense"}, "cursor"), ("room:users:get", {"cursor": 5}, "cursor"),
        ("auth:refresh", {}, "token"), ("auth:refresh", {"token": 1}, "token"),
    ],
)  # fmt: skip
def test_other_fields_are_named(
    server: RunningServer, connect: Connect, room: str, event: str, more: dict[str, Any], field: str
) -> None:
    client = connect(server)
    client.join(room, "u1")
    error = client.emit(event, {"roomId": room, **more})["error"]
    assert (error["code"], error["field"]) == ("invalid_input", field)


@pytest.mark.parametrize(
    "event", ["connect", "disconnect", "on_connect", "on_join_room", "trigger_event", "join", "", "_open"]
)
def test_an_unknown_event_is_not_found(server: RunningServer, raw: RawClient, event: str) -> None:
    """Section 8; a client cannot call a handler, or end a session, by the name of a method."""
    answer = raw.emit(json.dumps([event, {}]))
    assert (answer["ok"], answer["error"]["code"]) == (False, "not_found")
    assert raw.emit('["room:heartbeat",{"roomId":"r"}]')["error"]["code"] == "not_in_room"


@pytest.mark.parametrize(
    "frame",
    [
        "42[", "42{}", "42[]", '42["x"', "42", "421", "42null", '42"join_room"', "42[1]", "42[null]", "42[[]]", "42{",
        '421{"a":1}', "427[]", '427["join_room"', "43", "431", "43[]", '43"x"', "439[1]", "44", '44{"message":"x"}',
        "45", "451-", '451-["join_room",{"_placeholder":true,"num":0}]', '4599-["x"]', "46",
        '461-["x"]', "48", "4x", "4",
        "42/other,[1]", '42/other,1["join_room",{}]', "42[" + "[" * 5000, '42["join_room",' + '{"a":' * 3000,
        "42999999999999999999999999[1]", "2probe", "9", "x", "", "6", "5", "0", "1x",
    ],
)  # fmt: skip
def test_a_frame_that_cannot_be_read_harms_nobody(server: RunningServer, frame: str) -> None:
    """Section 2: whatever it is, the server goes on; the socket too, unless Engine.IO itself ends it."""
    bystander = RawClient(server.url, auth={"userId": "bystander"})
    client = RawClient(server.url, auth={"userId": "raw"})
    client.send(frame)
    if frame.startswith("4"):
        assert client.emit('["room:heartbeat",{"roomId":"r"}]', number=11)["error"]["code"] == "not_in_room"
    assert bystander.emit('["room:heartbeat",{"roomId":"r"}]')["error"]["code"] == "not_in_room"
    client.close()
    bystander.close()


@pytest.mark.parametrize("frame", ["", "hello", '{"a":1}', "bZZ", "bé", "9", "7", "²", "٣", "\u0000"])
def test_a_frame_that_is_no_packet_is_the_end_of_its_socket_at_once(
    server: RunningServer, room: str, caplog: pytest.LogCaptureFixture, frame: str
) -> None:
    """Its user waits in grace like any other whose connection broke off; nothing is a fault of the server's."""
    client = RawClient(server.url, auth={"userId": "raw"})
    assert client.emit(json.dumps(["join_room", {"roomId": room}]))["ok"] is True
    caplog.set_level(logging.INFO)
    client.send(frame)
    assert client.closed(timeout_s=3)
    client.close()
    eventually(lambda: server.participants(room, view="full")["users"][0]["status"] == "away", "the grace")
    told = [record for record in caplog.records if not record.name.startswith(("httpx", "httpcore", "websockets"))]
    assert [record.levelname for record in told if record.exc_info] == []
    assert [record.getMessage() for record in told].count("a frame that is no packet ends its connection") == 1


@pytest.mark.parametrize("frame", ["42[", "42{}", "42[]", '42["x"', "42[1]", "42null", "42[" + "[" * 5000])
def test_an_unreadable_event_is_answered_with_an_error(raw: RawClient, frame: str) -> None:
    raw.send(frame)
    error = raw.event("error")
    assert (error["code"], error["event"]) == ("invalid_input", None)


@pytest.mark.parametrize("text", ["[]", "{}", "[1]", "[null,{}]", '{"a":[]}', '["join_room"', '["x",{]', "[" * 5000])
def test_an_unreadable_event_with_an_ack_number_is_acknowledged(raw: RawClient, text: str) -> None:
    answer = raw.emit(text)
    assert answer["ok"] is False
    assert (answer["error"]["code"], answer["error"]["field"]) == ("invalid_input", "payload")


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        ('{"roomId":NaN}', "roomId"), ('{"roomId":Infinity}', "roomId"), ('{"roomId":-Infinity}', "roomId"),
        ('{"roomId":1e400}', "roomId"), ('{"roomId":' + "9" * 5000 + "}", "roomId"), ('{"roomId":1e15}', None),
        ('{"roomId":"\\ud800"}', "roomId"), ('{"roomId":"ok","username":"\\udfff"}', "username"),
        ('{"roomId":"ok","data":{"a":NaN}}', "data"), ('{"roomId":"ok","data":{"a":"\\ud800"}}', "data"),
        ('{"roomId":"ok","data":{"\\ud800":1}}', "data"), ('{"roomId":"ok","data":{"a":1e999}}', "data"),
        ('{"roomId":"ok","data":{"a":' + "9" * 5000 + "}}", "data"),
        ('{"roomId":"ok","data":' + '{"a":' * 400 + "1" + "}" * 401, None),
        ('{"roomId":"ok","data":{"a":' + "[" * 100_0 + "]" * 100_0 + "}}", None),
        ('{"roomId":"ok","roomId":null}', "roomId"),
    ],
)  # fmt: skip
def test_json_at_its_edges_is_answered(raw: RawClient, payload: str, field: str | None) -> None:
    """NaN, infinities, 5,000 digits, half surrogate pairs, deep nesting."""
    answer = raw.emit(f'["join_room",{payload}]')
    if field is None:
        assert answer["ok"] is True or answer["error"]["code"] == "invalid_input"
    else:
        assert (answer["error"]["code"], answer["error"].get("field")) == ("invalid_input", field)
    assert raw.emit('["user:logout"]')["ok"] is True


@pytest.mark.parametrize(
    ("given", "shown"),
    [("15.0", "15"), ("15", "15"), ('"15"', '"15"'), ("-1e3", "-1000"), ("1.5", None), ("NaN", None), ("1e400", None),
     ("true", None)],
)  # fmt: skip
@pytest.mark.parametrize("field", ["roomId", "room_id"])
def test_t3_11_an_error_names_the_room_as_answers_do(raw: RawClient, field: str, given: str, shown: str | None) -> None:
    """T3.11, section 2: `error` carries `roomId`, 15.0 as the integer 15; what can be no room's id is left out."""
    raw.send(f'42["room:update",{{"{field}":{given}}}]')
    frame = raw.until('42["error",')
    assert '"event":"room:update"' in frame
    assert frame.endswith('"event":"room:update"}]' if shown is None else f',"roomId":{shown}}}]')


def test_half_a_surrogate_pair_as_an_event_name(raw: RawClient) -> None:
    assert raw.emit('["\\ud800",{}]')["error"]["code"] == "not_found"
    assert any(frame.startswith('42["error"') and "not_found" in frame for frame in raw.frames), raw.frames


def test_binary_payloads_are_answered(raw: RawClient) -> None:
    """A binary event carries bytes where ids are wanted."""
    raw.send('451-7["join_room",{"roomId":{"_placeholder":true,"num":0}}]')
    raw.send(b"bytes")
    answer = json.loads(raw.until("437[").removeprefix("437"))[0]
    assert (answer["error"]["code"], answer["error"]["field"]) == ("invalid_input", "roomId")
    raw.send('451-7["join_room",{"_placeholder":true,"num":0}]')
    raw.send(b"bytes")
    answer = json.loads(raw.until("437[").removeprefix("437"))[0]
    assert (answer["error"]["code"], answer["error"]["field"]) == ("invalid_input", "payload")
    raw.send('451-7["join_room",{"roomId":"ok","data":{"a":{"_placeholder":true,"num":0}}}]')
    raw.send(b"bytes")
    answer = json.loads(raw.until("437[").removeprefix("437"))[0]
    assert (answer["error"]["code"], answer["error"]["field"]) == ("invalid_input", "data")


def test_a_packet_too_large_ends_only_its_own_connection(server: RunningServer, raw: RawClient) -> None:
    client = RawClient(server.url)
    client.send('42["join_room","' + "x" * 1_000_000 + '"]')
    assert client.closed()
    client.close()
    assert raw.emit('["room:heartbeat",{"roomId":"r"}]')["error"]["code"] == "not_in_room"


def test_rate_limit_of_fifty_a_second_and_a_burst_of_a_hundred(
    server: RunningServer, connect: Connect, room: str
) -> None:
    """Section 7: per socket; what is above is `rate_limited`, heartbeats count, another socket is not touched."""
    client, other = connect(server), connect(server)
    client.join(room, "u1")
    other.join(room, "u2")
    answers = [
        client.answer(number) for number in [client.send("room:heartbeat", {"roomId": room}) for _ in range(150)]
    ]
    refused = [answer["error"] for answer in answers if not answer["ok"]]
    assert refused
    assert all(error["code"] == "rate_limited" for error in refused)
    assert sum(answer["ok"] for answer in answers) >= 99
    assert client.wait("error")["code"] == "rate_limited"
    assert other.emit("room:heartbeat", {"roomId": room})["ok"] is True


@pytest.mark.parametrize("auth", [5, "text", [], {"userId": None}, {"username": 5, "userId": "u"}])
def test_an_odd_handshake_connects_without_identity(server: RunningServer, auth: Any) -> None:
    client = RawClient(server.url, auth=auth)
    assert client.connected.startswith("40")
    client.close()


@pytest.mark.parametrize("auth", [{"userId": ""}, {"userId": {}}, {"userId": True}, {"userId": 1.5}])
def test_a_handshake_with_a_bad_user_is_refused(server: RunningServer, auth: Any) -> None:
    client = RawClient(server.url, auth=auth)
    assert client.connected.startswith("44")
    assert "invalid_input" in client.connected
    client.close()


def test_null_is_missing(server: RunningServer, connect: Connect, room: str) -> None:
    """As JavaScript sends what it does not know; under the other spelling it may be known."""
    client = connect(server, auth={"userId": "u1"})
    nothing = dict.fromkeys(
        ["userId", "username", "data", "limit", "cursor", "epoch", "seq", "everywhere", "timestamp"]
    )
    for event in NEEDS_ROOM[:1] + NEEDS_ROOM[2:] + ["leave_room"]:
        assert client.emit(event, {"roomId": None, "room_id": room, **nothing})["ok"] is True, event


def test_a_message_speaks_the_words_of_json(server: RunningServer, connect: Connect) -> None:
    client = connect(server, auth={"userId": "u1"})
    asked: list[tuple[str, Any, str]] = [
        ("join_room", {"roomId": {}}, "roomId must be integer or number or string, got object"),
        ("room:sync", {"roomId": "r", "seq": "1"}, "seq must be integer or null, got string"),
        ("leave_room", {"roomId": "r", "everywhere": 1}, "everywhere must be boolean, got integer"),
    ]
    for event, payload, told in asked:
        assert client.emit(event, payload)["error"]["message"] == told
