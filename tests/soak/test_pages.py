"""Real pages of the shipped client while servers and Redis are killed and frozen: in the end each shows the truth."""

import asyncio
import json
import logging
import os
import random
import time
from pathlib import Path
from typing import Any, Final

import pytest

from presence_engine import EmbeddedServer
from tests.faults.processes import ROOT, ServerProcess
from tests.soak.havoc import SETTINGS, Havoc
from tests.soak.test_soak import Launch

log = logging.getLogger(__name__)

ROOMS: Final = "abcd"
BOARDS: Final = "xy"
# A client waits up to half a minute before it asks a Redis again that was away.
SETTLE_S: Final = 60.0
OF_A_BOARD: Final = ("itemPositions", "itemGroups", "actionItems", "allUserVotes")

Json = Any


class Pages:
    """The process of `pages.mjs`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def open(cls, servers: list[ServerProcess], seed: int) -> "Pages":
        urls = json.dumps([server.url for server in servers])
        pipe, script = asyncio.subprocess.PIPE, str(ROOT / "tests" / "soak" / "pages.mjs")
        return cls(
            await asyncio.create_subprocess_exec(
                "node", script, urls, str(seed), cwd=ROOT, stdin=pipe, stdout=pipe, limit=2**24
            )
        )

    def tell(self, command: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(f"{command}\n".encode())

    async def state(self) -> list[Json]:
        assert self._process.stdout
        self.tell("state")
        return list(json.loads(await self._process.stdout.readline()))

    async def close(self) -> None:
        self.tell("end")
        assert await self._process.wait() == 0


def wrong_rooms(pages: list[Json], server: ServerProcess) -> list[Json]:
    """Rooms whose participants or connections are not those of the pages, and pages that show something else."""
    wrong: list[Json] = []
    for room in ROOMS:
        found = server.get(f"/api/chatroom/{room}/participants?view=full")
        truth = {str(user["userId"]): user["data"] for user in found["users"]}
        shown = [(page["user"], one) for page in pages for one in page["rooms"] if one["room"] == room]
        connections = server.count(room)["connections"]
        if sorted(truth) != sorted({user for user, _ in shown}) or connections != len(shown):
            wrong.append({"room": room, "users": sorted(truth), "pages": [user for user, _ in shown]})
        right = {"room": room, "status": "online", "count": len(truth), "connections": connections, "data": truth}
        wrong += [{"page": user, "shows": one, "not": right} for user, one in shown if one != right]
    return wrong


def wrong_boards(pages: list[Json], server: ServerProcess) -> list[Json]:
    """Boards whose presence is not that of the pages, and pages that show another board than there is."""
    wrong: list[Json] = []
    for board in BOARDS:
        shown = [(page["user"], page["board"]) for page in pages if page["board"] and page["board"]["board"] == board]
        if not shown:
            continue
        state = server.get(f"/api/retro/{board}/state")
        right = {"status": "online", **{part: state[part] for part in OF_A_BOARD}}
        present, seated = sorted(server.users(f"retro:{board}")), sorted({user for user, _ in shown})
        if present != seated:
            wrong.append({"board": board, "users": present, "pages": seated})
        for user, one in shown:
            if differs := {part: (one[part], value) for part, value in right.items() if one[part] != value}:
                wrong.append({"page": user, "board": board, "shows, not": differs})
    return wrong


async def soak_pages(for_s: float, folder: Path, launch: Launch, seed: int) -> None:
    log.info(f"seed {seed}")
    with EmbeddedServer(folder / "store", persistent=True) as store:
        servers = [launch(store.url, **SETTINGS, PRESENCE_NODE_NAME=name) for name in ("steady", "one", "two")]
        pages, havoc, enough = await Pages.open(servers, seed), Havoc(store, servers[1:], seed), asyncio.Event()
        try:
            wreaking = asyncio.create_task(havoc.wreak(enough))
            await asyncio.sleep(for_s)
            enough.set()
            await wreaking
            pages.tell("calm")
            until = time.monotonic() + SETTLE_S
            while True:
                await asyncio.sleep(1)
                state = await pages.state()
                wrong = await asyncio.to_thread(wrong_rooms, state, servers[0])
                wrong += await asyncio.to_thread(wrong_boards, state, servers[0])
                if not wrong:
                    break
                assert time.monotonic() < until, json.dumps(wrong)
            log.info(f"{dict(havoc.done)}; {sum(len(page['rooms']) for page in state)} rooms and boards were shown")
        finally:
            await pages.close()
        for server in servers:
            assert "Traceback" not in server.log.read_text()


@pytest.mark.slow
@pytest.mark.faults
async def test_pages_show_the_truth_after_a_quarter_of_a_minute(folder: Path, launch: Launch) -> None:
    await soak_pages(15, folder, launch, int(os.environ.get("SOAK_SEED", "20")))


@pytest.mark.nightly
@pytest.mark.faults
async def test_pages_show_the_truth_after_minutes(folder: Path, launch: Launch) -> None:
    seed = int(os.environ.get("SOAK_SEED", random.randrange(1_000_000)))
    await soak_pages(float(os.environ.get("SOAK_S", "60")), folder, launch, seed)
