"""Names and data come back as they were given (X2, T2.3)."""

from typing import Any

import pytest

from presence_engine import InvalidInput, Page, PresenceEngine
from tests.conftest import Clock, MakeEngine

NAMES = [
    "Ünïcødé",
    "é",
    "e\u0301",
    "👩\u200d🚀",
    "\u202eabc",
    "\ufeffbom",
    "a\nb",
    "\x00",
    "\x1e\x1f\x1d",
    "\x7f",
    '"\\/',
    " ",
    "Ã©",
    "a" * 128,
    "</script>",
]
DATA: list[dict[str, Any]] = [
    {}, {"a": []}, {"a": {}}, {"a": [[], {}]}, {"n": 12345678901234567}, {"n": -(10**40)},
    {"f": 1.5, "g": 1e308, "h": -0.0},
    {"": ""}, {"é": "e\u0301", "👩\u200d🚀": "\u2028"}, {"s": "\x1e\x1f\x1d\x00\n"}, {"t": True, "f": False, "n": None},
    {"z": 1, "a": 2},
    {"pad": "x" * 4086},
]  # fmt: skip


def only(page: Page) -> Any:
    [member] = page.members
    return member


@pytest.mark.parametrize("name", NAMES, ids=ascii)
async def test_a_name_is_returned_byte_for_byte(engine: PresenceEngine, name: str) -> None:
    await engine.join("r", "u", "c", username=name)
    assert only(await engine.list("r")).username.encode() == name.encode()
    await engine.update("r", "u", "c", username="other")
    await engine.update("r", "u", "c", username=name)
    assert only(await engine.list("r", names_only=True)).username.encode() == name.encode()


@pytest.mark.parametrize("data", DATA, ids=lambda data: ascii(data)[:40])
async def test_data_is_returned_as_given(engine: PresenceEngine, data: dict[str, Any]) -> None:
    """T2.3: `[]` stays an array, integers of any size stay exact, the order of the names stays."""
    await engine.join("r", "u", "c", data=data)
    for _ in range(2):
        shown = only(await engine.list("r")).data
        assert shown == data
        assert repr(shown) == repr(data)
        await engine.detach("r", "u", "c")
        await engine.join("r", "u", "c")
        await engine.update("r", "u", "c", username="other")


@pytest.mark.parametrize("name", ["", "a" * 129, "é" * 65, "\ud800", 5, True, b"x", ["a"]], ids=repr)
@pytest.mark.parametrize("verb", ["join", "update"])
async def test_a_bad_name_is_refused(engine: PresenceEngine, verb: str, name: Any) -> None:
    await engine.join("r", "u", "c", username="before")
    with pytest.raises(InvalidInput) as caught:
        await getattr(engine, verb)("r", "u", "c", username=name)
    assert caught.value.field == "username"
    assert only(await engine.list("r")).username == "before"


@pytest.mark.parametrize("message", ["\ud800", 5, b"x"], ids=repr)
async def test_a_bad_message_is_refused(engine: PresenceEngine, message: Any) -> None:
    await engine.join("r", "u", "c")
    with pytest.raises(InvalidInput) as caught:
        await engine.kick("r", "u", message=message)
    assert caught.value.field == "message"
    assert (await engine.count("r")).count == 1


@pytest.mark.parametrize("joined_at_ms", [1500.5, -1, True, "5", None], ids=repr)
async def test_a_bad_joined_at_is_refused(engine: PresenceEngine, joined_at_ms: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        await engine.restore("r", "u", "c", joined_at_ms=joined_at_ms)
    assert caught.value.field == "joinedAt"
    assert (await engine.count("r")).count == 0


def _deep() -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(200_000):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    "data",
    [[], "text", 5, {"pad": "x" * 4087}, {"s": "\ud800"}, {"\udfff": 1}, {"n": float("nan")}, {"n": float("inf")},
     {"b": b"x"},
     {"o": object()}, {"s": {1}}],
    ids=lambda data: ascii(data)[:30],
)  # fmt: skip
@pytest.mark.parametrize("verb", ["join", "update"])
async def test_bad_data_is_refused(engine: PresenceEngine, verb: str, data: Any) -> None:
    await engine.join("r", "u", "c", data={"before": 1})
    with pytest.raises(InvalidInput) as caught:
        await getattr(engine, verb)("r", "u", "c", data=data)
    assert caught.value.field == "data"
    assert only(await engine.list("r")).data == {"before": 1}


