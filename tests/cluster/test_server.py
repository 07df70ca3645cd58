"""The server end to end on a Cluster: two of them, rooms on all nodes."""

# mypy: disable-error-code="misc"
# A lambda that binds a loop variable as its default is beyond what mypy infers.

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tests.cluster.servers import Cluster
from tests.faults.conftest import Opened
from tests.faults.processes import ServerProcess, command
from tests.faults.tab import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

Launch = Callable[..., ServerProcess]
Faultless = Callable[..., Awaitable[None]]


@pytest.mark.parametrize("cluster", ["valkey", pytest.param("redis-server", marks=pytest.mark.nightly)], indirect=True)
async def test_two_servers_on_a_cluster(cluster: Cluster, launch: Launch, tab: Opened, faultless: Faultless) -> None:
    """002-9, 002-11: joins, diffs, kick, disconnect and counts, across servers and slots."""
    servers = [launch(cluster.url, PRESENCE_GRACE="0.3", PRESENCE_LEASE="2") for _ in range(2)]
    rooms = [f"e2e-{number}" for number in range(6)]
    one, two, goner = [await tab(servers[at].url, user) for at, user in enumerate(("one", "two"))] + [
        await tab(servers[1].url, "goner")
    ]
    for room in rooms:
        for each in (one, two, goner):
            await each.join(room)
        await one.until(lambda room=room: one.views[room].count == 3, "three members")
    assert (await asyncio.to_thread(servers[0].kick, rooms[0], "two"))["kicked"] is True
    await two.until(lambda: two.told("room:force-leave", rooms[0]), "the kick, on the other server")
    await goner.kill()
    for room in rooms:
        expected = {"one"} if room == rooms[0] else {"one", "two"}
        await one.until(lambda r=room, e=expected: set(one.views[r].members) == e, f"the list of {room}")
        assert set(servers[1].users(room)) == expected
        assert (one.views[room].gaps, one.views[room].faults) == (0, [])
    counts = servers[0].get("/api/chatrooms/counts?ids=" + ",".join(rooms))["counts"]
    assert counts == {room: 1 if room == rooms[0] else 2 for room in rooms}
    servers[1].kill()
    for room in rooms:
        await one.until(lambda r=room: set(one.views[r].members) == {"one"}, f"{room} without the dead server")
    await eventually(lambda: servers[0].count(rooms[1])["connections"] == 1, "its connections")
    await faultless(cluster.url, partitions=128)
    verified = await asyncio.to_thread(command, "verify", redis_url=cluster.url)
    assert verified.returncode == 0, verified.stdout
    for room in rooms:
        await one.leave(room)
