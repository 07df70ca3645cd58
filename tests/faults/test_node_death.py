"""Servers that are killed, hang, or stop: who stays, who goes, and what the others are told."""

# mypy: disable-error-code="misc"
# A lambda that binds a loop variable as its default is beyond what mypy infers.

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable
from typing import Final

import pytest

from presence_engine import EmbeddedServer
from tests.faults.conftest import Opened
from tests.faults.processes import ServerProcess
from tests.faults.tab import eventually
from tests.faults.table import Table

pytestmark = [pytest.mark.faults, pytest.mark.slow]

LEASE_S: Final = 1.0
Launch = Callable[..., ServerProcess]
Faultless = Callable[..., Awaitable[None]]


async def test_kill_minus_nine_of_one_of_two_servers(
    store: EmbeddedServer, launch: Launch, tab: Opened, room: str, faultless: Faultless, table: Table
) -> None:
    """001-1, C6, C7: the dead server's users are gone within lease + 1 s; who has a tab on both is never mentioned.

    001-9: no `disconnect` of theirs was ever handled.
    """
    here = launch(store.url, PRESENCE_LEASE=str(LEASE_S))
    there = launch(store.url, PRESENCE_LEASE=str(LEASE_S))
    observer = await tab(here.url, "observer")
    await observer.join(room)
    both_here = await tab(here.url, "both")
    await both_here.join(room)
    for user in ("gone-1", "gone-2", "both"):
        await (await tab(there.url, user)).join(room)
    await eventually(lambda: observer.views[room].connections == 5, "all five connections")
    # Longer than a lease: only a server whose own lease has been in order for that long declares another dead.
    await asyncio.sleep(LEASE_S)
    there.kill()
    killed_at = time.monotonic()
    view = observer.views[room]
    await observer.until(lambda: view.connections == 2, "the dead server's connections", LEASE_S + 5)
    took_s = time.monotonic() - killed_at
    assert took_s < LEASE_S + 1, f"{took_s:.2f} s"
    assert sorted(view.left) == [("gone-1", "node_lost"), ("gone-2", "node_lost")]
    assert not any(str(one["userId"]) == "both" for diff in observer.told("room:diff")[-2:] for one in diff["joined"])
    assert set(view.members) == set(here.users(room)) == {"observer", "both"}
    assert view.gaps == 0
    assert view.faults == []
    assert both_here.told("room:force-leave") == []
    await faultless(store.url)
    table.note(
        "`kill -9` of one of two servers",
        "its users leave with `node_lost` within the lease + 1 s; a user with a tab on the other stays, unmentioned",
    )


async def test_kill_and_restart_of_a_single_named_server(
    store: EmbeddedServer, launch: Launch, tab: Opened, room: str, table: Table
) -> None:
    """001-8, 001-11, 003-11, T1.6, T1.7: the list is empty when it first says it is ready; who only beats gets the
    popup.
    """
    server = launch(store.url, PRESENCE_NODE_NAME="alone", PRESENCE_LEASE="60")
    for number in range(10):
        await (await tab(server.url, f"u{number}")).join(room)
    assert len(server.users(room)) == 10
    server.kill()
    server.restart()
    assert server.users(room) == []
    assert server.count(room)["count"] == 0
    back = await tab(server.url, "u3")
    answer = await back.beat(room)
    assert (answer["ok"], answer["error"]["code"]) == (False, "not_in_room")
    await back.until(lambda: back.told("room:force-leave"), "the popup")
    (told,) = back.told("room:force-leave")
    assert (told["popup"], told["reason"], told["roomId"]) == ("You are not in the chatroom", "server_restart", room)
    assert (await back.beat(room))["ok"] is False
    assert len(back.told("room:force-leave")) == 1
    assert server.users(room) == []
    table.note(
        "`kill -9` and restart of a single named server with 10 users",
        "the list is empty when `/readyz` first says ok; a client that only beats gets the popup,"
        " reason `server_restart`",
    )


