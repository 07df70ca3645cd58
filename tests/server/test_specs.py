"""openapi.json and asyncapi.json against the code: nothing undescribed, nothing described that is not there."""

import ast
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from starlette.routing import Route

from presence_engine import EmbeddedServer
from server import messages
from server.app import PresenceServer
from server.settings import Settings
from tests.client.driver import Client
from tests.server.conftest import ADMIN_TOKEN, RunningServer, Serve
from tests.server.specified import (
    FROM_CLIENTS,
    OPERATIONS,
    TO_CLIENTS,
    check_ack,
    check_event,
    shape_of_event,
    validator,
)

Connect = Callable[..., Client]
SERVER = Path(__file__).parents[2] / "server"
# Files for browsers: pages, modules, pictures. They hold no data and are no interface.
FILES = {"/", "/admin", "/client/{}", "/assets/{}", "/vendor/{}"}
SENDERS = {"emit", "tell", "_send", "send_many", "send_burst"}


def parts(path: str) -> str:
    """A path with its parameters' names left out."""
    return re.sub(r"\{[^}]*\}", "{}", path)


@pytest.fixture
async def built(store: EmbeddedServer) -> Any:
    server = PresenceServer(Settings.from_environ({"REDIS_URL": store.url}), store.url)
    yield server
    await server.fanout.close()
    await server.engine.close()


def routes(server: PresenceServer) -> Iterator[tuple[str, str]]:
    app: Any = server.asgi
    while not hasattr(app, "routes"):
        app = getattr(app, "_web", None) or app._app
    for route in app.routes:
        assert isinstance(route, Route), route
        for method in route.methods or ():
            if method != "HEAD" and parts(route.path) not in FILES:
                yield method.lower(), parts(route.path)


async def test_every_route_is_described_and_nothing_else(built: PresenceServer) -> None:
    described = {(method, parts(path)) for method, path in OPERATIONS}
    assert set(routes(built)) == described


async def test_every_handler_is_described_and_nothing_else(built: PresenceServer) -> None:
    for gateway in built.sockets.namespace_handlers.values():
        assert set(gateway._handlers) == set(FROM_CLIENTS)


def test_events_have_the_names_of_the_contract() -> None:
    """C12, C19: clients that others wrote rely on each; a name that is changed everywhere at once is still a break."""
    relayed = "phase-change label-update vote-submission typing"
    from_clients = (
        "join_room leave_room room:heartbeat room:update room:sync room:users:get room:watch room:unwatch room:join "
        "room:leave room:read user:logout auth:refresh join-retro-room leave-retro-room request-retro-state "
        "item-position-update grouping-update vote-update request-user-votes request-voting-result action-item-added "
        f"action-item-updated action-item-deleted {relayed}"
    )
    to_clients = (
        "room:joined room:mode room:left room:diff room:count room:heartbeat:ack room:force-leave server:restarting "
        "error room:new_message new_message new_room_complete new_room new_room_with_message room:unread"
    )
    to_boards = (
        "retro-state item-position-update grouping-update vote-update user-votes initial-voting-result "
        f"action-items-update {relayed}"
    )
    assert set(FROM_CLIENTS) == set(from_clients.split())
    assert set(TO_CLIENTS) - {name for name in TO_CLIENTS if "{" in name} == set(to_clients.split())
    assert {name.partition(":{")[0] for name in TO_CLIENTS if "{" in name} == set(to_boards.split())


def test_every_event_that_is_sent_by_name_is_described() -> None:
    """Names written in calls that send; those put together at run time are checked where they arrive."""
    sent = {name for path in SERVER.rglob("*.py") for name in _sent(ast.parse(path.read_text("utf-8")))}
    assert {"room:joined", "room:diff", "error", "server:restarting"} <= sent
    described = {parts(name) for name in TO_CLIENTS}
    assert sent <= described, sent - described


