"""messages.lua."""

from typing import Any

import pytest

from presence_engine import ContractBroken
from tests.lua.chat.conftest import ChatLua


async def test_the_newest_come_first_and_more_is_told(chat: ChatLua) -> None:
    now = chat.clock.now_ms
    for n in range(4):
        await chat.post(body=f"{{{n}}}")
    assert await chat.run("messages", limit=2) == ["messages", 1, 4, now, "{3}", 3, now, "{2}"]
    assert await chat.run("messages", limit=2, before=3) == ["messages", 0, 2, now, "{1}", 1, now, "{0}"]
    assert await chat.run("messages", limit=4) == (await chat.run("messages", limit=5))


async def test_nothing_lies_before_the_first(chat: ChatLua) -> None:
    await chat.post()
    assert await chat.run("messages", before=1) == ["messages", 0]


async def test_a_place_that_was_trimmed_ends_the_pages(chat: ChatLua) -> None:
    for _ in range(5):
        await chat.post(max_messages=2)
    assert (await chat.run("messages"))[:3] == ["messages", 0, 5]
    assert await chat.run("messages", before=4) == ["messages", 0]


async def test_a_room_without_messages_and_no_room(chat: ChatLua) -> None:
    assert await chat.run("messages") == ["unknown"]
    await chat.run("open")
    assert await chat.run("messages") == ["messages", 0]


async def test_asking_twice_changes_nothing(chat: ChatLua) -> None:
    await chat.post()
    before = await chat.dump()
    assert await chat.run("messages") == await chat.run("messages")
    assert await chat.dump() == before


@pytest.mark.parametrize("given", [{"before": "x"}, {"limit": "x"}], ids=str)
async def test_malformed_arguments_are_refused(chat: ChatLua, given: dict[str, Any]) -> None:
    await chat.post()
    with pytest.raises(ContractBroken):
        await chat.run("messages", **given)
