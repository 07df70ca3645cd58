"""Redis away and back: partitions, restarts empty and with its file, forgotten scripts, a feed that dies."""

# mypy: disable-error-code="misc"
# A lambda that binds a loop variable as its default is beyond what mypy infers.

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import pytest
import redis

from presence_engine import EmbeddedServer
from tests.faults.conftest import Opened
from tests.faults.processes import ServerProcess, free_port
from tests.faults.proxy import Proxy
from tests.faults.tab import Tab, eventually
from tests.faults.table import Table

pytestmark = [pytest.mark.faults, pytest.mark.slow]

LEASE_S: Final = 1.0
ANSWER_S: Final = 2.0
Launch = Callable[..., ServerProcess]
Faultless = Callable[..., Awaitable[None]]


async def in_time(one: Tab, event: str, room: str) -> str:
    """The code of an answer, which must come within 2 s ("" when ok)."""
    started = time.monotonic()
    answer = await one.emit(event, {"roomId": room, "userId": one.user})
    assert time.monotonic() - started < ANSWER_S + 0.5, f"{event} took {time.monotonic() - started:.2f} s"
    return "" if answer["ok"] else str(answer["error"]["code"])


async def ready(server: ServerProcess) -> bool:
    return await asyncio.to_thread(server.status, "/readyz") == 200


@pytest.mark.parametrize("away_s", [1.0, 5.0, pytest.param(30.0, marks=pytest.mark.nightly)])
async def test_a_partition_between_server_and_redis(
    away_s: float, store: EmbeddedServer, proxy: Proxy, launch: Launch, tab: Opened, room: str, faultless: Faultless,
    table: Table,
) -> None:  # fmt: skip
    """C16, T0.7: sockets stay, answers are `unavailable`, nobody is told to leave, `/readyz` tells the truth; and
    afterwards everybody is there since they first came.
    """
    server = launch(proxy.url, PRESENCE_LEASE=str(LEASE_S), PRESENCE_GRACE="0.5")
    one, two, goner = [await tab(server.url, user) for user in ("one", "two", "goner")]
    for each in (one, two, goner):
        await each.join(room)
    await eventually(lambda: one.views[room].count == 3, "three members")
    before = dict(one.views[room].members)
    assert await ready(server)
    proxy.hold()
    until = time.monotonic() + away_s
    assert await in_time(one, "room:heartbeat", room) == "unavailable" or away_s < ANSWER_S
    await goner.kill()
    assert not await ready(server) or away_s < ANSWER_S
    while time.monotonic() < until:
        if until - time.monotonic() > ANSWER_S:
            assert await in_time(two, "room:users:get", room) == "unavailable"
            assert not await ready(server)
        await asyncio.sleep(0.1)
    proxy.heal()
    await eventually(lambda: ready(server), "that it is ready again")
    for each in (one, two):
        assert not each.closed
        await eventually(lambda each=each: is_ok(each, room), "a beat")
    await one.until(lambda: set(one.views[room].members) == {"one", "two"}, "the list")
    await eventually(lambda: server.users(room) == ["one", "two"], "the list by HTTP")
    page = server.get(f"/api/chatroom/{room}/participants?view=full")["users"]
    assert {user["userId"]: user["joinedAt"] for user in page} == {
        user: before[user]["joinedAt"] for user in ("one", "two")
    }
    for each in (one, two):
        assert each.told("room:force-leave") == []
        assert each.views[room].faults == []
    assert server.count(room)["connections"] == 2
    await faultless(store.url)
    table.note(
        f"a partition of {away_s:g} s between a server and Redis",
        "sockets stay, answers are `unavailable` within 2 s, `/readyz` says so, nobody is told to leave; who went"
        " meanwhile is gone, the rest are there since they first joined",
    )


async def is_ok(one: Tab, room: str) -> bool:
    return (await one.beat(room))["ok"] is True


async def test_nobody_is_declared_dead_because_redis_was_away(
    store: EmbeddedServer, launch: Launch, tab: Opened, room: str, faultless: Faultless, table: Table
) -> None:
    """C16: leases run out while no server reaches Redis; when it is back, none buries another."""
    proxies = [Proxy(store.url), Proxy(store.url)]
    try:
        servers = [launch(proxy.url, PRESENCE_LEASE=str(LEASE_S)) for proxy in proxies]
        tabs = [await tab(server.url, f"u{at}") for at, server in enumerate(servers)]
        for each in tabs:
            await each.join(room)
        await eventually(lambda: tabs[0].views[room].count == 2, "both")
        await asyncio.sleep(LEASE_S)
        for proxy in proxies:
            proxy.refuse()
        await asyncio.sleep(2 * LEASE_S)
        for proxy in proxies:
            proxy.heal()
        for server in servers:
            await eventually(lambda server=server: ready(server), "that it is ready again")
        await asyncio.sleep(1.5 * LEASE_S)
        for each in tabs:
            assert (await each.beat(room))["ok"] is True
            assert each.views[room].left == []
            assert each.told("room:force-leave") == []
        assert sorted(servers[0].users(room)) == ["u0", "u1"]
        await faultless(store.url)
    finally:
        for proxy in proxies:
            proxy.stop()
    table.note("Redis out of reach of all servers for longer than the lease", "nobody is declared dead; nobody leaves")


