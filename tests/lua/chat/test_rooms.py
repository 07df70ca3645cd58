"""rooms.lua."""

from typing import Any

import pytest

from presence_engine import ContractBroken
from tests.lua.chat.conftest import ChatLua


async def test_newest_activity_first_even_within_a_millisecond(chat: ChatLua) -> None:
    for room in "abcab":
        await chat.post(room=room)
    reply = await chat.run("rooms")
    assert reply[:2] == ["rooms", 3]
    assert reply[2::10] == ["b", "a", "c"]
    assert reply[4:12] == (await chat.run("room", room="b"))[1:]


async def test_a_page_begins_behind_a_place(chat: ChatLua) -> None:
    for room in "abc":
        await chat.post(room=room)
    first = await chat.run("rooms", limit=1)
    assert first[2] == "c"
    assert (await chat.run("rooms", newest=f"({first[3]}", limit=1))[2] == "b"
    assert (await chat.run("rooms", newest=first[3], limit=1))[2] == "c"


async def test_reading_does_not_count_as_activity(chat: ChatLua) -> None:
    for room in "ab":
        await chat.post(room=room)
    await chat.run("read", room="a")
    assert (await chat.run("rooms"))[2::10] == ["b", "a"]


async def test_no_room_at_all(chat: ChatLua) -> None:
    assert await chat.run("rooms") == ["rooms", 0]


async def test_asking_twice_changes_nothing(chat: ChatLua) -> None:
    await chat.post()
    before = await chat.dump()
    assert await chat.run("rooms") == await chat.run("rooms")
    assert await chat.dump() == before


@pytest.mark.parametrize("given", [{"newest": "x"}, {"limit": "x"}], ids=str)
async def test_malformed_arguments_are_refused(chat: ChatLua, given: dict[str, Any]) -> None:
    with pytest.raises(ContractBroken):
        await chat.run("rooms", **given)
