"""The chat beside a dict that says what it should be: any order of calls, over two connections."""

import asyncio
from dataclasses import dataclass, field
from uuid import uuid4

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from presence_engine.chat import ChatEngine
from presence_engine.chat_models import (
    ChatRoom,
    ChatRules,
    IncomingMessage,
    MessagePage,
    OutgoingMessage,
    Posted,
    RoomRead,
)
from presence_engine.keys import Keyspace
from presence_engine.phones import room_of_phone
from presence_engine.store import Store

MAX_MESSAGES, MAX_AGE_MS, START_MS = 4, 1_000, 1_800_000_000_000
PHONES = ("1", "2", "3")


@dataclass
class ModelRoom:
    """at, text and author of every message; what is kept of them; where the mark stands."""

    messages: list[tuple[int, str, bool]] = field(default_factory=list)
    kept: int = 0
    mark: int = 0
    names: list[str] = field(default_factory=list)

    def unread(self) -> int:
        return sum(customer for _, _, customer in self.messages[self.mark :])


@dataclass
class Model:
    rooms: dict[str, ModelRoom] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    ids: dict[tuple[str, str], int] = field(default_factory=dict)

    def post(self, phone: str, text: str, customer: bool, key: str, name: str, now_ms: int) -> tuple[str, int] | None:
        if key and (phone, key) in self.ids:
            return "duplicate", self.ids[phone, key]
        if phone not in self.rooms and not customer:
            return None
        room = self.rooms.setdefault(phone, ModelRoom())
        room.messages.append((now_ms, text, customer))
        room.kept = min(room.kept + 1, MAX_MESSAGES)
        if name:
            room.names.append(name)
        self.order = [phone, *(other for other in self.order if other != phone)]
        if key:
            self.ids[phone, key] = len(room.messages)
        return "first" if len(room.messages) == 1 else "saved", len(room.messages)

    def trim(self, now_ms: int) -> int:
        removed = 0
        for room in self.rooms.values():
            kept = sum(at > now_ms - MAX_AGE_MS for at, _, _ in room.messages[len(room.messages) - room.kept :])
            removed, room.kept = removed + room.kept - kept, kept
        return removed


phones, texts, keys = st.sampled_from(PHONES), st.text(max_size=3), st.sampled_from(["", "", "i", "j"])
steps = st.one_of(
    st.tuples(st.just("post"), phones, texts, keys, st.sampled_from(["", "Ana", "علي"])),
    st.tuples(st.just("send"), phones, texts, keys),
    st.tuples(st.just("read"), phones, st.none() | st.integers(0, 12)),
    st.tuples(st.just("trim"), st.integers(0, 700)),
)


class Run:
    def __init__(self, engines: tuple[ChatEngine, ChatEngine]) -> None:
        self.engines, self.model, self.now_ms = engines, Model(), START_MS

    async def step(self, number: int, step: tuple[object, ...]) -> None:
        self.now_ms += 1
        engine = self.engines[number % 2]
        match step:
            case ("post", str(phone), str(text), str(key), str(name)):
                message = IncomingMessage(phone=phone, content_text=text, wa_message_id=key, customer_name=name)
                posted = await engine.post(message, now_ms=self.now_ms)
                assert _summary(posted) == self.model.post(
                    phone, text, True, f"wa{key}" if key else "", name, self.now_ms
                )
            case ("send", str(phone), str(text), str(key)):
                out = OutgoingMessage(room_id=room_of_phone(phone), user_id="a", text=text, client_id=key)
                sent = await engine.send(out, now_ms=self.now_ms)
                expected = self.model.post(phone, text, False, f"client{key}" if key else "", "", self.now_ms)
                assert (_summary(sent) if isinstance(sent, Posted) else None) == expected
            case ("read", str(phone), seq):
                assert seq is None or isinstance(seq, int)
                await self._read(engine, phone, seq)
            case ("trim", int(wait_ms)):
                self.now_ms += wait_ms
                assert await engine.trim(now_ms=self.now_ms) == self.model.trim(self.now_ms)

    async def _read(self, engine: ChatEngine, phone: str, seq: int | None) -> None:
        outcome, room = await engine.read(room_of_phone(phone), seq), self.model.rooms.get(phone)
        assert isinstance(outcome, RoomRead) == (room is not None)
        if room is not None and isinstance(outcome, RoomRead):
            newest = len(room.messages)
            before, room.mark = room.mark, max(room.mark, newest if seq is None else min(seq, newest))
            assert outcome == RoomRead(room_of_phone(phone), room.mark, room.unread(), room.mark != before)

    async def compare(self) -> None:
        listed = await self.engines[0].rooms(limit=2)
        rest = await self.engines[1].rooms(limit=2, cursor=listed.cursor) if listed.cursor else None
        rooms = [*listed.rooms, *(rest.rooms if rest else ())]
        assert listed.total == len(self.model.rooms)
        assert [room.phone for room in rooms] == self.model.order
        for room in rooms:
            expected = self.model.rooms[room.phone]
            assert room == await self.engines[1].room(room.room_id)
            assert (room.message_count, room.read_seq, room.unread_count) == (
                len(expected.messages), expected.mark, expected.unread()
            )  # fmt: skip
            assert room.name == (expected.names or [f"Customer {room.phone}"])[-1]
            await self._compare_messages(room, expected)

    async def _compare_messages(self, room: ChatRoom, expected: ModelRoom) -> None:
        found: list[tuple[int, int, str, bool]] = []
        before, more = None, True
        while more:
            page = await self.engines[0].messages(room.room_id, limit=3, before=before)
            assert isinstance(page, MessagePage)
            found[:0] = [
                (one.seq, one.created_at_ms, one.content.content_text or "", one.user_id is None)
                for one in page.messages
            ]
            more = page.has_more
            before = found[0][0] if found else None
        first = len(expected.messages) - expected.kept
        assert found == [(first + n + 1, *message) for n, message in enumerate(expected.messages[first:])]
        assert (room.last_message.seq if room.last_message else None) == (found[-1][0] if found else None)


def _summary(posted: Posted) -> tuple[str, int]:
    return "duplicate" if posted.duplicate else "first" if posted.first else "saved", posted.seq


async def run(url: str, partitions: int, chosen: list[tuple[object, ...]]) -> None:
    space = Keyspace(partitions, f"t{uuid4().hex[:12]}")
    rules = ChatRules(max_messages=MAX_MESSAGES, max_age_ms=MAX_AGE_MS)
    engines = (ChatEngine(Store(url), space, rules=rules), ChatEngine(Store(url), space, rules=rules))
    try:
        state = Run(engines)
        for number, step in enumerate(chosen):
            await state.step(number, step)
        await state.compare()
    finally:
        for engine in engines:
            await engine.store.close()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(partitions=st.sampled_from([1, 1, 4]), chosen=st.lists(steps, max_size=30))
def test_the_chat_is_what_the_dict_says(redis_url: str, partitions: int, chosen: list[tuple[object, ...]]) -> None:
    """T4.1–T4.5, T4.10: order, counts, marks, names, pages and trimming, step by step."""
    asyncio.run(run(redis_url, partitions, chosen))