async def test_redis_restarted_empty(
    folder: Path, launch: Launch, tab: Opened, room: str, faultless: Faultless, table: Table
) -> None:
    """T1.9: what Redis lost is put back by those who hold it, with the first joinedAt; nobody is told to leave."""
    port = free_port()
    with EmbeddedServer(folder / "store", persistent=False, port=port) as store:
        url = store.url
        servers = [launch(url, PRESENCE_LEASE=str(LEASE_S)) for _ in range(2)]
        tabs = [await tab(servers[at % 2].url, f"u{at}") for at in range(6)]
        for each in tabs:
            await each.join(room, data={"of": each.user})
        await eventually(lambda: tabs[0].views[room].count == 6, "six members")
        first = {user: member["joinedAt"] for user, member in tabs[0].views[room].members.items()}
    with EmbeddedServer(folder / "store", persistent=False, port=port) as store:
        await eventually(lambda: servers[0].count(room)["count"] == 6, "six members again")
        for each in tabs:
            assert (await each.beat(room))["ok"] is True
            await each.until(lambda each=each: set(each.views[room].members) == set(first), "the list by diffs")
            assert each.told("room:force-leave") == []
            assert each.views[room].faults == []
            assert each.views[room].members[each.user]["data"] == {"of": each.user}
        page = servers[1].get(f"/api/chatroom/{room}/participants?view=full")["users"]
        assert {user["userId"]: user["joinedAt"] for user in page} == first
        assert [user["userId"] for user in page] == [f"u{at}" for at in range(6)]
        await faultless(store.url)
    table.note(
        "Redis restarted empty",
        "every server puts back whom it holds, with the first `joinedAt`; nobody is told to leave",
    )


async def test_redis_restarted_with_its_file(
    folder: Path, launch: Launch, tab: Opened, room: str, faultless: Faultless, table: Table
) -> None:
    """C6, C16: the file brings the members back; who left while it was down is gone, who stayed never left."""
    port = free_port()
    with EmbeddedServer(folder / "store", port=port) as store:
        server = launch(store.url, PRESENCE_LEASE=str(LEASE_S), PRESENCE_GRACE="0.3")
        one, two, goner = [await tab(server.url, user) for user in ("one", "two", "goner")]
        for each in (one, two, goner):
            await each.join(room)
        await eventually(lambda: one.views[room].count == 3, "three members")
    await goner.kill()
    with EmbeddedServer(folder / "store", port=port) as store:
        await eventually(lambda: server.users(room) == ["one", "two"], "the list")
        await one.until(lambda: set(one.views[room].members) == {"one", "two"}, "the list by diffs")
        for each in (one, two):
            assert (await each.beat(room))["ok"] is True
            assert each.told("room:force-leave") == []
            assert not {"one", "two"} & {user for user, _ in each.views[room].left}
        await faultless(store.url)
    table.note("Redis restarted with its append-only file", "who stayed never left; who went while it was down is gone")


async def test_script_flush(
    store: EmbeddedServer, launch: Launch, tab: Opened, room: str, faultless: Faultless, table: Table
) -> None:
    """T1.9: NOSCRIPT is taught and run once more; no client sees anything."""
    server = launch(store.url)
    one = await tab(server.url, "one")
    await one.join(room)
    with redis.Redis.from_url(store.url) as client:
        for event in ("room:heartbeat", "room:users:get", "room:update", "join_room", "leave_room"):
            client.script_flush()
            assert (await one.emit(event, {"roomId": room, "userId": "one"}))["ok"] is True, event
    assert server.users(room) == []
    await faultless(store.url)
    table.note("`SCRIPT FLUSH`", "no client sees anything")


@pytest.mark.parametrize("silently", [False, True])
async def test_a_feed_that_dies_is_noticed_and_caught_up(
    silently: bool, store: EmbeddedServer, proxy: Proxy, launch: Launch, tab: Opened, room: str, faultless: Faultless,
    table: Table,
) -> None:  # fmt: skip
    """T1.4: what was published meanwhile is gone; every client sees the gap, asks, and has the right list."""
    deaf = launch(proxy.url, PRESENCE_LEASE="60")
    healthy = launch(store.url, PRESENCE_LEASE="60")
    follower, victim = await tab(deaf.url, "follower"), await tab(deaf.url, "victim")
    await follower.join(room)
    await victim.join(room)
    await eventually(lambda: follower.views[room].count == 2, "both")
    if silently:
        assert proxy.deafen_feed() >= 1
    else:
        proxy.refuse()
    for user in ("a", "b"):
        one = await tab(healthy.url, user)
        await one.join(room)
    await one.leave(room)
    kicked = await asyncio.to_thread(healthy.kick, room, "victim")
    assert kicked["kicked"] is True
    proxy.heal()
    view = follower.views[room]
    await follower.until(lambda: set(view.members) == {"follower", "a"}, "the list, caught up", 20)
    assert view.faults == []
    # The kick's notice was lost with the feed: the next beat tells, once.
    await eventually(lambda: refused(victim, room), "the beat that tells")
    await victim.until(lambda: victim.told("room:force-leave"), "the force-leave")
    assert [told["reason"] for told in victim.told("room:force-leave")] == ["kicked"]
    await faultless(store.url)
    how = "dies silently" if silently else "breaks, with all else"
    table.note(
        f"the feed of a server {how}",
        "clients see the gap and ask; a force-leave that was lost is told at the next heartbeat, once",
    )


async def refused(one: Tab, room: str) -> bool:
    if one.closed:
        return True
    answer = await one.beat(room)
    return not answer["ok"] and answer["error"]["code"] == "not_in_room"