async def test_restart_of_one_of_several_leaves_the_others_rooms_alone(
    store: EmbeddedServer, launch: Launch, tab: Opened, room: str, faultless: Faultless, table: Table
) -> None:
    """C6, T1.6: a named server's own earlier boot goes at once, whatever its lease; nobody else does."""
    first = launch(store.url, PRESENCE_NODE_NAME="first", PRESENCE_LEASE="60")
    second = launch(store.url, PRESENCE_NODE_NAME="second", PRESENCE_LEASE="60")
    mine, theirs = await tab(first.url, "mine"), await tab(second.url, "theirs")
    await mine.join(room)
    await theirs.join(room)
    first.kill()
    first.restart()
    assert first.users(room) == second.users(room) == ["theirs"]
    view = theirs.views[room]
    await theirs.until(lambda: view.left == [("mine", "server_restart")], "the notice")
    assert theirs.told("room:force-leave") == []
    assert (await theirs.beat(room))["ok"] is True
    await faultless(store.url)
    table.note("restart of one of several servers", "its own users leave with `server_restart`; nobody else does")


async def test_a_hung_server_finds_its_users_gone(
    store: EmbeddedServer, launch: Launch, tab: Opened, room: str, faultless: Faultless, table: Table
) -> None:
    """T1.6: frozen past its lease, then back: its users were removed and stay removed, each told once."""
    healthy = launch(store.url, PRESENCE_LEASE=str(LEASE_S))
    hung = launch(store.url, PRESENCE_LEASE=str(LEASE_S))
    observer = await tab(healthy.url, "observer")
    await observer.join(room)
    tabs = [await tab(hung.url, user) for user in ("h1", "h2", "both")]
    for one in tabs:
        await one.join(room)
    other = await tab(healthy.url, "both")
    await other.join(room)
    await asyncio.sleep(LEASE_S)
    hung.signal(signal.SIGSTOP)
    view = observer.views[room]
    await observer.until(lambda: len(view.left) == 2, "the removal of the hung server's users", LEASE_S + 5)
    assert sorted(view.left) == [("h1", "node_lost"), ("h2", "node_lost")]
    hung.signal(signal.SIGCONT)
    for one in tabs[:2]:
        await one.until(lambda one=one: one.told("room:force-leave"), "its force-leave")
        (told,) = one.told("room:force-leave")
        assert (told["reason"], told["roomId"]) == ("node_lost", room)
        await one.until(lambda one=one: one.closed, "the end of its last room's connection")
    # The user who lives elsewhere too either keeps this tab by adoption, or has it closed; both leave no ghost.
    await eventually(lambda: sorted(hung.users(room)) == ["both", "observer"], "the list")
    assert other.told("room:force-leave") == []
    late = await tab(hung.url, "late")
    await late.join(room)
    await observer.until(lambda: "late" in view.members, "that the server works again")
    assert view.faults == []
    await faultless(store.url)
    table.note(
        "a server frozen past its lease (`SIGSTOP`, `SIGCONT`)",
        "its users leave with `node_lost`; when it is back each is told once, none is resurrected, and it goes on",
    )


async def test_graceful_stop(
    store: EmbeddedServer, launch: Launch, tab: Opened, room: str, faultless: Faultless, table: Table
) -> None:
    """`server:restarting` first, then grace: who comes back to another server in time never left."""
    leaving = launch(store.url, PRESENCE_GRACE="2", PRESENCE_LEASE="2")
    staying = launch(store.url, PRESENCE_GRACE="2", PRESENCE_LEASE="2")
    observer = await tab(staying.url, "observer")
    await observer.join(room)
    mover, goner = await tab(leaving.url, "mover"), await tab(leaving.url, "goner")
    await mover.join(room)
    await goner.join(room)
    await observer.until(lambda: len(observer.views[room].members) == 3, "both")
    joined_at = observer.views[room].members["mover"]["joinedAt"]
    assert leaving.stop() == 0
    for one in (mover, goner):
        await one.until(lambda one=one: one.closed, "the end of the connection")
        assert len(one.told("server:restarting")) == 1
        assert one.told("room:force-leave") == []
    moved = await tab(staying.url, "mover")
    answer = await moved.join(room)
    assert answer["rejoined"] is True
    view = observer.views[room]
    await observer.until(lambda: view.left == [("goner", "disconnected")], "the end of the other's grace")
    assert sorted(staying.users(room)) == ["mover", "observer"]
    assert view.members["mover"]["joinedAt"] == joined_at
    await faultless(store.url)
    table.note(
        "graceful stop",
        "`server:restarting`, then grace: who moves to another server in time never left, the rest leave with"
        " `disconnected`",
    )
