"""group.lua."""

import pytest

from presence_engine import ContractBroken
from tests.lua.board.conftest import BoardLua


async def test_a_grouping_replaces_the_whole_one_before_and_is_kept_as_given(board: BoardLua) -> None:
    """T2.3: the JSON of clients is not touched, 17 digits and all."""
    await board.run("group", item_groups='{"i":"old"}', signature_colors='{"old":"red"}')
    feed = await board.feed()
    now = board.clock.advance(3)
    groups, colors = '{"j": "12345678901234567", "k":[]}', "[ ]"
    reply = await board.run("group", item_groups=groups, signature_colors=colors, timestamp=now - 1)
    assert reply == ["grouped", now, now - 3, 2, now, now - 1]
    stored = (await board.dump())["grouping"]
    assert stored == {"itemGroups": groups, "signatureColors": colors, "timestamp": str(now - 1)}
    assert await feed.read() == [
        [[str(now - 3), "2", str(now), str(now), "group"], ['"u"', str(now - 1), groups, colors]]
    ]


async def test_t2_4_an_older_one_is_told_what_holds(board: BoardLua) -> None:
    now = board.clock.now_ms
    await board.run("group", item_groups='{"i":"s"}', signature_colors='{"s":"red"}', timestamp=now - 10)
    before, feed = await board.dump(), await board.feed()
    reply = await board.run("group", item_groups="{}", timestamp=now - 11)
    assert reply == ["stale", now, now, 1, now, now - 10, '{"i":"s"}', '{"s":"red"}']
    assert await board.dump() == before
    assert await feed.read() == []


async def test_t2_4_an_equal_one_is_accepted(board: BoardLua) -> None:
    now = board.clock.now_ms
    await board.run("group", timestamp=now - 10)
    assert (await board.run("group", item_groups='{"i":"t"}', timestamp=now - 10))[0] == "grouped"
    assert (await board.dump())["grouping"]["itemGroups"] == '{"i":"t"}'


@pytest.mark.parametrize("fast", [1, 86_400_000, 10**300])
async def test_t2_4_a_fast_clock_counts_as_now_and_blocks_nobody(board: BoardLua, fast: int) -> None:
    now = board.clock.now_ms
    assert (await board.run("group", timestamp=now + fast))[5] == now
    later = board.clock.advance(1)
    assert (await board.run("group", timestamp=later))[0] == "grouped"


@pytest.mark.parametrize("invalid", ["", "soon", "nan", "NaN", "-nan", "inf"])
async def test_t2_4_an_invalid_time_counts_as_now(board: BoardLua, invalid: str) -> None:
    now = board.clock.now_ms
    await board.run("group", timestamp=now)
    later = board.clock.advance(5)
    assert (await board.run("group", timestamp=invalid))[:1] == ["grouped"]
    assert (await board.dump())["grouping"]["timestamp"] == str(later)


@pytest.mark.parametrize("ancient", ["-5", "-inf", "0", "0.5"])
async def test_t2_4_a_time_of_the_last_century_is_old_but_no_error(board: BoardLua, ancient: str) -> None:
    assert (await board.run("group", timestamp=ancient))[5] == 0
    assert (await board.run("group", timestamp=ancient))[0] == "grouped"
    await board.run("group")
    assert (await board.run("group", timestamp=ancient))[0] == "stale"


async def test_t2_4_a_clock_set_back_does_not_block_either(board: BoardLua) -> None:
    await board.run("group", timestamp=board.clock.now_ms)
    back = board.clock.advance(-60_000)
    assert (await board.run("group", item_groups='{"i":"now"}'))[5] == back
    assert (await board.run("group", timestamp=back - 1))[0] == "stale"


async def test_bad_arguments_are_our_own_bug(board: BoardLua) -> None:
    with pytest.raises(ContractBroken, match="BADARG"):
        await board.run("group", "one too many")
    assert await board.dump() == {}
