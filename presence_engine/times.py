"""Times: whole milliseconds since 1970 everywhere, and as text where clients are shown one."""

from datetime import UTC, datetime, timedelta
from typing import Final

DAY_MS: Final = 86_400_000
# Some three hundred years: what scripts reckon with stays a whole number.
MAX_MS: Final = 10**13
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def iso_time(at_ms: int) -> str:
    """Return a time as ISO-8601 in UTC with milliseconds: `2026-01-31T12:00:00.123Z`."""
    return (_EPOCH + timedelta(milliseconds=at_ms)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
