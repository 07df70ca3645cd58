"""How HTTP answers: JSON with ready fragments, errors in the contract's shape, query values that name themselves."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import parse_qsl, unquote, unquote_plus

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from presence_engine import InvalidInput
from server import payloads
from server.metrics import REFUSALS
from server.refusals import Refusal, refusal_of

MAX_BODY_BYTES = 1_000_000

T = TypeVar("T")


class Json(Response):
    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return msgspec.json.encode(content)


def fresh(body: Any) -> Json:
    """An answer that no cache may keep."""
    return Json(body, headers={"Cache-Control": "no-store"})


def refused(refusal: Refusal) -> Json:
    REFUSALS.labels(refusal.code).inc()
    headers = {"Cache-Control": "no-store"}
    if refusal.code == "unauthorized":
        headers["WWW-Authenticate"] = "Bearer"
    return Json({"success": False, "error": refusal.body()}, refusal.status, headers)


async def on_error(_: Request, error: Exception) -> Response:
    """The one exception handler. What is not foreseen is raised on by the framework and so logged, once."""
    if isinstance(error, HTTPException):
        return refused(_of_framework(error))
    return refused(refusal_of(error))


def _of_framework(error: HTTPException) -> Refusal:
    match error.status_code:
        case 404:
            return Refusal("not_found", "there is nothing at this address")
        case 405:
            return Refusal("not_found", "this address does not take that method", status=404)
        case 413:
            return Refusal("too_large", "the body is too large")
        case _:
            return Refusal("invalid_input", error.detail or "the request cannot be read", field="payload")


def whole(request: Request, name: str, default: int, least: int, most: int) -> int:
    """Return a whole number of the query. Raises InvalidInput naming it."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) <= 9 and least <= int(text) <= most):
        raise InvalidInput(name, f"must be a whole number from {least} to {most}")
    return int(text)


def in_path(request: Request, name: str) -> str:
    """Return an id of the path, decoded. Bytes that are no text become what no id may hold; U+FFFD might be one."""
    given: str = request.path_params[name]
    if "\ufffd" in given:
        try:
            unquote(request.scope.get("raw_path") or b"", errors="strict")
        except UnicodeDecodeError:
            return given.replace("\ufffd", "\udcff")
    return given


def in_query(request: Request, name: str) -> str | None:
    """Return a text of the query, decoded as `in_path`."""
    return dict(parse_qsl(_query(request), keep_blank_values=True, errors="surrogateescape")).get(name)


def listed(request: Request, name: str) -> list[str] | None:
    """Return a comma-separated query value, split before it is decoded, so that ids may hold `%2C`."""
    for part in _query(request).split("&"):
        key, equals, value = part.partition("=")
        if unquote_plus(key) == name and equals:
            return [unquote_plus(one, errors="surrogateescape") for one in value.split(",")] if value else []
    return None


def _query(request: Request) -> str:
    found: bytes = request.scope["query_string"]
    return found.decode(errors="surrogateescape")


async def received(request: Request) -> bytes:
    """Return the body's bytes. Raises `too_large`; of a client that hung up `invalid_input`, which nobody hears."""
    data = bytearray()
    try:
        async for chunk in request.stream():
            data += chunk
            if len(data) > MAX_BODY_BYTES:
                raise Refusal("too_large", f"the body has more than {MAX_BODY_BYTES} bytes")
    except ClientDisconnect:
        raise Refusal("invalid_input", "payload broke off", field="payload") from None
    return bytes(data)


async def body(request: Request, shape: type[T]) -> T:
    """Read a JSON body. Unreadable: 400 naming `payload`; a field that breaks its rule: 422 naming it."""
    try:
        content = msgspec.json.decode(await received(request))
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise Refusal("invalid_input", "payload must be JSON", field="payload") from None
    with of_body():
        return payloads.read(shape, content)


@contextmanager
def of_body() -> Iterator[None]:
    """A field of the body that breaks its rule in here is refused with 422, by name."""
    try:
        yield
    except InvalidInput as error:
        raise Refusal("invalid_input", str(error), field=error.field, status=422) from None
