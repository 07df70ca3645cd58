"""`presence-engine verify`: silent about what agrees, and by name about what does not."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import redis

from presence_engine import EmbeddedServer, EngineSettings, PresenceEngine
from presence_engine.keys import Keyspace
from tests.faults.processes import command

pytestmark = pytest.mark.slow

ROOM = "room {1}"


@pytest.fixture
def store(short_dir: Path) -> Iterator[EmbeddedServer]:
    with EmbeddedServer(short_dir / uuid4().hex[:8], persistent=False) as one:
        yield one


@pytest.fixture
async def keys(store: EmbeddedServer) -> Keyspace:
    """A store with two rooms and five connections."""
    async with PresenceEngine(store.url, settings=EngineSettings(), node="nodeAAAA") as engine:
        for user in ("u1", "u2", "u3"):
            await engine.join(ROOM, user, "c")
        await engine.join(ROOM, "u3", "d")
        await engine.join("fine", "u1", "c")
        return engine.keys


def test_what_agrees_is_silent(store: EmbeddedServer, keys: Keyspace) -> None:
    done = command("verify", redis_url=store.url)
    assert (done.returncode, done.stdout) == (0, "2 rooms, 4 users, 5 connections: no faults\n")
    assert done.stderr.count("Traceback") == 0


def test_each_planted_drift_is_named(store: EmbeddedServer, keys: Keyspace) -> None:
    """001-11: a wrong count, a room that no sweeper would visit, a node with more connections than it has."""
    room = keys.room(ROOM)
    with redis.Redis.from_url(store.url) as client:
        plants = {
            "rooms": lambda: client.zadd(room.rooms, {ROOM: 17}),
            "due": lambda: client.zrem(room.due, ROOM),
            "node nodeAAAA": lambda: client.hset(keys.node(0, "nodeAAAA"), ROOM, 17),
        }
        for what, plant in plants.items():
            before = {name: client.dump(name) for name in (*room[:5], keys.node(0, "nodeAAAA"))}
            plant()  # type: ignore[no-untyped-call]
            done = command("verify", redis_url=store.url)
            assert done.returncode == 1, (what, done.stdout)
            named = [line for line in done.stdout.splitlines() if line.startswith(f"{ROOM!r}: {what}")]
            assert named, (what, done.stdout)
            assert not any(line.startswith("'fine'") for line in done.stdout.splitlines())
            for name, dump in before.items():
                client.restore(name, 0, dump, replace=True)
    assert command("verify", redis_url=store.url).returncode == 0


def test_no_redis_is_one_line(tmp_path: Path) -> None:
    """And another code than faults have: what watches over them is not to be woken for it."""
    done = command("verify", redis_url=f"unix://{tmp_path}/nothing-here")
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("presence-engine: ")
