"""Chat announcements when something is broken: the feed, a sending, the server that saved the message."""

import asyncio
import logging
import os
import re
import signal
import threading
import time
from collections.abc import Callable

import httpx
import msgspec
import pytest
import redis

from presence_engine import (
    ChatEngine,
    ChatRules,
    EmbeddedServer,
    IncomingMessage,
    OutgoingMessage,
    Posted,
    PresenceEngine,
    RoomRead,
    StoreUnavailable,
)
from server.chat_catch_up import Told, missed
from server.chat_fanout import ChatFanout
from server.chat_trimmer import ChatTrimmer
from server.refusals import Refusal
from tests.client.command import Command
from tests.client.driver import Client, eventually
from tests.conftest import MakeEngine
from tests.server.chat_scene import (
    Breaks,
    Outbox,
    everybody,
    incoming,
    new_phone,
    of_room,
    past_servers,
    post_past_servers,
    room_of,
    session,
    told,
    until,
    wait_for_seq,
)
from tests.server.conftest import RunningServer, Serve, StartStore

Connect = Callable[..., Client]


@pytest.fixture
def chat(engine: PresenceEngine) -> ChatEngine:
    return ChatEngine(engine.store, engine.keys)


async def test_t4_9_an_event_that_cannot_be_sent_holds_up_nothing(
    engine: PresenceEngine, chat: ChatEngine, caplog: pytest.LogCaptureFixture
) -> None:
    """T4.9: the message is kept, posting it succeeds, the other events go out."""
    outbox, one = Outbox("new_message"), session()
    fanout = ChatFanout(engine, chat, {"s1": one}, outbox, everybody)
    await fanout.start()
    with caplog.at_level(logging.INFO):
        posted = await chat.post(IncomingMessage(phone="62811", content_text="hi"))
        fanout.listen(one, posted.room_id)
        await until(lambda: len(outbox.sent) == 2)
    assert [event for event, _ in outbox.sent] == ["room:new_message", "new_room_complete"]
    assert "could not be sent" in caplog.text
    await chat.read(posted.room_id)
    await until(lambda: len(outbox.sent) == 3)
    assert outbox.sent[2][0] == "room:unread"
    await fanout.close()


async def test_a_socket_is_told_only_of_rooms_it_may_see(engine: PresenceEngine, chat: ChatEngine) -> None:
    """Section 8: with authentication on, `rooms` bounds the chat too, also for those who subscribed before."""
    outbox, one = Outbox(), session()
    forbidden: set[str] = set()

    def check(_identity: object, _action: str, room: str) -> None:
        if room in forbidden:
            raise Refusal("forbidden", "this room is not yours")

    fanout = ChatFanout(engine, chat, {"s1": one}, outbox, check)
    await fanout.start()
    room = (await chat.post(IncomingMessage(phone="62812", content_text="hi"))).room_id
    await until(lambda: len(outbox.sent) == 2)
    fanout.listen(one, room)
    forbidden.add(room)
    await chat.post(IncomingMessage(phone="62812", content_text="secret"))
    await chat.read(room)
    await chat.post(IncomingMessage(phone="62813", content_text="other"))
    await until(lambda: len(outbox.sent) == 4)
    assert [event for event, _ in outbox.sent] == ["new_message", "new_room_complete"] * 2
    await fanout.close()


async def test_t4_8_of_very_many_rooms_the_oldest_is_let_go(engine: PresenceEngine, chat: ChatEngine) -> None:
    outbox, one = Outbox(), session()
    fanout = ChatFanout(engine, chat, {"s1": one}, outbox, everybody)
    await fanout.start()
    room = (await chat.post(IncomingMessage(phone="62814", content_text="hi"))).room_id
    await until(lambda: len(outbox.sent) == 2)
    for number in range(1000):
        fanout.listen(one, room if number == 0 else f"r{number}")
    await chat.post(IncomingMessage(phone="62814", content_text="heard"))
    await until(lambda: len(outbox.sent) == 4)
    fanout.listen(one, "one too many")
    await chat.post(IncomingMessage(phone="62814", content_text="not heard there"))
    await until(lambda: len(outbox.sent) == 5)
    assert [event for event, _ in outbox.sent[2:]] == ["room:new_message", "new_message", "new_message"]
    fanout.forget(one)
    await fanout.close()


