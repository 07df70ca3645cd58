"""Faults by count: the Nth reply of Redis is swallowed and its connection closed, for every N of a scenario."""

# mypy: disable-error-code="misc"
# A lambda that binds a loop variable as its default is beyond what mypy infers.

from collections.abc import Awaitable, Callable
from typing import Final

import pytest

from presence_engine import EmbeddedServer
from tests.faults.conftest import Opened
from tests.faults.processes import ServerProcess
from tests.faults.proxy import Proxy
from tests.faults.tab import Json, Tab, eventually
from tests.faults.table import Table

pytestmark = [pytest.mark.faults, pytest.mark.slow]

Launch = Callable[..., ServerProcess]
Faultless = Callable[..., Awaitable[None]]
MOST_REPLIES: Final = 60


async def insist(one: Tab, event: str, payload: Json) -> Json:
    """What a client does that was told `unavailable`: the same again."""
    for _ in range(20):
        answer = await one.emit(event, payload)
        if answer["ok"] or not answer["error"]["retryable"]:
            break
    return answer


async def scenario(mover: Tab, stayer: Tab, room: str) -> None:
    """Two tabs join, beat, change their record, look, and one of them leaves; each insists until it is answered."""
    for one in (stayer, mover):
        assert (await insist(one, "join_room", {"roomId": room, "userId": one.user, "data": {"n": 1}}))["ok"]
        beat = await insist(one, "room:heartbeat", {"roomId": room, "userId": one.user})
        assert beat["ok"], beat
    updated = await insist(stayer, "room:update", {"roomId": room, "username": "S"})
    assert updated["ok"], updated
    listed = await insist(mover, "room:users:get", {"roomId": room})
    assert [user["userId"] for user in listed["users"]] == ["witness", stayer.user, mover.user]
    assert [user["username"] for user in listed["users"]] == ["witness", "S", mover.user]
    left = await insist(mover, "leave_room", {"roomId": room})
    assert left["ok"], left


async def test_the_nth_reply_is_lost_for_every_n(
    store: EmbeddedServer, proxy: Proxy, launch: Launch, tab: Opened, faultless: Faultless, table: Table
) -> None:
    """C16, T1.9, T3.6: whichever reply is lost, a client that asks again ends with the truth, and nothing is left."""
    broken, healthy = launch(proxy.url, PRESENCE_LEASE="60"), launch(store.url, PRESENCE_LEASE="60")
    number = 0
    while True:
        number += 1
        assert number < MOST_REPLIES
        room = f"room-{number}"
        witness = await tab(healthy.url, "witness")
        await witness.join(room)
        mover, stayer = await tab(broken.url, f"m{number}"), await tab(broken.url, f"s{number}")
        proxy.drop_reply(number)
        await scenario(mover, stayer, room)
        was_dropped = proxy.dropped.is_set()
        proxy.disarm()
        view = witness.views[room]
        await witness.until(
            lambda view=view, stayer=stayer: set(view.members) == {"witness", stayer.user}, f"the room after {number}"
        )
        await eventually(lambda view=view: view.connections == 2, f"connections after {number}")
        assert sorted(broken.users(room)) == sorted(healthy.users(room)) == sorted(view.members)
        assert (view.gaps, view.faults) == (0, []), f"reply {number}"
        assert mover.told("room:force-leave") == stayer.told("room:force-leave") == []
        for one in (mover, stayer, witness):
            await one.close()
        if not was_dropped:
            break
    assert number > 8, "the scenario has more replies than that"
    await faultless(store.url)
    table.note(
        "the Nth reply of Redis is lost, for every N of join, beat, update, list, leave",
        "a client that asks again ends with the truth; others see no gap and nothing twice; no force-leave",
    )


async def test_a_client_that_gives_up_after_a_lost_reply_leaves_nothing_behind(
    store: EmbeddedServer, proxy: Proxy, launch: Launch, tab: Opened, faultless: Faultless, table: Table
) -> None:
    """T3.6: a join whose answer was lost may have been carried out; when the tab goes, so does what it left."""
    server = launch(proxy.url, PRESENCE_LEASE="60", PRESENCE_GRACE="0.3")
    for number in range(1, 5):
        room = f"gave-up-{number}"
        one = await tab(server.url, f"u{number}")
        proxy.drop_reply(number)
        answer = await one.emit("join_room", {"roomId": room, "userId": one.user})
        proxy.disarm()
        assert answer["ok"] or answer["error"]["code"] == "unavailable"
        await one.kill()
        await eventually(lambda room=room: server.users(room) == [], f"{room} empty")
    await faultless(store.url)
    table.note(
        "a join's reply is lost, and its client gives up",
        "what the join may have left goes with the socket, after its grace",
    )
