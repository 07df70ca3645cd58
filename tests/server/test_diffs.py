"""Diffs, sync and watching: every client can follow a room without ever asking for the whole of it again."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.client.driver import Client, eventually
from tests.server.conftest import RunningServer, Serve

Connect = Callable[..., Client]
Json = dict[str, Any]


def replay(joined: Json, diffs: list[Json]) -> dict[Any, Json]:
    """The roster a client holds after applying the diffs that follow its answer, checking the chain on the way."""
    members = {member["userId"]: member for member in joined["users"]}
    seq = joined["seq"]
    for diff in diffs:
        assert diff["epoch"] == joined["epoch"]
        assert diff["from"] == seq, f"the chain breaks: at {seq}, got a diff from {diff['from']}"
        assert diff["seq"] > diff["from"]
        for member in [*diff["joined"], *diff["updated"]]:
            members[member["userId"]] = member
        for gone in diff["left"]:
            del members[gone["userId"]]
        assert diff["count"] == len(members)
        seq = diff["seq"]
    return members


def test_diff_shape(server: RunningServer, connect: Connect, room: str) -> None:
    first, second = connect(server), connect(server)
    first.join(room, "u1")
    second.join(room, "u2", username="Two", data={"a": [1]})
    diff = first.wait("room:diff")
    assert set(diff) == {"roomId", "epoch", "from", "seq", "joined", "updated", "left", "count", "connections"}
    (member,) = diff["joined"]
    assert set(member) == {"userId", "username", "joinedAt", "lastActiveAt", "status", "data"}
    assert (member["userId"], member["username"], member["status"], member["data"]) == (
        "u2",
        "Two",
        "online",
        {"a": [1]},
    )
    assert (diff["updated"], diff["left"], diff["count"], diff["connections"]) == ([], [], 2, 2)


def test_fine_print_a_joiners_first_diff_starts_at_its_answer(
    server: RunningServer, connect: Connect, room: str
) -> None:
    """Section 8: whoever joins within a fold window gets a first diff `from` its own `seq`; every chain is whole."""
    clients = [connect(server) for _ in range(12)]
    numbers = [client.send("join_room", {"roomId": room, "userId": f"u{at:02}"}) for at, client in enumerate(clients)]
    joined = [client.answer(number) for client, number in zip(clients, numbers, strict=True)]
    for client in clients[:4]:
        assert client.emit("leave_room", {"roomId": room})["left"] is True
    seq = server.count(room)["seq"]
    expected = {f"u{at:02}" for at in range(4, 12)}
    for client, answer in list(zip(clients, joined, strict=True))[4:]:
        client.wait("room:diff", lambda diff: diff["seq"] == seq)
        assert set(replay(answer, client.events("room:diff"))) == expected


def test_update_is_one_diff_entry_and_nothing_when_unchanged(
    server: RunningServer, connect: Connect, room: str
) -> None:
    """`room:update`: one `updated` entry; `data` replaces; no change, no diff."""
    client, other = connect(server), connect(server)
    other.join(room, "other")
    client.join(room, "u1", username="One", data={"a": 1})
    other.wait("room:diff", lambda diff: diff["joined"])
    answer = client.emit("room:update", {"roomId": room, "data": {"b": []}})
    assert (answer["ok"], answer["updated"]) == (True, True)
    diff = other.wait("room:diff", lambda diff: diff["updated"])
    assert [(m["userId"], m["username"], m["data"]) for m in diff["updated"]] == [("u1", "One", {"b": []})]
    seq = server.count(room)["seq"]
    same = client.emit("room:update", {"roomId": room, "data": {"b": []}})
    assert (same["ok"], same["updated"]) == (True, False)
    assert server.count(room)["seq"] == seq
    stranger = connect(server, auth={"userId": "stranger"})
    assert stranger.emit("room:update", {"roomId": room, "username": "x"})["error"]["code"] == "not_in_room"


def test_sync_answers_diffs_while_the_log_reaches_back(server: RunningServer, connect: Connect, room: str) -> None:
    client, other = connect(server), connect(server)
    joined = client.join(room, "u1")
    other.join(room, "u2")
    other.emit("room:update", {"roomId": room, "username": "Two"})
    seq = server.count(room)["seq"]
    client.wait("room:diff", lambda diff: diff["seq"] == seq)
    answer = client.emit("room:sync", {"roomId": room, "epoch": joined["epoch"], "seq": joined["seq"]})
    assert (answer["ok"], answer["sync"], answer["epoch"], answer["seq"]) == (True, "diffs", joined["epoch"], seq)
    assert set(replay(joined, answer["diffs"])) == {"u1", "u2"}
    nothing = client.emit("room:sync", {"roomId": room, "epoch": joined["epoch"], "seq": seq})
    assert (nothing["sync"], nothing["diffs"]) == ("diffs", [])


@pytest.mark.parametrize("position", [{}, {"epoch": "gone", "seq": 1}, {"epoch": "", "seq": 0}])
def test_sync_answers_a_snapshot_otherwise(server: RunningServer, connect: Connect, room: str, position: Json) -> None:
    client = connect(server)
    joined = client.join(room, "u1")
    answer = client.emit("room:sync", {"roomId": room, **position})
    assert answer["sync"] == "snapshot"
    assert set(answer) == set(joined) | {"sync"}
    assert [member["userId"] for member in answer["users"]] == ["u1"]
    assert (answer["epoch"], answer["seq"]) == (joined["epoch"], joined["seq"])


def test_sync_outside_the_room_is_not_in_room(server: RunningServer, connect: Connect, room: str) -> None:
    client = connect(server, auth={"userId": "u1"})
    assert client.emit("room:sync", {"roomId": room})["error"]["code"] == "not_in_room"


def test_sync_within_a_window_cuts_it(serve: Serve, connect: Connect, room: str) -> None:
    """Section 8 for sync: the next diff has `from` equal to the snapshot's `seq`."""
    server = serve(PRESENCE_DIFF_WINDOW="0.4")
    client = connect(server)
    client.join(room, "u1")
    others = [connect(server) for _ in range(3)]
    others[0].join(room, "u2")
    others[1].join(room, "u3")
    snapshot = client.emit("room:sync", {"roomId": room})
    assert snapshot["seq"] == 3
    client.forget()
    others[1].emit("leave_room", {"roomId": room})
    others[2].join(room, "u4")
    client.wait("room:diff", lambda diff: diff["seq"] == 5)
    after = [diff for diff in client.events("room:diff") if diff["seq"] > 3]
    assert set(replay(snapshot, after)) == {"u1", "u2", "u4"}


