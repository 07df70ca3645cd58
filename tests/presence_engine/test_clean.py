"""What stays in Redis when everybody has gone, and how long anything could stay."""

from collections.abc import Awaitable, Callable

from presence_engine import PresenceEngine


async def test_nothing_is_left_when_the_last_user_leaves(
    engine: PresenceEngine, keys_left: Callable[[], Awaitable[list[str]]]
) -> None:
    """T0.6: names go with the entry."""
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
