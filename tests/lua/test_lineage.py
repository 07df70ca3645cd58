"""lineage.lua."""

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


async def test_it_stays_for_good(lua: Lua) -> None:
    await lua.run("lineage")
    assert await lua.expiries() == {"lineage": -1}
