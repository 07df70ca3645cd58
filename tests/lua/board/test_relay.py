"""relay.lua."""

import pytest

from presence_engine import ContractBroken
from tests.lua.board.conftest import BoardLua

PAYLOAD = '{"userId":15,"list":[],"big":12345678901234567890}'


async def test_everybody_is_told_and_nothing_changes(board: BoardLua) -> None:
    """T2.3: the payload as given; neither version nor life of the board moves."""
    await board.whole()
    await board.age(30_000)
    before, ends, feed = await board.dump(), await board.ends(), await board.feed()
    started = board.clock.now_ms
    now = board.clock.advance(5)
    assert await board.run("relay", event="phase-change", payload=PAYLOAD) == ["relayed", now, started, 4, started + 3]
    [[head, entry]] = await feed.read()
    assert head == [str(started), "4", str(started + 3), str(now), "relay"]
    assert entry == ["phase-change", PAYLOAD]
    assert await board.dump() == before
    assert await board.ends() == ends


async def test_where_there_is_no_board_none_is_made(board: BoardLua) -> None:
    feed = await board.feed()
    now = board.clock.now_ms
    assert await board.run("relay", event="typing", payload="{}") == ["relayed", now, 0, 0, 0]
    [[head, entry]] = await feed.read()
    assert (head, entry) == (["0", "0", "0", str(now), "relay"], ["typing", "{}"])
    assert await board.dump() == {}


async def test_a_character_that_json_leaves_as_it_is_passes(board: BoardLua) -> None:
    """U+007F is no control character to JSON."""
    feed = await board.feed()
    await board.run("relay", event="typing", payload='{"a":"\x7f\u0085"}')
    assert (await feed.read())[0][1] == ["typing", '{"a":"\x7f\u0085"}']


async def test_again_tells_it_again(board: BoardLua) -> None:
    feed = await board.feed()
    await board.run("relay", event="typing", payload="{}")
    await board.run("relay", event="typing", payload="{}")
    assert len(await feed.read()) == 2


@pytest.mark.parametrize(
    ("event", "payload"), [("", "{}"), ("typing\x1e", "{}"), ("typing", ""), ("typing", '{"a":"\x1d"}')]
)
async def test_bad_arguments_are_our_own_bug(board: BoardLua, event: str, payload: str) -> None:
    with pytest.raises(ContractBroken, match="BADARG"):
        await board.run("relay", event=event, payload=payload)