def test_users_get_pages_in_order(server: RunningServer, connect: Connect, room: str) -> None:
    """`room:users:get`: order (joinedAt, userId), pages that neither miss nor repeat."""
    clients = [connect(server) for _ in range(5)]
    for at, client in enumerate(clients):
        client.join(room, f"u{at}")
    outsider = connect(server)
    found, cursor = [], None
    while True:
        page = outsider.emit("room:users:get", {"roomId": room, "limit": 2, **({"cursor": cursor} if cursor else {})})
        assert (page["ok"], page["count"]) == (True, 5)
        found += [member["userId"] for member in page["users"]]
        cursor = page.get("cursor")
        if cursor is None:
            break
    assert found == [f"u{at}" for at in range(5)]


@pytest.mark.parametrize("limit", [0, -1, 1001, 1.5, "10", True])
def test_users_get_limits_out_of_range_are_refused(
    server: RunningServer, connect: Connect, room: str, limit: Any
) -> None:
    """Section 8: refused, not clamped."""
    answer = connect(server).emit("room:users:get", {"roomId": room, "limit": limit})
    assert (answer["error"]["code"], answer["error"]["field"]) == ("invalid_input", "limit")
    if type(limit) is int:
        assert answer["error"]["message"] == "limit must be an integer from 1 to 1000"


