"""Heartbeats: what keeps a member alive, what adopts a place, and what brings nobody back."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.client.driver import Client, Seen, eventually
from tests.client.raw import RawClient
from tests.server.conftest import RunningServer, Serve

Connect = Callable[..., Client]

POPUP = "You are not in the chatroom"
INACTIVITY = "You have been logged out due to inactivity (6+ hours without activity)"


@pytest.fixture(scope="module")
def mortal(serve: Serve) -> RunningServer:
    """A server on which a member without heartbeats lives a second."""
    return serve(PRESENCE_TTL="1", PRESENCE_GRACE="0.5", PRESENCE_SWEEP_INTERVAL="0.2")


@pytest.mark.parametrize("transport", ["websocket", "polling"])
def test_003_3_case_1_beat_is_acknowledged_twice(
    server: RunningServer, connect: Connect, room: str, transport: str
) -> None:
    """C8, 003-3, 3.1 case 1: ack `{ok, timestamp, ttl}` and `room:heartbeat:ack`; Redis' time, ttl in ms."""
    client = connect(server, transports=[transport])
    joined = client.join(room, "u1")
    answer = client.emit("room:heartbeat", {"roomId": room, "userId": "u1", "timestamp": 5})
    assert set(answer) == {"ok", "timestamp", "ttl"}
    assert answer["ttl"] == 21_600_000
    assert answer["timestamp"] >= joined["users"][0]["joinedAt"]
    expected = {"roomId": room, "timestamp": answer["timestamp"], "ttl": answer["ttl"]}
    assert client.wait("room:heartbeat:ack") == expected


def test_003_3_beats_move_last_active_at_exact_to_a_hundredth_of_the_life(
    serve: Serve, connect: Connect, room: str
) -> None:
    """003-3: `joinedAt` stays; what is shown of the last activity is at most 1 % of the TTL older than the beat."""
    server = serve(PRESENCE_TTL="5", PRESENCE_RATE_LIMIT="10000/10000")
    client = connect(server)
    (joined,) = client.join(room, "u1")["users"]
    shown: set[int] = set()
    # Three moves: whoever shows less than it should is caught by then.
    while len(shown) < 4:
        beat_at = client.emit("room:heartbeat", {"roomId": room})["timestamp"]
        (member,) = server.participants(room, view="full")["users"]
        assert 0 <= beat_at - member["lastActiveAt"] <= 50
        assert client.emit("room:users:get", {"roomId": room})["users"] == [member]
        assert member["joinedAt"] == joined["joinedAt"]
        shown.add(member["lastActiveAt"])


def test_t3_4_beats_are_not_broadcast(server: RunningServer, connect: Connect, room: str) -> None:
    """T3.4: a flood of beats tells the others nothing and moves no position."""
    beats, sees = connect(server), connect(server)
    sees.join(room, "sees")
    beats.join(room, "beats")
    seq = server.count(room)["seq"]
    sees.wait("room:diff", lambda diff: diff["seq"] == seq)
    for answer in [beats.send("room:heartbeat", {"roomId": room}) for _ in range(20)]:
        assert beats.answer(answer)["ok"] is True
    assert server.count(room)["seq"] == seq
    assert [diff["seq"] for diff in sees.events("room:diff")] == [seq]


def test_003_11_beats_keep_alive_and_their_end_does_not(mortal: RunningServer, connect: Connect, room: str) -> None:
    """003-11 cases 1 and 2, 001-5: alive well past the TTL while it beats."""
    client = connect(mortal)
    client.join(room, "u1")
    until = time.monotonic() + 1.6
    while time.monotonic() < until:
        assert client.emit("room:heartbeat", {"roomId": room})["ok"] is True
        assert mortal.users(room) == ["u1"]
        time.sleep(0.2)
    stopped = time.monotonic()
    eventually(lambda: mortal.users(room) == [], "the end")
    assert 0.7 < time.monotonic() - stopped < 3


