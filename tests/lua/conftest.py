"""Scripts called directly, by argument name; the words they answer are collected to be compared with their headers."""

import asyncio
import re
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from presence_engine.keys import Keyspace
from presence_engine.scripts import Script
from presence_engine.store import Store
from tests.conftest import Clock

LIFE_MS = 10_100
NODE = "nodeAAAA"
NODE_B = "nodeBBBB"
DEFAULTS: dict[str, object] = {
    "room": "r", "user": "u", "connection": f"{NODE}c", "public": "\x1e\x1e", "life_ms": LIFE_MS, "bounds": "",
    "mode": "join", "ttl_ms": 10_000, "slack_ms": 100, "scope": "connection", "grace_ms": 1_000, "name": "", "data": "",
    "limit": 100, "message": "", "after_joined_at": "", "after_user": "", "detail": "full",
    "node": NODE, "lease_ms": 10_000, "which": "lapsed", "reason": "node_lost", "what": "", "days": 2, "partitions": 4,
    "since": 0,
    "spare": "",
}  # fmt: skip
# Lowers every key's remaining life: what real time does while the tests' clock jumps.
_AGE = """
for _, key in ipairs(redis.call('KEYS', ARGV[1] .. ':*')) do
  local life = redis.call('PTTL', key)
  if life > 0 then
    redis.call('PEXPIRE', key, life - ARGV[2])
  end
end"""

NUMBERS = {"now", "joinedAt", "seq", "count", "connections", "deadline", "next", "stays"}
SEEN_WORDS: dict[str, set[str]] = defaultdict(set)
NOT_WHOLE: set[Path] = set()  # Test files of which only some tests were chosen.


def plain(reply: Any) -> Any:
    """Bytes as text, all the way down."""
    if isinstance(reply, list):
        return [plain(part) for part in reply]
    return reply.decode() if isinstance(reply, bytes) else reply


def as_told(script: Script, reply: Any) -> list[Any]:
    """A reply as its header shows it: what a text says of times and sizes are numbers."""
    fields = list(plain(reply))
    told = re.search(rf'\{{[^}}]*"{fields[0]}"[^}},]*,? ?([^}}]*)\}}', script.returns)
    names = ["word", *(told.group(1).split(", ") if told else ())]
    return [
        int(field) if name in NUMBERS and str(field).lstrip("-").isdigit() else field
        for field, name in zip_longest(fields, names[: len(fields)])
    ]


def short(key: str) -> str:
    """A key without prefix and partition."""
    return key.split(":", 1)[1].replace("{0}:", "", 1).replace("{nodes}:", "nodes:", 1)


class Feed:
    """What a room's channel carried since it was opened."""

    def __init__(self, client: Redis, channel: str) -> None:
        self.client, self.channel = client, channel
        self.pubsub = client.pubsub()

    async def open(self) -> "Feed":
        await self.pubsub.execute_command("SSUBSCRIBE", self.channel)
        message = await self.pubsub.parse_response(timeout=5)
        assert message[0] in {b"ssubscribe", "ssubscribe"}
        return self

    async def read(self) -> list[list[list[str]]]:
        """Every message that has arrived: entries, each a list of fields; the first entry is the position."""
        await self.client.spublish(self.channel, "end")
        found = []
        while (text := (await self.pubsub.parse_response(timeout=5))[2]) != "end":
            found.append([entry.split("\x1e") for entry in text.split("\x1d")])
        return found


