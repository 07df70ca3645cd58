"""Tokens end while sockets live: a socket is told, has a grace to bring a fresh one, and is disconnected otherwise."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final

from server.metrics import CLOSED
from server.refusals import Refusal
from server.sockets.session import Session
from server.sockets.transport import SocketServer

# A timer takes no more than so much; an end that lies further off is looked at again.
_LONGEST_S: Final = 86_400.0


class TokenExpiry:
    """Watches one token a socket. grace_ms: time to send `auth:refresh` after the notice."""

    def __init__(self, sockets: SocketServer, grace_ms: int) -> None:
        self._sockets, self._grace_s = sockets, grace_ms / 1000
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def watch(self, session: Session) -> None:
        """Begin, or begin again with the session's present token; one without an end is not watched."""
        self.forget(session)
        if session.identity is None or session.identity.expires_at_s is None:
            return
        left_s = session.identity.expires_at_s - time.time()
        if left_s > _LONGEST_S:
            self._timers[session.sid] = asyncio.get_running_loop().call_later(_LONGEST_S, self.watch, session)
        else:
            self._after(session, left_s, self._tell)

    def forget(self, session: Session) -> None:
        if (timer := self._timers.pop(session.sid, None)) is not None:
            timer.cancel()

    def _after(self, session: Session, delay_s: float, act: Callable[[Session], Coroutine[Any, Any, None]]) -> None:
        def begin() -> None:
            task = asyncio.ensure_future(act(session))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        self._timers[session.sid] = asyncio.get_running_loop().call_later(max(delay_s, 0), begin)

    async def _tell(self, session: Session) -> None:
        refusal = Refusal("unauthorized", "the token has expired; send auth:refresh with a fresh one")
        # Before the notice, which a fresh token may overtake.
        self._after(session, self._grace_s, self._end)
        await self._sockets.tell(session, "error", refusal.event(None))

    async def _end(self, session: Session) -> None:
        self.forget(session)
        if not session.closed:
            CLOSED.labels("token_expired").inc()
            await self._sockets.disconnect(session.sid, namespace=session.namespace)
