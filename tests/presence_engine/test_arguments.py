"""Settings, rules and arguments other than ids: what is out of bounds is named before anything is sent."""

import pickle
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from presence_engine import (
    BoardEngine,
    ChatRules,
    ConfigurationError,
    EngineSettings,
    InvalidInput,
    Node,
    PresenceEngine,
    RoomRules,
    Sweeper,
    TooLarge,
)

# Told apart from one another only by their type: each would pass a comparison, and some the way to Redis.
NO_INTEGERS: list[Any] = [True, False, 1.0, 0.5, float("nan"), float("inf"), "1", None, [1]]
MS_MAX = 10**13
INT_MAX = 2**31 - 1


@pytest.mark.parametrize(
    ("kind", "field", "least", "most"),
    [
        (RoomRules, "ttl_ms", 1, MS_MAX),
        (RoomRules, "grace_ms", 0, MS_MAX),
        (RoomRules, "capacity", 0, INT_MAX),
        (EngineSettings, "partitions", 1, 16_384),
        (EngineSettings, "timeout_ms", 1, INT_MAX),
        (EngineSettings, "sweep_interval_ms", 1, MS_MAX),
        (EngineSettings, "max_user_connections", 0, INT_MAX),
        (EngineSettings, "max_user_rooms", 0, INT_MAX),
        (ChatRules, "max_messages", 0, INT_MAX),
        (ChatRules, "max_age_ms", 0, MS_MAX),
        (ChatRules, "once_ms", 0, MS_MAX),
    ],
)
def test_a_number_of_the_settings_has_its_bounds(kind: Any, field: str, least: int, most: int) -> None:
    for value in (least, most):
        assert getattr(kind(**{field: value}), field) == value
    for value in [least - 1, most + 1, 10**30, *NO_INTEGERS]:
        with pytest.raises(ConfigurationError) as caught:
            kind(**{field: value})
        assert str(caught.value) == f"{field} must be an integer from {least} to {most}, not {value!r}"


@pytest.mark.parametrize(
    ("kind", "field", "bad"),
    [
        (EngineSettings, "prefix", ["", "{", "a}b", 1, None, b"pr1"]),
        (EngineSettings, "rules", [RoomRules(), {"r": RoomRules()}, None, 1]),
        (EngineSettings, "user_index", [1, 0, "off", None]),
        (RoomRules, "inactivity_message", [5, b"text", ["text"]]),
    ],
)
def test_another_field_of_the_settings_has_its_kind(kind: Any, field: str, bad: list[Any]) -> None:
    for value in bad:
        with pytest.raises(ConfigurationError, match=f"^{field} must be "):
            kind(**{field: value})


async def test_what_runs_beside_an_engine_has_bounds_too(engine: PresenceEngine) -> None:
    """A lease of 0 was renewed nine thousand times a second, each time as another's; a name was cut."""
    for lease_ms in [0, -1, 99, MS_MAX + 1, *NO_INTEGERS]:
        with pytest.raises(InvalidInput) as caught:
            Node(engine, "n", lease_ms=lease_ms)
        assert caught.value.field == "leaseMs"
    for name in ["", "a\x1fb", "a\nb", "\ud800", "x" * 129, True, None]:
        with pytest.raises(InvalidInput) as caught:
            Node(engine, cast(str, name))
        assert caught.value.field == "name"
    for interval_ms in [0, -1, *(one for one in NO_INTEGERS if one is not None)]:
        with pytest.raises(ConfigurationError, match=r"^interval_ms must be "):
            Sweeper(engine, interval_ms=interval_ms)
    for ttl_ms in [0, -1, *NO_INTEGERS]:
        with pytest.raises(ConfigurationError, match=r"^ttl_ms must be "):
            BoardEngine(engine.store, engine.keys, ttl_ms)
    assert (Node(engine, "n").lease_ms, Sweeper(engine).interval_ms) == (10_000, engine.settings.sweep_interval_ms)


@pytest.mark.parametrize("value", [-1, MS_MAX + 1, 2**53, 10**30, *(one for one in NO_INTEGERS if one is not None)])
async def test_milliseconds_are_whole_and_bounded(engine: PresenceEngine, value: Any) -> None:
    """Beyond what scripts reckon with exactly a member could not be listed any more, or never end."""
    with pytest.raises(InvalidInput) as caught:
        await engine.restore("r", "u", "c", joined_at_ms=value)
    assert caught.value.field == "joinedAt"
    assert (await engine.count("r")).seq == 0
    await engine.join("r", "u", "c")
    with pytest.raises(InvalidInput) as caught:
        await engine.detach("r", "u", "c", grace_ms=value)
    assert caught.value.field == "graceMs"
    assert (await engine.count("r")).seq == 1


async def test_the_bounds_of_milliseconds_are_within(engine: PresenceEngine) -> None:
    for value in (0, MS_MAX):
        for user in ("u", "v"):
            await engine.restore(f"r{value}", user, "c", joined_at_ms=value)
        page = await engine.list(f"r{value}", limit=1)
        assert page.members[0].joined_at_ms == value
        assert [one.user for one in (await engine.list(f"r{value}", cursor=page.cursor)).members] == ["v"]
        await engine.detach(f"r{value}", "u", "c", grace_ms=value)
    assert ((await engine.count("r0")).count, (await engine.count(f"r{MS_MAX}")).count) == (1, 2)


@pytest.mark.parametrize(
    ("message", "error"),
    [("", InvalidInput), (5, InvalidInput), ("\ud800", InvalidInput), ("x" * 1025, TooLarge), ("é" * 513, TooLarge)],
)
async def test_what_a_kicked_user_is_told_is_bounded(engine: PresenceEngine, message: Any, error: type) -> None:
    await engine.join("r", "u", "c")
    with pytest.raises(InvalidInput) as caught:
        await engine.kick("r", "u", message=message)
    assert (type(caught.value), caught.value.field) == (error, "message")
    assert (await engine.count("r")).count == 1
    for allowed in ("x", "x" * 1024, "é" * 512):
        await engine.join("r", "u", "c")
        assert type(await engine.kick("r", "u", message=allowed)).__name__ == "Kicked"


@pytest.mark.parametrize("kind", [InvalidInput, TooLarge])
def test_an_error_reaches_another_process_whole(kind: type[InvalidInput]) -> None:
    """An executor's worker that answers with one must not end its pool."""
    told = pickle.loads(pickle.dumps(kind("roomId", "is wrong")))  # noqa: S301 - our own
    assert (type(told), told.field, str(told)) == (kind, "roomId", "roomId is wrong")


async def test_one_text_is_not_many_rooms(engine: PresenceEngine) -> None:
    """It would be counted letter by letter, each of them empty."""
    with pytest.raises(InvalidInput) as caught:
        await engine.counts("lobby")
    assert caught.value.field == "roomIds"
    assert set(await engine.counts(["lobby"])) == {"lobby"}


@pytest.mark.parametrize("partition", [-1, 1, 99, *NO_INTEGERS])
async def test_a_partition_that_is_none_has_nothing_to_tell(engine: PresenceEngine, partition: Any) -> None:
    assert engine.keys.partitions == 1
    asked: list[Callable[[int], Awaitable[object]]] = [engine.due, engine.writing_since]
    for ask in asked:
        with pytest.raises(InvalidInput) as caught:
            await ask(partition)
        assert caught.value.field == "partition"