class Lua:
    """Calls scripts as the engine does; arguments left out take the tests' defaults, `now_ms` the test's clock."""

    def __init__(self, store: Store, redis: Redis, prefix: str, clock: Clock) -> None:
        self.store, self.redis, self.prefix, self.clock = store, redis, prefix, clock
        self.space = Keyspace(prefix=prefix)
        self.feeds: list[Feed] = []

    def key(self, name: str) -> str:
        return self.space.stem(0) + name

    def keys_of(self, script: Script, values: dict[str, object], *, index: bool = True) -> list[str]:
        room = self.space.room(str(values["room"]))
        named = {
            **room._asdict(), "index": self.space.user(0, str(values["user"])), "feed": room.feed,
            "partition": room.partition, "node": self.space.node(0, str(values["node"])),
            "users": self.space.users(0),
            **{name: self.space.nodes(name) for name in ("leases", "condemned", "gone", "retired", "layout")},
            "channel": self.space.nodes("feed"), "lineage": self.space.lineage(0),
        }  # fmt: skip
        names = (
            script.keys
            if index or script.name == "presence/where"
            else [k for k in script.keys if k not in {"index", "users"}]
        )
        return [named[name] for name in names]

    async def run(self, verb: str, /, *more: object, index: bool = True, **given: Any) -> list[Any]:
        script = self.store.library[f"presence/{verb}"]
        values = {**DEFAULTS, "now_ms": self.clock.now_ms, **given}
        reply = await self.store.run(script.name, self.keys_of(script, values, index=index), values, more)
        return as_told(script, reply)

    async def join(self, user: str = "u", connection: str = f"{NODE}c", **given: Any) -> list[Any]:
        return await self.run("join", user=user, connection=connection, **given)

    async def beat(self, *slots: tuple[str, str], **given: Any) -> list[Any]:
        return await self.run("heartbeat", *(f"{user}\x1f{connection}" for user, connection in slots), **given)

    async def counts(self, *rooms: str) -> list[Any]:
        keys = [key for room in rooms for key in self.space.room(room)[:2]]
        reply = await self.store.run("presence/counts", keys, {"now_ms": self.clock.now_ms})
        return list(plain(reply))

    async def feed(self, room: str = "r") -> Feed:
        feed = await Feed(self.redis, self.space.room(room).feed).open()
        self.feeds.append(feed)
        return feed

    async def pass_time(self, by_ms: int) -> None:
        """Move the clock and let every key of this test age by as much."""
        self.clock.advance(by_ms)
        await self.redis.eval(_AGE, 0, self.prefix, by_ms)

    async def dump(self) -> dict[str, Any]:
        """Everything stored under this test's prefix but the days' tallies of removals."""
        found: dict[str, Any] = {}
        for key in sorted(map(str, await self.redis.keys(f"{self.prefix}:*"))):
            name = short(key)
            if name.startswith("removals:"):
                continue
            if await self.redis.type(key) == "zset":
                scores: Any = await self.redis.zrange(key, 0, -1, withscores=True)
                found[name] = dict(scores)
            else:
                found[name] = await self.redis.hgetall(key)
        return found

    async def expiries(self) -> dict[str, int]:
        """The remaining life of every key, ms."""
        return {short(str(key)): await self.redis.pttl(key) for key in await self.redis.keys(f"{self.prefix}:*")}

    async def close(self) -> None:
        for feed in self.feeds:
            await feed.pubsub.aclose()
        await self.store.close()


@pytest.fixture
async def lua(redis_url: str, redis: Redis, prefix: str, clock: Clock) -> AsyncIterator[Lua]:
    lua = Lua(Store(redis_url), redis, prefix, clock)
    yield lua
    await lua.close()


@pytest.fixture(scope="session", autouse=True)
def seen_words() -> Iterator[dict[str, set[str]]]:
    """Words that each script answered in this run, whoever called it."""
    run = Store.run

    async def recording(self: Store, name: str, *args: Any, **kwargs: Any) -> list[Any]:
        reply = await run(self, name, *args, **kwargs)
        SEEN_WORDS[name].add(reply[0].decode())
        return reply

    patch = pytest.MonkeyPatch()
    patch.setattr(Store, "run", recording)
    yield SEEN_WORDS
    patch.undo()


def pytest_deselected(items: list[pytest.Item]) -> None:
    NOT_WHOLE.update(item.path for item in items)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The words are compared when all scripts' tests have run."""
    last = [item for item in items if item.path.name == "test_words.py"]
    items[:] = [item for item in items if item.path.name != "test_words.py"] + last
    for arg in config.args:
        if "::" in arg:
            NOT_WHOLE.add((config.invocation_params.dir / arg.split("::")[0]).resolve())


async def race(*calls: Any) -> list[Any]:
    return list(await asyncio.gather(*calls))
