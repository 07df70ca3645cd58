"""Leaving: one tab, all tabs, logout, and the ends of sockets."""

from collections.abc import Callable

import pytest

from tests.client.driver import Client, eventually
from tests.server.conftest import RunningServer, Serve

Connect = Callable[..., Client]


@pytest.fixture(scope="module")
def brief(serve: Serve) -> RunningServer:
    """A server whose grace is short enough to wait for, and long enough to come back in."""
    return serve(PRESENCE_GRACE="0.6", PRESENCE_GRACE_PING_TIMEOUT="0.6")


def test_000_7_explicit_leave_is_at_once(server: RunningServer, connect: Connect, room: str) -> None:
    """000-7, 003-7, 003-11 case 4: gone with the answer; the others get it as a diff with reason `left`."""
    stays, goes = connect(server), connect(server)
    stays.join(room, "stays")
    goes.join(room, "goes", username="Goes")
    stays.wait("room:diff", lambda diff: diff["joined"])
    assert goes.emit("leave_room", {"roomId": room}) == {"ok": True, "roomId": room, "left": True}
    assert server.users(room) == ["stays"]
    assert goes.wait("room:left") == {"roomId": room, "left": True}
    diff = stays.wait("room:diff", lambda diff: diff["left"])
    assert diff["left"] == [{"userId": "goes", "username": "Goes", "reason": "left"}]
    assert goes.emit("leave_room", {"roomId": room}) == {"ok": True, "roomId": room, "left": False}
    assert connect(server).emit("leave_room", {"roomId": room})["left"] is False


def test_t0_1_two_tabs_closing_one_removes_nobody(brief: RunningServer, connect: Connect, room: str) -> None:
    one, two, other = connect(brief), connect(brief), connect(brief)
    one.join(room, "u1")
    assert two.join(room, "u1")["rejoined"] is True
    other.join(room, "other")
    assert brief.count(room)["connections"] == 3
    one.close()
    eventually(lambda: brief.count(room)["connections"] == 2, "the closed tab's grace")
    assert brief.users(room) == ["u1", "other"]
    two.emit("leave_room", {"roomId": room})
    assert brief.users(room) == ["other"]


def test_leave_everywhere_takes_the_other_tabs_out(server: RunningServer, connect: Connect, room: str) -> None:
    """`everywhere`: the user is gone now; the other tab gets `room:left {left: true}`, no force-leave, stays open."""
    one, two = connect(server), connect(server)
    one.join(room, "u1")
    two.join(room, "u1")
    assert one.emit("leave_room", {"roomId": room, "everywhere": True})["left"] is True
    assert server.users(room) == []
    assert two.wait("room:left") == {"roomId": room, "left": True}
    assert two.emit("leave_room", {"roomId": room})["left"] is False
    assert two.events("room:force-leave") == []
    assert two.events("disconnect") == []
    assert two.join(room, "u1")["rejoined"] is False


def test_x6_rooms_are_apart_and_logout_leaves_all(server: RunningServer, connect: Connect, room: str) -> None:
    """X6: leaving one room leaves the others; `user:logout` leaves every room of this connection at once."""
    client = connect(server)
    rooms = [f"{room}-{number}" for number in range(3)]
    for name in rooms:
        client.join(name, "u1")
    client.emit("leave_room", {"roomId": rooms[0]})
    assert [server.users(name) for name in rooms] == [[], ["u1"], ["u1"]]
    assert client.emit("user:logout")["ok"] is True
    assert [server.users(name) for name in rooms] == [[], [], []]
    assert sorted(body["roomId"] for body in client.events("room:left")) == sorted(rooms)
    assert client.events("disconnect") == []


@pytest.mark.parametrize("transport", ["websocket", "polling"])
def test_003_7_disconnect_gets_grace_and_then_tells(
    brief: RunningServer, connect: Connect, room: str, transport: str
) -> None:
    """003-7, 000-7: `away` and counted during the grace, then removed with reason `disconnected`."""
    stays, goes = connect(brief), connect(brief, transports=[transport])
    stays.join(room, "stays")
    goes.join(room, "goes")
    goes.close()
    full = eventually(
        lambda: next((m for m in brief.participants(room, view="full")["users"] if m["status"] == "away"), None),
        "the grace",
    )
    assert full["userId"] == "goes"
    assert stays.events("room:diff") == [] or stays.events("room:diff")[-1]["left"] == []
    diff = stays.wait("room:diff", lambda diff: diff["left"])
    assert diff["left"] == [{"userId": "goes", "username": "goes", "reason": "disconnected"}]
    assert brief.users(room) == ["stays"]


def test_rejoin_within_grace_is_silent(brief: RunningServer, connect: Connect, room: str) -> None:
    """C5: coming back takes over the place; nobody is told, `joinedAt` stays."""
    stays, goes = connect(brief), connect(brief)
    stays.join(room, "stays")
    joined = goes.join(room, "goes")
    stays.wait("room:diff", lambda diff: diff["joined"])
    goes.cut()
    goes.wait("disconnect")
    goes.reopen()
    back = goes.join(room, "goes")
    assert back["rejoined"] is True
    assert back["users"][1]["joinedAt"] == joined["users"][1]["joinedAt"]
    assert (back["count"], back["connections"]) == (2, 2)
    eventually(lambda: brief.count(room)["connections"] == 2, "one connection a user")
    marker = connect(brief)
    marker.join(room, "marker")
    stays.wait("room:diff", lambda diff: [one["userId"] for one in diff["joined"]] == ["marker"])
    told = [diff for diff in stays.events("room:diff") if diff["left"] or diff["updated"]]
    assert told == []


def test_t0_2_a_late_end_of_the_old_socket_removes_nobody(brief: RunningServer, connect: Connect, room: str) -> None:
    """T0.2: the same user rejoined under a new socket before the old one's end is noticed."""
    old, new = connect(brief), connect(brief)
    old.join(room, "u1")
    new.join(room, "u1")
    old.cut()
    old.wait("disconnect")
    eventually(lambda: brief.count(room)["connections"] == 1, "the old socket's end")
    assert brief.users(room) == ["u1"]
    assert new.emit("room:heartbeat", {"roomId": room})["ok"] is True


def test_t0_3_all_rooms_of_a_socket_are_cleaned(brief: RunningServer, connect: Connect, room: str) -> None:
    """T0.3, T1.8, 001-9: not only the current one."""
    client = connect(brief)
    rooms = [f"{room}-{number}" for number in range(12)]
    for name in rooms:
        client.join(name, "u1")
    assert len(brief.get("/api/users/u1/rooms")["rooms"]) >= 12
    client.cut()
    ids = ",".join(rooms)
    eventually(lambda: not any(brief.get(f"/api/chatrooms/counts?ids={ids}")["counts"].values()), "all rooms empty")


def test_grace_zero_removes_at_once(serve: Serve, connect: Connect, room: str) -> None:
    """C5: `PRESENCE_GRACE=0`."""
    server = serve(PRESENCE_GRACE="0")
    stays, goes = connect(server), connect(server)
    stays.join(room, "stays")
    goes.join(room, "goes")
    stays.wait("room:diff", lambda diff: diff["joined"])
    goes.cut()
    assert stays.wait("room:diff", lambda diff: diff["left"])["left"][0]["reason"] == "disconnected"
    assert server.users(room) == ["stays"]
