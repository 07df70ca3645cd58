"""Redis that stops, dies, or is slow: `unavailable` in time, never an empty list, never a force-leave out of it."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis

from presence_engine import EmbeddedServer
from presence_engine.keys import Keyspace
from tests.client.driver import Client, eventually
from tests.client.proxy import Proxy
from tests.client.raw import RawClient
from tests.server.conftest import ADMIN_TOKEN, RunningServer, Serve, go_on, stop

Connect = Callable[..., Client]

WITHIN_S = 2.0
# What a slow machine may add to the two seconds.
TOLERANCE_S = 1.0


def expect_unavailable(server: RunningServer, client: Client, room: str) -> None:
    """Every route and event says `unavailable`, each within its two seconds.

    What was sent may still be carried out when Redis goes on, so nothing here would change who is in the room.
    """
    routes: list[tuple[str, str, Any]] = [
        ("GET", f"/api/chatroom/{room}/participants", None), ("GET", f"/api/chatroom/{room}/count", None),
        ("GET", f"/api/chatrooms/counts?ids={room}", None), ("GET", "/api/chatrooms", None),
        ("GET", "/api/users/u1/rooms", None), ("POST", f"/api/chatroom/{room}/kick", {"userId": "nobody"}),
    ]  # fmt: skip

    def ask(route: tuple[str, str, Any]) -> None:
        method, path, body = route
        began = time.monotonic()
        response = server.http.request(method, path, json=body, headers={"Authorization": f"Bearer {ADMIN_TOKEN}"})
        assert time.monotonic() - began < WITHIN_S + TOLERANCE_S, path
        assert response.status_code == 503, f"{path}: {response.text}"
        assert response.json()["success"] is False
        assert (response.json()["error"]["code"], response.json()["error"]["retryable"]) == ("unavailable", True)

    with ThreadPoolExecutor() as pool:
        list(pool.map(ask, routes))
    began = time.monotonic()
    numbers = [client.send(event, {"roomId": room}) for event in ("room:heartbeat", "room:users:get")]
    assert client.answer(numbers[0])["error"]["code"] == "unavailable"
    assert time.monotonic() - began < WITHIN_S + TOLERANCE_S
    error = client.answer(numbers[1])["error"]
    assert (error["code"], error["retryable"]) == ("unavailable", True)
    assert client.wait("error", lambda body: body["code"] == "unavailable")["event"] == "room:heartbeat"


def test_c16_redis_stopped_is_unavailable_and_back_again_works(
    serve: Serve, stoppable: EmbeddedServer, connect: Connect, room: str
) -> None:
    """C16, T0.7: 503 and `unavailable` within 2 s; sockets stay, nobody is force-left; no restart is needed."""
    server = serve(stoppable.url)
    client = connect(server)
    client.join(room, "u1")
    stop(stoppable)
    expect_unavailable(server, client, room)
    newcomer = connect(server)
    began = time.monotonic()
    assert newcomer.emit("join_room", {"roomId": f"{room}-2", "userId": "u2"})["error"]["code"] == "unavailable"
    assert time.monotonic() - began < WITHIN_S + TOLERANCE_S
    ready = server.get("/readyz", 503)
    assert (ready["status"], ready["redis"]) == ("unavailable", "disconnected")
    assert server.get("/healthz")
    go_on(stoppable)
    assert eventually(lambda: server.http.get("/readyz").status_code == 200, "readiness")
    assert server.users(room) == ["u1"]
    assert eventually(lambda: client.emit("room:heartbeat", {"roomId": room})["ok"], "a beat")
    assert newcomer.join(f"{room}-2", "u2")["count"] == 1
    assert client.events("room:force-leave") == []
    assert client.events("disconnect") == []
    other = connect(server)
    other.join(room, "other")
    assert client.wait("room:diff", lambda diff: diff["joined"])["joined"][0]["userId"] == "other"


def test_t0_7_redis_killed_is_unavailable_and_its_people_are_put_back(
    serve: Serve, stoppable: EmbeddedServer, connect: Connect, room: str
) -> None:
    """C16, T1.9: a Redis that comes back empty, without our scripts, is taught and told who is here."""
    server = serve(stoppable.url)
    client = connect(server)
    first = client.join(room, "u1", username="One", data={"a": []})
    assert stoppable.pid
    os.kill(stoppable.pid, signal.SIGKILL)
    eventually(lambda: not stoppable.owner, "the end of Redis")
    expect_unavailable(server, client, room)
    stoppable.start()
    eventually(lambda: server.http.get("/readyz").status_code == 200, "readiness")
    assert eventually(lambda: client.emit("room:heartbeat", {"roomId": room})["ok"], "a beat")
    eventually(lambda: server.users(room) == ["u1"], "the member's return")
    (member,) = server.participants(room, view="full")["users"]
    assert (member["username"], member["data"]) == ("One", {"a": []})
    assert member["joinedAt"] == first["users"][0]["joinedAt"]
    assert client.events("room:force-leave") == []
    assert client.events("disconnect") == []
    assert client.emit("leave_room", {"roomId": room})["left"] is True


def test_t0_2_a_socket_that_ends_while_redis_is_away_is_no_ghost(
    serve: Serve, stoppable: EmbeddedServer, connect: Connect, room: str
) -> None:
    """000-7, C16: its grace begins when Redis can hear of it."""
    server = serve(stoppable.url, PRESENCE_GRACE="0.5")
    client, silent = connect(server), connect(server)
    client.join(room, "u1")
    stop(stoppable)
    assert silent.emit("join_room", {"roomId": room, "userId": "u2"})["error"]["code"] == "unavailable"
    for one in (client, silent):
        one.cut()
        one.wait("disconnect")
    assert server.http.get(f"/api/chatroom/{room}/participants").status_code == 503
    go_on(stoppable)
    eventually(lambda: server.http.get(f"/api/chatroom/{room}/participants").status_code == 200, "Redis")
    eventually(lambda: server.users(room) == [], "both gone", timeout_s=6)


def test_a_board_that_cannot_be_shown_has_nobody_at_it(
    serve: Serve, store: EmbeddedServer, connect: Connect, room: str
) -> None:
    """Its presence room is joined before it is read; a client that is told of a failure is in neither."""
    server = serve(store.url, PRESENCE_GRACE="0.5")
    client = connect(server, auth={"userId": "u1"})
    with redis.Redis.from_url(store.url) as spoiler:
        spoiler.set(Keyspace().board(room).meta, "not a hash")
        assert client.emit("join-retro-room", {"retroId": room})["error"]["code"] == "internal"
        eventually(lambda: server.users(f"retro:{room}") == [], "nobody")
        spoiler.delete(Keyspace().board(room).meta)
    assert client.emit("join-retro-room", {"retroId": room})["ok"] is True
    time.sleep(1.5)
    assert server.users(f"retro:{room}") == ["u1"]


@pytest.fixture(scope="module")
def wire(store: EmbeddedServer) -> Iterator[Proxy]:
    one = Proxy(store.url)
    yield one
    one.stop()


@pytest.fixture
def proxy(wire: Proxy) -> Iterator[Proxy]:
    """The way to the store, without delay at the beginning and at the end."""
    yield wire
    wire.delay_s, wire.deaf = 0.0, False


def test_t3_6_a_join_still_running_when_its_socket_dies_is_undone(
    serve: Serve, server: RunningServer, proxy: Proxy, connect: Connect, room: str
) -> None:
    """T3.6: the socket falls silent while Redis is slow; what the join left is taken back, long before any grace."""
    slow = serve(proxy.url, PRESENCE_PING_INTERVAL="0.2", PRESENCE_PING_TIMEOUT="0.2", PRESENCE_GRACE="60")
    watcher = connect(server)
    watcher.emit("room:watch", {"roomIds": [room]})
    client = RawClient(slow.url, auth={"userId": "u1"}, pongs=False)
    proxy.delay_s = 0.5
    client.send(f'421["join_room",{{"roomId":"{room}"}}]')
    watcher.wait("room:count", lambda body: body["count"] == 1)
    watcher.wait("room:count", lambda body: body["count"] == 0)
    assert server.users(room) == []
    proxy.delay_s = 0
    client.close()


def test_t3_6_a_socket_that_closes_during_its_join_ends_with_its_grace(
    serve: Serve, server: RunningServer, proxy: Proxy, connect: Connect, room: str
) -> None:
    slow = serve(proxy.url, PRESENCE_GRACE="0.5")
    watcher = connect(server)
    watcher.emit("room:watch", {"roomIds": [room]})
    client = connect(slow, auth={"userId": "u1"})
    proxy.delay_s = 0.3
    client.send("join_room", {"roomId": room})
    client.close()
    watcher.wait("room:count", lambda body: body["count"] == 1)
    proxy.delay_s = 0
    watcher.wait("room:count", lambda body: body["count"] == 0)


def test_t3_5_events_of_one_socket_stay_in_order_while_redis_is_slow(
    serve: Serve, proxy: Proxy, connect: Connect, room: str
) -> None:
    """T3.5: a beat does not overtake its own join, a leave neither."""
    slow = serve(proxy.url)
    client = connect(slow, auth={"userId": "u1"})
    proxy.delay_s = 0.05
    numbers = [
        client.send(event, {"roomId": room})
        for event in ("join_room", "room:heartbeat", "leave_room", "room:heartbeat", "join_room")
    ]
    answers = [client.answer(number) for number in numbers]
    assert [answer["ok"] for answer in answers] == [True, True, True, False, True]
    acks = [seen.name for seen in client.seen if seen.ack]
    assert acks == ["join_room", "room:heartbeat", "leave_room", "room:heartbeat", "join_room"]
    proxy.delay_s = 0


def test_t0_3_disconnect_detaches_all_rooms_in_one_write(
    serve: Serve, proxy: Proxy, connect: Connect, room: str
) -> None:
    """T0.3: one round trip, however many rooms the socket was in."""
    server = serve(proxy.url)
    client = connect(server, auth={"userId": "u1"})
    rooms = [f"{room}-{number:02}" for number in range(8)]
    for name in rooms:
        client.join(name)
    proxy.written.clear()
    client.cut()
    full = f"/api/chatroom/{rooms[-1]}/participants?view=full"
    eventually(lambda: [m["status"] for m in server.get(full)["users"]] == ["away"], "the grace")
    named = [data for data in proxy.written if any(name.encode() in data for name in rooms[:-1])]
    writes = [data for data in named if b"EVALSHA" in data]
    assert len(writes) == 1
    assert all(name.encode() in writes[0] for name in rooms)


def test_a_beat_that_would_adopt_is_unavailable_while_changes_cannot_be_followed(
    serve: Serve, server: RunningServer, proxy: Proxy, connect: Connect, room: str
) -> None:
    """A member that gets no diffs would show a room that stands still."""
    connect(server).join(room, "u1")
    away = serve(proxy.url, PRESENCE_GRACE="0.5")
    tab = connect(away, auth={"userId": "u1"})
    proxy.deaf = True
    assert tab.emit("room:heartbeat", {"roomId": room})["error"]["code"] == "unavailable"
    eventually(lambda: server.count(room)["connections"] == 1, "the tab's end", timeout_s=6)
    proxy.deaf = False
    assert tab.emit("room:heartbeat", {"roomId": room})["adopted"] is True
    connect(server).join(room, "u2")
    assert tab.wait("room:diff", lambda diff: diff["joined"])["joined"][0]["userId"] == "u2"
    assert server.count(room)["connections"] == 3
