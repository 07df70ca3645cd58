"""A master dies, of a Cluster or behind Sentinel, with its last second: no ghost, no lost member, no reload."""

# mypy: disable-error-code="misc"
# A lambda that binds a loop variable as its default is beyond what mypy infers.

import asyncio
import time
from collections.abc import Awaitable, Callable
from itertools import islice
from typing import Final

import pytest
from redis.crc import key_slot

from presence_engine import EngineSettings, Joined, PresenceEngine, StoreUnavailable
from presence_engine.keys import Keyspace
from tests.cluster.servers import SLOTS, Cluster, SentinelSet, until
from tests.faults.conftest import Opened
from tests.faults.processes import ServerProcess
from tests.faults.tab import Tab, eventually
from tests.faults.table import Table

pytestmark = [pytest.mark.cluster, pytest.mark.faults, pytest.mark.slow]

FAILOVER_S: Final = 30.0
Launch = Callable[..., ServerProcess]
Faultless = Callable[..., Awaitable[None]]


async def users_of(server: ServerProcess, room: str) -> list[str]:
    """The list, or nothing while Redis is away."""
    if await asyncio.to_thread(server.status, "/readyz") != 200:
        return []
    try:
        return sorted(await asyncio.to_thread(server.users, room))
    except OSError:
        return []


async def is_ok(one: Tab, room: str) -> bool:
    return (await one.beat(room))["ok"] is True


async def test_sentinel_failover_that_loses_the_last_second(
    sentinels: SentinelSet, launch: Launch, tab: Opened, room: str, faultless: Faultless, table: Table
) -> None:
    """C6, C16: what the replica had not got yet is made good by those who know: joined again, or gone again."""
    servers = [launch(sentinels.url, PRESENCE_GRACE="1", PRESENCE_LEASE="3") for _ in range(2)]
    stays = [await tab(servers[at % 2].url, f"stays-{at}") for at in range(6)]
    leaves, breaks = await tab(servers[0].url, "leaves"), await tab(servers[1].url, "breaks")
    for one in (*stays, leaves, breaks):
        await one.join(room)
    await eventually(lambda: stays[0].views[room].count == 8, "eight members")
    first = {user: member["joinedAt"] for user, member in stays[0].views[room].members.items()}
    sentinels.cut()
    # Positions that come to bear other changes: none of these is kept.
    for number in range(4):
        assert (await stays[0].emit("room:update", {"roomId": room, "data": {"lost": number}}))["updated"] is True
    late = await tab(servers[0].url, "late")
    late_at = (await late.join(room))["users"][-1]["joinedAt"]
    assert (await leaves.leave(room))["left"] is True
    await breaks.kill()
    await eventually(lambda: "away" in str(servers[0].get(f"/api/chatroom/{room}/participants?view=full")), "the grace")
    sentinels.fail_over()
    expected = sorted(["late", *(one.user for one in stays)])
    last: list[str] = []

    async def converged() -> bool:
        nonlocal last
        last = await users_of(servers[0], room)
        return last == expected == await users_of(servers[1], room)

    started = time.monotonic()
    try:
        await eventually(converged, "the list after the failover", FAILOVER_S)
    except AssertionError:
        raise AssertionError(f"after {time.monotonic() - started:.0f} s: {last}") from None
    for one in (*stays, late):
        await eventually(lambda one=one: is_ok(one, room), "a beat")
        await one.until(lambda one=one: sorted(one.views[room].members) == expected, "the list by diffs")
        assert one.told("room:force-leave") == []
        assert one.views[room].faults == []
    page = servers[0].get(f"/api/chatroom/{room}/participants?view=full")["users"]
    for one in (*stays, late):
        assert {user["userId"]: user["data"] for user in page} == {
            user: member["data"] for user, member in one.views[room].members.items()
        }
    joined_at = {user["userId"]: user["joinedAt"] for user in page}
    assert joined_at == {**{user: first[user] for user in expected if user != "late"}, "late": late_at}
    await faultless(sentinels.url)
    table.note(
        "failover behind Sentinel to a replica that lost the last second",
        "who joined in it joins again with the first `joinedAt`, who left or broke off in it is taken out again; "
        "whoever had seen what is lost is shown the room anew",
    )


