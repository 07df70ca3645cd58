"""How much one client may do."""

import time
from collections.abc import Callable, MutableMapping
from typing import Any

from server.refusals import Refusal


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


def bucket_of(connection: MutableMapping[str, Any], namespace: str, rate: float, burst: int) -> TokenBucket:
    """Return the bucket of a connection's sockets in a namespace, one after another: coming again is an event, too.

    With a bucket for each a client would only have to leave the namespace and come back for another burst.
    Raises `rate_limited` for a socket that comes again too often.
    """
    key = f"presence.bucket:{namespace}"
    bucket: TokenBucket | None = connection.get(key)
    if bucket is None:
        bucket = connection[key] = TokenBucket(rate, burst)
    elif not bucket.take():
        raise Refusal("rate_limited", "too many events; slow down")
    return bucket
