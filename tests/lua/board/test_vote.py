"""vote.lua."""

import pytest

from presence_engine import ContractBroken
from tests.lua.board.conftest import BoardLua

PUBLIC = '15\x1e"g"\x1e2'


async def test_a_vote_replaces_the_users_earlier_one_and_shows_everybodys(board: BoardLua) -> None:
    """T2.7: groups are texts, numbers whole."""
    await board.run("vote", "1", "3", user="other")
    await board.run("vote", "1", "1", user="15", public=PUBLIC)
    feed = await board.feed()
    now = board.clock.advance(2)
    assert await board.run("vote", "2", "2", "3", "0", user="15", public=PUBLIC) == ["voted", now, now - 2, 3, now]
    assert (await board.dump())["votes"] == {"other": "1\x1f3", "15": "2\x1f2\x1f3\x1f0"}
    [[head, public, *votes]] = await feed.read()
    assert head == [str(now - 2), "3", str(now), str(now), "vote"]
    assert public == ["15", '"g"', "2", "15"]
    assert sorted(votes) == [["15", "2\x1f2\x1f3\x1f0"], ["other", "1\x1f3"]]


async def test_again_holds_the_same(board: BoardLua) -> None:
    await board.run("vote", "1", "3")
    before = (await board.dump())["votes"]
    assert (await board.run("vote", "1", "3"))[3] == 2
    assert (await board.dump())["votes"] == before


async def test_no_votes_are_votes_too(board: BoardLua) -> None:
    await board.run("vote", "1", "3", user="u")
    assert (await board.run("vote", user="u"))[0] == "voted"
    assert (await board.dump())["votes"] == {"u": ""}


async def test_when_full_only_those_who_voted_may_change(board: BoardLua) -> None:
    await board.run("vote", "1", "1", user="a", limit=2)
    await board.run("vote", "1", "1", user="b", limit=2)
    before, feed = await board.dump(), await board.feed()
    assert await board.run("vote", "1", "1", user="c", limit=2) == ["full", 2]
    assert await board.dump() == before
    assert await feed.read() == []
    assert (await board.run("vote", "1", "2", user="a", limit=2))[0] == "voted"


@pytest.mark.parametrize(
    "fields", [("1",), ("1", "4"), ("1", "2", "2", "2"), ("1", "5", "2", "-3"), ("1", "1.5"), ("1", "nan"), ("1", "")]
)
async def test_t2_7_each_vote_is_a_whole_number_from_0_and_the_total_at_most_3(
    board: BoardLua, fields: tuple[str, ...]
) -> None:
    with pytest.raises(ContractBroken, match="BADARG"):
        await board.run("vote", *fields)
    assert await board.dump() == {}
