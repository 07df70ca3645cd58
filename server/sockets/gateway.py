"""The gateway: every event of every socket comes through here, in order, and none goes without an answer."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

import socketio

from server import wire
from server.auth import check_sender
from server.metrics import EVENTS, REFUSALS, SOCKETS
from server.refusals import Refusal, refusal_of
from server.sockets.session import Session

Answer = dict[str, Any]
# A handler may answer later, with a future, and so let the socket's next event in.
Handler = Callable[[Session, Any], Awaitable[Answer | asyncio.Future[Any]]]

log = logging.getLogger(__name__)


class Gateway(socketio.AsyncNamespace):  # type: ignore[misc]  # python-socketio has no types
    """One namespace.

    `handlers` by event name; `open` makes the session of a socket (or refuses it); `closed` ends it.
    """

    def __init__(
        self,
        namespace: str,
        handlers: Mapping[str, Handler],
        sessions: dict[str, Session],
        open: Callable[[str, str, MutableMapping[str, Any], object], Awaitable[Session]],
        closed: Callable[[Session, str], Awaitable[None]],
    ) -> None:
        super().__init__(namespace)
        self._handlers, self._sessions, self._open, self._closed = handlers, sessions, open, closed

    async def trigger_event(self, event: str, sid: str, *args: Any) -> Any:
        """Dispatch one event.

        Only python-socketio itself can connect or disconnect: a client's event of that name cannot.
        """
        session = self._sessions.get(sid)
        if event == "connect" and session is None:
            return await self._connect(sid, *args)
        if event == "disconnect" and not self.server.manager.is_connected(sid, self.namespace):
            return await self._disconnect(sid, *args)
        if session is None or session.closed:
            return None
        return await self._answer(event, session, args)

    async def _connect(self, sid: str, environ: MutableMapping[str, Any], auth: object = None) -> None:
        try:
            self._sessions[sid] = await self._open(sid, self.namespace, environ, auth)
        except Exception as error:
            refusal = self._refused("connect", error)
            raise socketio.exceptions.ConnectionRefusedError(refusal.code) from None
        SOCKETS.inc()

    async def _disconnect(self, sid: str, reason: str = "") -> None:
        session = self._sessions.pop(sid, None)
        if session is None:
            return
        SOCKETS.dec()
        session.closed = True
        try:
            await self._closed(session, reason)
        except Exception as error:
            self._refused("disconnect", error)
        # Where it has been the session is remembered, for a Redis that forgets; nobody asks these any more.
        session.told.clear()
        session.ever_joined.clear()

    async def _answer(self, event: str, session: Session, args: tuple[Any, ...]) -> Answer | asyncio.Future[Any]:
        payload = args[0] if args else None
        return await self._settle(event, session, payload, self._handle(event, session, payload))

    async def _handle(self, event: str, session: Session, payload: Any) -> Answer | asyncio.Future[Any]:
        if not session.bucket.take():
            raise Refusal("rate_limited", "too many events; slow down")
        handler = self._handlers.get(event)
        if handler is None:
            raise Refusal("not_found", f"there is no event {event[:64]}")
        check_sender(session.identity, payload)
        return await handler(session, payload)

    async def _settle(
        self, event: str, session: Session, payload: Any, work: Awaitable[Answer | asyncio.Future[Any]]
    ) -> Answer | asyncio.Future[Any]:
        """Turn what a handler does into its acknowledgement, or a future of it."""
        try:
            answer = await work
            if isinstance(answer, asyncio.Future):
                return asyncio.ensure_future(self._settle(event, session, payload, answer))
            EVENTS.labels(event, "ok").inc()
            return {"ok": True, **answer}
        except Exception as error:
            refusal = self._refused(event if event in self._handlers else "unknown", error)
            await self._tell(session, event, refusal, payload)
            return {"ok": False, "error": refusal.body()}

    def _refused(self, event: str, error: Exception) -> Refusal:
        refusal = refusal_of(error)
        if refusal.code == "internal":
            log.error("event %s failed", event, exc_info=error)
        EVENTS.labels(event, "refused").inc()
        REFUSALS.labels(refusal.code).inc()
        return refusal

    async def _tell(self, session: Session, event: str, refusal: Refusal, payload: Any) -> None:
        """The `error` event, for clients that pass no callback."""
        body = refusal.event(event)
        room = payload.get("roomId", payload.get("room_id")) if isinstance(payload, dict) else None
        given = wire.echo(room) if isinstance(room, float) else room
        if isinstance(given, (str, int)) and not isinstance(given, bool):
            body["roomId"] = given
        try:
            await self.server.tell(session, "error", body)
        except Exception:
            log.exception("an error event could not be sent")
