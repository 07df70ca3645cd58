"""How much one client may do."""

import time
from collections.abc import Callable


class TokenBucket:
    """Lets `rate` events a second through, and `burst` at once; a rate of 0 means no bound."""

    __slots__ = ("_burst", "_clock", "_rate", "_seen_s", "_tokens")

    def __init__(self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._tokens = float(burst)
        self._seen_s = clock()

    def take(self) -> bool:
        """Take one token; False when none is left."""
        if self._rate == 0:
            return True
        now_s = self._clock()
        self._tokens = min(self._burst, self._tokens + (now_s - self._seen_s) * self._rate)
        self._seen_s = now_s
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def give_back(self, tokens: float) -> None:
        """Give back a part of what was taken, for an event that costs less than one."""
        self._tokens += tokens
