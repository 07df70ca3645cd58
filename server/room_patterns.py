"""Patterns over whole room ids, for policies and for the rooms a token opens."""

import re
from functools import lru_cache

_PARTS = re.compile(r"\*+|\?|\[[*?\[]\]|[^*?\[]+|\[")


def literal(pattern: str) -> str | None:
    """Return the one room id that `pattern` matches, None where it matches many."""
    parts = _PARTS.findall(pattern)
    if any(part[0] in "*?" for part in parts):
        return None
    return "".join(part[1] if len(part) == 3 and part[0] == "[" else part for part in parts)


@lru_cache(maxsize=4096)
def room_pattern(pattern: str) -> re.Pattern[str]:
    """Return the compiled `pattern`, to be used with `fullmatch` on a room id; case and Unicode form count.

    `*` is any text and `?` any one character. `[*]`, `[?]` and `[[]` are those characters themselves, as
    `glob.escape` writes them; any other `[` is just a `[`. Sets such as `[a-z]` are left out on purpose: ids may hold
    brackets, and a pattern `team[1]` that opened `team1` but not `team[1]` would be a trap.
    """
    regex = ["(?s:"]
    after_star: list[str] | None = None
    for part in _PARTS.findall(pattern):
        piece = "." if part == "?" else re.escape(part[1] if len(part) == 3 and part[0] == "[" else part)
        if part[0] != "*":
            (regex if after_star is None else after_star).append(piece)
            continue
        if after_star:
            # Atomic: once the nearest place after a star is found no other is tried, so no pattern is slow.
            regex.append(f"(?>.*?{''.join(after_star)})")
        after_star = []
    if after_star is not None:
        regex.append(f".*{''.join(after_star)}")
    return re.compile("".join(regex) + ")")
