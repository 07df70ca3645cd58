"""What is wrong with a server is said once, and once that it is over, however many calls find out."""

import logging
import time
from dataclasses import dataclass, field
from typing import Final

# Near a bound, such as that of its memory, a server refuses one call and carries out the next.
_CALM_S: Final = 10.0
# A server that lost its slots is not called any more, and so never seen to be back.
_FORGOTTEN_S: Final = 60.0

log = logging.getLogger(__name__)


@dataclass
class _Trouble:
    since_s: float
    last_s: float
    calls: set[str] = field(default_factory=set)


class Troubles:
    """Those of the servers of one Store, by address. Empty, and so false, while all is well."""

    def __init__(self) -> None:
        self._open: dict[str, _Trouble] = {}

    def __bool__(self) -> bool:
        return bool(self._open)

    def failed(self, server: str, call: str, error: Exception) -> None:
        """A call was not carried out."""
        now_s = time.monotonic()
        trouble = self._open.get(server)
        if trouble is None or now_s - trouble.last_s > _FORGOTTEN_S:
            trouble = self._open[server] = _Trouble(now_s, now_s)
            log.error("%s (%s)", error, server)
        trouble.last_s = now_s
        trouble.calls.add(call)

    def succeeded(self, server: str, call: str) -> None:
        """A call was carried out. That tells nothing of others: a full server still reads."""
        now_s = time.monotonic()
        trouble = self._open.get(server)
        if trouble is not None and call in trouble.calls and now_s - trouble.last_s >= _CALM_S:
            del self._open[server]
            log.warning("Redis serves again after %.0f s (%s)", now_s - trouble.since_s, server)
        for other, trouble in list(self._open.items()):
            if now_s - trouble.last_s > _FORGOTTEN_S:
                del self._open[other]
                log.warning("nothing has failed for %.0f s (%s)", now_s - trouble.last_s, other)
