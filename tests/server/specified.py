"""What openapi.json and asyncapi.json say, as tables: the tables the served documents are made of."""

import importlib
import pkgutil
import re
from functools import cache
from typing import Any, Final

import jsonschema_rs
import msgspec

from server import messages, specs
from server.specs import asyncapi
from server.specs.openapi import Operation

_MODULES: Final = [importlib.import_module(f"server.specs.{one.name}") for one in pkgutil.iter_modules(specs.__path__)]


def _tables(name: str) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for module in _MODULES:
        found |= getattr(module, name, {})
    return found


OPERATIONS: Final[dict[tuple[str, str], Operation]] = _tables("OPERATIONS")
FROM_CLIENTS: Final[dict[str, tuple[Any, tuple[Any, ...], str]]] = _tables("FROM_CLIENTS")
TO_CLIENTS: Final[dict[str, tuple[Any, str]]] = _tables("TO_CLIENTS")


def shape_of_event(name: str) -> Any:
    """The struct of an event to clients. Events of a board carry its id in their name, `retro-state:{retroId}`.

    Raises KeyError for an event that is not described.
    """
    if name in TO_CLIENTS:
        return TO_CLIENTS[name][0]
    for described, (shape, _) in TO_CLIENTS.items():
        if "{" in described and re.fullmatch(_pattern(described), name, re.DOTALL):
            return shape
    raise KeyError(name)


def _pattern(described: str) -> str:
    return "".join(".+" if part.startswith("{") else re.escape(part) for part in re.split(r"(\{\w+\})", described))


def check_event(name: str, body: Any) -> None:
    """Raises KeyError or msgspec.ValidationError when an event to a client is not as described."""
    shape = shape_of_event(name)
    if shape is not None:
        msgspec.convert(body, shape, strict=True)


@cache
def validator(event: str, part: str) -> Any:
    """Of what asyncapi.json says of an event from clients: its `payload`, or its `x-ack`."""
    document = asyncapi.document("1", FROM_CLIENTS, TO_CLIENTS)
    [message] = [one for one in document["components"]["messages"].values() if one["name"] == event and "x-ack" in one]
    return jsonschema_rs.validator_for({**message[part], "components": document["components"]})


def check_ack(event: str, payload: Any, answer: Any) -> None:
    """Raises what check_event raises, or jsonschema_rs.ValidationError: of an acknowledgement, and of what it took."""
    validator(event, "x-ack").validate(answer)
    if answer["ok"] is False:
        msgspec.convert(answer, messages.Refused, strict=True)
        return
    validator(event, "payload").validate(payload)
    body = {name: value for name, value in answer.items() if name != "ok"}
    problems = []
    for shape in FROM_CLIENTS[event][1]:
        try:
            msgspec.convert(body, shape, strict=True)
        except msgspec.ValidationError as error:
            problems.append(f"{shape.__name__}: {error}")
        else:
            return
    raise msgspec.ValidationError(f"{event} answered {body}: {problems}")
