"""What the operator's page shows beyond the public figures; needs the admin token."""

import asyncio
from collections.abc import Callable, Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from presence_engine import PresenceEngine, nodes, store_figures, sweep_lag
from server.auth import Authoriser
from server.http.answers import fresh


class AdminRoutes:
    """sockets(): how many are connected to this process. node_name: this process's own name."""

    def __init__(
        self, engine: PresenceEngine, authoriser: Authoriser, sockets: Callable[[], int], node_name: str
    ) -> None:
        self._engine, self._authoriser = engine, authoriser
        self._sockets, self._node_name = sockets, node_name

    def routes(self) -> Sequence[BaseRoute]:
        return [Route("/api/admin/overview", self.overview)]

    async def overview(self, request: Request) -> Response:
        """Nodes with their leases, sweeping, the Redis behind it all. Times are ms, sizes bytes."""
        self._authoriser.check_admin(request.headers)
        engine = self._engine
        found, lag, figures = await asyncio.gather(nodes(engine), sweep_lag(engine), store_figures(engine))
        return fresh(
            {
                "timestamp": found.now_ms,
                "node": {"name": self._node_name, "bootId": engine.node, "sockets": self._sockets()},
                "nodes": [{"name": one.name, "bootId": one.node, "leaseMs": one.left_ms} for one in found.leases],
                "condemned": [
                    {"bootId": one.node, "reason": one.reason, "sinceMs": one.since_ms} for one in found.condemned
                ],
                "sweeper": {"lagMs": lag.lag_ms, "dueRooms": lag.rooms},
                "partitions": engine.keys.partitions,
                "redis": figures,
            }
        )
