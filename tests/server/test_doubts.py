"""What was answered `unavailable` may have been carried out, or be later: what a client is told and the room agree."""

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from presence_engine import EmbeddedServer, PresenceEngine, StoreUnavailable
from tests.client.driver import Client, eventually
from tests.server.conftest import RunningServer, Serve, go_on, refusing_writes, stop

Connect = Callable[..., Client]


@pytest.fixture
def doubting(serve: Serve, stoppable: EmbeddedServer) -> RunningServer:
    return serve(stoppable.url, PRESENCE_GRACE="0.5")


@pytest.fixture
def doubtful(doubting: RunningServer, stoppable: EmbeddedServer, connect: Connect, room: str) -> Client:
    """Its join is under way to a Redis that stands still, and was answered; u0 is in the room, so that it was sent."""
    connect(doubting).join(room, "u0")
    client = connect(doubting)
    stop(stoppable)
    assert client.emit("join_room", {"roomId": room, "userId": "u1"})["error"]["code"] == "unavailable"
    return client


def stays_as(server: RunningServer, room: str, users: list[str]) -> None:
    """What is in doubt is repeated each half second, and a grace would be over."""
    eventually(lambda: server.users(room) == users, f"{users}", timeout_s=6)
    time.sleep(1.5)
    assert server.users(room) == users


def test_a_join_in_doubt_whose_client_never_asks_again_is_no_ghost(
    doubting: RunningServer, stoppable: EmbeddedServer, doubtful: Client, room: str
) -> None:
    """It stays connected and does nothing."""
    go_on(stoppable)
    eventually(lambda: doubting.http.get("/readyz").status_code == 200, "readiness")
    stays_as(doubting, room, ["u0"])
    assert doubtful.emit("room:heartbeat", {"roomId": room})["error"]["code"] == "not_in_room"


def test_a_join_in_doubt_that_is_repeated_is_in(
    doubting: RunningServer, stoppable: EmbeddedServer, doubtful: Client, room: str
) -> None:
    go_on(stoppable)
    eventually(lambda: doubtful.emit("join_room", {"roomId": room, "userId": "u1"})["ok"], "Redis")
    stays_as(doubting, room, ["u0", "u1"])
    assert doubtful.emit("room:heartbeat", {"roomId": room})["ok"] is True


def test_a_refused_second_try_does_not_settle_a_join_in_doubt(
    doubting: RunningServer, stoppable: EmbeddedServer, doubtful: Client, room: str
) -> None:
    too_much = {"roomId": room, "userId": "u1", "data": {"x": "y" * 5000}}
    assert doubtful.emit("join_room", too_much)["error"]["code"] == "too_large"
    go_on(stoppable)
    eventually(lambda: doubting.http.get("/readyz").status_code == 200, "readiness")
    stays_as(doubting, room, ["u0"])


def test_a_beat_acknowledges_a_join_that_had_been_carried_out(
    doubting: RunningServer, stoppable: EmbeddedServer, doubtful: Client, room: str
) -> None:
    """Whoever beats instead of joining again is in, stays, and is told who is there."""
    beat = doubtful.send("room:heartbeat", {"roomId": room})
    go_on(stoppable)
    assert doubtful.answer(beat)["ok"] is True
    told = doubtful.wait("room:joined")
    assert [user["userId"] for user in told["users"]] == ["u0", "u1"]
    stays_as(doubting, room, ["u0", "u1"])
    assert doubtful.emit("room:heartbeat", {"roomId": room})["ok"] is True


@pytest.mark.parametrize("event", ["leave_room", "user:logout"])
def test_a_leave_that_redis_did_not_hear_is_told_again(
    doubting: RunningServer, stoppable: EmbeddedServer, connect: Connect, room: str, event: str
) -> None:
    """Its client was told `unavailable`, and never asks again: it would count for a whole TTL."""
    there, client = connect(doubting), connect(doubting)
    there.join(room, "u0")
    client.join(room, "u1")
    client.join(f"{room}-2", "u1")
    with refusing_writes(stoppable):
        assert client.emit(event, {"roomId": room})["error"]["code"] == "unavailable"
    stays_as(doubting, room, ["u0"])
    assert doubting.users(f"{room}-2") == (["u1"] if event == "leave_room" else [])
    assert client.events("room:force-leave") == client.events("disconnect") == []
    (gone,) = there.wait("room:diff", lambda diff: diff["left"])["left"]
    assert (gone["userId"], gone["reason"]) == ("u1", "left")


def test_a_beat_after_a_leave_that_redis_did_not_hear_stays(
    doubting: RunningServer, stoppable: EmbeddedServer, connect: Connect, room: str
) -> None:
    """Redis loses no time between the two, so the connection is still there: it is told so, with who else is."""
    client = connect(doubting)
    client.join(room, "u1")
    with refusing_writes(stoppable):
        assert client.emit("leave_room", {"roomId": room})["error"]["code"] == "unavailable"
    assert client.emit("room:heartbeat", {"roomId": room})["ok"] is True
    assert [user["userId"] for user in client.wait("room:joined", lambda body: body["rejoined"])["users"]] == ["u1"]
    stays_as(doubting, room, ["u1"])


def test_a_beat_that_redis_does_not_hear_either_leaves_the_leave_as_it_was(
    doubting: RunningServer, stoppable: EmbeddedServer, connect: Connect, room: str
) -> None:
    there, client = connect(doubting), connect(doubting)
    there.join(room, "u0")
    client.join(room, "u1")
    with refusing_writes(stoppable):
        for event in ("leave_room", "room:heartbeat"):
            assert client.emit(event, {"roomId": room})["error"]["code"] == "unavailable"
    stays_as(doubting, room, ["u0"])
    (gone,) = there.wait("room:diff", lambda diff: diff["left"])["left"]
    assert (gone["userId"], gone["reason"]) == ("u1", "left")


