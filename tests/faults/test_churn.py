"""Two servers, forty sockets, six hundred seeded operations: whoever follows by diffs alone ends with the truth."""

# mypy: disable-error-code="misc"
# A lambda that binds a loop variable as its default is beyond what mypy infers.

import random
from collections.abc import Awaitable, Callable
from typing import Final

import pytest

from presence_engine import EmbeddedServer
from tests.faults.conftest import Opened
from tests.faults.processes import ServerProcess
from tests.faults.tab import Tab, View, eventually
from tests.faults.table import Table

pytestmark = [pytest.mark.faults, pytest.mark.slow]

OPERATIONS: Final = 600
SOCKETS: Final = 40
USERS: Final = 24
ROOMS: Final = ("lobby", "x:{0} *?é")
VERBS: Final = ("join",) * 8 + ("leave",) * 5 + ("update",) * 4 + ("beat",) * 2 + ("close", "kill")

Launch = Callable[..., ServerProcess]
Faultless = Callable[..., Awaitable[None]]


class Churn:
    """The sockets, and which rooms each of them should be in."""

    def __init__(self, open_tab: Opened, urls: list[str], seed: int) -> None:
        self._open, self._urls, self._dice = open_tab, urls, random.Random(seed)
        self.sockets: list[tuple[Tab, set[str]]] = []

    async def open_one(self) -> None:
        user = f"u{self._dice.randrange(USERS)}"
        self.sockets.append((await self._open(self._dice.choice(self._urls), user), set()))

    async def step(self) -> None:
        while len(self.sockets) < SOCKETS:
            await self.open_one()
        at = self._dice.randrange(len(self.sockets))
        one, rooms = self.sockets[at]
        room, verb = self._dice.choice(ROOMS), self._dice.choice(VERBS)
        match verb:
            case "join":
                await one.join(room, data={"n": self._dice.randrange(9)})
                rooms.add(room)
            case "leave":
                answer = await one.leave(room)
                assert answer["left"] is (room in rooms)
                rooms.discard(room)
            case "update":
                answer = await one.emit("room:update", {"roomId": room, "username": f"n{self._dice.randrange(9)}"})
                assert answer["ok"] is (room in rooms)
            case "beat" if room in rooms:
                assert (await one.beat(room))["ok"] is True
            case "close":
                del self.sockets[at]
                await one.close()
            case "kill":
                del self.sockets[at]
                await one.kill()

    def present(self, room: str) -> set[str]:
        return {one.user for one, rooms in self.sockets if room in rooms}

    def connections(self, room: str) -> int:
        return sum(room in rooms for _, rooms in self.sockets)


@pytest.mark.parametrize(
    "seed", [7, pytest.param(8, marks=pytest.mark.nightly), pytest.param(9, marks=pytest.mark.nightly)]
)
async def test_observers_of_two_servers_end_with_the_truth(
    seed: int, store: EmbeddedServer, launch: Launch, tab: Opened, faultless: Faultless, table: Table
) -> None:
    """001-1, C5, C13, T0.1, X3: joins, leaves, updates, disconnects and kills; no gap, nothing twice."""
    servers = [launch(store.url, PRESENCE_GRACE="0.4") for _ in range(2)]
    observers = [await tab(server.url, f"observer-{at}") for at, server in enumerate(servers)]
    for observer in observers:
        for room in ROOMS:
            await observer.join(room)
    watching = {"observer-0", "observer-1"}
    churn = Churn(tab, [server.url for server in servers], seed)
    operations = 0
    while operations < OPERATIONS:
        await churn.step()
        operations += 1
    for room in ROOMS:
        expected = churn.present(room) | watching
        for server in servers:
            await eventually(lambda s=server, r=room, e=expected: set(s.users(r)) == e, f"the list of {room}")
        connections = churn.connections(room) + 2
        await eventually(
            lambda r=room, c=connections: servers[0].count(r)["connections"] == c, f"connections of {room}"
        )
        position = servers[0].count(room)
        for observer in observers:
            view, where = observer.views[room], f"the last diff of {room}"
            await eventually(lambda v=view, p=position: (v.epoch, v.seq) == (p["epoch"], p["seq"]), where)
        snapshot = View()
        snapshot.start(await observers[0].emit("room:sync", {"roomId": room}))
        for observer in observers:
            view = observer.views[room]
            assert (view.gaps, view.faults) == (0, [])
            assert set(view.members) == set(snapshot.members) == expected
            assert (view.epoch, view.count, view.connections) == (
                snapshot.epoch,
                len(expected),
                position["connections"],
            )
            for user, member in snapshot.members.items():
                shown = view.members[user]
                assert {key: shown[key] for key in ("userId", "username", "joinedAt", "data")} == {
                    key: member[key] for key in ("userId", "username", "joinedAt", "data")
                }
    for one, rooms in churn.sockets:
        assert one.told("room:force-leave") == []
        for room in rooms:
            view = one.views[room]
            await one.until(lambda v=view, o=observers[0].views[room]: v.seq == o.seq, f"{one.user} up to date")
            assert (view.gaps, view.faults) == (0, [])
            assert set(view.members) == churn.present(room) | watching
    await faultless(store.url)
    table.note(
        f"{OPERATIONS} joins, leaves, updates, disconnects and kills on {SOCKETS} sockets of two servers",
        "every follower's list, built from diffs alone, equals the list and a fresh snapshot; no gap, nothing twice",
    )
