"""update.lua."""

from typing import Any

import pytest

from presence_engine import ContractBroken
from tests.lua.conftest import LIFE_MS, NODE, Lua


async def test_a_changed_record_is_announced_once(lua: Lua) -> None:
    epoch = (await lua.join(public='7\x1e"Ada"\x1e{"a":1}'))[2]
    feed = await lua.feed()
    joined = lua.clock.now_ms
    now = lua.clock.advance(10)
    assert await lua.run("update", name='"Bea"') == ["updated", epoch, 2, 1, 1, now]
    assert await lua.run("update", data='{"a":[]}') == ["updated", epoch, 3, 1, 1, now]
    assert await feed.read() == [
        [[epoch, "2", "1", "1", str(now)], ["~", "u", str(joined), "7", '"Bea"', '{"a":1}']],
        [[epoch, "3", "1", "1", str(now)], ["~", "u", str(joined), "7", '"Bea"', '{"a":[]}']],
    ]


async def test_what_changes_nothing_writes_nothing(lua: Lua) -> None:
    await lua.join(public='\x1e"Ada"\x1e')
    before = (await lua.redis.info("persistence"))["rdb_changes_since_last_save"]
    assert (await lua.run("update", name='"Ada"'))[0] == "unchanged"
    assert (await lua.redis.info("persistence"))["rdb_changes_since_last_save"] == before


async def test_twice_is_once(lua: Lua) -> None:
    epoch = (await lua.join())[2]
    await lua.run("update", name='"Bea"', data="{}")
    before = await lua.dump()
    feed = await lua.feed()
    assert await lua.run("update", name='"Bea"', data="{}") == ["unchanged", epoch, 2, 1, 1, lua.clock.now_ms]
    assert await lua.run("update") == ["unchanged", epoch, 2, 1, 1, lua.clock.now_ms]
    assert await lua.dump() == before
    assert await feed.read() == []


async def test_the_deadline_does_not_move(lua: Lua) -> None:
    await lua.join()
    before = (await lua.dump())["room:r:deadlines"]
    lua.clock.advance(5000)
    await lua.run("update", name='"Bea"')
    assert (await lua.dump())["room:r:deadlines"] == before


@pytest.mark.parametrize("given", [{"user": "v"}, {"connection": f"{NODE}d"}, {"room": "nowhere"}], ids=str)
async def test_only_a_connection_in_the_room_may_update(lua: Lua, given: dict[str, Any]) -> None:
    await lua.join()
    before = await lua.dump()
    assert await lua.run("update", name='"Bea"', **given) == ["absent"]
    assert await lua.dump() == before


async def test_a_connection_in_grace_may_not(lua: Lua) -> None:
    await lua.join()
    await lua.run("detach")
    assert await lua.run("update", name='"Bea"') == ["absent"]


async def test_something_due_is_swept_first(lua: Lua) -> None:
    await lua.join()
    lua.clock.advance(LIFE_MS)
    assert await lua.run("update", name='"Bea"') == ["due"]


async def test_every_key_keeps_its_expiry(lua: Lua) -> None:
    await lua.join()
    await lua.run("update", name='"Bea"')
    assert min((await lua.expiries()).values()) > LIFE_MS


async def test_malformed_arguments_change_nothing(lua: Lua) -> None:
    await lua.join()
    before = await lua.dump()
    with pytest.raises(ContractBroken):
        await lua.run("update", name='"Bea"', now_ms="x")
    assert await lua.dump() == before