async def test_a_node_of_the_cluster_fails_over(
    cluster_with_replicas: Cluster, launch: Launch, tab: Opened, faultless: Faultless, table: Table
) -> None:
    """002-11, C15: rooms on the other nodes do not notice; those on the dead one are back with its replica."""
    cluster = cluster_with_replicas
    servers = [launch(cluster.url, PRESENCE_LEASE="3") for _ in range(2)]
    tabs = [await tab(servers[at].url, f"u{at}") for at in range(2)]
    rooms = [room for master in range(3) for room in rooms_on(master)]
    for one in tabs:
        for room in rooms:
            await one.join(room)
    for room in rooms:
        await eventually(lambda room=room: tabs[0].views[room].count == 2, "both")
    # It holds the leases too.
    cluster.instances[1].kill()
    for server in servers:
        await eventually(lambda s=server: has(s, rooms_on(0)[0], ["u0", "u1"]), "a room on another node", FAILOVER_S)
    for room in rooms:
        for server in servers:
            await eventually(lambda s=server, r=room: has(s, r, ["u0", "u1"]), f"the list of {room}", FAILOVER_S)
    for one in tabs:
        for room in rooms:
            await eventually(lambda one=one, room=room: is_ok(one, room), "a beat")
        assert one.told("room:force-leave") == []
    newcomer = await tab(servers[0].url, "newcomer")
    for room in rooms:
        await newcomer.join(room)
        for one in tabs:
            view = one.views[room]
            await one.until(
                lambda v=view: set(v.members) == {"u0", "u1", "newcomer"}, f"the list of {room} by diffs", 30
            )
            assert view.faults == []
    await faultless(cluster.url, partitions=128)
    table.note(
        "a master of the Cluster dies",
        "rooms on other nodes go on; those it held are back with its replica; nobody is told to leave",
    )


def rooms_on(master: int) -> list[str]:
    """Three rooms whose slot that master was given."""
    keys = Keyspace(128)
    names = (f"room-{number}" for number in range(1000))
    return list(islice((name for name in names if key_slot(keys.room(name).due.encode()) * 3 // SLOTS == master), 3))


async def has(server: ServerProcess, room: str, expected: list[str]) -> bool:
    try:
        return sorted(await asyncio.to_thread(server.users, room)) == expected
    except OSError:
        return False


async def test_a_master_that_only_the_cluster_cannot_reach(cluster_with_replicas: Cluster) -> None:
    """C6, C16: it goes on naming itself the master; its rooms go on at its successor, and their feed with them."""
    cut, *others = cluster_with_replicas.instances
    successor, heard, room = others[2], list[bytes](), rooms_on(0)[0]
    async with PresenceEngine(cluster_with_replicas.url, settings=EngineSettings(partitions=128)) as engine:
        feed, channel = engine.open_feed(on_lost=lambda: None, on_restored=lambda: None), engine.channel(room)
        await feed.subscribe(channel, heard.append)
        line = feed.line(channel)
        for other in others:
            cut.ask("CLUSTER", "FORGET", other.ask("CLUSTER", "MYID"))
        until(lambda: "cluster_state:fail" in cut.ask("CLUSTER", "INFO"), "a master that is alone")
        successor.ask("CLUSTER", "FAILOVER", "TAKEOVER")

        async def joined() -> bool:
            try:
                return isinstance(await engine.join(room, "u", "c"), Joined)
            except StoreUnavailable:
                return False

        await eventually(joined, "a join", 10)
        await eventually(lambda: feed.line(channel) not in {None, line}, "the feed of the successor", 10)
        await engine.leave(room, "u", "c")
        await eventually(lambda: heard, "the leave", 10)
        assert cut.ask("ROLE")[0] == "master"
        await feed.close()
