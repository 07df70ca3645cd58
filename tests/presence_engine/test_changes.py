"""What scripts publish, read back."""

import pytest

from presence_engine import ConnectionOut, MemberJoined, MemberLeft, MemberUpdated, decode_change, fold
from presence_engine.errors import ContractBroken
from tests.conftest import MakeEngine


async def test_every_kind_of_entry_is_read(make_engine: MakeEngine) -> None:
    """Real messages of real scripts: +, ~, -, x, and none at all."""
    engine = await make_engine(node="nodeAAAA")
    messages: list[bytes] = []
    feed = engine.open_feed(on_lost=lambda: None, on_restored=lambda: None)
    try:
        await feed.subscribe(engine.channel("r"), messages.append)
        await engine.join("r", 15, "c", username="Ü\u202e", data={"a": [], "n": 12345678901234567890})
        await engine.update("r", 15, "c", username="new")
        await engine.join("r", 15, "d")
        await engine.leave("r", 15, "d")
        await engine.kick("r", 15, message="out")
        await engine.ping()
        for _ in range(500):
            if len(messages) == 5:
                break
            await engine.ping()
        changes = [decode_change(message) for message in messages]
    finally:
        await feed.close()
    assert [change.seq for change in changes] == [1, 2, 3, 4, 5]
    assert [(change.count, change.connections) for change in changes] == [(1, 1), (1, 1), (1, 2), (1, 1), (0, 0)]
    (joined,), (updated,), more, less, last = [change.entries for change in changes]
    data = '{"a":[],"n":12345678901234567890}'
    at = changes[0].at_ms
    assert joined == MemberJoined("15", at, "15", '"Ü\u202e"', data)
    assert updated == MemberUpdated("15", at, "15", '"new"', data)
    assert (more, less) == ([], [])
    assert set(map(type, last)) == {MemberLeft, ConnectionOut}
    out = next(entry for entry in last if isinstance(entry, ConnectionOut))
    assert out == ConnectionOut("15", "nodeAAAA", "c", "kicked", '"out"')
    net = fold(changes)
    assert (net.from_seq, net.seq, list(net.joined), list(net.updated), list(net.left)) == (0, 5, [], [], [])


@pytest.mark.parametrize(
    "message",
    [b"", b"x", b"\xff", b"e\x1e1\x1e1\x1e1", b"e\x1eone\x1e1\x1e1\x1e1", b"e\x1e1\x1e1\x1e1\x1e1\x1d?\x1eu",
     b"e\x1e1\x1e1\x1e1\x1e1\x1d+\x1eu\x1e1", b"e\x1e1\x1e1\x1e1\x1e1\x1d-\x1eu"],
)  # fmt: skip
def test_anything_else_is_a_broken_contract(message: bytes) -> None:
    with pytest.raises(ContractBroken):
        decode_change(message)