async def test_what_was_missed_is_told_in_order_and_once(engine: PresenceEngine, chat: ChatEngine) -> None:
    """T4.10: known rooms go on where they stood, new ones are announced as of their first message; marks too."""
    before = await chat.post(IncomingMessage(phone="62815", content_text="long ago"))
    await asyncio.sleep(0.01)
    memory, everywhere = Told(chat.keys.partition_of, engine.now_ms()), range(chat.keys.partitions)
    await asyncio.sleep(0.01)
    known = await chat.post(IncomingMessage(phone="62816", content_text="heard"))
    read = await chat.post(IncomingMessage(phone="62817", content_text="heard"))
    for change in (await missed(chat, memory, everywhere))[0]:
        memory.note(change)
    assert (await missed(chat, memory, everywhere))[0] == []
    await chat.post(IncomingMessage(phone="62816", content_text="missed"))
    await chat.send(OutgoingMessage(room_id=known.room_id, user_id="a", text="missed"))
    fresh = [await chat.post(IncomingMessage(phone="62818", content_text=f"m{n}")) for n in range(3)]
    await chat.read(read.room_id)
    found, _ = await missed(chat, memory, everywhere)
    spoken = [(one.message.room_id, one.message.seq) for one in found if not isinstance(one, RoomRead)]
    assert spoken == [(known.room_id, 2), (known.room_id, 3), *((one.room_id, one.seq) for one in fresh)]
    rooms = [one.room for one in found if not isinstance(one, RoomRead) and one.room]
    assert [(one.room_id, one.message_count, one.unread_count) for one in rooms] == [(fresh[0].room_id, 1, 1)]
    reads = [one for one in found if isinstance(one, RoomRead)]
    assert [(one.room_id, one.unread_count) for one in reads] == [(read.room_id, 0)]
    assert before.room_id not in {room for room, _ in spoken}
    for change in found:
        memory.note(change)
    assert (await missed(chat, memory, everywhere))[0] == []