def test_watchers_get_counts_without_joining(server: RunningServer, connect: Connect, room: str) -> None:
    """`room:watch`/`room:unwatch`: current counts in the answer, changes as `room:count`."""
    watcher, client = connect(server), connect(server)
    answer = watcher.emit("room:watch", {"roomIds": [room, 1777]})
    assert answer["ok"] is True
    assert [one["roomId"] for one in answer["rooms"]] == [room, 1777]
    assert [one["count"] for one in answer["rooms"]] == [0, 0]
    client.join(room, "u1")
    count = watcher.wait("room:count")
    assert set(count) == {"roomId", "epoch", "seq", "count", "connections"}
    assert (count["roomId"], count["count"], count["connections"], count["seq"]) == (room, 1, 1, 1)
    assert watcher.events("room:diff") == []
    assert server.users(room) == ["u1"]
    client.emit("leave_room", {"roomId": room})
    watcher.wait("room:count", lambda body: body["count"] == 0)
    assert watcher.emit("room:unwatch", {"roomIds": [room]})["ok"] is True
    watcher.forget()
    second = connect(server)
    second.emit("room:watch", {"roomIds": [room]})
    client.join(room, "u1")
    second.wait("room:count", lambda body: body["count"] == 1)
    assert watcher.events("room:count") == []


def test_watch_bounds(server: RunningServer, connect: Connect) -> None:
    client = connect(server)
    assert client.emit("room:watch", {"roomIds": [f"w{at}" for at in range(100)]})["ok"] is True
    refused: list[Any] = [[f"w{at}" for at in range(101)], [None], "r", None, [{}], ["one-more"]]
    for bad in refused:
        error = client.emit("room:watch", {"roomIds": bad})["error"]
        assert (error["code"], error["field"]) == ("invalid_input", "roomIds")
    assert client.emit("room:unwatch", {"roomIds": [f"w{at}" for at in range(100)]})["ok"] is True
    assert client.emit("room:watch", {"roomIds": ["one-more"]})["ok"] is True


def test_counts_mode_above_the_threshold(serve: Serve, connect: Connect, room: str) -> None:
    """X3, `room:mode`: a big room is told counts instead of diffs, and diffs again when it has shrunk."""
    server = serve(PRESENCE_COUNTS_ROOM="3", PRESENCE_COUNT_WINDOW="0.1")
    clients = [connect(server) for _ in range(5)]
    answers = [client.join(room, f"u{at}") for at, client in enumerate(clients)]
    first = clients[0]
    assert first.wait("room:mode") == {"roomId": room, "mode": "counts"}
    assert answers[0]["mode"] == "diffs"
    late = connect(server)
    assert late.join(room, "late")["mode"] == "counts"
    assert first.wait("room:count", lambda body: body["count"] == 6)["connections"] == 6
    assert len(late.emit("room:users:get", {"roomId": room})["users"]) == 6
    for client in [*clients[1:], late][:4]:
        client.emit("leave_room", {"roomId": room})
    assert first.wait("room:mode", lambda body: body["mode"] == "diffs")["roomId"] == room
    answer = first.emit("room:sync", {"roomId": room})
    assert {member["userId"] for member in answer["users"]} == {"u0", "late"}


def test_c7_two_servers_see_each_other(serve: Serve, connect: Connect, room: str) -> None:
    """002-9, C13: diffs, counts, adoption and force-leave cross servers; each socket is told by its own."""
    here, there = serve(), serve()
    one, two, watcher = connect(here), connect(there), connect(there)
    watcher.emit("room:watch", {"roomIds": [room]})
    joined = one.join(room, "u1")
    two.join(room, "u2")
    assert one.wait("room:diff")["joined"][0]["userId"] == "u2"
    assert watcher.wait("room:count", lambda body: body["count"] == 2)["seq"] == 2
    assert here.participants(room) == there.participants(room)
    assert here.kick(room, {"userId": "u2", "message": "No spam"}) == {"success": True, "kicked": True}
    assert two.wait("room:force-leave")["message"] == "No spam"
    one.wait("room:diff", lambda diff: diff["left"])
    assert set(replay(joined, one.events("room:diff"))) == {"u1"}
    one.cut()
    one.wait("disconnect")
    moved = connect(there)
    answer = moved.emit("room:heartbeat", {"roomId": room, "userId": "u1"})
    assert answer["adopted"] is True
    eventually(lambda: here.count(room)["connections"] == 1, "one connection")
