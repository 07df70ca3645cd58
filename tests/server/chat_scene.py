"""What chat tests share: phones of their own, posting as the contract says or past every server, an outbox."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any, TypeVar

import pytest

from presence_engine import ChatEngine, IncomingMessage, Posted
from presence_engine.keys import Keyspace
from presence_engine.store import Store
from server.chat_fanout import ChatFanout
from server.limits import TokenBucket
from server.sockets.session import Session
from tests.client.driver import Client
from tests.server.conftest import RunningServer

T = TypeVar("T")

MESSAGE_FIELDS = {
    "id", "room_id", "user_id", "content_type", "content_text", "wa_message_id", "status", "reply_to_wa_message_id",
    "reaction_emoji", "reaction_to_wa_message_id", "status_timestamp", "media_type", "media_id", "gcs_filename",
    "gcs_url", "file_size", "mime_type", "original_filename", "metadata", "created_at", "updated_at",
}  # fmt: skip
ROOM_FIELDS = {
    "room_id", "room_phone", "room_title", "room_created_at", "room_updated_at", "leads_info", "last_message",
    "last_message_text", "last_message_timestamp", "last_message_type", "unread_count", "message_count", "participants",
}  # fmt: skip
LEAD_FIELDS = {"id", "name", "phone", "outstanding", "loan_type", "leads_status", "contact_status"}
CHAT_EVENTS = (
    "room:new_message",
    "new_message",
    "new_room_complete",
    "new_room",
    "new_room_with_message",
    "room:unread",
)


def new_phone() -> str:
    """Twelve digits that no other test has."""
    return f"62{random.SystemRandom().randrange(10**9, 10**10)}"


def incoming(server: RunningServer, phone: str, text: str | None = "hi", **fields: Any) -> Any:
    """Post a customer's message and return the answer."""
    return server.post("/messages/incoming", {"phone": phone, "content_text": text, **fields})


def send(server: RunningServer, room: str, text: str = "hello", user: Any = "agent", **fields: Any) -> Any:
    return server.post("/messages/send", {"room_id": room, "user_id": user, "text": text, **fields})


def room_of(server: RunningServer, room: str) -> Any:
    return server.get(f"/rooms/{room}")["data"]


def messages_of(server: RunningServer, room: str, **query: Any) -> Any:
    return server.get("/messages", params={"room_id": room, **query})


def of_room(client: Client, event: str, room: str) -> list[Any]:
    """The bodies of an event that speak of a room, in order."""
    return [body for body in client.events(event) if body["room_id"] == room]


def told(client: Client, room: str) -> list[str]:
    """The names of all chat events of a room, in order."""
    return [one.name for one in list(client.seen) if one.name in CHAT_EVENTS and one.body["room_id"] == room]


def wait_for_seq(client: Client, room: str, seq: int, event: str = "new_message") -> Any:
    return client.wait(event, lambda body: body["room_id"] == room and body["seq"] == seq)


def past_servers(url: str, work: Callable[[ChatEngine], Awaitable[T]]) -> T:
    """Use the chat's library on a Redis with no server involved."""

    async def run() -> T:
        chat = ChatEngine(Store(url), Keyspace())
        try:
            return await work(chat)
        finally:
            await chat.store.close()

    return asyncio.run(run())


def post_past_servers(url: str, phone: str, text: str = "hi") -> Posted:
    return past_servers(url, lambda chat: chat.post(IncomingMessage(phone=phone, content_text=text)))


class Outbox:
    """Takes what a fanout sends; an event in `broken` cannot be sent."""

    def __init__(self, *broken: str) -> None:
        self.sent: list[tuple[str, Any]] = []
        self.broken = broken

    def __call__(self, event: str, data: Any, sessions: Iterable[Session]) -> None:
        assert list(sessions)
        if event in self.broken:
            raise OSError("the wire is cut")
        self.sent.append((event, data))


def everybody(identity: object, action: str, room: str) -> None:
    assert (identity, action) == (None, "chat")


def session(name: str = "s1") -> Session:
    return Session(name, "/", TokenBucket(0, 1))


class Breaks:
    """Breaks a fanout's feed for some partitions, as if their server's connection were lost, and restores it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, fanout: ChatFanout) -> None:
        self._fanout, self._line = fanout, fanout._feed.line
        self._lines: dict[str, object | None] = {}
        self._deaf: set[int] = set()
        monkeypatch.setattr(fanout._feed, "line", lambda name: self._lines.get(name, self._line(name)))

    def _channel(self, partition: int) -> str:
        return self._fanout._chat.keys.chat_feed(partition)

    async def lose(self, *partitions: int, deaf: bool = True) -> None:
        """deaf: what is published meanwhile does not arrive; else it is as if published after the return."""
        self._lines |= {self._channel(partition): None for partition in partitions}
        self._fanout._lost()
        for partition in partitions if deaf else ():
            self._deaf.add(partition)
            await self._fanout._feed.unsubscribe(self._channel(partition))

    async def restore(self, *partitions: int) -> None:
        for partition in self._deaf.intersection(partitions):
            self._deaf.discard(partition)
            receive = partial(self._fanout.receive, partition)
            await self._fanout._feed.subscribe(self._channel(partition), receive)
        self._lines |= dict.fromkeys(map(self._channel, partitions), object())
        self._fanout._restored()

    async def caught_up(self) -> None:
        await until(lambda: all(task.done() for task in self._fanout._catching_up.values()))


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)