def test_case_2_a_beat_after_a_reconnect_adopts_the_place_in_grace(
    server: RunningServer, connect: Connect, room: str
) -> None:
    """C8, 3.1 case 2: `adopted: true`, the socket is back in the room, its diffs too, and nobody is told."""
    client, other = connect(server), connect(server)
    other.join(room, "other")
    client.join(room, "u1")
    client.cut()
    client.wait("disconnect")
    client.reopen()
    answer = client.emit("room:heartbeat", {"roomId": room, "userId": "u1"})
    assert (answer["ok"], answer["adopted"]) == (True, True)
    count = server.count(room)
    assert (count["count"], count["connections"]) == (2, 2)
    assert {m["status"] for m in server.participants(room, view="full")["users"]} == {"online"}
    assert "adopted" not in client.emit("room:heartbeat", {"roomId": room})
    other.emit("room:update", {"roomId": room, "username": "renamed"})
    assert client.wait("room:diff", lambda diff: diff["updated"])["updated"][0]["username"] == "renamed"
    assert all(diff["left"] == [] for diff in other.events("room:diff"))
    assert client.emit("leave_room", {"roomId": room})["left"] is True
    assert server.users(room) == ["other"]


def test_case_2_beside_a_live_tab_the_beat_adds_itself(server: RunningServer, connect: Connect, room: str) -> None:
    one, two = connect(server), connect(server)
    one.join(room, "u1")
    assert two.emit("room:heartbeat", {"roomId": room, "userId": "u1"})["adopted"] is True
    assert server.count(room)["connections"] == 2
    assert one.emit("leave_room", {"roomId": room})["left"] is True
    assert server.users(room) == ["u1"]


def test_t1_7_case_3_expired_gets_one_force_leave_after_the_ack(
    mortal: RunningServer, connect: Connect, room: str
) -> None:
    """C8, T1.1, T1.7, 3.1 case 3: the negative ack comes first, one force-leave a socket and room, then only acks."""
    client = connect(mortal, auth={"userId": "u1"})
    other = f"{room}-other"
    client.join(other)
    first = client.send("room:heartbeat", {"roomId": other})
    assert client.answer(first)["ok"] is True
    client.join(room)
    client.emit("leave_room", {"roomId": room})
    client.forget()
    answers = [client.send("room:heartbeat", {"roomId": room}) for _ in range(3)]
    for answer in answers:
        error = client.answer(answer)["error"]
        assert (error["code"], error["retryable"]) == ("not_in_room", False)
    told = client.wait("room:force-leave")
    assert told == {
        "roomId": room, "userId": "u1", "message": POPUP, "popup": POPUP, "reason": "not_in_room",
        "timestamp": told["timestamp"],
    }  # fmt: skip
    names = [seen.name for seen in client.seen if seen.ack or seen.name == "room:force-leave"]
    assert names[0] == "room:heartbeat"
    assert len(client.events("room:force-leave")) == 1
    assert client.events("disconnect") == []


def test_case_3_a_socket_that_never_joined_gets_three_seconds(
    server: RunningServer, connect: Connect, room: str
) -> None:
    """3.1 case 3: the ack at once, the popup after 3 s; a socket that was in no room is not closed."""
    client = connect(server)
    began = time.monotonic()
    assert client.emit("room:heartbeat", {"roomId": room, "userId": "u1"})["error"]["code"] == "not_in_room"
    assert time.monotonic() - began < 1
    assert client.emit("room:heartbeat", {"roomId": room, "userId": "u1"})["error"]["code"] == "not_in_room"
    late = connect(server)
    assert late.emit("room:heartbeat", {"roomId": f"{room}-2", "userId": "u2"})["ok"] is False
    assert late.join(f"{room}-2", "u2")["ok"] is True
    told = client.wait("room:force-leave")
    assert time.monotonic() - began > 2.9
    assert (told["reason"], told["message"], told["userId"]) == ("not_in_room", POPUP, "u1")
    assert client.emit("room:heartbeat", {"roomId": room})["error"]["code"] == "not_in_room"
    assert len(client.events("room:force-leave")) == 1
    assert client.events("disconnect") == []
    assert late.emit("room:heartbeat", {"roomId": f"{room}-2"})["ok"] is True
    assert late.events("room:force-leave") == []
    assert server.users(room) == []


