"""What holds when a client does not say how much it wants."""

import asyncio
from collections.abc import Callable

from presence_engine import EmbeddedServer, PresenceEngine
from tests.client.driver import Client
from tests.server.conftest import RunningServer

Connect = Callable[..., Client]


async def fill(url: str, room: str, users: int) -> None:
    """Put users into a room past every server."""
    async with PresenceEngine(url) as engine:
        await asyncio.gather(*(engine.join(room, number, f"c{number}") for number in range(users)))


async def test_users_get_gives_a_hundred(
    store: EmbeddedServer, server: RunningServer, connect: Connect, room: str
) -> None:
    """Section 3: `limit` of `room:users:get` is 100 by default, 1,000 at most."""
    await fill(store.url, room, 101)
    client = connect(server)
    first = client.emit("room:users:get", {"roomId": room})
    assert (first["count"], len(first["users"])) == (101, 100)
    rest = client.emit("room:users:get", {"roomId": room, "cursor": first["cursor"]})
    assert (rest["count"], len(rest["users"]), "cursor" in rest) == (101, 1, False)
    assert client.emit("room:users:get", {"roomId": room, "limit": 1000})["users"] == [*first["users"], *rest["users"]]


async def test_participants_over_http_are_a_thousand(store: EmbeddedServer, server: RunningServer, room: str) -> None:
    """000-8, section 4: up to 1,000 users by default, whatever the view; the rest behind `nextCursor`."""
    await fill(store.url, room, 1001)
    first = server.participants(room)
    assert (first["count"], len(first["users"])) == (1001, 1000)
    rest = server.participants(room, cursor=first["nextCursor"])
    assert (rest["count"], len(rest["users"]), "nextCursor" in rest) == (1001, 1, False)
    assert {user["userId"] for user in [*first["users"], *rest["users"]]} == set(range(1001))
    assert len(server.participants(room, view="full")["users"]) == 1000
