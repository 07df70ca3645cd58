"""The pages, and the modules they and other people's pages load. No build step: files are served as they lie there."""

import gzip
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from server.http.security import PAGE_POLICY

_WEB: Final = Path(__file__).parent.parent / "web"
_FOLDERS: Final = ("client", "assets", "vendor")
# Spelled out: what the mimetypes module says depends on the machine, and modules need a JavaScript type.
_TYPES: Final[Mapping[str, str]] = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".ts": "text/plain; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
}


class _File(NamedTuple):
    media_type: str
    etag: str
    plain: bytes
    packed: bytes


class PageRoutes:
    """`/` (only with `demo`), `/admin`, `/client/*`, `/assets/*`, `/vendor/*`; read once, when this is made.

    node_name: what `/` and `/admin` tell in `X-Presence-Node`.
    """

    def __init__(self, node_name: str, *, demo: bool) -> None:
        self._node_name, self._demo = node_name, demo
        self._files = dict(_files())

    def routes(self) -> Sequence[BaseRoute]:
        shown = [Route("/", self.page("index.html"))] if self._demo else []
        return [
            *shown,
            Route("/admin", self.page("admin.html")),
            *(Route(f"/{folder}/{{path:path}}", self.file) for folder in _FOLDERS),
        ]

    def page(self, name: str) -> Callable[[Request], Response]:
        def answer(request: Request) -> Response:
            response = _answer(self._files[name], request)
            response.headers["Content-Security-Policy"] = PAGE_POLICY
            response.headers["X-Presence-Node"] = self._node_name
            return response

        return answer

    def file(self, request: Request) -> Response:
        found = self._files.get(request.url.path.removeprefix("/"))
        if found is None:
            raise HTTPException(404)
        return _answer(found, request)


def _answer(file: _File, request: Request) -> Response:
    # Asked again every time, and answered in one line while nothing changed: a new release is seen at once.
    headers = {"ETag": file.etag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
    if file.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    body = file.plain
    if "gzip" in request.headers.get("accept-encoding", ""):
        body = file.packed
        headers["Content-Encoding"] = "gzip"
    return Response(body, media_type=file.media_type, headers=headers)


def _files() -> Iterator[tuple[str, _File]]:
    for path in sorted(_WEB.rglob("*")):
        name = path.relative_to(_WEB).as_posix()
        served = name.partition("/")[0] in _FOLDERS or path.parent == _WEB
        if served and path.is_file() and path.suffix in _TYPES:
            content = path.read_bytes()
            etag = f'"{hashlib.sha256(content).hexdigest()[:20]}"'
            yield name, _File(_TYPES[path.suffix], etag, content, gzip.compress(content, 9, mtime=0))
