"""votes.lua."""

from tests.lua.board.conftest import BoardLua


async def test_votes_of_one_and_of_all(board: BoardLua) -> None:
    await board.run("vote", "1", "2", user="a")
    await board.run("vote", "1", "1", "2", "1", user="b")
    await board.run("vote", user="c")
    assert await board.run("votes", user="a") == ["votes", "a", "1\x1f2"]
    assert await board.run("votes", user="c") == ["votes", "c", ""]
    assert await board.run("votes", user="nobody") == ["votes"]
    word, *fields = await board.run("votes", user="")
    assert word == "votes"
    assert dict(zip(fields[::2], fields[1::2], strict=True)) == {"a": "1\x1f2", "b": "1\x1f1\x1f2\x1f1", "c": ""}


async def test_reading_changes_nothing(board: BoardLua) -> None:
    await board.whole()
    await board.age(20_000)
    ends = await board.ends()
    await board.run("votes", user="u")
    assert await board.ends() == ends


async def test_without_a_board_there_are_none(board: BoardLua) -> None:
    assert await board.run("votes", user="") == ["votes"]
    await board.whole()
    await board.redis.delete(board.key("meta"))
    assert await board.run("votes", user="u") == ["votes"]
