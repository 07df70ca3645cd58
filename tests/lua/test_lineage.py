"""lineage.lua."""

from redis.asyncio import Redis

from tests.lua.conftest import Lua


async def test_the_first_to_ask_says_since_when(lua: Lua) -> None:
    seconds, micros = await lua.redis.time()
    word, since = await lua.run("lineage")
    assert word == "since"
    assert int(since) >= seconds * 1_000_000 + micros
    assert await lua.run("lineage") == [word, since]


async def test_another_server_writes_since_a_later_time(lua: Lua) -> None:
    """A promoted replica has another replication id; what was kept of the earlier one is here a made up one."""
    _, since = await lua.run("lineage")
    await lua.redis.set(lua.space.lineage(0), f"{'f' * 40}\x1f{since}")
    _, later = await lua.run("lineage")
    assert int(later) > int(since)
    assert await lua.run("lineage") == ["since", later]


async def test_a_server_that_does_not_tell_writes_since_ever(lua: Lua, plain_url: str) -> None:
    """Then nothing is taken for another server, and no room is begun anew."""
    script = lua.store.library["presence/lineage"].source
    await lua.redis.execute_command("ACL", "SETUSER", lua.prefix, "on", "nopass", "~*", "&*", "+@all", "-info")
    try:
        async with Redis.from_url(plain_url, username=lua.prefix, password="-", decode_responses=True) as client:
            assert await client.eval(script, 1, lua.space.lineage(0)) == "since\x1e0"
    finally:
        await lua.redis.execute_command("ACL", "DELUSER", lua.prefix)
    assert await lua.dump() == {}


async def test_it_stays_for_good(lua: Lua) -> None:
    await lua.run("lineage")
    assert await lua.expiries() == {"lineage": -1}