async def test_data_nested_too_deeply_is_refused(engine: PresenceEngine) -> None:
    with pytest.raises(InvalidInput) as caught:
        await engine.join("r", "u", "c", data=_deep())
    assert caught.value.field == "data"


async def test_missing_means_the_user_id_and_an_empty_object(engine: PresenceEngine) -> None:
    await engine.join("r", "u", "c")
    member = only(await engine.list("r"))
    assert (member.username, member.data) == ("u", {})


async def test_none_keeps_and_empty_replaces(engine: PresenceEngine) -> None:
    """`room:update.data` replaces."""
    await engine.join("r", "u", "c", username="name", data={"a": 1})
    await engine.join("r", "u", "c2")
    member = only(await engine.list("r"))
    assert (member.username, member.data) == ("name", {"a": 1})
    await engine.update("r", "u", "c", data={})
    member = only(await engine.list("r"))
    assert (member.username, member.data) == ("name", {})


async def test_an_update_says_whether_it_changed_anything(engine: PresenceEngine) -> None:
    await engine.join("r", "u", "c", username="a")
    first = await engine.update("r", "u", "c", username="b", data={"x": []})
    again = await engine.update("r", "u", "c", username="b", data={"x": []})
    assert (first.changed, again.changed) == (True, False)  # type: ignore[union-attr]
    assert first.position == again.position  # type: ignore[union-attr]


async def test_the_same_name_with_two_ids_is_two_users(engine: PresenceEngine) -> None:
    """T0.4."""
    await engine.join("r", "a", "1", username="same")
    await engine.join("r", "b", "2", username="same")
    assert [m.username for m in (await engine.list("r")).members] == ["same", "same"]


async def test_status_and_last_activity(make_engine: MakeEngine, clock: Clock) -> None:
    engine = await make_engine(ttl_ms=100_000, grace_ms=5000)
    joined = clock.now_ms
    await engine.join("r", "u", "a", now_ms=joined)
    member = only(await engine.list("r", now_ms=joined))
    assert (member.status, member.joined_at_ms, member.last_active_at_ms) == ("online", joined, joined)
    beat = clock.advance(50_000)
    await engine.heartbeat("r", "u", "a", now_ms=beat)
    assert only(await engine.list("r", now_ms=beat)).last_active_at_ms == beat
    await engine.join("r", "u", "b", now_ms=beat)
    await engine.detach("r", "u", "a", now_ms=beat)
    assert only(await engine.list("r", now_ms=beat)).status == "online"
    now = clock.advance(1000)
    await engine.detach("r", "u", "b", now_ms=now)
    member = only(await engine.list("r", now_ms=now))
    assert (member.status, member.connections, member.last_active_at_ms) == ("away", 2, beat)
    await engine.join("r", "u", "c", now_ms=now)
    member = only(await engine.list("r", now_ms=now))
    assert (member.status, member.connections, member.joined_at_ms) == ("online", 1, joined)


@pytest.mark.parametrize(("ttl_ms", "exact_to_ms"), [(5000, 50), (6_000_000, 60_000), (21_600_000, 120_000)])
async def test_last_activity_is_exact_to_a_hundredth_of_the_life_and_to_two_minutes(
    make_engine: MakeEngine, clock: Clock, ttl_ms: int, exact_to_ms: int
) -> None:
    """003-3: a beat that would move it by no more than that writes nothing."""
    engine, joined = await make_engine(ttl_ms=ttl_ms), clock.now_ms
    await engine.join("r", "u", "c", now_ms=joined)
    for now, shown in ((joined + exact_to_ms, joined), (joined + exact_to_ms + 1, joined + exact_to_ms + 1)):
        await engine.heartbeat("r", "u", "c", now_ms=now)
        assert only(await engine.list("r", now_ms=now)).last_active_at_ms == shown
