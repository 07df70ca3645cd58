"""A connection's join and its end at the same moment: what it is told, where it is, and what it hears agree."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from presence_engine import EmbeddedServer, PresenceEngine, StoreUnavailable
from server.fanout import Fanout
from server.limits import TokenBucket
from server.settings import Settings
from server.sockets.session import Identity, Membership, Session
from tests.client.driver import Client, eventually
from tests.server.conftest import RunningServer, Serve

Connect = Callable[..., Client]
End = Callable[[PresenceEngine, str], Any]

ENDS: dict[str, End] = {
    "a kick": lambda engine, room: engine.kick(room, "u1"),
    "a leave everywhere": lambda engine, room: engine.leave(room, "u1", "of-another-tab", everywhere=True),
}
# Long enough for the feed to bring what was published.
HEARD_S = 0.1


@pytest.fixture(scope="module")
def stage(serve: Serve) -> RunningServer:
    return serve(PRESENCE_GRACE="0.3", PRESENCE_FORCE_DISCONNECT="never")


@pytest.fixture(params=ENDS)
def end(request: pytest.FixtureRequest) -> End:
    return ENDS[request.param]


@pytest.fixture(params=["alone", "with others"])
def company(request: pytest.FixtureRequest, stage: RunningServer, connect: Connect, room: str) -> list[str]:
    """Who else is there; a room that is empty in between begins a new life."""
    others = [] if request.param == "alone" else ["u0"]
    for user in others:
        connect(stage).join(room, user)
    return others


async def meanwhile(engine: PresenceEngine, end: End, room: str) -> None:
    if "of-another-tab" in end.__code__.co_consts:
        await real_join(engine, room, "u1", "of-another-tab")
    await end(engine, room)


real_join = PresenceEngine.join


def follows(server: RunningServer, connect: Connect, client: Client, room: str) -> bool:
    """Whether the client is sent who comes."""
    connect(server).join(room, "later")
    try:
        client.wait("room:diff", lambda diff: "later" in [user["userId"] for user in diff["joined"]])
    except AssertionError:
        return False
    return True


def test_an_end_behind_a_join_that_is_not_answered_yet_refuses_it(
    stage: RunningServer, connect: Connect, room: str, company: list[str], end: End, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def join(engine: PresenceEngine, *args: Any, **named: Any) -> Any:
        outcome = await real_join(engine, *args, **named)
        await meanwhile(engine, end, room)
        await asyncio.sleep(HEARD_S)
        return outcome

    client = connect(stage)
    monkeypatch.setattr(PresenceEngine, "join", join)
    assert client.emit("join_room", {"roomId": room, "userId": "u1"})["error"]["code"] == "not_in_room"
    monkeypatch.undo()
    assert stage.users(room) == company
    assert client.emit("room:heartbeat", {"roomId": room, "userId": "u1"})["error"]["code"] == "not_in_room"


def test_an_end_before_a_join_leaves_it_a_member_that_hears_everything(
    stage: RunningServer, connect: Connect, room: str, company: list[str], end: End, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a connection that was in already, and joins once more."""

    async def join(engine: PresenceEngine, *args: Any, **named: Any) -> Any:
        await meanwhile(engine, end, room)
        outcome = await real_join(engine, *args, **named)
        await asyncio.sleep(HEARD_S)
        return outcome

    client = connect(stage)
    client.join(room, "u1")
    monkeypatch.setattr(PresenceEngine, "join", join)
    assert client.emit("join_room", {"roomId": room, "userId": "u1"})["ok"] is True
    monkeypatch.undo()
    assert follows(stage, connect, client, room)
    assert stage.users(room) == [*company, "u1", "later"]
    assert client.emit("room:heartbeat", {"roomId": room})["ok"] is True
    client.cut()
    eventually(lambda: stage.users(room) == [*company, "later"], "no ghost", timeout_s=5)


