"""Rules of rooms by pattern: how long members live, how many fit, what they are told when they are removed."""

import tomllib
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

import msgspec

from presence_engine import MAX_MESSAGE_BYTES, ConfigurationError, RoomRules
from server.room_patterns import room_pattern
from server.setting_values import LONGEST_S
from server.settings import Settings

_CACHED_ROOMS = 8192
_LARGEST_CAPACITY = 1_000_000_000


class RoomPolicy:
    """The rules of every room: those of the first pattern that matches its whole id, else the settings'.

    patterns: (pattern, rules) in order of precedence; `room_patterns` tells what a pattern may hold.
    """

    def __init__(self, default: RoomRules, patterns: tuple[tuple[str, RoomRules], ...] = ()) -> None:
        self.default = default
        self._patterns = tuple((room_pattern(pattern), rules) for pattern, rules in patterns)
        self._cached = lru_cache(_CACHED_ROOMS)(self._find)

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Read the policy file that `settings` name, if any; a rule it leaves out is the settings' own.

        Raises `ConfigurationError` naming the file and, for a wrong entry, its pattern and key.
        """
        default = RoomRules(ttl_ms=settings.ttl_ms, grace_ms=settings.grace_ms)
        if settings.room_policy_file is None:
            return cls(default)
        file = settings.room_policy_file
        return cls(default, tuple((pattern, _rules(file, pattern, table, default)) for pattern, table in _load(file)))

    def for_room(self, room_id: str) -> RoomRules:
        """Return the rules of the room with this canonical id; the answers of 8192 rooms are remembered."""
        return self._cached(room_id)

    def _find(self, room_id: str) -> RoomRules:
        return next((rules for pattern, rules in self._patterns if pattern.fullmatch(room_id)), self.default)


def _load(file: Path) -> tuple[tuple[str, Any], ...]:
    try:
        return tuple(tomllib.loads(file.read_text(encoding="utf-8")).items())
    except OSError as error:
        raise ConfigurationError(f"PRESENCE_ROOM_POLICY: cannot read {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"PRESENCE_ROOM_POLICY: {file} is not UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"PRESENCE_ROOM_POLICY: {file} is not TOML: {error}") from error


def _rules(file: Path, pattern: str, table: Any, default: RoomRules) -> RoomRules:
    if not isinstance(table, Mapping):
        raise ConfigurationError(f'PRESENCE_ROOM_POLICY: {file}: {pattern}: expected a table, ["{pattern}"]')
    values: dict[str, Any] = {}
    for key, value in table.items():
        where = f'PRESENCE_ROOM_POLICY: {file}: ["{pattern}"] {key}'
        if key not in _KEYS:
            raise ConfigurationError(f"{where}: expected one of {', '.join(_KEYS)}")
        field, expected, parse = _KEYS[key]
        values[field] = parse(value)
        if values[field] is None:
            raise ConfigurationError(f"{where}: expected {expected}")
    return msgspec.structs.replace(default, **values)


def _is_number(value: Any, *types: type) -> bool:
    # TOML has true and false, and Python takes them for 1 and 0.
    return isinstance(value, types) and not isinstance(value, bool)


def _ttl_ms(value: Any) -> int | None:
    return round(value * 1000) if _is_number(value, int, float) and 0.001 <= value <= LONGEST_S else None


def _grace_ms(value: Any) -> int | None:
    return round(value * 1000) if _is_number(value, int, float) and 0 <= value <= LONGEST_S else None


def _capacity(value: Any) -> int | None:
    return value if _is_number(value, int) and 1 <= value <= _LARGEST_CAPACITY else None


def _message(value: Any) -> str | None:
    fits = isinstance(value, str) and value.strip() and len(value.encode()) <= MAX_MESSAGE_BYTES
    return value if fits else None


_KEYS: dict[str, tuple[str, str, Callable[[Any], Any]]] = {
    "ttl": ("ttl_ms", f"seconds, more than 0 and at most {LONGEST_S}", _ttl_ms),
    "grace": ("grace_ms", f"seconds, at least 0 and at most {LONGEST_S}", _grace_ms),
    "capacity": ("capacity", f"a whole number from 1 to {_LARGEST_CAPACITY}", _capacity),
    "inactivity_message": ("inactivity_message", f"a text of 1 to {MAX_MESSAGE_BYTES} bytes", _message),
}
