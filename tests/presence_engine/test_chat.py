"""ChatEngine against real servers."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from presence_engine import InvalidInput, StoreUnavailable
from presence_engine.chat import ChatEngine
from presence_engine.chat_models import (
    ChatMessage,
    ChatRoom,
    ChatRules,
    IncomingMessage,
    MessageContent,
    MessagePage,
    OutgoingMessage,
    Posted,
    RoomRead,
    UnknownRoom,
)
from presence_engine.keys import Keyspace
from presence_engine.store import Store
from tests.conftest import Clock

MakeChat = Callable[..., ChatEngine]
PHONE = "628785390"
SPELLINGS = ("+62 878-5390", PHONE, "0062 878 5390", "+62 (0)878 5390", "\u202a+62 878\u20115390\u202c", "0628785390")


@pytest.fixture
async def make_chat(redis_url: str, prefix: str) -> AsyncIterator[MakeChat]:
    """Make engines, each with a connection of its own."""
    made: list[ChatEngine] = []

    def make(partitions: int = 1, **rules: int) -> ChatEngine:
        chat = ChatEngine(Store(redis_url), Keyspace(partitions, prefix), rules=ChatRules(**rules))
        made.append(chat)
        return chat

    yield make
    for chat in made:
        await chat.store.close()


@pytest.fixture
def chat(make_chat: MakeChat) -> ChatEngine:
    return make_chat()


def incoming(text: str | None = "hi", phone: str | int = PHONE, **fields: Any) -> IncomingMessage:
    return IncomingMessage(phone=phone, content_text=text, **fields)


async def room_of(chat: ChatEngine, room_id: str) -> ChatRoom:
    room = await chat.room(room_id)
    assert isinstance(room, ChatRoom)
    return room


async def page_of(chat: ChatEngine, room_id: str, limit: int = 50, before: int | None = None) -> MessagePage:
    page = await chat.messages(room_id, limit=limit, before=before)
    assert isinstance(page, MessagePage)
    return page


@pytest.mark.parametrize("partitions", [1, 7])
async def test_fifty_first_messages_at_once_over_two_engines_make_one_room(
    make_chat: MakeChat, partitions: int
) -> None:
    """T4.1, T4.2, 004-13: one room, exactly one first, everything counted."""
    engines = (make_chat(partitions), make_chat(partitions))
    posted = await asyncio.gather(
        *(engines[n % 2].post(incoming(f"m{n}", SPELLINGS[n % len(SPELLINGS)])) for n in range(50))
    )
    assert len({one.room_id for one in posted}) == 1
    assert [sum(flags) for flags in zip(*((one.first, one.created) for one in posted), strict=True)] == [1, 1]
    assert sorted(one.seq for one in posted) == list(range(1, 51))
    page = await engines[0].rooms()
    assert (page.total, len(page.rooms)) == (1, 1)
    assert (page.rooms[0].message_count, page.rooms[0].unread_count, page.rooms[0].phone) == (50, 50, PHONE)


async def test_a_known_customer_has_no_second_room(chat: ChatEngine) -> None:
    """004-13, scenario 2."""
    first = await chat.post(incoming())
    second = await chat.post(incoming("again"))
    assert (first.first, second.first, second.room_id, second.unread_count) == (True, False, first.room_id, 2)


async def test_agents_messages_raise_nothing_and_are_numbered_too(chat: ChatEngine) -> None:
    """T4.4, 004-3."""
    room_id = (await chat.post(incoming())).room_id
    sent = await chat.send(OutgoingMessage(room_id=room_id, user_id=15, text="hello"))
    assert isinstance(sent, Posted)
    assert sent.message is not None
    assert (sent.seq, sent.unread_count, sent.message.user_id) == (2, 1, "15")
    assert sent.message.content.content_text == "hello"
    assert (await room_of(chat, room_id)).last_message == sent.message


async def test_an_agent_may_write_first_and_nothing_is_unread(chat: ChatEngine) -> None:
    """T4.4: agent-first room: unread 0; T4.2: it is still announced once."""
    opened = await chat.open(PHONE, customer_name="Ana")
    assert (opened.created, (await chat.open("+62 878 5390")).created) == (True, False)
    assert (await room_of(chat, opened.room_id)).last_message is None
    sent = await chat.send(OutgoingMessage(room_id=opened.room_id, user_id="a", text="hello"))
    assert isinstance(sent, Posted)
    assert (sent.first, sent.created, sent.unread_count) == (True, False, 0)
    answer = await chat.post(incoming())
    assert (answer.first, answer.unread_count) == (False, 1)


async def test_a_redelivered_message_is_the_same_message(chat: ChatEngine) -> None:
    """T4.5."""
    first = await chat.post(incoming("hi", wa_message_id="wamid.1"))
    again = await asyncio.gather(
        *(chat.post(incoming("hi", "+62 878 5390", wa_message_id="wamid.1")) for _ in range(9))
    )
    assert {(one.duplicate, one.first, one.seq, one.message_id) for one in again} == {
        (True, False, 1, first.message_id)
    }
    assert again[0].message == first.message
    assert (await room_of(chat, first.room_id)).unread_count == 1


async def test_a_seq_given_away_again_makes_another_id(make_chat: MakeChat, redis: Redis, clock: Clock) -> None:
    """A failover that lost a message: the next one has its seq, and is another. A trimmed one keeps its id."""
    chat = make_chat(max_messages=1)
    first = await chat.post(incoming("one", wa_message_id="w1"), now_ms=clock.now_ms)
    keys = chat.keys.chat_room(first.room_id)
    kept = await redis.hget(keys.state, "counts")
    lost = await chat.post(incoming("lost"), now_ms=clock.advance(1))
    assert (await chat.post(incoming("one", wa_message_id="w1"))).message_id == first.message_id
    await redis.delete(keys.messages)
    await redis.hset(keys.state, "counts", str(kept))
    again = await chat.post(incoming("new"), now_ms=clock.advance(1000))
    assert (again.seq, lost.seq) == (2, 2)
    assert again.message_id != lost.message_id
    assert again.message is not None
    assert again.message_id == again.message.id


async def test_a_repeated_send_is_one_message_per_user(chat: ChatEngine) -> None:
    room_id = (await chat.post(incoming())).room_id
    outcomes = [
        await chat.send(OutgoingMessage(room_id=room_id, user_id=user, text="x", client_id="c"))
        for user in ("a", "a", "b")
    ]
    assert [(one.seq, one.duplicate) for one in outcomes if isinstance(one, Posted)] == [
        (2, False), (2, True), (3, False)
    ]  # fmt: skip


async def test_an_id_of_any_characters_and_length_is_recognised(chat: ChatEngine) -> None:
    """X1."""
    for odd in ("{}", "a\n:*", "é" * 1024, "\x1e"):
        assert not (await chat.post(incoming(wa_message_id=odd))).duplicate
        assert (await chat.post(incoming(wa_message_id=odd))).duplicate
        room_id = (await chat.post(incoming())).room_id
        own = OutgoingMessage(room_id=room_id, user_id="u" * 128, client_id=odd)
        outcomes = [await chat.send(own), await chat.send(own)]
        assert [one.duplicate for one in outcomes if isinstance(one, Posted)] == [False, True]


async def test_a_first_message_may_be_media_without_text(chat: ChatEngine) -> None:
    """T4.3: all content takes one path."""
    media: dict[str, Any] = {
        "content_type": "image",
        "media_type": "image",
        "media_id": "m1",
        "mime_type": "image/jpeg",
        "file_size": 0,
    }
    posted = await chat.post(incoming(None, **media))
    room = await room_of(chat, posted.room_id)
    assert posted.first
    assert (room.unread_count, room.message_count) == (1, 1)
    assert (
        room.last_message
        == posted.message
        == ChatMessage(room.room_id, 1, posted.created_at_ms, None, MessageContent(**media))
    )


@pytest.mark.parametrize(
    ("given", "name", "title"),
    [
        ({}, f"Customer {PHONE}", "Personal"),
        ({"customer_name": "  ", "room_title": "\u200e"}, f"Customer {PHONE}", "Personal"),
        ({"room_title": " personal"}, f"Customer {PHONE}", "Personal"),
        ({"room_title": "VIP desk"}, "VIP desk", "VIP desk"),
        ({"customer_name": "", "room_title": "Personal", "leads_info": {"name": "Lead"}}, "Lead", "Personal"),
        ({"customer_name": "Ana", "leads_info": {"name": "Lead"}}, "Ana", "Personal"),
        ({"room_title": "VIP", "leads_info": {"name": "Lead"}}, "VIP", "VIP"),
        ({"customer_name": "محمد 👩‍👩‍👧", "room_title": "VIP"}, "محمد 👩‍👩‍👧", "VIP"),
        ({"customer_name": ' "Bo\n\\" '}, ' "Bo\n\\" ', "Personal"),
    ],
)
async def test_a_name_is_never_empty_and_kept_byte_for_byte(
    chat: ChatEngine, given: dict[str, Any], name: str, title: str
) -> None:
    """004-10, T4.7, X2."""
    room = await room_of(chat, (await chat.post(incoming(**given))).room_id)
    assert (room.name, room.title) == (name, title)


async def test_a_name_learnt_later_replaces_the_made_one(chat: ChatEngine) -> None:
    """T4.7."""
    room_id = (await chat.post(incoming())).room_id
    names = []
    for given in ("Ana", None, "Ana Lee"):
        await chat.post(incoming(customer_name=given))
        names.append((await room_of(chat, room_id)).name)
    assert names == ["Ana", "Ana", "Ana Lee"]


async def test_json_comes_back_as_given(chat: ChatEngine) -> None:
    """T2.3: `[]` stays `[]`, big integers stay exact."""
    given = {"list": [], "object": {}, "big": 12345678901234567890123, "float": 1.0, "text": "\x1e\u2028🎉"}
    posted = await chat.post(incoming(metadata=given, leads_info=given))
    (message,) = (await page_of(chat, posted.room_id)).messages
    assert repr(message.content.metadata) == repr(given)
    assert repr((await room_of(chat, posted.room_id)).leads) == repr(given)


async def test_messages_are_paged_oldest_first_until_none_is_left(make_chat: MakeChat) -> None:
    """004-11; trimming never breaks paging."""
    chat = make_chat(max_messages=7)
    for n in range(10):
        room_id = (await chat.post(incoming(str(n)))).room_id
    pages, before = [], None
    while True:
        page = await page_of(chat, room_id, limit=3, before=before)
        pages.append([message.seq for message in page.messages])
        if not page.has_more:
            break
        before = page.messages[0].seq
    assert pages == [[8, 9, 10], [5, 6, 7], [4]]


@pytest.mark.parametrize("partitions", [1, 5])
@pytest.mark.parametrize("limit", [1, 3, 12])
async def test_rooms_are_paged_by_activity_over_all_partitions(
    make_chat: MakeChat, clock: Clock, partitions: int, limit: int
) -> None:
    """004-9. Times are equal on purpose: each partition then has the same activity more than once."""
    chat = make_chat(partitions)
    for n in range(12):
        await chat.post(incoming(phone=f"628{n + 10}"), now_ms=clock.now_ms + n // 6)
    seen: list[str] = []
    cursor = None
    while True:
        page = await chat.rooms(limit=limit, cursor=cursor)
        assert page.total == 12
        assert len(page.rooms) == min(limit, 12 - len(seen))
        seen += [room.phone for room in page.rooms]
        cursor = page.cursor
        if cursor is None:
            break
    assert len(set(seen)) == 12
    assert {int(phone) - 62810 for phone in seen[:6]} == set(range(6, 12))
    if partitions == 1:
        assert [int(phone) - 62810 for phone in seen] == list(range(11, -1, -1))


async def test_reading_to_the_newest_while_messages_arrive_loses_none(make_chat: MakeChat) -> None:
    """T4.4."""
    writer, reader = make_chat(), make_chat()
    room_id = (await writer.post(incoming())).room_id
    results = await asyncio.gather(
        *(writer.post(incoming(str(n))) if n % 3 else reader.read(room_id) for n in range(120))
    )
    marks = [one.read_seq for one in results if isinstance(one, RoomRead)]
    room = await room_of(writer, room_id)
    assert room.read_seq == max(marks)
    assert room.unread_count == room.message_count - room.read_seq
    assert await reader.read(room_id, room.message_count) == RoomRead(
        room_id, room.message_count, 0, room.unread_count > 0
    )


async def test_what_is_older_than_allowed_is_trimmed_everywhere(make_chat: MakeChat, clock: Clock) -> None:
    chat = make_chat(partitions=3, max_age_ms=1_000)
    for n in range(250):
        room_id = (await chat.post(incoming(phone=f"628{n % 4}"), now_ms=clock.now_ms)).room_id
    assert await chat.trim(now_ms=clock.advance(999)) == 0
    assert await chat.trim(now_ms=clock.advance(1)) == 250
    room = await room_of(chat, room_id)
    assert (room.last_message, room.message_count, room.unread_count) == (None, 63, 63)
    assert (await chat.rooms()).total == 4
    assert (await chat.post(incoming(phone=room.phone), now_ms=clock.now_ms)).seq == 64


async def test_nothing_is_trimmed_by_age_when_there_is_none(chat: ChatEngine, clock: Clock) -> None:
    await chat.post(incoming(), now_ms=0)
    assert await chat.trim(now_ms=clock.now_ms) == 0


def test_a_repeated_id_is_remembered_as_long_as_messages_live() -> None:
    day = 86_400_000
    assert ChatRules(once_ms=0).remember_ms == 7 * day
    assert ChatRules(max_age_ms=90 * day).remember_ms == 90 * day


async def test_an_unknown_room_is_a_value(chat: ChatEngine) -> None:
    outgoing = OutgoingMessage(room_id="nowhere", user_id="a", text="x")
    outcomes = (await chat.send(outgoing), await chat.read("nowhere"), await chat.room("nowhere"),
                await chat.messages("nowhere"))  # fmt: skip
    assert outcomes == (UnknownRoom(),) * 4
    assert (await chat.rooms()).total == 0


async def test_rooms_and_messages_are_the_same_wherever_they_are_read(chat: ChatEngine) -> None:
    """004-7, 004-11."""
    posted = await chat.post(incoming(leads_info={"id": 7, "outstanding": 12.5}))
    assert [await room_of(chat, posted.room_id)] == (await chat.rooms()).rooms
    assert [posted.message] == (await page_of(chat, posted.room_id)).messages


@pytest.mark.parametrize(
    ("field", "call"),
    [
        ("phone", lambda chat: chat.post(incoming(phone=" +00 "))),
        ("phone", lambda chat: chat.open("1" * 16)),
        ("content_text", lambda chat: chat.post(incoming("é" * 8193))),
        ("content_text", lambda chat: chat.post(incoming("\ud800"))),
        ("metadata", lambda chat: chat.post(incoming(metadata={"a": float("nan")}))),
        ("metadata", lambda chat: chat.post(incoming(metadata={"a": "x" * 16384}))),
        ("file_size", lambda chat: chat.post(incoming(file_size=-1))),
        ("media_id", lambda chat: chat.post(incoming(media_id="x" * 2049))),
        ("leads_info", lambda chat: chat.post(incoming(leads_info={"a": "x" * 4096}))),
        ("leads_info", lambda chat: chat.post(incoming(leads_info=[]))),
        ("customer_name", lambda chat: chat.post(incoming(customer_name="x" * 2049))),
        ("room_title", lambda chat: chat.post(incoming(room_title=5))),
        ("wa_message_id", lambda chat: chat.post(incoming(wa_message_id="x" * 2049))),
        ("client_id", lambda chat: chat.send(OutgoingMessage(room_id="r", user_id="u", client_id="\ud800"))),
        ("client_id", lambda chat: chat.send(OutgoingMessage(room_id="r", user_id="u", client_id="x" * 2049))),
        ("room_id", lambda chat: chat.send(OutgoingMessage(room_id="", user_id="u"))),
        ("user_id", lambda chat: chat.send(OutgoingMessage(room_id="r", user_id=True))),
        ("room_id", lambda chat: chat.read(None)),
        ("seq", lambda chat: chat.read("r", -1)),
        ("seq", lambda chat: chat.read("r", True)),
        ("room_id", lambda chat: chat.room("a\nb")),
        ("limit", lambda chat: chat.rooms(limit=0)),
        ("limit", lambda chat: chat.rooms(limit=1001)),
        ("cursor", lambda chat: chat.rooms(cursor="x")),
        ("cursor", lambda chat: chat.rooms(cursor="5:1")),
        ("cursor", lambda chat: chat.rooms(cursor="²:0")),
        ("limit", lambda chat: chat.messages("r", limit=1.5)),
        ("before", lambda chat: chat.messages("r", before=0)),
    ],
)
async def test_a_bad_argument_is_named_and_nothing_is_written(
    chat: ChatEngine, field: str, call: Callable[[ChatEngine], object]
) -> None:
    with pytest.raises(InvalidInput) as caught:
        await call(chat)  # type: ignore[misc]
    assert caught.value.field == field
    assert (await chat.rooms()).total == 0


async def test_redis_out_of_reach_is_said(prefix: str, tmp_path: object) -> None:
    """C16."""
    chat = ChatEngine(Store(f"unix://{tmp_path}/none.sock", timeout_ms=200), Keyspace(prefix=prefix))
    for call in (chat.post(incoming()), chat.rooms(), chat.read("r")):
        with pytest.raises(StoreUnavailable):
            await call
    await chat.store.close()


async def test_presence_keys_are_never_written(chat: ChatEngine, keys_left: Callable[[], object]) -> None:
    """000-3, 001-12, C14."""
    room_id = (await chat.post(incoming(wa_message_id="1"))).room_id
    await chat.read(room_id)
    left = await keys_left()  # type: ignore[misc]
    assert len(left) == 5
    assert all(key.startswith("chat:") for key in left)


async def test_the_rooms_of_some_partitions_alone(make_chat: MakeChat) -> None:
    chat = make_chat(3)
    rooms = [(await chat.post(incoming(phone=str(62800 + number)))).room_id for number in range(30)]
    wanted = {room for room in rooms if chat.keys.partition_of(room) in {0, 2}}
    first = await chat.rooms(limit=5, partitions=[2, 0])
    rest = await chat.rooms(limit=1000, cursor=first.cursor, partitions=[2, 0])
    found = [room.room_id for page in (first, rest) for room in page.rooms]
    assert (set(found), len(found), first.total) == (wanted, len(wanted), len(wanted))
