"""read.lua: the read mark, and what is unread behind it."""

import asyncio

import pytest

from presence_engine import ContractBroken
from tests.lua.chat.conftest import ChatLua


async def fill(chat: ChatLua, authors: str, **given: object) -> None:
    """c = the customer wrote, a = an agent."""
    for author in authors:
        await (chat.post(**given) if author == "c" else chat.send(**given))


async def test_the_newest_is_meant_when_nothing_is_said(chat: ChatLua) -> None:
    await fill(chat, "cca")
    assert await chat.run("read") == ["read", 3, 0]
    assert await chat.post() == ["saved", chat.clock.now_ms, 4, 1]


@pytest.mark.parametrize(("seq", "unread"), [(1, 3), (2, 3), (3, 2), (5, 1), (6, 0), (7, 0)])
async def test_only_the_customers_messages_behind_the_mark_count(chat: ChatLua, seq: int, unread: int) -> None:
    """T4.4."""
    await fill(chat, "cacacca")
    assert await chat.run("read", seq=seq) == ["read", seq, unread]
    assert await chat.run("read", seq=99) == (["read", 7, 0] if seq < 7 else ["unchanged", 7, 0])


async def test_a_mark_never_goes_back(chat: ChatLua) -> None:
    await fill(chat, "ccc")
    await chat.run("read", seq=2)
    assert await chat.run("read", seq=1) == ["unchanged", 2, 1]
    assert await chat.run("read", seq=0) == ["unchanged", 2, 1]


async def test_no_room_no_mark(chat: ChatLua) -> None:
    assert await chat.run("read") == ["unknown"]
    assert await chat.expiries() == {}


async def test_reading_twice_is_reading_once(chat: ChatLua) -> None:
    await fill(chat, "ccac")
    feed = await chat.feed()
    await chat.run("read", seq=2)
    before = await chat.dump()
    assert await chat.run("read", seq=2) == ["unchanged", 2, 1]
    assert await chat.dump() == before
    assert await feed.read() == [[["r", "r", "2", "1"]]]


async def test_trimmed_messages_stay_in_the_count(chat: ChatLua) -> None:
    """A mark set far below what is kept counts exactly, too."""
    await fill(chat, "caccaccacc", max_messages=2)
    assert (await chat.run("room"))[5] == 7
    assert await chat.run("read", seq=3) == ["read", 3, 5]
    assert await chat.run("read", seq=6) == ["read", 6, 3]
    await fill(chat, "c", max_messages=2)
    assert await chat.run("read", seq=9) == ["read", 9, 2]
    assert await chat.run("read") == ["read", 11, 0]


async def test_nothing_is_remembered_of_what_is_all_read(chat: ChatLua) -> None:
    await fill(chat, "ccc")
    assert "room:r:unseen" in await chat.expiries()
    await chat.run("read")
    assert "room:r:unseen" not in await chat.expiries()
    await fill(chat, "acac")
    assert await chat.redis.strlen(chat.space.chat_room("r").unseen) == 1
    await chat.run("read")
    await fill(chat, "c" * 9)
    assert await chat.redis.strlen(chat.space.chat_room("r").unseen) == 2
    assert await chat.run("read", seq=8) == ["read", 8, 8]


async def test_reads_racing_messages_lose_none(chat: ChatLua) -> None:
    """T4.4: unread is what was saved after the mark, whatever the order was."""
    await chat.post()
    calls = [chat.post() if n % 4 else chat.run("read") for n in range(200)]
    replies = await asyncio.gather(*calls)
    room = await chat.run("room")
    marks = [reply[1] for reply in replies if reply[0] == "read"]
    assert room[4] == max(marks)
    assert room[5] == 151 - max(marks)


@pytest.mark.parametrize("seq", ["x", "1x"])
async def test_malformed_arguments_are_refused(chat: ChatLua, seq: str) -> None:
    await chat.post()
    before = await chat.dump()
    with pytest.raises(ContractBroken):
        await chat.run("read", seq=seq)
    assert await chat.dump() == before
