"""Is the process alive, is Redis within reach, and the figures."""

from collections.abc import Callable, Sequence

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from presence_engine import PresenceEngine, PresenceError
from server.auth import Authoriser
from server.http.answers import Json, fresh
from server.metrics import REGISTRY


class HealthRoutes:
    """ready() tells whether the start is complete: earlier boots cleaned up, scripts loaded."""

    def __init__(self, engine: PresenceEngine, authoriser: Authoriser, ready: Callable[[], bool]) -> None:
        self._engine, self._authoriser, self._ready = engine, authoriser, ready

    def routes(self) -> Sequence[BaseRoute]:
        return [
            Route("/healthz", self.alive),
            Route("/readyz", self.readiness),
            Route("/metrics", self.metrics),
        ]

    async def alive(self, _: Request) -> Response:
        return fresh({"status": "ok"})

    async def readiness(self, _: Request) -> Response:
        connected = await self._ping()
        ok = connected and self._ready()
        body = {
            "status": "ok" if ok else "unavailable",
            "redis": "connected" if connected else "disconnected",
            "timestamp": self._engine.now_ms(),
        }
        return Json(body, 200 if ok else 503, headers={"Cache-Control": "no-store"})

    async def _ping(self) -> bool:
        try:
            return bool(await self._engine.ping())
        except PresenceError:
            return False

    async def metrics(self, request: Request) -> Response:
        self._authoriser.bearer(request.headers)
        headers = {"Cache-Control": "no-store"}
        return Response(generate_latest(REGISTRY), headers=headers, media_type=CONTENT_TYPE_LATEST)
