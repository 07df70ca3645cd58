"""The two specifications, served."""

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from server.auth import Authoriser
from server.http.answers import fresh
from server.specs import admin, asyncapi, board, chat, openapi


class SpecRoutes:
    """openapi.json and asyncapi.json, built once."""

    def __init__(self, authoriser: Authoriser) -> None:
        release = version("presence-engine")
        self._authoriser = authoriser
        self._documents: dict[str, dict[str, Any]] = {
            "/openapi.json": openapi.document(
                release, openapi.OPERATIONS | board.OPERATIONS | chat.OPERATIONS | admin.OPERATIONS
            ),
            "/asyncapi.json": asyncapi.document(
                release,
                asyncapi.FROM_CLIENTS | board.FROM_CLIENTS | chat.FROM_CLIENTS,
                asyncapi.TO_CLIENTS | board.TO_CLIENTS | chat.TO_CLIENTS,
            ),
        }

    def routes(self) -> Sequence[BaseRoute]:
        return [Route(path, self.document) for path in self._documents]

    async def document(self, request: Request) -> Response:
        self._authoriser.bearer(request.headers)
        return fresh(self._documents[request.url.path])
