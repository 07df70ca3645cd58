"""Board scripts called directly, by argument name."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis

from presence_engine.keys import Keyspace
from presence_engine.store import Store
from tests.conftest import Clock
from tests.lua.conftest import Feed, plain

TTL_MS = 60_000
PARTS = ("meta", "positions", "grouping", "actions", "votes")
DEFAULTS: dict[str, object] = {
    "ttl_ms": TTL_MS, "limit": 100, "mode": "missing", "public": '"u"\x1e"bulk"', "user": '"u"', "timestamp": "",
    "item_groups": "{}", "signature_colors": "{}", "most": 3, "id": "a1", "item": '"t"\x1e"u"\x1e"U"\x1e"u"',
    "same": '"t"\x1eu', "task": "", "assignee_id": "", "assignee_name": "",
}  # fmt: skip


class BoardLua:
    """Arguments left out take the tests' defaults, `now_ms` the test's clock. The board is `r` unless told."""

    def __init__(self, store: Store, redis: Redis, prefix: str, clock: Clock) -> None:
        self.store, self.redis, self.prefix, self.clock = store, redis, prefix, clock
        self.space = Keyspace(prefix=prefix)
        self.feeds: list[Feed] = []

    def key(self, part: str, retro: str = "r") -> str:
        return str(getattr(self.space.board(retro), part))

    async def run(self, name: str, *more: object, retro: str = "r", **given: object) -> list[Any]:
        script = self.store.library[f"board/{name}"]
        named = self.space.board(retro)._asdict()
        values = {**DEFAULTS, "now_ms": self.clock.now_ms, **given}
        return list(plain(await self.store.run(script.name, [named[key] for key in script.keys], values, more)))

    async def move(self, *items: str, retro: str = "r", **given: object) -> list[Any]:
        fields = [field for item in items for field in (item, '{"x":1,"y":2}', '"u"\x1e"drag"')]
        return await self.run("move", *fields, retro=retro, **given)

    async def whole(self, retro: str = "r") -> None:
        """One change of every part: version 4."""
        await self.move("i", retro=retro)
        await self.run("group", retro=retro, item_groups='{"i":"s"}', signature_colors='{"s":"red"}')
        await self.run("vote", "1", "2", retro=retro, user="u", public='"u"\x1e1\x1e2')
        await self.run("action_add", retro=retro)

    async def feed(self, retro: str = "r") -> Feed:
        feed = await Feed(self.redis, self.key("feed", retro)).open()
        self.feeds.append(feed)
        return feed

    async def dump(self, retro: str = "r") -> dict[str, dict[str, str]]:
        """The parts that are there."""
        parts: dict[str, Any] = {part: await self.redis.hgetall(self.key(part, retro)) for part in PARTS}
        return {part: fields for part, fields in parts.items() if fields}

    async def ends(self, retro: str = "r") -> list[int]:
        """When each part that is there expires, ms of the real clock."""
        ends = [await self.redis.pexpiretime(self.key(part, retro)) for part in PARTS]
        return [end for end in ends if end != -2]

    async def age(self, by_ms: int) -> None:
        """Take from every part's remaining life."""
        for part in PARTS:
            life = await self.redis.pttl(self.key(part))
            if life > 0:
                await self.redis.pexpire(self.key(part), life - by_ms)


@pytest.fixture
async def board(redis_url: str, redis: Redis, prefix: str, clock: Clock) -> AsyncIterator[BoardLua]:
    board = BoardLua(Store(redis_url), redis, prefix, clock)
    yield board
    for feed in board.feeds:
        await feed.pubsub.aclose()
    await board.store.close()
