"""snapshot.lua."""

from tests.lua.board.conftest import TTL_MS, BoardLua


async def test_a_snapshot_tells_every_part_and_what_is_left_of_the_life(board: BoardLua) -> None:
    start = board.clock.now_ms
    await board.whole()
    await board.age(20_000)
    word, now, created, version, updated, ttl_ms, *parts = await board.run("snapshot", now_ms=start + 5)
    assert (word, now, created, version, updated) == ("state", start + 5, start, 4, start + 3)
    assert TTL_MS - 25_000 < ttl_ms <= TTL_MS - 20_000
    assert parts == [
        ["i", '{"x":1,"y":2}'],
        [str(start), '{"i":"s"}', '{"s":"red"}'],
        ["a1", f'4\x1e{start}\x1e0\x1e"t"\x1e"u"\x1e"U"\x1e"u"'],
        ["u", "1\x1f2"],
    ]


async def test_c17_reading_does_not_prolong(board: BoardLua) -> None:
    await board.whole()
    await board.age(20_000)
    ends, before = await board.ends(), await board.dump()
    assert (await board.run("snapshot"))[0] == (await board.run("snapshot"))[0] == "state"
    assert await board.ends() == ends
    assert await board.dump() == before


async def test_parts_that_are_not_there_are_empty(board: BoardLua) -> None:
    await board.move("i")
    assert (await board.run("snapshot"))[6:] == [["i", '{"x":1,"y":2}'], [], [], []]


async def test_t2_9_without_its_meta_a_board_is_empty_not_half(board: BoardLua) -> None:
    now = board.clock.now_ms
    assert await board.run("snapshot") == ["empty", now]
    await board.whole()
    await board.redis.delete(board.key("meta"))
    assert await board.run("snapshot") == ["empty", now]


async def test_the_largest_board_fits_in_a_reply(board: BoardLua) -> None:
    await board.move(*(f"i{n}" for n in range(2000)), limit=2000)
    for n in range(500):
        await board.run("action_add", id=f"a{n}", same=str(n), limit=500)
    reply = await board.run("snapshot")
    assert len(reply[6]) == 4000
    assert len(reply[8]) == 1000
