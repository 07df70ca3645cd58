"""Boards whose feed broke: each is compared by itself, as often as it must be, whatever shard is away."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
import pytest

from presence_engine import BoardEngine, BoardSnapshot, Page, PresenceEngine, StoreUnavailable
from presence_engine.board_models import Move
from server.board_fanout import BoardFanout, room_of
from server.sockets.session import Membership, Session
from tests.server.chat_scene import session, until


class Scene:
    """Boards with one socket each; their feed breaks and their shard goes away when told."""

    def __init__(self, engine: PresenceEngine, monkeypatch: pytest.MonkeyPatch) -> None:
        self.engine, self.boards = engine, BoardEngine(engine.store, engine.keys)
        self.feed = engine.open_feed(on_lost=lambda: None, on_restored=lambda: None)
        self.fanout = BoardFanout(self.boards, self.feed, self._sent, self._read)
        self.sockets: dict[str, Session] = {}
        self.away: set[str] = set()
        self.asked: list[str] = []
        self.told: dict[str, list[tuple[str, Any]]] = {}
        self._lines: dict[str, object | None] = {}
        line = self.feed.line
        monkeypatch.setattr(self.feed, "line", lambda name: self._lines.get(name, line(name)))

    def _sent(self, events: Sequence[tuple[str, Any]], sessions: Sequence[Session]) -> None:
        for one in sessions:
            for name, sent in events:
                event, body = name.partition(":")[0], msgspec.json.decode(msgspec.json.encode(sent))
                at = body["position"] if event == "item-position-update" else body["itemPositions"].get("i")
                self.told.setdefault(one.sid, []).append((event, at and at["x"]))

    async def _read(self, retro: str) -> tuple[BoardSnapshot, Page]:
        self.asked.append(retro)
        if retro in self.away:
            raise StoreUnavailable("this shard is away")
        return await self.boards.snapshot(retro), await self.engine.list(room_of(retro))

    async def sit(self, retro: str) -> None:
        one = self.sockets[retro] = session(retro)
        one.rooms[room_of(retro)] = Membership(retro, 0)
        await self.fanout.enter(one, retro)
        self.fanout.place(one, retro, *await self._read(retro))

    async def move(self, retro: str, x: int) -> None:
        await self.boards.move(retro, [Move("i", {"x": x, "y": 0}, "u")])

    async def hears(self, retro: str, *told: tuple[str, Any]) -> None:
        await until(lambda: len(self.told[retro]) >= len(told))
        assert self.told[retro] == [*told]

    def lose(self, *retros: str) -> None:
        self._lines |= dict.fromkeys(map(self.boards.channel, retros))

    async def miss(self, retro: str, x: int) -> None:
        """A move that is published while nobody listens."""
        channel = self.boards.channel(retro)
        await self.feed.unsubscribe(channel)
        await self.move(retro, x)
        await self.feed.subscribe(channel, self.fanout._handler(self.fanout._local[retro]))

    def restore(self, *retros: str) -> None:
        self._lines |= dict.fromkeys(map(self.boards.channel, retros), object())
        self.fanout.restored()

    async def compared(self) -> None:
        await asyncio.gather(*(local.anew for local in self.fanout._local.values() if local.anew))


class Slow:
    """Lets what is read for all wait on its way: read already, and not there yet."""

    def __init__(self, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reading, self.go_on = asyncio.Event(), asyncio.Event()
        self._scene = scene
        monkeypatch.setattr(scene.fanout, "_read", self._read)

    async def _read(self, retro: str) -> tuple[BoardSnapshot, Page]:
        found = await self._scene._read(retro)
        self.reading.set()
        await self.go_on.wait()
        return found


@pytest.fixture
async def scene(engine: PresenceEngine, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    one = Scene(engine, monkeypatch)
    await one.sit("good")
    await one.move("good", 1)
    await one.hears("good", ("retro-state", None), ("item-position-update", 1))
    yield one
    await one.fanout.close()
    await one.feed.close()


async def test_boards_that_do_not_answer_hold_up_no_other(scene: Scene) -> None:
    """More of them than are read at once, and their feed is back: the living one is compared each time anew."""
    bad = [f"bad {number}" for number in range(30)]
    for retro in bad:
        await scene.sit(retro)
    scene.away = set(bad)
    scene.lose(*bad, "good")
    await scene.miss("good", 2)
    scene.restore(*bad, "good")
    before = [("retro-state", None), ("item-position-update", 1), ("retro-state", 2)]
    await scene.hears("good", *before)
    scene.lose("good")
    await scene.miss("good", 3)
    scene.restore("good")
    await scene.hears("good", *before, ("retro-state", 3))
    await scene.move("good", 4)
    await scene.hears("good", *before, ("retro-state", 3), ("item-position-update", 4))


async def test_a_board_whose_feed_is_away_is_not_asked_for(scene: Scene) -> None:
    await scene.sit("bad")
    scene.lose("bad", "good")
    scene.asked.clear()
    scene.restore("good")
    await until(lambda: scene.asked)
    await scene.compared()
    assert scene.asked == ["good"]


async def test_a_loss_while_it_is_compared_is_compared_again(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read before the feed was back a second time says nothing of what was missed since."""
    slow = Slow(scene, monkeypatch)
    scene.lose("good")
    await scene.miss("good", 2)
    scene.restore("good")
    await slow.reading.wait()
    scene.lose("good")
    await scene.miss("good", 3)
    scene.restore("good")
    slow.go_on.set()
    await scene.hears("good", ("retro-state", None), ("item-position-update", 1), ("retro-state", 3))


