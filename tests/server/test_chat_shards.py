"""Chat announcements when one shard of a Cluster is away: each partition goes on as soon as it can."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import msgspec
import pytest

from presence_engine import ChatEngine, IncomingMessage, OutgoingMessage, PresenceEngine, StoreUnavailable
from presence_engine.phones import room_of_phone
from server import chat_fanout
from server.chat_fanout import ChatFanout
from tests.conftest import MakeEngine
from tests.server.chat_scene import Breaks, Outbox, everybody, session, until


class Scene:
    """Two partitions, whose feed and store can each be away."""

    def __init__(self, engine: PresenceEngine, monkeypatch: pytest.MonkeyPatch) -> None:
        self.engine, self.outbox = engine, Outbox()
        self.chat, self.writer = (ChatEngine(engine.store, engine.keys) for _ in range(2))
        self.fanout = ChatFanout(engine, self.chat, {"s1": session()}, self.outbox, everybody)
        self.breaks = Breaks(monkeypatch, self.fanout)
        self.away: set[int] = set()
        self.asked = 0
        self._phones = {partition: self._find_phones(partition) for partition in range(2)}
        monkeypatch.setattr(self.chat, "store", self)

    def _find_phones(self, partition: int) -> Sequence[str]:
        phones = map(str, range(62800, 62900))
        return [phone for phone in phones if self.writer.keys.partition_of(room_of_phone(phone)) == partition]

    async def run(self, script: str, keys: Sequence[str], values: Mapping[str, Any]) -> Any:
        """As a Store, for the fanout alone: where `away` says so it does not answer."""
        if any(key.startswith(self.chat.keys.stem(partition)) for key in keys for partition in self.away):
            self.asked += 1
            raise StoreUnavailable("this shard is away")
        return await self.engine.store.run(script, keys, values)

    async def post(self, partition: int, text: str, *, room: int = 0, after_ms: int = 0) -> str:
        message = IncomingMessage(phone=self._phones[partition][room], content_text=text)
        posted = await self.writer.post(message, now_ms=self.engine.now_ms() + after_ms)
        return posted.room_id

    def heard(self) -> list[str]:
        sent = [msgspec.json.decode(bytes(body)) for event, body in self.outbox.sent if event == "new_message"]
        return [body["content_text"] for body in sent]

    async def hears(self, *texts: str) -> None:
        """These and no others, in this order."""
        await until(lambda: len(self.heard()) >= len(texts))
        assert self.heard() == [*texts]


@pytest.fixture
async def scene(make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    one = Scene(await make_engine(partitions=2), monkeypatch)
    await one.fanout.start()
    yield one
    await one.fanout.close()


async def test_a_shard_that_is_away_silences_no_other(scene: Scene) -> None:
    await scene.breaks.lose(1)
    scene.away = {1}
    await scene.post(0, "a1")
    await scene.hears("a1")
    await scene.post(1, "b1")
    await scene.breaks.lose(0)
    await scene.post(0, "a2")
    await scene.breaks.restore(0)
    await scene.hears("a1", "a2")
    await scene.post(0, "a3")
    await scene.hears("a1", "a2", "a3")
    scene.away = set()
    await scene.post(1, "b2")
    await scene.breaks.restore(1)
    await scene.hears("a1", "a2", "a3", "b1", "b2")
    assert scene.fanout._held == {}


async def test_a_shard_whose_store_is_away_is_caught_up_when_it_answers(scene: Scene) -> None:
    """Its feed is back first, and what that brings waits; the other shard's goes on."""
    await scene.breaks.lose(0, 1)
    scene.away = {1}
    await scene.post(0, "a1")
    await scene.post(1, "b1")
    await scene.breaks.restore(1)
    await scene.breaks.restore(0)
    await scene.post(1, "b2")
    await until(lambda: scene.asked > 1)
    await scene.hears("a1")
    scene.away = set()
    await scene.hears("a1", "b1", "b2")


async def test_a_loss_in_the_middle_of_catching_up_is_caught_up_too(scene: Scene) -> None:
    await scene.breaks.lose(0)
    scene.away = {0}
    await scene.breaks.restore(0)
    await until(lambda: scene.asked)
    await scene.breaks.lose(0)
    await scene.post(0, "a1")
    scene.away = set()
    await scene.breaks.restore(0)
    await scene.hears("a1")
    await scene.breaks.caught_up()
    await scene.post(0, "a2")
    await scene.hears("a1", "a2")


async def test_what_one_shard_brings_makes_nothing_of_another_old_news(scene: Scene) -> None:
    """A room that began while its shard's feed was away, long before what the other shard tells now."""
    await scene.breaks.lose(1)
    await scene.post(1, "b1")
    await scene.post(0, "a1", after_ms=60_000)
    await scene.hears("a1")
    await scene.breaks.restore(1)
    await scene.hears("a1", "b1")


async def test_what_is_held_is_bounded(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then it is announced past the gap; the rest of what was missed follows, and nothing comes twice."""
    monkeypatch.setattr(chat_fanout, "_MOST_HELD", 2)
    await scene.breaks.lose(0)
    scene.away = {0}
    await scene.post(0, "quiet", room=1)
    room = await scene.post(0, "missed")
    await scene.breaks.restore(0)
    for number in range(3):
        await scene.writer.send(OutgoingMessage(room_id=room, user_id="agent", text=f"a{number}"))
    await scene.hears("a0", "a1", "a2")
    scene.away = set()
    await scene.breaks.caught_up()
    await scene.hears("a0", "a1", "a2", "quiet")
