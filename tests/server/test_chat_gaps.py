"""Chat announcements after a gap of the feed: of rooms nobody wrote in, of many rooms, of rooms with many messages."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis

from presence_engine import ChatEngine, IncomingMessage, PresenceEngine, RoomPage, StoreUnavailable
from server import chat_catch_up
from server.chat_fanout import ChatFanout
from tests.conftest import MakeEngine
from tests.server.chat_scene import Breaks, Outbox, everybody, session, until

# Of two partitions the last is in the first.
PHONES = ("62831", "62832", "62841")


class Scene:
    """Three rooms of one message each, written before the server came."""

    def __init__(self, engine: PresenceEngine, monkeypatch: pytest.MonkeyPatch) -> None:
        self.engine = engine
        self.chat, self.writer = (ChatEngine(engine.store, engine.keys) for _ in range(2))
        self.outbox = Outbox()
        self.fanout = ChatFanout(engine, self.chat, {"s1": session()}, self.outbox, everybody)
        self.breaks = Breaks(monkeypatch, self.fanout)
        self.rooms: list[str] = []

    async def post(self, phone: str, ago_ms: int = 0) -> str:
        now_ms = self.engine.now_ms() - ago_ms if ago_ms else None
        return (await self.writer.post(IncomingMessage(phone=phone, content_text="hi"), now_ms=now_ms)).room_id

    async def lose(self) -> None:
        await self.breaks.lose(*range(self.chat.keys.partitions))

    async def restore(self) -> None:
        await self.breaks.restore(*range(self.chat.keys.partitions))
        await self.breaks.caught_up()

    def told(self, room: str) -> list[tuple[str, Any]]:
        """What was told of a room: an unread count, a message's seq, or a new room's newest seq."""
        bodies = [(event, msgspec.json.decode(bytes(body))) for event, body in self.outbox.sent]
        field = {"room:unread": "unread_count", "new_message": "seq", "new_room_complete": "message_count"}
        return [(event, body[field[event]]) for event, body in bodies if body["room_id"] == room]


@pytest.fixture(params=[1, 2], ids=["one partition", "two"])
async def scene(
    request: pytest.FixtureRequest, make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Scene]:
    engine = await make_engine(partitions=request.param)
    one = Scene(engine, monkeypatch)
    one.rooms = [await one.post(phone, 60_000) for phone in PHONES]
    await one.fanout.start()
    yield one
    await one.fanout.close()


async def test_a_mark_that_was_moved_unheard_is_told_of_a_room_from_before_the_start(scene: Scene) -> None:
    """004-9: else its agents go on showing messages as unread that one of them has read."""
    await scene.lose()
    await scene.writer.read(scene.rooms[0])
    await scene.restore()
    assert [scene.told(room) for room in scene.rooms] == [[("room:unread", 0)], [], []]


async def test_what_was_heard_while_the_rooms_were_read_at_the_start_stands(
    engine: PresenceEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Scene(engine, monkeypatch)
    room, listing = await one.post("62834", 60_000), one.chat.rooms

    async def rooms(**options: Any) -> RoomPage:
        page = await listing(**options)
        await one.post("62834")
        await until(lambda: one.told(room))
        return page

    monkeypatch.setattr(one.chat, "rooms", rooms)
    await one.fanout.start()
    monkeypatch.setattr(one.chat, "rooms", listing)
    await one.lose()
    await one.restore()
    assert one.told(room) == [("new_message", 2)]
    await one.fanout.close()


async def test_rooms_that_cannot_be_read_at_the_start_do_not_keep_it_from_starting(
    engine: PresenceEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Scene(engine, monkeypatch)

    async def rooms(**_options: Any) -> RoomPage:
        raise StoreUnavailable("gone again")

    with monkeypatch.context() as away:
        away.setattr(one.chat, "rooms", rooms)
        await one.fanout.start()
    room = await one.post("62835")
    await until(lambda: len(one.told(room)) == 2)
    await one.fanout.close()


async def test_a_room_that_is_written_in_while_they_are_compared_is_compared(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T4.10: it moves to the front of the list, past the page that is read next."""
    monkeypatch.setattr(chat_catch_up, "_ROOMS_AT_ONCE", 1)
    listing, pages = scene.chat.rooms, 0

    async def rooms(**options: Any) -> RoomPage:
        nonlocal pages
        page, pages = await listing(**options), pages + 1
        if pages == 1:
            await scene.post(PHONES[0])
        return page

    await scene.lose()
    # Earlier than what comes meanwhile: rooms of two partitions that are written in within a millisecond have no order.
    for ago_ms, phone in zip((3000, 2000, 1000), PHONES, strict=True):
        await scene.post(phone, ago_ms)
    monkeypatch.setattr(scene.chat, "rooms", rooms)
    await scene.restore()
    await until(lambda: scene.told(scene.rooms[0])[-1:] == [("new_message", 3)])
    assert [scene.told(room) for room in scene.rooms] == [
        [("new_message", 2), ("new_message", 3)],
        [("new_message", 2)],
        [("new_message", 2)],
    ]


async def test_a_new_room_is_announced_though_its_first_message_is_not_brought(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """004-7: so many came meanwhile, or its first is not kept any more; a client cannot show messages of no room."""
    monkeypatch.setattr(chat_catch_up, "_MESSAGES_OF_A_ROOM", 2)
    await scene.lose()
    room = (await asyncio.gather(*(scene.post("62836") for _ in range(4))))[0]
    await scene.restore()
    await until(lambda: len(scene.told(room)) == 4)
    events = [("new_message", 3), ("new_room_complete", 3), ("new_message", 4), ("room:unread", 4)]
    assert scene.told(room) == events
    await scene.lose()
    await scene.post("62836")
    await scene.restore()
    assert scene.told(room) == [*events, ("new_message", 5)]


async def test_what_cannot_be_read_does_not_silence_the_chat(
    scene: Scene, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    """T4.10: somebody else wrote into a room's state; what comes after the gap is told, with a gap to be seen."""
    await redis.hset(scene.chat.keys.chat_room(scene.rooms[1]).state, "info", "no such info")
    await scene.lose()
    await scene.post(PHONES[0])
    await scene.breaks.restore(*range(scene.chat.keys.partitions))
    await scene.post(PHONES[0])
    await until(lambda: scene.told(scene.rooms[0]))
    assert scene.told(scene.rooms[0]) == [("new_message", 3)]
    assert caplog.text.count("what was missed could not be read") == 1


async def test_the_unread_count_of_a_room_that_is_compared_twice_is_the_later_one(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An older one told behind it would stand for good: what the feed brings late counts as told."""
    monkeypatch.setattr(chat_catch_up, "_ROOMS_AT_ONCE", 2)
    room, listing, pages = scene.rooms[0], scene.chat.rooms, 0

    async def rooms(**options: Any) -> RoomPage:
        nonlocal pages
        pages += 1
        if pages == 2:
            await scene.writer.read(room)
        return await listing(**options)

    for _ in range(2):
        await scene.post(PHONES[0])
    await until(lambda: scene.told(room) == [("new_message", 2), ("new_message", 3)])
    await scene.lose()
    await scene.writer.read(room, 1)
    monkeypatch.setattr(scene.chat, "rooms", rooms)
    await scene.restore()
    await until(lambda: scene.told(room)[-1:] == [("room:unread", 0)])
    assert pages == 3