async def test_a_board_restored_twice_before_it_answers_is_sent_whole(scene: Scene) -> None:
    """The newest change was heard, the one before it was not."""
    scene.away = {"good"}
    scene.lose("good")
    await scene.miss("good", 2)
    scene.restore("good")
    await scene.move("good", 3)
    await until(lambda: scene.fanout._local["good"].at.version == 3)
    scene.lose("good")
    scene.restore("good")
    scene.away = set()
    await scene.hears("good", ("retro-state", None), ("item-position-update", 1), ("retro-state", 3))


async def test_a_change_that_comes_before_the_feed_is_back_hides_no_gap(scene: Scene) -> None:
    """A channel is confirmed and brings a change while others of its server are still to be confirmed."""
    scene.lose("good")
    await scene.miss("good", 2)
    await scene.move("good", 3)
    await until(lambda: scene.fanout._local["good"].at.version == 3)
    scene.restore("good")
    await scene.hears("good", ("retro-state", None), ("item-position-update", 1), ("retro-state", 3))


async def test_a_board_that_did_not_move_is_not_sent_again(scene: Scene) -> None:
    scene.lose("good")
    scene.restore("good")
    await scene.compared()
    await scene.move("good", 2)
    await scene.hears("good", ("retro-state", None), ("item-position-update", 1), ("item-position-update", 2))


async def test_a_board_that_is_sent_whole_is_not_sent_to_who_was_put_out(scene: Scene) -> None:
    """Kicked, a socket may keep its connection; when it comes back it gets the board with its join."""
    one = scene.sockets["good"]
    membership = one.rooms.pop(room_of("good"))
    scene.lose("good")
    await scene.miss("good", 2)
    scene.restore("good")
    await scene.compared()
    before = [("retro-state", None), ("item-position-update", 1)]
    await scene.hears("good", *before)
    one.rooms[room_of("good")] = membership
    scene.fanout.hold(one, "good")
    scene.fanout.place(one, "good", *await scene._read("good"))
    await scene.move("good", 3)
    await scene.hears("good", *before, ("retro-state", 2), ("item-position-update", 3))


async def test_a_board_that_began_again_is_sent_whole_whatever_a_socket_asks_meanwhile(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read to be sent whole, when a request of the socket's own ends, and the next change comes."""
    slow = Slow(scene, monkeypatch)
    await BoardEngine(scene.engine.store, scene.engine.keys, ttl_ms=1).touch("good")
    await asyncio.sleep(0.01)
    await scene.move("good", 5)
    await slow.reading.wait()
    with scene.fanout.holding(scene.sockets["good"], "good"):
        pass
    await scene.move("good", 6)
    await until(lambda: scene.fanout._local["good"].at.version == 2)
    slow.go_on.set()
    before = [("retro-state", None), ("item-position-update", 1)]
    await scene.hears("good", *before, ("retro-state", 5), ("item-position-update", 6))


async def test_a_board_that_cannot_be_read_keeps_nobody_waiting(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Somebody else wrote into it: what comes is told past the gap, which the versions show, and is not piled up."""

    async def damaged(_retro: str) -> tuple[BoardSnapshot, Page]:
        raise ValueError("no such board")

    monkeypatch.setattr(scene.fanout, "_read", damaged)
    scene.lose("good")
    await scene.miss("good", 2)
    scene.restore("good")
    for x in (3, 4):
        await scene.move("good", x)
    moves = [("item-position-update", x) for x in (1, 3, 4)]
    await scene.hears("good", ("retro-state", None), *moves)
    assert caplog.text.count("a board could not be read") == 1
