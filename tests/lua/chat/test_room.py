"""room.lua."""

from tests.lua.chat.conftest import ChatLua


async def test_a_room_with_its_newest_message(chat: ChatLua) -> None:
    now = chat.clock.now_ms
    await chat.post()
    chat.clock.advance(10)
    await chat.send()
    room = await chat.run("room")
    assert room[2:] == [2, now + 10, 0, 1, 2, now + 10, '{"user_id":"a"}']


async def test_no_room(chat: ChatLua) -> None:
    assert await chat.run("room") == ["unknown"]


async def test_asking_twice_changes_nothing(chat: ChatLua) -> None:
    await chat.post()
    before = await chat.dump()
    assert await chat.run("room") == await chat.run("room")
    assert await chat.dump() == before
