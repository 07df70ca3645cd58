"""What a chat channel carries, and that it is enough for every event."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from presence_engine import ContractBroken
from presence_engine.chat import ChatEngine
from presence_engine.chat_models import ChatRoom, IncomingMessage, MessageSaved, OutgoingMessage, RoomRead
from presence_engine.chat_replies import decode_chat_change
from presence_engine.keys import Keyspace
from presence_engine.store import Store


class ChatFeed:
    def __init__(self, client: Redis, channel: str) -> None:
        self.client, self.channel, self.pubsub = client, channel, client.pubsub()

    async def open(self) -> None:
        await self.pubsub.execute_command("SSUBSCRIBE", self.channel)
        await self.pubsub.parse_response(timeout=5)

    async def read(self) -> list[bytes]:
        await self.client.spublish(self.channel, "end")
        found = []
        while (data := (await self.pubsub.parse_response(timeout=5))[2]) != b"end":
            found.append(data)
        return found


@pytest.fixture
async def chat(redis_url: str, prefix: str) -> AsyncIterator[ChatEngine]:
    chat = ChatEngine(Store(redis_url), Keyspace(prefix=prefix))
    yield chat
    await chat.store.close()


@pytest.fixture
async def feed(plain_url: str, prefix: str) -> AsyncIterator[ChatFeed]:
    async with Redis.from_url(plain_url) as client:
        feed = ChatFeed(client, Keyspace(prefix=prefix).chat_feed(0))
        await feed.open()
        yield feed
        await feed.pubsub.aclose()


async def test_one_message_a_change_is_all_that_a_server_needs(chat: ChatEngine, feed: ChatFeed) -> None:
    """004-7, C20: the room of the feed is the one that is read, the message the one saved; no round trip in between."""
    first = await chat.post(
        IncomingMessage(
            phone="+62 1", content_text="hé\x1e", customer_name="Ana\n", room_title="VIP",
            leads_info={"id": 3, "x": []}, metadata={"n": 12345678901234567890123},
        )
    )  # fmt: skip
    told = await chat.room(first.room_id)
    second = await chat.send(OutgoingMessage(room_id=first.room_id, user_id="a", text="yes"))
    await chat.read(first.room_id)
    saved, sent, read = [decode_chat_change(data) for data in await feed.read()]
    assert isinstance(saved, MessageSaved)
    assert saved.message == first.message
    assert isinstance(told, ChatRoom)
    assert saved.room == told
    assert repr(saved.message.content.metadata) == "{'n': 12345678901234567890123}"
    assert sent == MessageSaved(second.message, 1, None)  # type: ignore[union-attr, arg-type]
    assert read == RoomRead(first.room_id, 2, 0)


async def test_order_on_the_channel_is_the_order_of_seq(chat: ChatEngine, feed: ChatFeed) -> None:
    """T4.10."""
    for n in range(30):
        await chat.post(IncomingMessage(phone="1", content_text=str(n)))
    changes = [decode_chat_change(data) for data in await feed.read()]
    assert [change.message.seq for change in changes if isinstance(change, MessageSaved)] == list(range(1, 31))
    assert [change.room is not None for change in changes if isinstance(change, MessageSaved)] == [True] + [False] * 29


async def test_duplicates_rooms_without_messages_and_repeated_reads_are_silent(
    chat: ChatEngine, feed: ChatFeed
) -> None:
    """T4.5, 004-7."""
    await chat.open("1")
    assert await feed.read() == []
    posted = await chat.post(IncomingMessage(phone="1", wa_message_id="w"))
    await chat.read(posted.room_id)
    await feed.read()
    await chat.post(IncomingMessage(phone="1", wa_message_id="w"))
    await chat.read(posted.room_id)
    assert await feed.read() == []


@pytest.mark.parametrize(
    "data",
    [b"", b"end", b"x\x1er", b"r\x1er\x1e1", b"r\x1er\x1ex\x1e1", b"m\x1er\x1e1\x1e1\x1e1\x1e{", b"\xff",
     b'm\x1er\x1e1\x1e1\x1e1\x1e{"status":1}\x1e',
     b"m\x1er\x1e1\x1e1\x1e1\x1e[]\x1e", b"m\x1er\x1e1\x1e1\x1e1\x1e{}\x1einfo"],
)  # fmt: skip
def test_what_no_script_of_ours_writes_is_refused(data: bytes) -> None:
    with pytest.raises(ContractBroken):
        decode_chat_change(data)
