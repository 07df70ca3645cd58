"""list.lua."""

from typing import Any

import pytest

from presence_engine import ContractBroken
from tests.lua.conftest import LIFE_MS, NODE, NODE_B, Lua


async def test_a_page_in_the_order_of_joined_at_and_user(lua: Lua) -> None:
    """000-8."""
    now = lua.clock.now_ms
    for user in ("b", "a", "c"):
        await lua.join(user, connection=f"{NODE}{user}", public=f'\x1e"{user}"\x1e')
    late = lua.clock.advance(1)
    epoch = (await lua.join("0", connection=f"{NODE}0"))[2]
    reply = await lua.run("list")
    assert reply[:7] == ["page", late, epoch, 4, 4, 4, 0]
    assert reply[7::3] == ["a", "b", "c", "0"]
    assert reply[8] == f'{now}\x1e\x1f{NODE}a\x1f\x1e\x1e\x1e"a"\x1e'
    assert reply[9::3] == [now + LIFE_MS] * 3 + [late + LIFE_MS]


async def test_the_deadline_is_the_newest_of_the_live_connections(lua: Lua) -> None:
    await lua.join()
    now = lua.clock.advance(100)
    await lua.join(connection=f"{NODE_B}d")
    assert (await lua.run("list"))[9] == now + LIFE_MS
    assert (await lua.run("list", detail="names"))[9] == 0
    await lua.run("detach")
    await lua.run("detach", connection=f"{NODE_B}d")
    assert (await lua.run("list"))[9] == 0


async def test_cursor_and_limit(lua: Lua) -> None:
    now = lua.clock.now_ms
    for user in "abcde":
        await lua.join(user, connection=f"{NODE}{user}")
    first = await lua.run("list", limit=2)
    assert (first[6], first[7::3]) == (1, ["a", "b"])
    second = await lua.run("list", limit=2, after_joined_at=now, after_user="b")
    assert (second[6], second[7::3]) == (1, ["c", "d"])
    third = await lua.run("list", limit=2, after_joined_at=now, after_user="d")
    assert (third[6], third[7::3]) == (0, ["e"])
    beyond = await lua.run("list", limit=2, after_joined_at=now, after_user="e")
    assert (beyond[6], beyond[7::3]) == (0, [])


async def test_the_cursor_survives_its_own_member(lua: Lua) -> None:
    now = lua.clock.now_ms
    for user in "abcde":
        await lua.join(user, connection=f"{NODE}{user}")
    await lua.run("leave", user="b", connection=f"{NODE}b")
    assert (await lua.run("list", after_joined_at=now, after_user="b"))[7::3] == ["c", "d", "e"]
    lua.clock.advance(5)
    await lua.join("b", connection=f"{NODE}b")
    assert (await lua.run("list", after_joined_at=now, after_user="b"))[7::3] == ["c", "d", "e", "b"]
    assert (await lua.run("list", after_joined_at=now + 1, after_user=""))[7::3] == ["b"]


async def test_the_cursor_follows_bytes_not_letters(lua: Lua) -> None:
    """Redis orders equal scores byte by byte, whatever the locale."""
    users = ["B", "Z", "a", "ab", "é", "ÿ", "日", "🙂"]
    for user in users:
        await lua.join(user, connection=f"{NODE}{user}")
    ordered = sorted(users, key=str.encode)
    for gone, rest in [(ordered[n], ordered[n + 1 :]) for n in range(len(ordered))]:
        await lua.run("leave", user=gone, connection=f"{NODE}{gone}")
        if rest:
            reply = await lua.run("list", after_joined_at=lua.clock.now_ms, after_user=gone)
            assert reply[7::3] == rest


async def test_a_limit_of_zero_counts(lua: Lua) -> None:
    await lua.join()
    reply = await lua.run("list", limit=0)
    assert reply[4:] == [1, 1, 1]


@pytest.mark.parametrize("detail", ["names", "full"])
async def test_who_has_no_record_is_not_listed(lua: Lua, detail: str) -> None:
    """Somebody deleted it; `count` is of records, too."""
    for user in "abc":
        await lua.join(user, connection=f"{NODE}{user}")
    await lua.redis.hdel(lua.key("room:r:members"), "b")
    page = await lua.run("list", detail=detail)
    assert (page[4], page[7::3]) == (2, ["a", "c"])


async def test_an_unknown_room_is_an_empty_page(lua: Lua) -> None:
    assert await lua.run("list") == ["page", lua.clock.now_ms, "", 0, 0, 0, 0]


async def test_something_due_is_swept_first(lua: Lua) -> None:
    """T1.2: nobody past the deadline is listed."""
    await lua.join()
    lua.clock.advance(LIFE_MS)
    assert await lua.run("list") == ["due"]


async def test_a_beat_puts_off_what_the_room_had_noted(lua: Lua) -> None:
    await lua.join()
    lua.clock.advance(5000)
    await lua.beat(("u", f"{NODE}c"))
    lua.clock.advance(LIFE_MS - 5000)
    assert (await lua.run("list"))[0] == "page"


async def test_reading_twice_changes_nothing(lua: Lua) -> None:
    await lua.join()
    before = await lua.dump()
    assert await lua.run("list") == await lua.run("list")
    assert await lua.dump() == before


@pytest.mark.parametrize(
    "given", [{"limit": "x"}, {"now_ms": "x"}, {"after_joined_at": "x", "after_user": "a"}], ids=str
)
async def test_malformed_arguments_are_refused(lua: Lua, given: dict[str, Any]) -> None:
    await lua.join()
    with pytest.raises(ContractBroken):
        await lua.run("list", **given)