def test_case_3_a_beat_without_identity_is_answered(server: RunningServer, connect: Connect, room: str) -> None:
    client = connect(server)
    assert client.emit("room:heartbeat", {"roomId": room})["error"]["code"] == "not_in_room"
    assert client.wait("error")["event"] == "room:heartbeat"


def test_t3_5_a_join_and_a_beat_sent_together_keep_their_order(
    server: RunningServer, connect: Connect, room: str
) -> None:
    """T3.5: events of one socket are handled in order, whatever they take."""
    client = connect(server)
    join = client.send("join_room", {"roomId": room, "userId": "u1"})
    beat = client.send("room:heartbeat", {"roomId": room})
    leave = client.send("leave_room", {"roomId": room})
    again = client.send("join_room", {"roomId": room, "userId": "u1"})
    last = client.send("leave_room", {"roomId": room})
    answers = [client.answer(number) for number in (join, beat, leave, again, last)]
    assert [answer["ok"] for answer in answers] == [True] * 5
    assert answers[2]["left"] is answers[4]["left"] is True
    assert server.users(room) == []


def force_left(client: Client) -> list[Seen]:
    return [seen for seen in client.seen if seen.name in {"room:force-leave", "disconnect"}]


def test_003_6_expiry_force_leaves_with_the_exact_texts_and_closes(
    mortal: RunningServer, connect: Connect, room: str
) -> None:
    """C9, 003-5, 003-6, 001-7, 001-10, T3.10: reason, message, popup, timestamp; then the connection is closed."""
    client, watcher = connect(mortal), connect(mortal)
    watcher.join(room, "watcher")
    client.join(room, 15, username="Fifteen")
    watcher.wait("room:diff", lambda diff: diff["joined"])
    beating = time.monotonic() + 3
    while not client.events("room:force-leave") and time.monotonic() < beating:
        watcher.emit("room:heartbeat", {"roomId": room})
        time.sleep(0.1)
    told = client.wait("room:force-leave")
    assert isinstance(told["timestamp"], int)
    assert told == {
        "roomId": room, "userId": 15, "message": INACTIVITY, "popup": POPUP, "reason": "inactivity_timeout",
        "timestamp": told["timestamp"],
    }  # fmt: skip
    assert client.wait("disconnect") == "io server disconnect"
    assert [seen.name for seen in force_left(client)] == ["room:force-leave", "disconnect"]
    diff = watcher.wait("room:diff", lambda diff: diff["left"])
    assert diff["left"] == [{"userId": 15, "username": "Fifteen", "reason": "inactivity_timeout"}]
    assert mortal.users(room) == ["watcher"]


def test_t1_10_only_the_last_room_closes_the_connection(mortal: RunningServer, connect: Connect, room: str) -> None:
    """T1.10, section 3: the popup names its room; the socket stays while it is in another one."""
    client = connect(mortal)
    client.join(f"{room}-kept", "u1")
    client.join(room, "u1")
    until = time.monotonic() + 5
    while not client.events("room:force-leave") and time.monotonic() < until:
        client.emit("room:heartbeat", {"roomId": f"{room}-kept"})
        time.sleep(0.1)
    assert client.wait("room:force-leave")["roomId"] == room
    assert client.events("disconnect") == []
    client.wait("room:force-leave", lambda body: body["roomId"] == f"{room}-kept")
    assert client.wait("disconnect") == "io server disconnect"


@pytest.mark.parametrize(("policy", "closes"), [("always", True), ("never", False)])
def test_c10_force_disconnect_always_and_never(
    serve: Serve, connect: Connect, room: str, policy: str, closes: bool
) -> None:
    server = serve(PRESENCE_FORCE_DISCONNECT=policy)
    client = connect(server, auth={"userId": "u1"})
    for name in (room, f"{room}-2"):
        client.join(name)
    server.kick(room, {"userId": "u1"})
    client.wait("room:force-leave")
    if closes:
        assert client.wait("disconnect") == "io server disconnect"
    server.kick(f"{room}-2", {"userId": "u1"})
    if not closes:
        client.wait("room:force-leave", lambda body: body["roomId"] == f"{room}-2")
        assert client.join(f"{room}-3")["ok"] is True
        assert client.events("disconnect") == []


