"""Redis is the one truth: what it says is listed, counted and told, whatever this server remembers of its sockets."""

import asyncio
from collections.abc import Awaitable, Callable

import redis

from presence_engine import EmbeddedServer, PresenceEngine
from tests.client.driver import Client
from tests.server.conftest import RunningServer, Serve, StartStore

Connect = Callable[..., Client]


def past_servers(url: str, work: Callable[[PresenceEngine], Awaitable[object]]) -> None:
    """Use the library on a Redis with no server involved."""

    async def run() -> None:
        async with PresenceEngine(url, node="elsewhr1") as engine:
            await work(engine)

    asyncio.run(run())


def test_000_1_who_comes_and_goes_past_the_server_is_listed_and_told(
    store: EmbeddedServer, server: RunningServer, connect: Connect, room: str
) -> None:
    """000-1, 000-2, 000-6: nobody who was told of had a socket here; names are those that Redis has."""
    client = connect(server)
    here = client.join(room, "here")["users"]
    past_servers(store.url, lambda engine: engine.join(room, "past", "c", username="Ünï"))
    (joined,) = client.wait("room:diff", lambda diff: diff["joined"])["joined"]
    assert (joined["userId"], joined["username"]) == ("past", "Ünï")
    assert [one["userId"] for one in client.emit("room:users:get", {"roomId": room})["users"]] == ["here", "past"]
    past_servers(store.url, lambda engine: engine.update(room, "past", "c", username="New"))
    assert client.wait("room:diff", lambda diff: diff["updated"])["updated"][0]["username"] == "New"
    assert server.participants(room)["users"][1] == {"userId": "past", "username": "New"}
    past_servers(store.url, lambda engine: engine.leave(room, "past", "c"))
    assert client.wait("room:diff", lambda diff: diff["left"])["left"][0]["username"] == "New"
    assert client.emit("room:users:get", {"roomId": room})["users"] == here


def test_000_1_an_emptied_redis_is_an_empty_room_though_sockets_are_in_it(
    new_store: StartStore, serve: Serve, connect: Connect, room: str
) -> None:
    """000-1, 001-3, 001-8, T1.9: nobody is listed from memory; C1: what was there is this engine's keys alone."""
    store = new_store()
    server = serve(store.url)
    old, other, new = (connect(server, auth={"userId": user}) for user in ("old", "other", "new"))
    old.join(room)
    other.join(room)
    with redis.Redis.from_url(store.url, decode_responses=True) as client:
        keys = set(client.scan_iter(count=1000))
        client.flushall()
        # The scan and the flush are this test's own, not the server's.
        client.config_resetstat()
    assert keys
    assert {key.split(":")[0] for key in keys} == {"pr1"}
    assert server.participants(room) == {"count": 0, "users": []}
    assert server.count(room)["connections"] == 0
    assert server.get("/api/users/old/rooms")["rooms"] == []
    assert server.get("/api/chatrooms") == {"rooms": [], "total": 0}
    answer = new.join(room)
    assert (answer["count"], [one["userId"] for one in answer["users"]]) == (1, ["new"])
    assert old.emit("room:heartbeat", {"roomId": room})["error"]["code"] == "not_in_room"
    assert old.wait("room:force-leave")["roomId"] == room
    assert server.users(room) == ["new"]
