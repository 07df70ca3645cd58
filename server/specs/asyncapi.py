"""asyncapi.json: every Socket.IO event, what it takes, what its acknowledgement holds."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final, Literal

import msgspec

from server import messages, payloads
from server.specs.schemas import Json, components, reference

# event: (payload, what the acknowledgement holds beside `ok`, what it does)
FROM_CLIENTS: Final[dict[str, tuple[Any, tuple[Any, ...], str]]] = {
    "join_room": (payloads.JoinRoom, (messages.RoomJoined,), "Join this connection to a room; harmless to repeat."),
    "leave_room": (payloads.LeaveRoom, (messages.RoomLeft,), "Leave with this connection, or `everywhere` with all."),
    "room:heartbeat": (payloads.Heartbeat, (messages.HeartbeatAnswer,), "Stay; a beat never brings anybody back."),
    "room:update": (payloads.UpdateMember, (messages.Updated,), "Replace the member's name or data."),
    "room:users:get": (payloads.ListUsers, (messages.UsersPage,), "One page of members, by (joinedAt, userId)."),
    "room:sync": (
        payloads.SyncRoom,
        (messages.SyncedDiffs, messages.SyncedSnapshot),
        "Catch up from a position: diffs while the log reaches back, else a snapshot.",
    ),
    "room:watch": (payloads.WatchRooms, (messages.Watched,), "Counts of rooms without joining; changes as room:count."),
    "room:unwatch": (payloads.WatchRooms, (messages.Unwatched,), "Stop watching."),
    "user:logout": (None, (messages.LoggedOut,), "Leave every room with this connection."),
    "auth:refresh": (payloads.RefreshToken, (messages.Empty,), "Replace an expiring token of the same user."),
}

TO_CLIENTS: Final[dict[str, tuple[Any, str]]] = {
    "room:joined": (messages.RoomJoined, "To the caller of join_room."),
    "room:left": (messages.RoomLeft, "To the caller of leave_room, and to the user's sockets put out by `everywhere`."),
    "room:mode": (messages.RoomMode, "The room's size changed how it is told."),
    "room:diff": (messages.RoomDiff, "The net effect of a window of changes."),
    "room:count": (messages.RoomCount, "To watchers, and to members of a room in counts mode."),
    "room:heartbeat:ack": (messages.HeartbeatAck, "To the caller of room:heartbeat."),
    "room:force-leave": (messages.ForceLeft, "This socket is out of the room."),
    "server:restarting": (messages.Restarting, "This server stops; connect again."),
    "error": (messages.ErrorEvent, "An event was refused, for clients that pass no callback."),
}

# What is taken for a payload beside its object.
_BARE: Final[dict[str, Any]] = {"join-retro-room": payloads.Id, "leave-retro-room": payloads.Id | None}


def document(
    version: str,
    from_clients: Mapping[str, tuple[Any, Sequence[Any], str]] = FROM_CLIENTS,
    to_clients: Mapping[str, tuple[Any, str]] = TO_CLIENTS,
) -> Json:
    """Return the AsyncAPI 3 document."""
    sent = {_name(event): _message(event, shape, text) for event, (shape, text) in to_clients.items()}
    taken = {f"{_name(event)}.request": _request(event, *about) for event, about in from_clients.items()}
    given = {shape for shape, _, _ in from_clients.values() if shape}
    answered = {_acknowledged(one) for _, answers, _ in from_clients.values() for one in answers}
    schemas = components([*(shape for shape, _ in to_clients.values() if shape), *given, *answered, messages.Refused])
    for shape in given:
        _spell_both(schemas[shape.__name__])
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "presence-engine",
            "version": version,
            "description": "Socket.IO events. Every event of a client answers its acknowledgement callback.",
        },
        "defaultContentType": "application/json",
        "channels": {
            "socket": {
                "address": "/socket.io/",
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in (*taken, *sent)},
            }
        },
        "operations": {
            **{name: _operation("receive", name) for name in taken},
            **{name: _operation("send", name) for name in sent},
        },
        "components": {
            "messages": {**taken, **sent},
            "schemas": schemas,
        },
    }


def _name(event: str) -> str:
    """The name of a message: only letters, digits, dots and dashes may occur in it."""
    return event.replace(":", ".").replace("{", "").replace("}", "")


def _operation(action: str, name: str) -> Json:
    return {
        "action": action,
        "channel": {"$ref": "#/channels/socket"},
        "messages": [{"$ref": f"#/channels/socket/messages/{name}"}],
    }


def _message(event: str, shape: Any, text: str) -> Json:
    return {"name": event, "summary": text, "payload": reference(shape) if shape else {}}


def _request(event: str, shape: Any, answers: Sequence[Any], text: str) -> Json:
    described = _message(event, shape, text)
    if event in _BARE:
        described["payload"] = {"anyOf": [described["payload"], reference(_BARE[event])]}
    done = [reference(_acknowledged(one)) for one in answers]
    return {**described, "x-ack": {"oneOf": [*done, reference(messages.Refused)]}}


@cache
def _acknowledged(answer: type[msgspec.Struct]) -> type[msgspec.Struct]:
    """An answer as its acknowledgement holds it, beside `ok`."""
    # `allOf` cannot add a property to a schema that allows no others.
    return msgspec.defstruct(
        f"{answer.__name__}Ack",
        [("ok", Literal[True])],
        bases=(answer,),
        namespace={"__doc__": answer.__doc__},
        kw_only=True,
        forbid_unknown_fields=True,
    )


def _spell_both(schema: Json) -> None:
    """Let a payload spell its ids either way, as the server does."""
    for pair in payloads.SPELLINGS.items():
        for name, other in (pair, pair[::-1]):
            if name in schema["properties"]:
                schema["properties"].setdefault(other, schema["properties"][name])
            if name in schema["required"]:
                schema["required"].remove(name)
                schema["anyOf"] = [{"required": [name]}, {"required": [other]}]
