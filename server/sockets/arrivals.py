"""New connections: how many an address may open a second, and how many a user may hold."""

from typing import Final
from urllib.parse import parse_qs

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from server.limits import TokenBucket
from server.metrics import REFUSALS
from server.refusals import Refusal
from server.sockets.session import Session

_REMEMBERED: Final = 10_000


class ConnectRate:
    """An ASGI layer before Socket.IO: more than `a_second` new connections of one address are refused with 429.

    0 means no bound. The addresses seen last are remembered, 10,000 of them.
    """

    def __init__(self, app: ASGIApp, a_second: int) -> None:
        self._app, self._a_second = app, a_second
        self._buckets: dict[str, TokenBucket] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._a_second and _is_new(scope) and not self._bucket(scope).take():
            await self._refuse(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _bucket(self, scope: Scope) -> TokenBucket:
        address = (scope.get("client") or ("",))[0]
        bucket = self._buckets.pop(address, None) or TokenBucket(self._a_second, self._a_second)
        self._buckets[address] = bucket
        if len(self._buckets) > _REMEMBERED:
            del self._buckets[next(iter(self._buckets))]
        return bucket

    @staticmethod
    async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
        refusal = Refusal("rate_limited", "too many new connections from this address")
        REFUSALS.labels(refusal.code).inc()
        if scope["type"] == "websocket" and "websocket.http.response" not in scope.get("extensions", {}):
            # Before it is accepted, a close becomes an HTTP refusal of the handshake.
            await send({"type": "websocket.close", "code": 1013})
            return
        answer = JSONResponse({"success": False, "error": refusal.body()}, refusal.status)
        await answer(scope, receive, send)


class UserSockets:
    """Counts the sockets that each user holds at this process, by what their handshakes say; most 0 means no bound."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: dict[tuple[str, str], set[str]] = {}

    def enter(self, session: Session) -> None:
        """Count a new socket. Raises `rate_limited` when its user holds as many as one may."""
        if not self._most or session.identity is None:
            return
        held = self._held.setdefault((session.namespace, session.identity.user), set())
        if len(held) >= self._most:
            raise Refusal("rate_limited", f"a user may hold at most {self._most} connections")
        held.add(session.sid)

    def leave(self, session: Session) -> None:
        """Forget a socket that ended; harmless for one that was never counted."""
        if session.identity is None:
            return
        held = self._held.get((session.namespace, session.identity.user), set())
        held.discard(session.sid)
        if not held:
            self._held.pop((session.namespace, session.identity.user), None)


def _is_new(scope: Scope) -> bool:
    """A handshake has no session id yet; later polls and upgrades carry one."""
    return "sid" not in parse_qs(scope.get("query_string", b"").decode("latin-1"))