async def test_a_mark_that_was_held_does_not_take_back_a_later_count(
    engine: PresenceEngine, chat: ChatEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was moved while the feed was away, and a message followed before the missed was read: one is unread."""
    outbox = Outbox()
    fanout = ChatFanout(engine, chat, {"s1": session()}, outbox, everybody)
    await fanout.start()
    room = (await chat.post(IncomingMessage(phone="62820", content_text="one"))).room_id
    await until(lambda: len(outbox.sent) == 2)
    breaks, partition = Breaks(monkeypatch, fanout), chat.keys.partition_of(room)
    await breaks.lose(partition, deaf=False)
    await chat.read(room)
    await chat.post(IncomingMessage(phone="62820", content_text="two"))
    await until(lambda: len(fanout._held[partition]) == 2)
    await breaks.restore(partition)
    await breaks.caught_up()
    told = [(event, msgspec.json.decode(bytes(body))) for event, body in outbox.sent[2:]]
    assert [body["unread_count"] for event, body in told if event == "room:unread"] in ([], [1])
    assert [body["content_text"] for event, body in told if event == "new_message"] == ["two"]
    await fanout.close()


async def test_a_long_absence_is_bounded_and_the_count_is_set_right(engine: PresenceEngine, chat: ChatEngine) -> None:
    memory = Told(chat.keys.partition_of, engine.now_ms() - 1000)
    await asyncio.gather(*(chat.post(IncomingMessage(phone="62819", content_text=f"m{n}")) for n in range(230)))
    found, _ = await missed(chat, memory, range(chat.keys.partitions))
    assert [one.message.seq for one in found if not isinstance(one, RoomRead)] == list(range(31, 231))
    assert isinstance(found[-1], RoomRead)
    assert found[-1].unread_count == 230


def test_t4_10_a_broken_feed_loses_and_repeats_nothing(new_store: StartStore, serve: Serve, connect: Connect) -> None:
    """T4.10: messages saved past the server while its feed is cut again and again arrive once each, in order."""
    store = new_store()
    server = serve(store.url)
    client, phones, ended = connect(server), [new_phone() for _ in range(4)], threading.Event()

    def cut() -> None:
        with redis.Redis.from_url(store.url) as killer:
            while not ended.wait(0.07):
                killer.execute_command("CLIENT", "KILL", "TYPE", "pubsub")

    async def write(chat: ChatEngine) -> list[Posted]:
        posted = []
        for number in range(160):
            posted.append(await chat.post(IncomingMessage(phone=phones[number % 4], content_text=f"m{number}")))
            await asyncio.sleep(0.004)
        return posted

    cutter = threading.Thread(target=cut)
    cutter.start()
    try:
        rooms = {one.room_id for one in past_servers(store.url, write)}
    finally:
        ended.set()
        cutter.join()
    for room in rooms:
        wait_for_seq(client, room, 40)
        assert [body["seq"] for body in of_room(client, "new_message", room)] == list(range(1, 41))
        assert told(client, room)[:2] == ["new_message", "new_room_complete"]
        assert len(of_room(client, "new_room_complete", room)) == 1


def test_a_server_that_dies_right_after_the_save_is_not_missed(
    server: RunningServer, store: EmbeddedServer, connect: Connect
) -> None:
    """T4.9: killed while it answers posts; whatever was saved is announced by the others, in order, once."""
    phone, client, dying = new_phone(), connect(server), Command("serve", "--port", "0", REDIS_URL=store.url)
    try:
        dying.serving()
        room = incoming(server, phone)["room_id"]
        threads = [threading.Thread(target=_post_until_it_dies, args=(dying.url, phone)) for _ in range(4)]
        for thread in threads:
            thread.start()
        eventually(lambda: len(of_room(client, "new_message", room)) > 20, "messages over the other server")
        os.kill(dying.pid, signal.SIGKILL)
        for thread in threads:
            thread.join(10)
    finally:
        dying.stop()
    count = room_of(server, room)["message_count"]
    client.wait("new_message", lambda body: body["room_id"] == room and body["seq"] == count)
    assert [body["seq"] for body in of_room(client, "new_message", room)] == list(range(1, count + 1))
    assert len(of_room(client, "new_room_complete", room)) == 1
    assert "[messageService] Message saved: message_id=" in dying.output


def _post_until_it_dies(url: str, phone: str) -> None:
    with httpx.Client(base_url=url, trust_env=False, timeout=5) as http:
        try:
            for _ in range(2000):
                http.post("/messages/incoming", json={"phone": phone, "content_text": "x"})
        except httpx.TransportError:
            return


def test_004_12_the_log_lines_with_their_fields(store: EmbeddedServer) -> None:
    """004-12: text for people, the same fields for machines."""
    phone = new_phone()
    environ = {"REDIS_URL": store.url, "PRESENCE_ENV": "production", "PRESENCE_AUTH": "none"}
    command = Command("serve", "--port", "0", **environ)
    try:
        found = eventually(lambda: re.search(r"serving (http://[0-9.:]+)", command.output), "the start", 30)
        with httpx.Client(base_url=found[1], trust_env=False) as http:
            eventually(lambda: _answers(http), "the server")
            answer, again = (http.post("/messages/incoming", json={"phone": phone}).json() for _ in range(2))
        line = (
            f'"event": "[messageService] Message saved: message_id={again["message_id"]}, room_id={again["room_id"]}"'
        )
        eventually(lambda: line in command.output, "the log line")
    finally:
        command.stop()
    room, message = answer["room_id"], answer["message_id"]
    created = [one for one in command.output.splitlines() if "[roomService]" in one]
    assert len(created) == 1
    assert f"[roomService] New room created: room_id={room}, phone={phone}" in created[0]
    assert f'"room_id": "{room}", "phone": "{phone}"' in created[0]
    saved = [one for one in command.output.splitlines() if "Message saved" in one]
    assert [f'"message_id": "{message}", "room_id": "{room}"' in one for one in saved] == [True, False]


def _answers(http: httpx.Client) -> bool:
    try:
        return http.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False


async def test_old_messages_are_deleted_by_the_server(make_engine: MakeEngine) -> None:
    """Retention: with an age set the trimmer runs; seq, counts and unread stay."""
    engine = await make_engine()
    chat = ChatEngine(engine.store, engine.keys, rules=ChatRules(max_age_ms=50))
    posted = await chat.post(IncomingMessage(phone="62820", content_text="old"))
    time.sleep(0.06)
    trimmer = ChatTrimmer(chat)
    trimmer.start()

    async def gone() -> bool:
        page = await chat.messages(posted.room_id)
        return not getattr(page, "messages", None)

    async with asyncio.timeout(5):
        while not await gone():
            await asyncio.sleep(0.02)
    await trimmer.stop()
    room = await chat.room(posted.room_id)
    assert (getattr(room, "message_count", 0), getattr(room, "unread_count", 0)) == (1, 1)
    assert (await chat.post(IncomingMessage(phone="62820", content_text="new"))).seq == 2


async def test_whatever_fails_messages_are_deleted_later(
    make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    engine = await make_engine()
    chat, tried = ChatEngine(engine.store, engine.keys, rules=ChatRules(max_age_ms=50)), 0

    async def trim() -> int:
        nonlocal tried
        tried += 1
        raise [ValueError("unforeseen"), StoreUnavailable("away")][tried % 2]

    monkeypatch.setattr(chat, "trim", trim)
    monkeypatch.setattr("server.chat_trimmer._SHORTEST_S", 0.01)
    trimmer = ChatTrimmer(chat)
    trimmer.start()
    async with asyncio.timeout(5):
        while tried < 3:
            await asyncio.sleep(0.01)
    await trimmer.stop()
    assert "deleting old chat messages failed" in caplog.text
    assert "not deleted just now: away" in caplog.text


def test_a_message_saved_past_all_servers_is_announced(server: RunningServer, connect: Connect) -> None:
    client = connect(server)
    posted = post_past_servers(server.settings.redis_url or "", new_phone())
    client.wait("new_room_complete", lambda body: body["room_id"] == posted.room_id)
    assert told(client, posted.room_id) == ["new_message", "new_room_complete"]
