"""trim.lua: messages end at their age; seq, counts and marks do not."""

from typing import Any

import pytest

from presence_engine import ContractBroken
from tests.lua.chat.conftest import ChatLua


async def kept(chat: ChatLua, room: str = "r") -> list[int]:
    return list((await chat.run("messages", room=room))[2::3])


async def test_a_message_ends_at_its_age_to_the_millisecond(chat: ChatLua) -> None:
    await chat.post()
    chat.clock.advance(400)
    await chat.post()
    chat.clock.advance(599)
    assert await chat.run("trim") == ["trimmed", 0, 0]
    chat.clock.advance(1)
    assert await chat.run("trim") == ["trimmed", 1, 0]
    assert await kept(chat) == [2]


async def test_a_message_a_millisecond_younger_stays(chat: ChatLua) -> None:
    await chat.post()
    chat.clock.advance(1)
    await chat.post()
    chat.clock.advance(999)
    assert await chat.run("trim") == ["trimmed", 1, 0]
    assert await kept(chat) == [2]


async def test_an_emptied_room_stays_and_counts_on(chat: ChatLua) -> None:
    await chat.post()
    await chat.post()
    chat.clock.advance(1_000)
    assert await chat.run("trim") == ["trimmed", 2, 0]
    assert set(await chat.expiries()) == {"room:r:state", "room:r:unseen", "activity"}
    assert (await chat.run("room"))[2:] == [2, chat.clock.now_ms - 1_000, 0, 2, 0, 0, ""]
    assert await chat.post() == ["saved", chat.clock.now_ms, 3, 3]
    assert await kept(chat) == [3]
    chat.clock.advance(1_000)
    assert await chat.run("trim") == ["trimmed", 1, 0]


async def test_every_room_has_its_turn_in_bounded_calls(chat: ChatLua) -> None:
    for room in "aab":
        await chat.post(room=room)
    chat.clock.advance(1_000)
    await chat.post(room="b")
    removed = []
    more = 1
    while more:
        _, count, more = await chat.run("trim", limit=1)
        removed.append(count)
    assert sum(removed) == 3
    assert max(removed) == 1
    assert await kept(chat, "a") == []
    assert await kept(chat, "b") == [2]


async def test_messages_trimmed_by_number_are_not_waited_for(chat: ChatLua) -> None:
    await chat.post()
    chat.clock.advance(900)
    await chat.post(max_messages=1)
    chat.clock.advance(100)
    assert await chat.run("trim") == ["trimmed", 0, 0]
    chat.clock.advance(900)
    assert await chat.run("trim") == ["trimmed", 1, 0]


async def test_trimming_twice_is_trimming_once(chat: ChatLua) -> None:
    await chat.post()
    chat.clock.advance(1_000)
    await chat.run("trim")
    before = await chat.dump()
    assert await chat.run("trim") == ["trimmed", 0, 0]
    assert await chat.dump() == before


@pytest.mark.parametrize("given", [{"max_age_ms": "x"}, {"limit": "x"}, {"now_ms": "x"}], ids=str)
async def test_malformed_arguments_are_refused(chat: ChatLua, given: dict[str, Any]) -> None:
    await chat.post()
    chat.clock.advance(1_000)
    with pytest.raises(ContractBroken):
        await chat.run("trim", **given)
    assert await kept(chat) == [1]
