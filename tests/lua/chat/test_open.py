"""open.lua: a room before its first message."""

from typing import Any

import pytest

from presence_engine import ContractBroken
from tests.lua.chat.conftest import DETAILS, ChatLua


async def test_a_room_opens_once_and_silently(chat: ChatLua) -> None:
    """004-7: creating a room by itself emits nothing."""
    feed, now = await chat.feed(), chat.clock.now_ms
    assert await chat.run("open") == ["opened", now]
    before = await chat.dump()
    chat.clock.advance(1_000)
    assert await chat.run("open") == ["known", now + 1_000]
    assert await chat.dump() == before
    assert await feed.read() == []


async def test_an_opened_room_is_empty_and_its_first_message_announces_it(chat: ChatLua) -> None:
    """T4.4: an agent writes first, nothing is unread."""
    await chat.run("open")
    assert (await chat.run("room"))[2:] == [0, chat.clock.now_ms, 0, 0, 0, 0, ""]
    feed = await chat.feed()
    assert await chat.send() == ["saved", chat.clock.now_ms, 1, 0]
    assert (await feed.read())[0][0][7] == "628785390"


async def test_better_names_are_taken_over(chat: ChatLua) -> None:
    await chat.run("open")
    await chat.run("open", details='628785390\x1e"VIP"\x1e3\x1e"Ana"\x1e{"id":1}')
    assert (await chat.run("room"))[1].split("\x1e")[2:] == ['"VIP"', "3", '"Ana"', '{"id":1}']


@pytest.mark.parametrize("given", [{"details": DETAILS[:-1]}, {"details": ""}, {"now_ms": "x"}], ids=str)
async def test_malformed_arguments_are_refused(chat: ChatLua, given: dict[str, Any]) -> None:
    with pytest.raises(ContractBroken):
        await chat.run("open", **given)
    assert await chat.expiries() == {}
