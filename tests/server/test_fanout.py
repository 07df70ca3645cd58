"""Modes by size: diffs, then counts, then diffs again; what is sent to whom, and how often."""

import time
from collections.abc import Callable

from presence_engine import Change, Position
from server.local_room import LOG_BYTES, LOG_LENGTH, LocalRoom
from tests.client.driver import Client, eventually
from tests.server.conftest import Serve

Connect = Callable[..., Client]


def test_counts_mode_is_bounded_and_ends_with_hysteresis(serve: Serve, connect: Connect, room: str) -> None:
    """X3, `room:mode`, `room:count`: above the threshold at most one count a window and no diff; back at 80 %."""
    server = serve(PRESENCE_COUNTS_ROOM="10", PRESENCE_COUNT_WINDOW="1", PRESENCE_DIFF_WINDOW="0.02")
    observer, watcher = connect(server), connect(server)
    joined = observer.join(room, "observer")
    assert joined["mode"] == "diffs"
    watcher.emit("room:watch", {"roomIds": [room]})
    clients = [connect(server) for _ in range(12)]
    for at, client in enumerate(clients):
        client.join(room, f"u{at:02}")
    assert observer.wait("room:mode") == {"roomId": room, "mode": "counts"}
    assert connect(server).join(room, "late")["mode"] == "counts"
    observer.wait("room:count", lambda body: body["count"] == 14)
    observer.forget()
    started = time.monotonic()
    for number in range(30):
        clients[0].emit("room:update", {"roomId": room, "username": f"n{number}"})
        clients[1].emit("leave_room", {"roomId": room})
        clients[1].join(room, "u01")
    seq = server.count(room)["seq"]
    count = observer.wait("room:count", lambda body: body["seq"] == seq)
    took_s = time.monotonic() - started
    assert (count["count"], count["connections"]) == (14, 14)
    assert observer.events("room:diff") == []
    assert len(observer.events("room:count")) <= took_s + 1.5
    # Ten is the threshold, eight its end: nine members do not flip it back.
    for at in range(5):
        clients[at].emit("leave_room", {"roomId": room})
    observer.wait("room:count", lambda body: body["count"] == 9)
    assert observer.events("room:mode") == []
    assert connect(server).join(room, "tenth")["mode"] == "counts"
    for at in range(5, 7):
        clients[at].emit("leave_room", {"roomId": room})
    assert observer.wait("room:mode") == {"roomId": room, "mode": "diffs"}
    snapshot = observer.emit("room:sync", {"roomId": room, "epoch": joined["epoch"], "seq": joined["seq"]})
    expected = {"observer", "late", "tenth", *(f"u{at:02}" for at in range(7, 12))}
    if snapshot["sync"] == "snapshot":
        assert {user["userId"] for user in snapshot["users"]} == expected
    observer.forget()
    clients[11].emit("leave_room", {"roomId": room})
    diff = observer.wait("room:diff")
    assert diff["from"] == snapshot["seq"]
    assert [gone["userId"] for gone in diff["left"]] == ["u11"]
    watcher.wait("room:count", lambda body: body["count"] == 7)


def test_a_window_is_folded_to_its_net_effect(serve: Serve, connect: Connect, room: str) -> None:
    """Came and went: nothing. Went and came: `updated`, or nothing. Several: one diff."""
    server = serve(PRESENCE_DIFF_WINDOW="1.5")
    observer, stays, flickers = connect(server), connect(server), connect(server)
    stays.join(room, "stays", username="S")
    observer.join(room, "observer")
    eventually(lambda: server.count(room)["count"] == 2, "two members")
    # The window that holds the joins ends first.
    stays.wait("room:diff", lambda diff: diff["joined"])
    observer.forget()
    flickers.join(room, "flickers")
    flickers.emit("leave_room", {"roomId": room})
    stays.emit("leave_room", {"roomId": room})
    stays.join(room, "stays", username="T")
    seq = server.count(room)["seq"]
    diff = observer.wait("room:diff", lambda diff: diff["seq"] == seq)
    assert len(observer.events("room:diff")) == 1
    assert (diff["joined"], diff["left"]) == ([], [])
    assert [(user["userId"], user["username"]) for user in diff["updated"]] == [("stays", "T")]
    assert (diff["count"], diff["connections"]) == (2, 2)


def test_a_tab_more_or_less_is_no_entry(serve: Serve, connect: Connect, room: str) -> None:
    """T0.1: another tab of a user changes `connections` only."""
    server = serve(PRESENCE_DIFF_WINDOW="0.02")
    observer, first, second = connect(server), connect(server), connect(server)
    observer.join(room, "observer")
    first.join(room, "u1")
    observer.wait("room:diff", lambda diff: diff["count"] == 2)
    second.join(room, "u1")
    diff = observer.wait("room:diff", lambda diff: diff["connections"] == 3)
    assert (diff["joined"], diff["updated"], diff["left"], diff["count"]) == ([], [], [], 2)
    second.emit("leave_room", {"roomId": room})
    observer.wait("room:diff", lambda diff: diff["seq"] == server.count(room)["seq"] and diff["connections"] == 2)
    assert all(diff["left"] == [] for diff in observer.events("room:diff"))


def test_the_log_of_a_room_is_bounded_by_its_bytes_too(serve: Serve, connect: Connect, room: str) -> None:
    """Large changes, as fast as the rate lets them, in as many rooms as one may be in, cost a process no gigabyte."""
    server = serve(PRESENCE_RATE_LIMIT="0")
    follower, writer = connect(server), connect(server)
    began = follower.join(room, "follower")
    writer.join(room, "writer")
    for number in range(300):
        writer.emit("room:update", {"roomId": room, "data": {"number": number, "pad": "x" * 4000}})
    synced = follower.emit("room:sync", {"roomId": room, "epoch": began["epoch"], "seq": began["seq"]})
    assert synced["sync"] == "snapshot"
    assert next(user for user in synced["users"] if user["userId"] == "writer")["data"]["number"] == 299
    near = {"roomId": room, "epoch": synced["epoch"], "seq": synced["seq"] - 5}
    # The last window may not have been sent yet, and the log tells nothing of it until then.
    eventually(lambda: follower.emit("room:sync", near)["sync"] == "diffs", "diffs of what is still in the log")


def test_a_log_lets_go_of_the_oldest() -> None:
    local = LocalRoom("r")
    for seq in range(1, 5001):
        local.note(Change("e", seq, 1, 1, 0, []), 4200 if seq > 3000 else 100)
        local.flushed = seq
        local.epoch = "e"
        if seq == 3000:
            assert len(local.log) == LOG_LENGTH
    assert sum(size for _, size in local.log) <= LOG_BYTES
    assert len(local.log) == LOG_BYTES // 4200
    assert local.since("e", 4990) == [change for change, _ in local.log][-10:]
    assert local.since("e", 3000) is None
    local.stand_at(Position("e", 5000, 1, 1))
    local.note(Change("e", 5001, 1, 1, 0, []), LOG_BYTES)
    assert len(local.log) == 1
