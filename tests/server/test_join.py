"""join_room and what a joiner gets: the answer, the event, the first page, the first diff."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.client.driver import Client
from tests.client.raw import RawClient
from tests.server.conftest import RunningServer

Connect = Callable[..., Client]

BODY = {
    "roomId", "userId", "epoch", "seq", "count", "connections", "users", "mode", "ttl", "heartbeatInterval", "rejoined",
}  # fmt: skip


@pytest.mark.parametrize("transport", ["websocket", "polling"])
def test_003_4_join_answers_ack_and_event_with_the_room(
    server: RunningServer, connect: Connect, room: str, transport: str
) -> None:
    """000-5, 001-4, 003-4: the member is stored at once; ack and `room:joined` say the same."""
    client = connect(server, transports=[transport])
    answer = client.join(room, "u1", username="migxtes4", data={"role": "host"})
    assert set(answer) == BODY | {"ok"}
    assert answer == {"ok": True, **client.wait("room:joined")}
    assert (answer["roomId"], answer["userId"], answer["rejoined"], answer["mode"]) == (room, "u1", False, "diffs")
    assert (answer["count"], answer["connections"], answer["seq"]) == (1, 1, 1)
    assert (answer["ttl"], answer["heartbeatInterval"]) == (21_600_000, 25_000)
    (member,) = answer["users"]
    assert set(member) == {"userId", "username", "joinedAt", "lastActiveAt", "status", "data"}
    assert (member["userId"], member["username"], member["status"]) == ("u1", "migxtes4", "online")
    assert member["data"] == {"role": "host"}
    assert isinstance(member["joinedAt"], int)
    assert member["joinedAt"] <= member["lastActiveAt"]
    assert server.participants(room) == {"count": 1, "users": [{"userId": "u1", "username": "migxtes4"}]}


def test_t3_3_joining_again_keeps_joined_at_and_takes_the_new_name(
    server: RunningServer, connect: Connect, room: str
) -> None:
    client = connect(server)
    first = client.join(room, "u1", username="old")
    again = client.join(room, "u1", username="new")
    assert (first["rejoined"], again["rejoined"]) == (False, True)
    assert again["users"][0]["joinedAt"] == first["users"][0]["joinedAt"]
    assert again["users"][0]["username"] == "new"
    assert (again["count"], again["connections"]) == (1, 1)


def test_join_spellings_and_a_missing_username(server: RunningServer, connect: Connect, room: str) -> None:
    """C22: `room_id`/`user_id` are taken too; a missing name is the id as text; `data` is `{}` when none was given."""
    client = connect(server)
    answer = client.emit("join_room", {"room_id": room, "user_id": 7})
    assert (answer["roomId"], answer["userId"]) == (room, 7)
    assert answer["users"][0]["username"] == "7"
    assert answer["users"][0]["data"] == {}
    assert client.emit("room:heartbeat", {"room_id": room, "user_id": 7})["ok"] is True
    assert client.emit("leave_room", {"room_id": room})["left"] is True


def test_t3_11_echo_of_ids_as_each_socket_gave_them(server: RunningServer, connect: Connect) -> None:
    """C21: 15, 15.0 and "15" are one room; every socket is answered in its own spelling."""
    text, number = connect(server), connect(server)
    assert text.join("1500", "u1")["roomId"] == "1500"
    joined = number.join(1500, 99)
    assert (joined["roomId"], joined["userId"], joined["count"]) == (1500, 99, 2)
    assert number.wait("room:joined")["roomId"] == 1500
    assert text.wait("room:diff")["roomId"] == "1500"
    text.emit("room:update", {"roomId": "1500", "username": "renamed"})
    assert number.wait("room:diff", lambda diff: diff["updated"])["roomId"] == 1500
    number.emit("room:heartbeat", {"roomId": 1500})
    assert number.wait("room:heartbeat:ack")["roomId"] == 1500
    assert [user["userId"] for user in server.participants("1500")["users"]] == ["u1", 99]
    assert number.emit("leave_room", {"roomId": 1500})["roomId"] == 1500
    assert number.wait("room:left") == {"roomId": 1500, "left": True}
    text.emit("leave_room", {"roomId": "1500"})


def test_t3_11_a_float_without_fraction_is_the_integer(server: RunningServer) -> None:
    """15.0 is the integer 15, as the identity and as the echo."""
    client = RawClient(server.url)
    answer = client.emit('["join_room",{"roomId":1501.0,"userId":15.0}]')
    assert (answer["roomId"], answer["userId"]) == (1501, 15)
    assert isinstance(answer["roomId"], int)
    assert server.users(1501) == [15]
    client.close()


def test_x2_names_and_data_come_back_byte_for_byte(server: RunningServer, room: str) -> None:
    """X2, T2.3: `[]` stays `[]`, 17-digit integers stay exact, mojibake is not repaired."""
    client = RawClient(server.url)
    data = '{"list":[],"empty":{},"big":12345678901234567890123,"n":1.0,"text":"Ã©\\u0001 \\u202e 🙂"}'
    client.send(f'420["join_room",{{"roomId":"{room}","userId":"u1","username":"Å¾ \\"x\\" 🙂","data":{data}}}]')
    ack = client.until("430[")
    assert '"list":[]' in ack
    assert '"empty":{}' in ack
    assert '"big":12345678901234567890123' in ack
    assert '"n":1.0' in ack
    listed = server.http.get(f"/api/chatroom/{room}/participants?view=full")
    assert '"big":12345678901234567890123' in listed.text
    assert listed.json()["users"][0]["username"] == 'Å¾ "x" 🙂'
    assert listed.json()["users"][0]["data"]["text"] == "Ã©\u0001 \u202e 🙂"
    client.close()


def test_join_first_page_has_a_hundred_and_a_cursor(server: RunningServer, connect: Connect, room: str) -> None:
    """The first page of 100 in the order (joinedAt, userId); `cursor` only when more follow."""
    clients = [RawClient(server.url) for _ in range(5)]
    for number in range(101):
        # One socket may not be two users, so the engine's own connections stand in for the crowd.
        auth = {"userId": f"u{number:03}"}
        client = RawClient(server.url, auth=auth)
        clients.append(client)
        client.emit(f'["join_room",{{"roomId":"{room}"}}]')
    last = connect(server)
    answer = last.join(room, "last")
    assert answer["count"] == 102
    assert [user["userId"] for user in answer["users"]] == [f"u{number:03}" for number in range(100)]
    rest = last.emit("room:users:get", {"roomId": room, "cursor": answer["cursor"]})
    assert [user["userId"] for user in rest["users"]] == ["u100", "last"]
    assert "cursor" not in rest
    for client in clients:
        client.close()


def test_x5_the_first_payload_decides_who_a_socket_is(server: RunningServer, connect: Connect, room: str) -> None:
    """X5: a later payload naming another user is `forbidden`, as ack and as `error` event."""
    client = connect(server)
    client.join(room, "u1")
    answer = client.emit("join_room", {"roomId": room, "userId": "u2"})
    assert answer["error"]["code"] == "forbidden"
    assert client.wait("error")["code"] == "forbidden"
    assert client.emit("room:heartbeat", {"roomId": room, "userId": "u2"})["error"]["code"] == "forbidden"
    assert server.users(room) == ["u1"]


@pytest.mark.parametrize("given", ["h1", 15])
def test_x5_the_handshake_identifies_in_development(
    server: RunningServer, connect: Connect, room: str, given: Any
) -> None:
    client = connect(server, auth={"userId": given, "username": "Hand Shake"})
    answer = client.join(room)
    assert (answer["userId"], answer["users"][0]["username"]) == (given, "Hand Shake")
    assert client.emit("join_room", {"roomId": room, "userId": "other"})["error"]["code"] == "forbidden"


def test_t0_4_same_name_two_ids_are_two_and_one_id_with_a_new_name_is_one(
    server: RunningServer, connect: Connect, room: str
) -> None:
    first, second = connect(server), connect(server)
    first.join(room, "u1", username="same")
    second.join(room, "u2", username="same")
    assert server.participants(room)["count"] == 2
    third = connect(server)
    third.join(room, "u1", username="changed")
    users = server.participants(room)["users"]
    assert users == [{"userId": "u1", "username": "changed"}, {"userId": "u2", "username": "same"}]


def test_join_without_a_user_names_the_field(server: RunningServer, connect: Connect, room: str) -> None:
    client = connect(server)
    answer = client.emit("join_room", {"roomId": room})
    assert (answer["error"]["code"], answer["error"]["field"]) == ("invalid_input", "userId")
    assert client.wait("error") == {
        "code": "invalid_input", "message": answer["error"]["message"], "event": "join_room", "roomId": room,
    }  # fmt: skip


def test_an_empty_name_is_none_of_a_first_join_or_a_later_one(
    server: RunningServer, connect: Connect, room: str
) -> None:
    """Whether the handshake brought a name or not; and nothing of such a join stays."""
    for auth in ({"userId": "u1"}, {"userId": "u2", "username": "Hand Shake"}):
        client = connect(server, auth=auth)
        for _ in range(2):
            error = client.emit("join_room", {"roomId": room, "username": ""})["error"]
            assert (error["code"], error["field"]) == ("invalid_input", "username")
            assert server.participants(room)["count"] == 0
        client.join(room)
        assert client.emit("join_room", {"roomId": room, "username": ""})["error"]["field"] == "username"
        client.emit("leave_room", {"roomId": room})


@pytest.mark.parametrize("name", ["x" * 129, "é" * 65, "\ud800"])
def test_a_handshake_with_a_name_that_none_can_join_under_is_refused(server: RunningServer, name: str) -> None:
    client = RawClient(server.url, auth={"userId": "u1", "username": name})
    assert client.connected.startswith("44")
    assert "invalid_input" in client.connected
    client.close()
    client = RawClient(server.url, auth={"userId": "u1", "username": "é" * 64})
    assert client.connected.startswith("40")
    client.close()


def test_a_user_is_answered_as_it_last_wrote_itself(server: RunningServer, connect: Connect, room: str) -> None:
    """The handshake's spelling is the first, not the one for good."""
    client = connect(server, auth={"userId": 15})
    for given in ("15", 15):
        assert client.join(room, given)["userId"] == given
        [member] = client.emit("room:users:get", {"roomId": room})["users"]
        assert member["userId"] == given
