"""What an engine is told once: times, bounds, layout. No environment is read here."""

from collections.abc import Callable
from typing import Final

import msgspec

from presence_engine.errors import ConfigurationError

MAX_SLACK_MS: Final = 120_000


class RoomRules(msgspec.Struct, frozen=True):
    """How long and how many in one room.

    ttl_ms: life of a connection without a heartbeat. grace_ms: life after an abrupt disconnect, 0 = none.
    capacity: most users, 0 = no bound. inactivity_message: what an expired user is told, None = the usual text.
    """

    ttl_ms: int = 21_600_000
    grace_ms: int = 15_000
    capacity: int = 0
    inactivity_message: str | None = None

    def __post_init__(self) -> None:
        for name in ("ttl_ms", "grace_ms", "capacity"):
            if getattr(self, name) < (1 if name == "ttl_ms" else 0):
                raise ConfigurationError(f"{name} is out of range: {getattr(self, name)}")

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

    timeout_ms: longest wait for Redis. rules: the rules of a room, by its id. max_user_connections: live ones of a
    user in one room; max_user_rooms: of a user, on a Cluster in each partition, needs the index; 0 = no bound.
    """

    rules: Callable[[str], RoomRules] = lambda _room, _rules=RoomRules(): _rules  # type: ignore[misc]
    partitions: int = 1
    prefix: str = "pr1"
    user_index: bool = True
    timeout_ms: int = 1500
    sweep_interval_ms: int = 30_000
    max_user_connections: int = 0
    max_user_rooms: int = 0
