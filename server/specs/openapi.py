"""openapi.json: every HTTP route, its parameters, bodies and answers."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from presence_engine import MAX_PAGE
from server import messages, payloads
from server.specs.schemas import Json, components, reference


class Parameter(msgspec.Struct):
    name: str
    text: str
    schema: Json
    required: bool = False


class Operation(msgspec.Struct):
    """One method of one path. answer None: not JSON. admin: needs the admin token. open: needs no token at all.

    absent: when it answers 404; unready: when an open one answers 503, with the same body.
    """

    text: str
    answer: Any
    query: tuple[Parameter, ...] = ()
    body: Any = None
    admin: bool = False
    open: bool = False
    absent: str | None = None
    unready: str | None = None


_LIMIT: Final = Parameter("limit", "Most entries of the page.", {"type": "integer", "minimum": 1, "maximum": MAX_PAGE})
_CURSOR: Final = Parameter("cursor", "The cursor of the page before.", {"type": "string"})
_VIEW: Final = Parameter("view", "`full` gives whole members.", {"enum": ["names", "full"], "default": "names"})
_DAYS: Final = Parameter(
    "days", "Days, today included.", {"type": "integer", "minimum": 1, "maximum": 30, "default": 7}
)
_IDS: Final = Parameter("ids", "Rooms, separated by commas.", {"type": "string"}, required=True)

OPERATIONS: Final[dict[tuple[str, str], Operation]] = {
    ("get", "/api/chatroom/{roomId}/participants"): Operation(
        "Who is in the room now.", messages.Participants, (_LIMIT, _CURSOR, _VIEW)
    ),
    ("get", "/api/chatroom/{roomId}/count"): Operation("How many are in the room now.", messages.Count),
    ("post", "/api/chatroom/{roomId}/kick"): Operation(
        "Put a user out of the room.", messages.Kicked, body=payloads.Kick, admin=True
    ),
    ("get", "/api/chatrooms/counts"): Operation("How many are in each of the rooms.", messages.Counts, (_IDS,)),
    ("post", "/api/chatrooms/counts"): Operation(
        "How many are in each of the rooms.", messages.Counts, body=payloads.CountRooms
    ),
    ("get", "/api/chatrooms"): Operation("Live rooms, largest first.", messages.LiveRooms, (_LIMIT,)),
    ("get", "/api/users/{userId}/rooms"): Operation(
        "Where a user is.", messages.RoomsOfUser, absent="This server keeps no index of users (`PRESENCE_USER_INDEX`)."
    ),
    ("get", "/api/analytics/removals"): Operation(
        "How many users left, by day and reason.", messages.Removals, (_DAYS,), admin=True
    ),
    ("get", "/healthz"): Operation("The process lives.", messages.Alive, open=True),
    ("get", "/readyz"): Operation("Redis is within reach.", messages.Ready, open=True, unready="Not ready."),
    ("get", "/metrics"): Operation("Prometheus figures.", None),
    ("get", "/openapi.json"): Operation("This document.", dict),
    ("get", "/asyncapi.json"): Operation("The Socket.IO events.", dict),
}


def document(version: str, operations: Mapping[tuple[str, str], Operation] = OPERATIONS) -> Json:
    """Return the OpenAPI 3.1 document."""
    paths: Json = {}
    for (method, path), operation in operations.items():
        paths.setdefault(path, {})[method] = _operation(path, operation)
    shapes = [one.answer for one in operations.values()] + [one.body for one in operations.values()]
    structs = [shape for shape in shapes if isinstance(shape, type) and issubclass(shape, msgspec.Struct)]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "presence-engine",
            "version": version,
            "description": "A `/` inside an id is sent as `%2F`. No answer may be cached.",
        },
        "paths": paths,
        "components": {
            "schemas": components([*structs, messages.HttpRefused]),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "admin": {"type": "http", "scheme": "bearer"},
            },
        },
    }


def _operation(path: str, operation: Operation) -> Json:
    described: Json = {"summary": operation.text, "responses": _responses(operation)}
    parameters = [_path_parameter(part) for part in path.split("/") if part.startswith("{")]
    parameters += [
        {"name": one.name, "in": "query", "description": one.text, "required": one.required, "schema": one.schema}
        for one in operation.query
    ]
    if parameters:
        described["parameters"] = parameters
    if operation.body is not None:
        content = {"application/json": {"schema": reference(operation.body)}}
        described["requestBody"] = {"required": True, "content": content}
    if not operation.open:
        described["security"] = [{"admin": []}] if operation.admin else [{"bearer": []}, {}]
    return described


def _path_parameter(part: str) -> Json:
    name = part.strip("{}")
    # A board's presence room is `retro:<retroId>`, which must be an id too.
    schema = {"type": "string", "minLength": 1, "maxLength": 122 if name == "retroId" else 128}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _responses(operation: Operation) -> Json:
    if operation.answer is None:
        content: Json = {"text/plain": {"schema": {"type": "string"}}}
    else:
        schema = {"type": "object"} if operation.answer is dict else reference(operation.answer)
        content = {"application/json": {"schema": schema}}
    refused = {"application/json": {"schema": reference(messages.HttpRefused)}}
    answers: Json = {"200": {"description": operation.text, "content": content}}
    if operation.open:
        return answers | ({"503": {"description": operation.unready, "content": content}} if operation.unready else {})
    absent = {"404": operation.absent} if operation.absent else {}
    for status, text in {**_REFUSALS, **absent}.items():
        answers[status] = {"description": text, "content": refused}
    return answers


_REFUSALS: Final = {
    "400": "The request is not valid; `field` names why.",
    "401": "A token is needed.",
    "403": "Not allowed.",
    "413": "The body is too large.",
    "422": "A field of the body breaks its rule.",
    "503": "Redis is out of reach; try again.",
}
