"""touch.lua."""

import pytest

from presence_engine import ContractBroken
from tests.lua.board.conftest import TTL_MS, BoardLua


async def test_a_join_gives_every_part_the_same_new_end_and_changes_nothing(board: BoardLua) -> None:
    """T2.9, C17."""
    await board.whole()
    await board.age(30_000)
    before, feed = await board.dump(), await board.feed()
    assert await board.run("touch") == ["touched"]
    assert len(await board.ends()) == 5
    assert len(set(await board.ends())) == 1
    assert TTL_MS - 5_000 < await board.redis.pttl(board.key("meta")) <= TTL_MS
    assert await board.dump() == before
    assert await feed.read() == []


async def test_the_clock_of_redis_is_the_default(board: BoardLua) -> None:
    await board.move("i", now_ms="")
    assert await board.run("touch", now_ms="") == ["touched"]
    assert TTL_MS - 5_000 < await board.redis.pttl(board.key("meta")) <= TTL_MS


async def test_where_there_is_no_board_none_is_made(board: BoardLua) -> None:
    assert await board.run("touch") == ["empty"]
    assert await board.dump() == {}


async def test_bad_arguments_are_our_own_bug(board: BoardLua) -> None:
    with pytest.raises(ContractBroken, match="BADARG"):
        await board.run("touch", ttl_ms="soon")
