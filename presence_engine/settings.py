"""What an engine is told once: times, bounds, layout. No environment is read here."""

from collections.abc import Callable
from typing import Final

import msgspec

from presence_engine.errors import ConfigurationError
from presence_engine.times import MAX_MS

MAX_SLACK_MS: Final = 120_000
MAX_PARTITIONS: Final = 16_384


def within(name: str, value: int, least: int, most: int = 2**31 - 1) -> int:
    """Return a number of the settings. Raises ConfigurationError naming one that is no integer within its bounds."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ConfigurationError(f"{name} must be an integer from {least} to {most}, not {value!r}")
    return value


class RoomRules(msgspec.Struct, frozen=True):
    """How long and how many in one room.

    ttl_ms: life of a connection without a heartbeat, at least 1. grace_ms: life after an abrupt disconnect, 0 = none.
    capacity: most users, 0 = no bound. inactivity_message: what an expired user is told, None = the usual text.
    """

    ttl_ms: int = 21_600_000
    grace_ms: int = 15_000
    capacity: int = 0
    inactivity_message: str | None = None

    def __post_init__(self) -> None:
        within("ttl_ms", self.ttl_ms, 1, MAX_MS)
        within("grace_ms", self.grace_ms, 0, MAX_MS)
        within("capacity", self.capacity, 0)
        if not isinstance(self.inactivity_message, str | None):
            raise ConfigurationError(f"inactivity_message must be text, not {self.inactivity_message!r}")

    @property
    def slack_ms(self) -> int:
        """A heartbeat that would move a deadline by less does not write: 1 % of the TTL, at most 120 s."""
        return min(self.ttl_ms // 100, MAX_SLACK_MS)

    @property
    def life_ms(self) -> int:
        """What a new deadline lies ahead, so that life is never shorter than the TTL."""
        return self.ttl_ms + self.slack_ms


class EngineSettings(msgspec.Struct, frozen=True):
    """partitions: fixed with the data (1, or 128 on a Cluster). prefix: of every key. user_index: keeps where-is-user.

    timeout_ms: longest wait for Redis. sweep_interval_ms: a sweeper's longest sleep. rules: the rules of a room, by its
    id. max_user_connections: live ones of a user in one room; max_user_rooms: of a user, on a Cluster in each
    partition, needs the index; 0 = no bound.
    """

    rules: Callable[[str], RoomRules] = lambda _room, _rules=RoomRules(): _rules  # type: ignore[misc]
    partitions: int = 1
    prefix: str = "pr1"
    user_index: bool = True
    timeout_ms: int = 1500
    sweep_interval_ms: int = 30_000
    max_user_connections: int = 0
    max_user_rooms: int = 0

    def __post_init__(self) -> None:
        within("partitions", self.partitions, 1, MAX_PARTITIONS)
        within("timeout_ms", self.timeout_ms, 1)
        within("sweep_interval_ms", self.sweep_interval_ms, 1, MAX_MS)
        within("max_user_connections", self.max_user_connections, 0)
        within("max_user_rooms", self.max_user_rooms, 0)
        if not callable(self.rules):
            raise ConfigurationError(f"rules must be a function of a room's id, not {self.rules!r}")
        if not isinstance(self.user_index, bool):
            raise ConfigurationError(f"user_index must be True or False, not {self.user_index!r}")
        if not isinstance(self.prefix, str) or not self.prefix or set(self.prefix) & {"{", "}"}:
            raise ConfigurationError(f"prefix must be text without braces, not {self.prefix!r}")
