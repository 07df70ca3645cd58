"""What stays in Redis when everybody has gone, and how long anything could stay."""

from collections.abc import Awaitable, Callable

from presence_engine import PresenceEngine
from tests.conftest import Clock


async def test_nothing_is_left_when_the_last_user_leaves(
    engine: PresenceEngine, keys_left: Callable[[], Awaitable[list[str]]]
) -> None:
    """T0.6, C1: names go with the entry; no key of an older layout is there beside these."""
    await engine.join("r", "u", "c", username="Ünï", data={"a": 1})
    assert await keys_left() == [
        "due",
        f"node:{engine.node}",
        "room:r:deadlines",
        "room:r:members",
        "room:r:roster",
        "rooms",
        "user:u",
    ]
    await engine.leave("r", "u", "c")
    assert await keys_left() == []


async def test_a_join_without_a_beat_lives_six_hours(engine: PresenceEngine, clock: Clock) -> None:
    """001-4: 21,600 s at least, and by no more than the two minutes that a beat may leave unwritten."""
    await engine.join("r", "u", "c", now_ms=clock.now_ms)
    assert (await engine.count("r", now_ms=clock.now_ms + 21_600_000)).count == 1
    assert (await engine.count("r", now_ms=clock.now_ms + 21_600_000 + 120_000)).count == 0