@pytest.mark.parametrize(("event", "is_in"), [("join_room", True), ("room:heartbeat", False)])
def test_an_end_that_redis_hears_behind_what_took_it_back(
    doubting: RunningServer, stoppable: EmbeddedServer, connect: Connect, room: str, monkeypatch: pytest.MonkeyPatch,
    event: str, is_in: bool,
) -> None:  # fmt: skip
    """Its script had been forgotten, say, and was sent again."""
    client = connect(doubting)
    client.join(room, "u1")
    telling, heard = threading.Event(), threading.Event()
    verb = {"join_room": "join", "room:heartbeat": "heartbeat"}[event]
    leave, back = PresenceEngine.leave, getattr(PresenceEngine, verb)

    async def leave_late(*args: Any, **named: Any) -> Any:
        telling.set()
        while not heard.is_set():
            await asyncio.sleep(0.01)
        return await leave(*args, **named)

    async def come_back(*args: Any, **named: Any) -> Any:
        outcome = await back(*args, **named)
        heard.set()
        return outcome

    with refusing_writes(stoppable):
        assert client.emit("leave_room", {"roomId": room})["error"]["code"] == "unavailable"
        monkeypatch.setattr(PresenceEngine, "leave", leave_late)
        monkeypatch.setattr(PresenceEngine, verb, come_back)
    assert telling.wait(5)
    assert client.emit(event, {"roomId": room, "userId": "u1"})["ok"] is is_in
    stays_as(doubting, room, ["u1"] if is_in else [])


def test_a_leave_taken_back_by_a_beat_that_was_answered_twice_over_is_not_forgotten(
    doubting: RunningServer, stoppable: EmbeddedServer, connect: Connect, room: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The beat was taken, but its second asking, behind the leave that was on its way, was not."""
    connect(doubting).join(room, "u0")
    client = connect(doubting)
    client.join(room, "u1")
    telling, beaten = threading.Event(), threading.Event()
    beat = PresenceEngine.heartbeat

    async def leave_in_vain(*_args: Any, **_named: Any) -> Any:
        telling.set()
        while not beaten.is_set():
            await asyncio.sleep(0.01)
        raise StoreUnavailable("away")

    async def beat_once(*args: Any, **named: Any) -> Any:
        if beaten.is_set():
            raise StoreUnavailable("away")
        outcome = await beat(*args, **named)
        beaten.set()
        return outcome

    with refusing_writes(stoppable):
        assert client.emit("leave_room", {"roomId": room})["error"]["code"] == "unavailable"
        monkeypatch.setattr(PresenceEngine, "leave", leave_in_vain)
        monkeypatch.setattr(PresenceEngine, "heartbeat", beat_once)
    assert telling.wait(5)
    assert client.emit("room:heartbeat", {"roomId": room})["error"]["code"] == "unavailable"
    monkeypatch.undo()
    stays_as(doubting, room, ["u0"])


def lose_all(store: EmbeddedServer, server: RunningServer, room: str) -> None:
    """Redis comes back empty, and is told who is here."""
    before = server.users(room)
    assert store.pid
    os.kill(store.pid, signal.SIGKILL)
    eventually(lambda: not store.owner, "the end of Redis")
    store.start()
    eventually(lambda: server.http.get("/readyz").status_code == 200, "readiness")
    eventually(lambda: sorted(server.users(room)) == sorted(before), "the members' return")


@pytest.mark.parametrize("again", [["room:heartbeat"], ["join_room"], ["join_room", "room:heartbeat"]])
def test_a_join_in_doubt_keeps_its_name_and_data_through_a_loss_of_data(
    doubting: RunningServer, stoppable: EmbeddedServer, connect: Connect, room: str, again: list[str]
) -> None:
    """What settles it names neither, nor does a second join in doubt."""
    client, record = connect(doubting), {"username": "One", "data": {"a": []}}
    connect(doubting).join(room, "u0")
    stop(stoppable)
    assert client.emit("join_room", {"roomId": room, "userId": "u1", **record})["error"]["code"] == "unavailable"
    for event in again[:-1]:
        assert client.emit(event, {"roomId": room})["error"]["code"] == "unavailable"
    go_on(stoppable)
    eventually(lambda: client.emit(again[-1], {"roomId": room})["ok"], "an answer")
    lose_all(stoppable, doubting, room)
    member = doubting.participants(room, view="full")["users"][-1]
    assert {name: member[name] for name in record} == record


@pytest.mark.parametrize("event", ["join_room", "room:heartbeat"])
def test_whoever_comes_again_by_room_id_alone_keeps_its_record_through_a_loss_of_data(
    doubting: RunningServer, stoppable: EmbeddedServer, connect: Connect, room: str, event: str
) -> None:
    """On the same connection, or on a new one that took the place of the old."""
    client = connect(doubting, auth={"userId": "u1", "username": "At first"})
    record = {"username": "One", "data": {"a": []}}
    joined = client.join(room, "u1", **{**record, "username": "Once"})["users"][0]["joinedAt"]
    assert client.emit("room:update", {"roomId": room, "username": "One"})["ok"]
    connect(doubting).join(room, "u2")
    if event == "room:heartbeat":
        client.cut()
        client = connect(doubting, auth={"userId": "u1"})
    assert client.emit(event, {"roomId": room})["ok"]
    lose_all(stoppable, doubting, room)
    member = doubting.participants(room, view="full")["users"][0]
    assert {name: member[name] for name in record} == record
    assert (member["userId"], member["joinedAt"]) == ("u1", joined)