def test_a_beat_whose_answer_is_lost_lets_nobody_in_for_good(
    stage: RunningServer, connect: Connect, room: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would have taken a place of its user, and nobody would have ended that."""
    first, second = connect(stage), connect(stage, auth={"userId": "u1"})
    first.join(room, "u1")
    beat = PresenceEngine.heartbeat

    async def unheard(*args: Any, **named: Any) -> Any:
        await beat(*args, **named)
        raise StoreUnavailable("the answer was lost")

    monkeypatch.setattr(PresenceEngine, "heartbeat", unheard)
    assert second.emit("room:heartbeat", {"roomId": room})["error"]["code"] == "unavailable"
    monkeypatch.undo()
    assert first.emit("leave_room", {"roomId": room})["left"] is True
    eventually(lambda: stage.users(room) == [], "no ghost", timeout_s=5)


def test_an_end_heard_while_a_beat_comes_in_counts(
    stage: RunningServer, connect: Connect, room: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = connect(stage), connect(stage, auth={"userId": "u1"})
    first.join(room, "u1")
    beat = PresenceEngine.heartbeat

    async def then_kicked(engine: PresenceEngine, *args: Any, **named: Any) -> Any:
        outcome = await beat(engine, *args, **named)
        await engine.kick(room, "u1")
        await asyncio.sleep(HEARD_S)
        return outcome

    monkeypatch.setattr(PresenceEngine, "heartbeat", then_kicked)
    assert second.emit("room:heartbeat", {"roomId": room})["error"]["code"] == "not_in_room"
    monkeypatch.undo()
    assert stage.users(room) == []
    assert second.wait("room:force-leave")["reason"] == "kicked"


def test_a_server_that_cannot_tell_who_left_as_it_stops_is_taken_for_dead(
    serve: Serve, stoppable: EmbeddedServer, connect: Connect, room: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis refuses for a moment, and hears that the lease is given up."""
    stays = serve(stoppable.url, PRESENCE_LEASE="1", PRESENCE_GRACE="0.3")
    goes = RunningServer(stoppable.url, PRESENCE_LEASE="1", PRESENCE_GRACE="0.3").start()
    connect(goes).join(room, "u1")
    connect(stays).join(room, "u0")

    async def unheard(*_args: Any, **_named: Any) -> Any:
        raise StoreUnavailable("not now")

    monkeypatch.setattr(PresenceEngine, "detach", unheard)
    goes.stop()
    monkeypatch.undo()
    eventually(lambda: stays.users(room) == ["u0"], "the dead server's users", timeout_s=8)


async def test_a_room_that_is_unwatched_as_it_is_joined_goes_on(engine: PresenceEngine) -> None:
    """The events of one long-polling request run in one turn of the loop."""
    fanout = Fanout(engine, Settings.from_environ({}), lambda *_: None, lambda *_: None)
    session = Session("socket", "/", TokenBucket(0, 0), Identity("u1", "u1"))
    await fanout.watch(session, "room", "room")
    await fanout.enter(session, "room")
    at = (await engine.join("room", "u1", "socket")).position  # type: ignore[union-attr]
    session.rooms["room"] = Membership("room", 1)
    fanout.place_soon(session, "room", "room", at)
    await fanout.unwatch(session, "room")
    await asyncio.sleep(0)
    assert fanout.holds(session, "room")
    await fanout.close()


def test_a_watch_that_was_refused_watches_nothing(
    stage: RunningServer, connect: Connect, room: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unreadable(*_args: Any, **_named: Any) -> Any:
        raise StoreUnavailable("not now")

    watcher, both = connect(stage), [room, f"{room}-2"]
    assert watcher.emit("room:watch", {"roomIds": [room]})["ok"] is True
    monkeypatch.setattr(PresenceEngine, "counts", unreadable)
    assert watcher.emit("room:watch", {"roomIds": both})["error"]["code"] == "unavailable"
    monkeypatch.undo()
    for name in reversed(both):
        connect(stage).join(name, "u1")
    assert watcher.wait("room:count", lambda body: body["count"] == 1)["roomId"] == room
    assert {body["roomId"] for body in watcher.events("room:count")} == {room}


def test_a_changed_name_stays_through_a_repeated_join(stage: RunningServer, connect: Connect, room: str) -> None:
    client = connect(stage, auth={"userId": "u1", "username": "Ada"})
    client.join(room)
    assert client.emit("room:update", {"roomId": room, "username": "Ada L."})["ok"]
    client.join(room)
    assert [user["username"] for user in stage.participants(room)["users"]] == ["Ada L."]


def test_a_board_whose_user_is_out_is_told_with_its_next_event(
    serve: Serve, store: EmbeddedServer, connect: Connect, room: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The notice had been lost."""
    monkeypatch.setattr("server.sockets.force_leave.ForceLeave.put_out", lambda *_: None)
    server = serve(store.url, PRESENCE_HEARTBEAT_INTERVAL="0.001", PRESENCE_FORCE_DISCONNECT="never")
    client = connect(server, auth={"userId": "u1"})
    assert client.emit("join-retro-room", {"retroId": room})["ok"]
    server.kick(f"retro:{room}", {"userId": "u1"})
    move = {"retroId": room, "itemId": "i", "position": {"x": 1, "y": 1}}
    assert client.emit("item-position-update", move)["error"]["code"] == "not_in_room"
    assert client.wait("room:force-leave")["reason"] == "kicked"
