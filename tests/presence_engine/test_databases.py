"""Two databases of one Redis: the channels of Redis know none, those of the engine do."""

import asyncio

import pytest

from presence_engine import PresenceEngine, decode_change
from presence_engine.board import BoardEngine
from presence_engine.board_models import Move
from presence_engine.chat import ChatEngine
from presence_engine.chat_models import IncomingMessage
from tests.conftest import MakeEngine, StartServer


class Ear:
    """What is heard on the three kinds of channels of one engine."""

    def __init__(self, engine: PresenceEngine) -> None:
        self.engine, self.heard = engine, dict[str, list[bytes]]()
        self.board, self.chat = BoardEngine(engine.store, engine.keys), ChatEngine(engine.store, engine.keys)
        self.feed = engine.open_feed(on_lost=lambda: None, on_restored=lambda: None)
        self.told = asyncio.Event()

    async def listen(self) -> None:
        channels = (self.engine.channel("r"), self.board.channel("r"), self.engine.keys.chat_feed(0))
        for kind, channel in zip(("presence", "board", "chat"), channels, strict=True):
            heard = self.heard[kind] = []
            await self.feed.subscribe(channel, heard.append)
        await self.feed.subscribe(self.engine.channel("end"), lambda _: self.told.set())

    async def speak(self, name: str) -> None:
        await self.engine.join("r", name, "c")
        await self.board.move("r", [Move(name, {"x": 1, "y": 2}, "u")])
        await self.chat.post(IncomingMessage(phone="123", content_text=name))

    async def all_heard(self) -> None:
        await self.engine.join("end", "u", "c")
        await asyncio.wait_for(self.told.wait(), 5)
        await self.feed.close()


async def test_databases_do_not_hear_each_other(start_server: StartServer, make_engine: MakeEngine) -> None:
    url = start_server(port=0).url
    ears = [Ear(await make_engine(url.removesuffix("/0") + f"/{number}")) for number in (0, 1)]
    for ear in ears:
        await ear.listen()
    for ear, user in zip(ears, ("zero", "one"), strict=True):
        await ear.speak(user)
    for ear, name, other in zip(ears, (b"zero", b"one"), (b"one", b"zero"), strict=True):
        await ear.all_heard()
        assert sorted(ear.heard) == ["board", "chat", "presence"]
        for heard in ear.heard.values():
            assert heard
            assert any(name in message for message in heard)
            assert not any(other in message for message in heard)
    [first], [second] = (ear.heard["presence"] for ear in ears)
    assert (decode_change(first).seq, decode_change(second).seq) == (1, 1)


@pytest.mark.parametrize(("number", "ends"), [(0, ":feed"), (15, ":feed@15")])
async def test_the_names_of_channels(
    start_server: StartServer, make_engine: MakeEngine, number: int, ends: str
) -> None:
    """Database 0 has those of before."""
    engine = await make_engine(start_server(port=0).url.removesuffix("/0") + f"/{number}")
    board = BoardEngine(engine.store, engine.keys)
    assert all(name.endswith(ends) for name in (engine.channel(15), board.channel("b"), engine.keys.chat_feed(0)))
