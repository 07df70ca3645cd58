"""Chat announcements when Redis has lost its newest messages: their seqs come again, with others behind them."""

from collections.abc import AsyncIterator

import msgspec
import pytest
from redis.asyncio import Redis

from presence_engine import ChatEngine, ChatRoom, IncomingMessage, PresenceEngine
from server.chat_fanout import ChatFanout
from tests.conftest import MakeEngine
from tests.server.chat_scene import Breaks, Outbox, everybody, session, until

PHONE = "62815"


class Scene:
    """A room whose messages are told to `outbox`, in a store that can be taken back to what it was."""

    def __init__(self, engine: PresenceEngine, plain_url: str) -> None:
        self.engine, self.chat = engine, ChatEngine(engine.store, engine.keys)
        self.outbox = Outbox()
        self.fanout = ChatFanout(engine, self.chat, {"s1": session()}, self.outbox, everybody)
        self.redis = Redis.from_url(plain_url)
        self.now_ms = engine.now_ms()
        self.kept: dict[bytes, bytes] = {}
        self.room_id = ""

    async def post(self, *texts: str, after_ms: int = 1) -> None:
        for text in texts:
            self.now_ms += after_ms
            message = IncomingMessage(phone=PHONE, content_text=text)
            self.room_id = (await self.chat.post(message, now_ms=self.now_ms)).room_id

    async def remember(self) -> None:
        self.kept = {key: await self.redis.dump(key) or b"" for key in await self._keys()}

    async def go_back(self) -> None:
        await self.redis.delete(*await self._keys())
        for key, value in self.kept.items():
            await self.redis.restore(key, 0, value)

    async def _keys(self) -> list[bytes]:
        return [key async for key in self.redis.scan_iter(match=f"{self.chat.keys.prefix}:*chat:*", count=1000)]

    def heard(self, event: str = "new_message", field: str = "content_text") -> list[object]:
        return [msgspec.json.decode(bytes(body))[field] for name, body in self.outbox.sent if name == event]

    async def room(self) -> ChatRoom:
        room = await self.chat.room(self.room_id)
        assert isinstance(room, ChatRoom)
        return room


@pytest.fixture
async def scene(make_engine: MakeEngine, plain_url: str) -> AsyncIterator[Scene]:
    """`one` was told and is safe; `lost-1` and `lost-2` were told, and then lost."""
    one = Scene(await make_engine(partitions=1), plain_url)
    await one.fanout.start()
    await one.post("one")
    await one.remember()
    await one.post("lost-1", "lost-2")
    await until(lambda: len(one.heard()) == 3)
    yield one
    await one.fanout.close()
    await one.redis.aclose()


@pytest.fixture
def breaks(monkeypatch: pytest.MonkeyPatch, scene: Scene) -> Breaks:
    return Breaks(monkeypatch, scene.fanout)


@pytest.mark.parametrize("missed", range(4))
async def test_what_is_saved_over_a_lost_message_is_announced(scene: Scene, breaks: Breaks, missed: int) -> None:
    """A failover: `missed` of the new messages were saved before the feed was back, whatever their seq."""
    await breaks.lose(0)
    await scene.go_back()
    new = [f"new-{number}" for number in range(1, 4)]
    await scene.post(*new[:missed], after_ms=2000)
    await breaks.restore(0)
    await breaks.caught_up()
    assert scene.heard() == ["one", "lost-1", "lost-2", *new[:missed]]
    assert scene.heard("room:unread", "unread_count")[-1:] == [(await scene.room()).unread_count]
    await scene.post(*new[missed:])
    await until(lambda: len(scene.heard()) == 6)
    assert scene.heard() == ["one", "lost-1", "lost-2", *new]
    assert len(set(scene.heard(field="id"))) == 6
    await breaks.lose(0)
    await breaks.restore(0)
    await breaks.caught_up()
    assert len(scene.heard()) == 6


async def test_what_is_saved_over_a_lost_message_is_announced_on_a_feed_that_stood(scene: Scene) -> None:
    await scene.go_back()
    await scene.post("new-1", "new-2", "new-3")
    await until(lambda: len(scene.heard()) == 6)
    assert scene.heard() == ["one", "lost-1", "lost-2", "new-1", "new-2", "new-3"]


async def test_a_room_that_began_again_is_announced_again(scene: Scene, breaks: Breaks) -> None:
    scene.kept = {}
    await breaks.lose(0)
    await scene.go_back()
    await scene.post("new-1", "new-2")
    await breaks.restore(0)
    await breaks.caught_up()
    await until(lambda: len(scene.heard()) == 5)
    assert scene.heard()[3:] == ["new-1", "new-2"]
    assert scene.heard("new_room_complete", "unread_count") == [1, 1]


async def test_what_the_feed_brings_late_is_not_announced_twice(scene: Scene, breaks: Breaks) -> None:
    """Saved before the rooms were read, but still on its way when the feed counts as caught up."""
    late: list[bytes] = []
    feed = scene.engine.open_feed(on_lost=lambda: None, on_restored=lambda: None)
    await feed.subscribe(scene.chat.keys.chat_room(scene.room_id).feed, late.append)
    await breaks.lose(0, deaf=False)
    await scene.post("read from the store")
    await scene.chat.read(scene.room_id)
    await scene.post("after it")
    await until(lambda: len(late) == 3)
    await breaks.restore(0)
    await breaks.caught_up()
    sent = len(scene.outbox.sent)
    for message in late:
        scene.fanout.receive(0, message)
    assert len(scene.outbox.sent) == sent
    assert scene.heard()[3:] == ["read from the store", "after it"]
    await scene.chat.read(scene.room_id)
    await until(lambda: scene.heard("room:unread", "unread_count")[-1:] == [0])
    await feed.close()
