"""A board over HTTP: read as it stands. Reading does not prolong its life."""

import math
from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from server import board_wire
from server.auth import Authoriser
from server.board_fanout import room_of
from server.board_view import BoardView
from server.http.answers import fresh, in_path
from server.sockets.board_seats import board_id


class BoardRoutes:
    """The route below /api/retro."""

    def __init__(self, view: BoardView, authoriser: Authoriser) -> None:
        self._view, self._authoriser = view, authoriser

    def routes(self) -> Sequence[BaseRoute]:
        return [Route("/api/retro/{retro:path}/state", self.state)]

    async def state(self, request: Request) -> Response:
        identity = self._authoriser.bearer(request.headers)
        retro = board_id(in_path(request, "retro"))
        self._authoriser.check_room(identity, "board", room_of(retro))
        snapshot, present = await self._view.whole(retro)
        about = {"participantCount": present.position.count, "ttl": math.ceil(snapshot.ttl_ms / 1000)}
        return fresh({**board_wire.state(snapshot, present), **about})
