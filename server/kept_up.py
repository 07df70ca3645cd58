"""The embedded store is kept up while it is served: one that ends by itself, or with its owner, is started again."""

import contextlib
import logging
import threading
from collections.abc import Iterator
from typing import Final

from presence_engine import EmbeddedServer, PresenceError

_LOOK_S: Final = 0.5
_AGAIN_S: Final = 5.0

log = logging.getLogger("presence")


@contextlib.contextmanager
def kept_up(embedded: EmbeddedServer) -> Iterator[None]:
    """Look after a started server for the length of the block, in a thread; engines find it where it was."""
    over = threading.Event()
    keeper = threading.Thread(target=_keep, args=(embedded, over), name="store-keeper", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        over.set()
        keeper.join()


def _keep(embedded: EmbeddedServer, over: threading.Event) -> None:
    url, pause_s = embedded.url, _LOOK_S
    while not over.wait(pause_s):
        pause_s = _LOOK_S
        if embedded.owner:
            continue
        before = embedded.pid
        try:
            embedded.start()
        except PresenceError as error:
            log.error("the embedded store could not be started again: %s", error)
            pause_s = _AGAIN_S
            continue
        if embedded.pid != before:
            log.warning("the embedded store was started again (pid %s)", embedded.pid)
        if embedded.url != url:
            log.error("the embedded store is at another address now: start this server anew")
