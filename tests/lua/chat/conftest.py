"""The chat's scripts called directly, by argument name."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis

from presence_engine.keys import Keyspace
from presence_engine.store import Store
from tests.conftest import Clock
from tests.lua.conftest import Feed, plain

DETAILS = '628785390\x1e\x1e1\x1e"Customer 628785390"\x1e'
DEFAULTS: dict[str, object] = {
    "room": "r", "author": "customer", "body": '{"content_text":"hi"}', "details": DETAILS, "max_messages": 0,
    "once_ms": 60_000, "seq": "", "newest": "+inf", "limit": 100, "before": "", "max_age_ms": 1_000,
}  # fmt: skip


class ChatLua:
    """Arguments left out take DEFAULTS, `now_ms` the test's clock; `once` names an idempotency key."""

    def __init__(self, store: Store, redis: Redis, prefix: str, clock: Clock) -> None:
        self.store, self.redis, self.clock = store, redis, clock
        self.space = Keyspace(prefix=prefix)

    def keys_of(self, verb: str, room: str, once: str | None) -> list[str]:
        named = {**self.space.chat_room(room)._asdict(), "partition": self.space.stem(0)}
        if once is not None:
            named["once"] = self.space.chat_once(room, once)
        return [named[name] for name in self.store.library[f"chat/{verb}"].keys if name in named]

    async def run(self, verb: str, /, *, once: str | None = None, **given: object) -> list[Any]:
        values = {**DEFAULTS, "now_ms": self.clock.now_ms, **given}
        reply = await self.store.run(f"chat/{verb}", self.keys_of(verb, str(values["room"]), once), values)
        return list(plain(reply))

    async def post(self, **given: Any) -> list[Any]:
        return await self.run("post", **given)

    async def send(self, **given: Any) -> list[Any]:
        """An agent's message: it brings no details, so the room must exist."""
        return await self.run("post", **{"author": "agent", "details": "", "body": '{"user_id":"a"}', **given})

    async def feed(self) -> Feed:
        return await Feed(self.redis, self.space.chat_feed(0)).open()

    async def expiries(self) -> dict[str, int]:
        """The remaining life of every key, ms; -1 = for ever."""
        found = {}
        async for key in self.redis.scan_iter(match=f"{self.space.prefix}:*", count=1000):
            found[key.split("}:chat:", 1)[1]] = await self.redis.pttl(key)
        return found

    async def dump(self) -> dict[str, bytes | None]:
        """Everything stored under this test's prefix, as Redis serialises it."""
        async with Redis.from_url(self.url) as raw:
            return {key: await raw.dump(key) async for key in self.redis.scan_iter(match=f"{self.space.prefix}:*")}

    url = ""


@pytest.fixture
async def chat(redis_url: str, plain_url: str, redis: Redis, prefix: str, clock: Clock) -> AsyncIterator[ChatLua]:
    chat = ChatLua(Store(redis_url), redis, prefix, clock)
    chat.url = plain_url
    yield chat
    await chat.store.close()
