"""post.lua: one message saved, counted and announced in one call."""

import asyncio
from typing import Any

import pytest

from presence_engine import ContractBroken
from tests.lua.chat.conftest import DETAILS, ChatLua

INFO = f'1800000000000\x1e628785390\x1e"Personal"\x1e1\x1e{DETAILS.split(chr(30))[3]}\x1e'


async def test_the_first_message_makes_the_room_and_later_ones_do_not(chat: ChatLua) -> None:
    """004-7, T4.2: seq is 1 exactly once."""
    now = chat.clock.now_ms
    assert await chat.post() == ["created", now, 1, 1]
    assert await chat.post() == ["saved", now, 2, 2]
    assert await chat.post(room="other") == ["created", now, 1, 1]


async def test_an_agents_message_raises_nothing(chat: ChatLua) -> None:
    """T4.4."""
    now = chat.clock.now_ms
    await chat.post()
    assert await chat.send() == ["saved", now, 2, 1]


async def test_an_agent_cannot_write_where_no_room_is(chat: ChatLua) -> None:
    feed = await chat.feed()
    assert await chat.send() == ["unknown"]
    assert await chat.expiries() == {}
    assert await feed.read() == []


async def test_a_known_id_is_a_duplicate_that_changes_and_announces_nothing(chat: ChatLua) -> None:
    """T4.5."""
    now = chat.clock.now_ms
    await chat.post(once="wa:1", body='{"content_text":"first"}')
    before, feed = await chat.dump(), await chat.feed()
    chat.clock.advance(5_000)
    again = await chat.post(
        once="wa:1", body='{"content_text":"other"}', details=DETAILS.replace("\x1e1\x1e", "\x1e3\x1e")
    )
    assert again == ["duplicate", now, 1, '{"content_text":"first"}']
    assert await chat.dump() == before
    assert await feed.read() == []


async def test_a_key_that_holds_the_seq_alone_is_read_too(chat: ChatLua) -> None:
    """As an earlier release wrote it."""
    now = chat.clock.now_ms
    await chat.post(once="wa:1", body='{"content_text":"first"}')
    await chat.redis.set(chat.space.chat_once("r", "wa:1"), "1")
    assert await chat.post(once="wa:1") == ["duplicate", now, 1, '{"content_text":"first"}']
    await chat.redis.set(chat.space.chat_once("r", "wa:1"), "7")
    assert await chat.post(once="wa:1") == ["duplicate", 0, 7, ""]


async def test_a_duplicate_of_a_trimmed_message_is_still_one(chat: ChatLua) -> None:
    now = chat.clock.now_ms
    await chat.post(once="wa:1")
    await chat.post(max_messages=1)
    assert await chat.post(once="wa:1") == ["duplicate", now, 1, ""]


async def test_fifty_calls_at_once_under_one_id_save_one(chat: ChatLua) -> None:
    """T4.1, T4.5."""
    replies = await asyncio.gather(*(chat.post(once="wa:1") for _ in range(50)))
    assert sorted(reply[0] for reply in replies) == ["created"] + ["duplicate"] * 49


async def test_every_message_is_announced_with_the_room_only_at_the_first(chat: ChatLua) -> None:
    """C20, T4.9: published by the script that saved it, so no server has to survive for it."""
    feed, now = await chat.feed(), chat.clock.now_ms
    await chat.post(body='{"content_text":"\\u001e 🎉"}')
    await chat.send()
    first, second = [message[0] for message in await feed.read()]
    assert first == ["m", "r", "1", str(now), "1", '{"content_text":"\\u001e 🎉"}', *INFO.split("\x1e")]
    assert second == ["m", "r", "2", str(now), "1", '{"user_id":"a"}', ""]


async def test_chat_lives_for_ever_but_for_its_idempotency_keys(chat: ChatLua) -> None:
    await chat.post(once="wa:1")
    await chat.send(once="agent:1")
    lives = await chat.expiries()
    ids = {name: lives.pop(name) for name in ("room:r:once:wa:1", "room:r:once:agent:1")}
    assert all(0 < life <= 60_000 for life in ids.values())
    assert lives == {"room:r:state": -1, "room:r:messages": -1, "room:r:unseen": -1, "activity": -1, "oldest": -1}


async def test_the_newest_messages_are_kept(chat: ChatLua) -> None:
    for n in range(5):
        assert (await chat.post(max_messages=3))[2:] == [n + 1, n + 1]
    assert (await chat.run("messages"))[2::3] == [5, 4, 3]


async def test_a_lowered_bound_is_reached_a_hundred_at_a_time(chat: ChatLua) -> None:
    await asyncio.gather(*(chat.post() for _ in range(250)))
    kept = []
    for _ in range(4):
        await chat.post(max_messages=10)
        kept.append(len((await chat.run("messages", limit=1000))[2:]) // 3)
    assert kept == [151, 52, 10, 10]


async def test_a_clock_that_steps_back_keeps_the_order(chat: ChatLua) -> None:
    now = chat.clock.now_ms
    await chat.post()
    assert await chat.post(now_ms=now - 5_000) == ["saved", now, 2, 2]
    await chat.post(room="s", now_ms=now - 9_000)
    assert (await chat.run("rooms"))[2::10] == ["s", "r"]


@pytest.mark.parametrize(
    ("first", "then", "kept"),
    [
        (("", "1", '"Customer 1"'), ("", "3", '"Ana"'), ('"Personal"', "3", '"Ana"')),
        (("", "3", '"Ana"'), ("", "1", '"Customer 1"'), ('"Personal"', "3", '"Ana"')),
        (("", "3", '"Ana"'), ('"VIP"', "2", '"VIP"'), ('"VIP"', "3", '"Ana"')),
        (("", "3", '"Ana"'), ("", "3", '"Ana Lee"'), ('"Personal"', "3", '"Ana Lee"')),
        (('"VIP"', "2", '"VIP"'), ('"Gold"', "2", '"Gold"'), ('"Gold"', "2", '"Gold"')),
    ],
)
async def test_a_better_name_takes_the_place_of_a_lesser_one(
    chat: ChatLua, first: tuple[str, ...], then: tuple[str, ...], kept: tuple[str, ...]
) -> None:
    """004-10, T4.7."""
    for title, rank, name in (first, then):
        await chat.post(details=f"1\x1e{title}\x1e{rank}\x1e{name}\x1e")
    info = (await chat.run("room"))[1].split("\x1e")
    assert tuple(info[2:5]) == kept


async def test_leads_stay_until_others_are_given(chat: ChatLua) -> None:
    for leads in ('{"id":1,"tags":[]}', "", '{"id":2}', ""):
        await chat.post(details=DETAILS + leads)
    assert (await chat.run("room"))[1].endswith('\x1e{"id":2}')


@pytest.mark.parametrize(
    "given",
    [{"max_messages": "x"}, {"once_ms": "x"}, {"author": "x"}, {"details": "x"}, {"now_ms": "x"}],
    ids=str,
)
async def test_malformed_arguments_are_refused_before_anything_is_written(chat: ChatLua, given: dict[str, Any]) -> None:
    with pytest.raises(ContractBroken):
        await chat.run("post", once="wa:1", **given)
    assert await chat.expiries() == {}