def _sent(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in SENDERS:
            for argument in node.args[:2]:
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    yield argument.value
                elif isinstance(argument, ast.JoinedStr):
                    pieces = [str(one.value) if isinstance(one, ast.Constant) else "{}" for one in argument.values]
                    if pieces[0] != "{}":
                        yield "".join(pieces)


@pytest.mark.parametrize("path", ["/openapi.json", "/asyncapi.json"])
def test_a_document_is_whole(server: RunningServer, path: str) -> None:
    """Every reference leads somewhere, every schema is used."""
    document = server.get(path)
    text = json.dumps(document)
    used = set(re.findall(r'"\$ref": "#/([^"]+)"', text))
    assert used
    for reference in used:
        found: Any = document
        for part in reference.split("/"):
            found = found[part]
        assert found, reference
    unused = {f"components/schemas/{name}" for name in document["components"]["schemas"]} - used
    assert unused == set()


def test_the_documents_hold_what_the_tables_hold(server: RunningServer) -> None:
    paths = server.get("/openapi.json")["paths"]
    assert {(method, path) for path, methods in paths.items() for method in methods} == set(OPERATIONS)
    names = [one["name"] for one in server.get("/asyncapi.json")["components"]["messages"].values()]
    assert sorted(names) == sorted([*FROM_CLIENTS, *TO_CLIENTS])


GIVEN = {
    "roomId": "spec-room", "userId": "u1", "retroId": "spec-board", "room_id": "spec-chat", "ids": "spec-room,b",
    "hub.mode": "subscribe", "hub.verify_token": "x", "hub.challenge": "y",
}  # fmt: skip


@pytest.mark.parametrize(("method", "path"), sorted(OPERATIONS))
def test_an_answer_over_http_is_as_described(server: RunningServer, connect: Connect, method: str, path: str) -> None:
    """200 has the described shape; a refusal the described status and shape. No answer may be cached."""
    operation = OPERATIONS[method, path]
    connect(server, auth={"userId": "u1"}).join("spec-room", data={"a": [1]})
    address = re.sub(r"\{(\w+)\}", lambda match: GIVEN[match[1]], path)
    query = {one.name: GIVEN[one.name] for one in operation.query if one.required}
    headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"} if operation.admin else {}
    responses = server.get("/openapi.json")["paths"][path][method]["responses"]
    bodies: list[Any] = [None] if operation.body is None else [None, {}, [], {"ids": ["spec-room"], "userId": "u1"}]
    for body in bodies:
        answer = server.http.request(method, address, params=query, headers=headers, json=body)
        assert str(answer.status_code) in responses, (answer.status_code, answer.text)
        assert answer.headers["Cache-Control"] == "no-store"
        if answer.status_code != 200:
            msgspec.convert(answer.json(), messages.HttpRefused, strict=True)
        elif operation.answer is not None and operation.answer is not dict:
            msgspec.convert(answer.json(), operation.answer, strict=True)


def test_members_over_http_are_as_described(server: RunningServer, connect: Connect, room: str) -> None:
    connect(server, auth={"userId": 7}).join(room, data={"a": [1]})
    for view, shape in (("names", messages.Participant), ("full", messages.Member)):
        [user] = server.participants(room, view=view)["users"]
        msgspec.convert(user, shape, strict=True)


def test_what_sockets_are_told_is_as_described(serve: Serve, connect: Connect) -> None:
    """A day in a room, a chat room and at a board: every acknowledgement and every event is held to its struct."""
    server = serve(PRESENCE_COUNTS_ROOM="2", PRESENCE_COUNT_WINDOW="0.1", CHAT_LEGACY_EVENTS="true")
    one, two, three = [connect(server, auth={"userId": user}) for user in ("u1", 2, "u3")]
    board, phone = "spec-board", "628785399999"
    told = [(one, "join_room", {"roomId": "r", "data": {"a": 1}}), (two, "join_room", {"roomId": "r", "userId": 2})]
    told += [(three, "room:watch", {"roomIds": ["r", 5]}), (two, "room:update", {"roomId": "r", "username": "Zoë"})]
    told += [(one, "room:heartbeat", {"roomId": "r"}), (three, "room:heartbeat", {"roomId": "r"})]
    told += [(one, "room:sync", {"roomId": "r"}), (one, "room:users:get", {"roomId": "r", "limit": 1})]
    told += [(three, "join_room", {"roomId": "r"}), (three, "room:unwatch", {"roomIds": ["r"]})]
    told += [(two, "leave_room", {"roomId": "r"}), (two, "leave_room", {"roomId": None}), (one, "nothing", 1)]
    told += [(one, "auth:refresh", {"token": "x"})]
    chat = server.post("/messages/incoming", {"phone": phone, "content_text": "a"})["room_id"]
    told += [(one, "room:join", {"room_id": chat}), (two, "room:join", {"room_id": chat, "user_id": 2})]
    told += [(one, "room:read", {"room_id": chat}), (two, "room:leave", {"room_id": chat, "user_id": 2})]
    at = {"retroId": board}
    told += [
        (one, "join-retro-room", board),
        (two, "join-retro-room", {**at, "userId": 2}),
        (one, "request-retro-state", at),
    ]
    told += [
        (one, "item-position-update", {**at, "itemId": "i", "position": {"x": 1, "y": 2.5}, "source": "drag-stop"})
    ]
    told += [
        (
            one,
            "item-position-update",
            {**at, "itemPositions": {"i": {"x": 0, "y": 0}, "j": {"x": 0, "y": 0}}, "source": "bulk"},
        )
    ]
    told += [
        (two, "grouping-update", {**at, "itemGroups": {"i": "s"}, "signatureColors": {"s": "#fff"}, "timestamp": 1})
    ]
    told += [
        (one, "vote-update", {**at, "groupId": 0, "votes": 1, "userVotes": {"0": 1}}),
        (one, "request-user-votes", at),
    ]
    told += [
        (one, "vote-update", {**at, "groupId": 0, "votes": 9, "userVotes": {"0": 9}}),
        (two, "request-voting-result", at),
    ]
    told += [
        (one, "phase-change", {**at, "phase": "vote"}),
        (one, "typing", at),
        (one, "label-update", at),
        (one, "vote-submission", at),
    ]
    for client, event, payload in told:
        _checked(event, payload, client.emit(event, payload))
        if (client, event) == (three, "join_room"):
            one.wait("room:mode")
            three.wait("room:count")
    added = {**at, "task": "t", "assigneeId": 2, "assigneeName": "Zoë", "createdBy": "u1"}
    item = one.emit("action-item-added", added)
    _checked("action-item-added", added, item)
    named = {**at, "actionItemId": item["actionItem"]["id"]}
    for event, payload in [
        ("action-item-updated", {**named, "task": "other"}), ("action-item-deleted", named),
        ("action-item-deleted", {**at, "actionItemId": "gone"}), ("leave-retro-room", at), ("user:logout", None),
        ("join-retro-room", board), ("leave-retro-room", board), ("join-retro-room", 15), ("leave-retro-room", None),
        ("join_room", {"room_id": "r", "user_id": "u1"}), ("room:heartbeat", {"room_id": "r", "user_id": "u1"}),
        ("room:read", {"roomId": chat}), ("room:join", {"roomId": chat, "user_id": "u1"}),
        ("leave_room", {"room_id": "r"}),
    ]:  # fmt: skip
        _checked(event, payload, one.emit(event, payload))
    server.post("/messages/incoming", {"phone": phone, "content_text": "b"})
    server.kick("r", {"userId": "u3", "message": "out"})
    three.wait("room:force-leave")
    two.wait("new_message", lambda body: body["content_text"] == "b")
    acknowledged = {event for _, event, _ in told} | {
        "action-item-added",
        "action-item-updated",
        "action-item-deleted",
        "leave-retro-room",
        "user:logout",
    }
    assert acknowledged - {"nothing"} == set(FROM_CLIENTS)
    seen = {}
    for client in (one, two, three):
        for said in client.seen:
            if not said.ack and said.name not in {"connect", "disconnect"}:
                check_event(said.name, said.body)
                seen[said.name] = shape_of_event(said.name)
    assert {"room:joined", "room:diff", "room:count", "room:mode", "room:left", "room:heartbeat:ack", "error"} <= set(
        seen
    )


def test_what_is_not_taken_is_not_described() -> None:
    assert validator("join_room", "payload").is_valid({"room_id": 1})
    for payload in ({"userId": 1}, {"room_id": None}, "r", None):
        assert not validator("join_room", "payload").is_valid(payload)
    assert not validator("join-retro-room", "payload").is_valid(None)
    assert not validator("leave_room", "x-ack").is_valid({"ok": True, "roomId": "r", "left": True, "more": 1})


def _checked(event: str, payload: Any, answer: Any) -> None:
    if event in FROM_CLIENTS:
        check_ack(event, payload, answer)
    else:
        msgspec.convert(answer, messages.Refused, strict=True)
