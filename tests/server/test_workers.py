"""`serve --workers 2`: one port, WebSocket only, a worker that dies is replaced and its users leave."""

# mypy: disable-error-code="misc"
# A lambda that binds a loop variable as its default is beyond what mypy infers.

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Final

import httpx
import pytest

from presence_engine import EmbeddedServer, PresenceEngine, nodes
from tests.client.command import Command
from tests.faults.conftest import Opened, folder, launch, store, tab
from tests.faults.processes import ServerProcess
from tests.faults.tab import eventually

__all__ = ["folder", "launch", "store", "tab"]

pytestmark = pytest.mark.slow

LEASE_S: Final = 1
ROOM: Final = "lobby"
Launch = Callable[..., ServerProcess]


def workers_of(server: int) -> list[int]:
    path = Path(f"/proc/{server}/task/{server}/children")
    if not path.exists():
        pytest.skip("the processes of a server are found by /proc")
    children = [int(pid) for pid in path.read_text().split()]
    return [pid for pid in children if b"server.process" in Path(f"/proc/{pid}/cmdline").read_bytes()]


async def names(url: str) -> list[str]:
    async with PresenceEngine(url) as engine:
        return sorted(lease.name for lease in (await nodes(engine)).leases if lease.left_ms > 0)


async def test_workers_share_a_port_and_are_replaced(store: EmbeddedServer, launch: Launch, tab: Opened) -> None:
    """C6, T1.6, T3.3: each worker is a node of its own; kill -9 of one ends its users and nobody else's."""
    server = launch(
        store.url, "--workers", "2", PRESENCE_NODE_NAME="pair", PRESENCE_LEASE=str(LEASE_S), PRESENCE_GRACE="0.5"
    )
    await eventually(lambda: has_names(store.url, ["pair-1", "pair-2"]), "both workers' leases")
    polling = httpx.get(f"{server.url}/socket.io/?EIO=4&transport=polling", trust_env=False)
    assert polling.status_code == 400
    # More than one listener accepts, so enough tabs reach both.
    tabs = [await tab(server.url, f"u{number}") for number in range(12)]
    for one in tabs:
        await one.join(ROOM)
    for one in tabs:
        await one.until(lambda one=one: len(one.views[ROOM].members) == 12, "twelve members")
        assert (one.views[ROOM].gaps, one.views[ROOM].faults) == (0, [])
    assert server.process is not None
    parent = server.process.pid
    before = workers_of(parent)
    assert len(before) == 2
    os.kill(before[0], signal.SIGKILL)
    await eventually(lambda: len(workers_of(parent)) == 2 and before[0] not in workers_of(parent), "another worker")
    await asyncio.sleep(0)
    await eventually(lambda: all(one.closed for one in tabs) or sum(one.closed for one in tabs) > 0, "closed tabs")
    survivors = [one for one in tabs if not one.closed]
    assert 0 < len(survivors) < 12, "all tabs met the same worker"
    await eventually(lambda: len(server.users(ROOM)) == len(survivors), "the list without the dead worker's users")
    assert set(server.users(ROOM)) == {one.user for one in survivors}
    for one in survivors:
        await one.until(lambda one=one: len(one.views[ROOM].members) == len(survivors), "the list by diffs")
        assert {reason for _, reason in one.views[ROOM].left} <= {"server_restart", "node_lost"}
        assert one.told("room:force-leave") == []
    await eventually(lambda: has_names(store.url, ["pair-1", "pair-2"]), "both workers' leases again")
    assert server.stop() == 0
    assert await names(store.url) == []
    for one in survivors:
        await one.until(lambda one=one: one.closed, "the end")
        assert len(one.told("server:restarting")) == 1


async def test_a_worker_is_ours_wherever_it_is_started_and_ends_when_told(
    store: EmbeddedServer, tmp_path: Path
) -> None:
    """The folder has a module of the same name. A worker that is told to stop is replaced like any other."""
    (tmp_path / "server.py").write_text("raise SystemExit('not this one')")
    settings = {"REDIS_URL": store.url, "PRESENCE_LEASE": str(LEASE_S), "PRESENCE_NODE_NAME": "pair"}

    class Elsewhere(Command):
        folder = tmp_path

    server = Elsewhere("serve", "--port", "0", "--workers", "2", **settings)
    try:
        await eventually(lambda: has_names(store.url, ["pair-1", "pair-2"]), "both workers' leases")
        os.kill(workers_of(server.pid)[0], signal.SIGTERM)
        await eventually(lambda: "ended with code" in server.output, "its end")
        assert "ended with code 0; starting it again" in server.output
        assert "not this one" not in server.output
        # A terminal that closes tells the whole group.
        os.killpg(server.pid, signal.SIGHUP)
        assert server.exit_code() == 0
        assert await names(store.url) == []
    finally:
        server.stop()


async def has_names(url: str, expected: list[str]) -> bool:
    return await names(url) == expected