def test_c4_the_sweeper_wakes_for_a_near_deadline(serve: Serve, connect: Connect, room: str) -> None:
    """C4: with the default interval of 30 s, a life of 0.5 s still ends with its popup soon, while nobody asks.

    T3.1: rooms where nobody lives any more, ids of every kind, sockets of every namespace.
    """
    server = serve(PRESENCE_TTL="0.5", PRESENCE_NAMESPACES="/,/chat")
    clients = {user: connect(server, path) for user, path in (("u1", ""), (15, ""), ("*:{x}", "/chat"), (16, "/chat"))}
    for user, client in clients.items():
        client.join(f"{room}:{user}", user)
    for user, client in clients.items():
        told = client.wait("room:force-leave", timeout_s=5)
        assert (told["roomId"], told["userId"], told["reason"]) == (f"{room}:{user}", user, "inactivity_timeout")


def test_room_policy_rules_a_room(serve: Serve, connect: Connect, room: str, tmp_path: Any) -> None:
    """003-12: ttl, grace, capacity and the message of rooms by pattern; others keep the defaults."""
    file = tmp_path / "policy.toml"
    file.write_text('["short-*"]\nttl = 0.5\ncapacity = 2\ninactivity_message = "Too quiet"\n')
    server = serve(PRESENCE_ROOM_POLICY=str(file), PRESENCE_SWEEP_INTERVAL="0.2")
    one, two, three = connect(server), connect(server), connect(server)
    assert one.join(f"short-{room}", "u1")["ttl"] == 500
    two.join(f"short-{room}", "u2")
    full = three.emit("join_room", {"roomId": f"short-{room}", "userId": "u3"})["error"]
    assert (full["code"], full["retryable"]) == ("room_full", False)
    assert three.join(room, "u3")["ttl"] == 21_600_000
    told = one.wait("room:force-leave")
    assert (told["message"], told["popup"], told["reason"]) == ("Too quiet", POPUP, "inactivity_timeout")
    assert server.users(room) == ["u3"]


def test_c11_a_ping_timeout_has_its_own_grace(serve: Serve, room: str) -> None:
    """C11, 003-10, `PRESENCE_GRACE_PING_TIMEOUT`: silence is treated gentler than a closed connection."""
    server = serve(
        PRESENCE_PING_INTERVAL="0.5", PRESENCE_PING_TIMEOUT="0.5",
        PRESENCE_GRACE="0.3", PRESENCE_GRACE_PING_TIMEOUT="1.5",
    )  # fmt: skip
    silent = RawClient(server.url, auth={"userId": "silent"})
    assert (silent.handshake["pingInterval"], silent.handshake["pingTimeout"]) == (500, 500)
    silent.emit(f'["join_room",{{"roomId":"{room}"}}]')
    joined = time.monotonic()
    full = f"/api/chatroom/{room}/participants?view=full"
    eventually(lambda: [m["status"] for m in server.get(full)["users"]] == ["away"], "the ping timeout")
    eventually(lambda: server.users(room) == [], "the end of the grace")
    assert time.monotonic() - joined > 1.5
    silent.close()


def test_t3_8_a_beat_of_the_ended_socket_does_not_cancel_its_grace(serve: Serve, connect: Connect, room: str) -> None:
    """T3.8: nothing the old socket had on its way keeps the user."""
    server = serve(PRESENCE_GRACE="0.5")
    stays, client = connect(server), connect(server)
    stays.join(room, "stays")
    client.join(room, "u1")
    for _ in range(10):
        client.shout("room:heartbeat", {"roomId": room})
    client.cut()
    (gone,) = stays.wait("room:diff", lambda diff: diff["left"])["left"]
    assert (gone["userId"], gone["reason"]) == ("u1", "disconnected")
    assert server.users(room) == ["stays"]
