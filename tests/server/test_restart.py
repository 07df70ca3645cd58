"""Starting and stopping: what is told, what is left, who cleans up."""

import asyncio
from collections.abc import Callable

import pytest

from presence_engine import EmbeddedServer, StoreUnavailable
from server.app import PresenceServer
from server.settings import Settings
from tests.client.driver import Client, eventually
from tests.faults.conftest import folder, launch
from tests.faults.processes import ServerProcess
from tests.server.conftest import RunningServer, Serve

__all__ = ["folder", "launch"]

Launch = Callable[..., ServerProcess]
Connect = Callable[..., Client]


def test_the_goodbye_comes_before_the_end(store: EmbeddedServer, launch: Launch, connect: Connect, room: str) -> None:
    """`server:restarting {message, timestamp}` to every socket, members or not; then the connection ends."""
    server = launch(store.url)
    member, stranger = connect(server), connect(server)
    member.join(room, "u1")
    assert server.stop() == 0
    for client in (member, stranger):
        told = client.wait("server:restarting")
        assert set(told) == {"message", "timestamp"}
        assert isinstance(told["message"], str)
        assert told["timestamp"] > 1_600_000_000_000
        client.wait("disconnect")
        names = [seen.name for seen in client.seen if not seen.ack]
        assert names.index("server:restarting") < names.index("disconnect")
        assert client.events("room:force-leave") == []


def test_a_stop_leaves_members_in_grace(serve: Serve, server: RunningServer, connect: Connect, room: str) -> None:
    """C5: the user is `away`, not gone; whoever comes back in time keeps the first joinedAt."""
    leaving = serve(PRESENCE_GRACE="30")
    joined = connect(leaving).join(room, "u1")
    leaving.stop()
    (user,) = server.participants(room, view="full")["users"]
    assert (user["userId"], user["status"]) == ("u1", "away")
    again = connect(server).join(room, "u1")
    assert again["rejoined"] is True
    assert again["users"][0]["joinedAt"] == joined["users"][0]["joinedAt"]
    assert server.count(room)["connections"] == 1


def test_a_named_server_cleans_up_its_stopped_boot_at_once(serve: Serve, connect: Connect, room: str) -> None:
    """001-8, T1.6: a graceful stop and a start under the same name: empty at the first answer, grace or not."""
    first = serve(PRESENCE_NODE_NAME="me", PRESENCE_GRACE="60")
    for user in ("u1", "u2"):
        connect(first).join(room, user)
    first.stop()
    second = serve(PRESENCE_NODE_NAME="me")
    assert second.users(room) == []
    assert second.count(room)["connections"] == 0
    client = connect(second)
    answer = client.emit("room:heartbeat", {"roomId": room, "userId": "u1"})
    assert answer["error"]["code"] == "not_in_room"
    assert client.wait("room:force-leave")["reason"] == "server_restart"


def test_another_name_is_left_alone(serve: Serve, server: RunningServer, connect: Connect, room: str) -> None:
    """C6: a start never touches the connections of others that live."""
    client = connect(server)
    client.join(room, "u1")
    newcomer = serve(PRESENCE_NODE_NAME="somebody-else")
    assert newcomer.users(room) == ["u1"]
    assert client.emit("room:heartbeat", {"roomId": room})["ok"] is True
    assert eventually(lambda: newcomer.get("/readyz")["status"] == "ok", "ready")


async def test_a_start_that_fails_leaves_nothing_running(store: EmbeddedServer) -> None:
    """Redis goes away midway: else the process ends with complaints about tasks that nobody ended."""
    server = PresenceServer(Settings.from_environ({"REDIS_URL": store.url}), store.url)

    def refuse(*_: object) -> None:
        raise StoreUnavailable("Redis is away")

    server.chat_trimmer.start = refuse  # type: ignore[method-assign]
    with pytest.raises(StoreUnavailable):
        async with server._lifespan():
            pass
    assert asyncio.all_tasks() == {asyncio.current_task()}
