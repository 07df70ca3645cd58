"""An application's own rule, `authorize(identity, action, room)`, in place of a token's `rooms` (002-9)."""

from collections.abc import Callable
from typing import Any

import pytest

from server.auth import Authoriser
from server.refusals import Refusal
from server.settings import Settings
from server.sockets.session import Identity
from tests.client.driver import Client
from tests.server.chat_scene import new_phone, of_room, post_past_servers, wait_for_seq
from tests.server.conftest import RunningServer, Serve
from tests.server.tokens import SECRET, bearer, token

Connect = Callable[..., Client]
BOARD_EVENTS = ("item-position-update", "request-retro-state", "typing")


@pytest.fixture(scope="module")
def shut() -> set[str]:
    """Users who may do nothing at boards any more."""
    return set()


@pytest.fixture(scope="module")
def ruled(serve: Serve, shut: set[str]) -> RunningServer:
    """A server whose rule lets everybody do everything, but the user `no-chat` chat, and so on."""

    def rule(identity: Identity | None, action: str, _room: str) -> bool:
        if identity is None or (action == "board" and identity.user in shut):
            return False
        return identity.user != f"no-{action}"

    return serve(authorize=rule, PRESENCE_JWT_SECRET=SECRET)


@pytest.fixture
def come(ruled: RunningServer, connect: Connect) -> Connect:
    return lambda user, **options: connect(ruled, auth={"token": token(user)}, **options)


def forbidden(answer: Any) -> bool:
    return answer["ok"] is False and answer["error"]["code"] == "forbidden"


def test_a_rule_that_denies_boards_alone_shuts_every_way_to_one(ruled: RunningServer, come: Connect, room: str) -> None:
    """002-9: by event, by handshake and over HTTP; nothing of the attempt stays, and rooms and chat are open."""
    client = come("no-board")
    assert forbidden(client.emit("join-retro-room", {"retroId": room}))
    assert client.emit("item-position-update", {"retroId": room})["error"]["code"] == "not_in_room"
    told = come("no-board", query={"retroId": room}).wait("error")
    assert (told["code"], told["event"]) == ("forbidden", "join-retro-room")
    assert ruled.get(f"/api/retro/{room}/state", 403, headers=bearer("no-board"))["error"]["code"] == "forbidden"
    state = ruled.get(f"/api/retro/{room}/state", headers=bearer("anyone"))
    assert (state["participants"], state["version"]) == ([], 0)
    assert client.events(f"retro-state:{room}") == []
    client.join(f"retro:{room}")
    assert client.emit("room:join", {"room_id": room, "userId": "no-board"})["ok"] is True


def test_a_board_that_a_rule_shuts_is_shut_to_those_at_it(
    ruled: RunningServer, come: Connect, room: str, shut: set[str]
) -> None:
    """002-9: a rule may change its mind, as long as a socket lives."""
    clients = come("leaver"), come("stays")
    for client in clients:
        assert client.emit("join-retro-room", {"retroId": room})["ok"] is True
    shut.add("leaver")
    move = {"retroId": room, "itemId": "i", "position": {"x": 1, "y": 1}, "source": "drag-stop"}
    assert all(forbidden(clients[0].emit(event, move)) for event in BOARD_EVENTS)
    assert clients[1].emit("item-position-update", move)["version"] == 1


def test_a_rule_that_denies_chat_alone_shuts_every_way_to_it(ruled: RunningServer, come: Connect, room: str) -> None:
    """002-9, 004-1: no room is opened, read or heard of, no presence taken by the way; rooms and boards are open."""
    url = ruled.settings.redis_url or ""
    phone = new_phone()
    chat = post_past_servers(url, phone).room_id
    client, witness = come("no-chat"), come("anyone")
    for payload in ({"room_id": chat}, {"room_id": chat, "userId": "no-chat"}):
        assert forbidden(client.emit("room:join", payload))
    assert forbidden(client.emit("room:read", {"room_id": chat}))
    assert witness.emit("room:join", {"room_id": chat})["ok"] is True
    post_past_servers(url, phone, "second")
    wait_for_seq(witness, chat, 2, "room:new_message")
    wait_for_seq(witness, chat, 2)
    mine = bearer("no-chat")
    for path in (f"/rooms/{chat}", f"/messages?room_id={chat}"):
        assert ruled.get(path, 403, headers=mine)["error"]["code"] == "forbidden"
    assert ruled.get("/rooms", headers=mine)["data"]["rooms"] == []
    found = ruled.get(f"/rooms/{chat}", headers=bearer("anyone"))["data"]
    assert (found["participants"], found["unread_count"]) == ([], 2)
    client.join(room)
    assert client.emit("join-retro-room", {"retroId": room})["ok"] is True
    # Whatever it was sent of the chat came before these answers.
    assert of_room(client, "new_message", chat) + of_room(client, "room:new_message", chat) == []


@pytest.mark.parametrize(
    ("action", "event", "more"),
    [
        ("join", "join_room", {}), ("heartbeat", "room:heartbeat", {}), ("list", "room:users:get", {}),
        ("sync", "room:sync", {}), ("watch", "room:watch", {"roomIds": ["a"]}),
    ],
)  # fmt: skip
def test_every_action_of_presence_is_asked_for_by_its_name(
    ruled: RunningServer, come: Connect, room: str, action: str, event: str, more: dict[str, Any]
) -> None:
    """docs/authorisation.md: who is denied one thing may do the others."""
    client = come(f"no-{action}")
    if action != "join":
        client.join(room)
    assert forbidden(client.emit(event, {"roomId": room, **more}))
    free = come("no-read")
    free.join(room)
    assert free.emit(event, {"roomId": room, **more})["ok"] is True


def test_reading_over_http_is_asked_for_by_its_name(ruled: RunningServer, room: str) -> None:
    paths = [f"/api/chatroom/{room}/participants", f"/api/chatroom/{room}/count", f"/api/chatrooms/counts?ids={room}"]
    for path in paths:
        assert ruled.get(path, 403, headers=bearer("no-read"))["error"]["code"] == "forbidden"
        assert ruled.get(path, headers=bearer("no-list"))
    full = f"/api/chatroom/{room}/participants?view=full"
    assert ruled.get(full, 403, headers=bearer("no-list"))["error"]["code"] == "forbidden"


def test_an_applications_own_rule_decides_instead() -> None:
    """`authorize(identity, action, room)` in place of the `rooms` claim."""
    asked: list[tuple[str | None, str, str]] = []

    def rule(identity: Identity | None, action: str, room: str) -> bool:
        asked.append((identity.user if identity else None, action, room))
        return action == "read"

    authoriser = Authoriser(Settings.from_environ({"PRESENCE_JWT_SECRET": SECRET}), rule)
    identity = authoriser.bearer({"authorization": f"Bearer {token('u1', rooms=[])}"})
    authoriser.check_room(identity, "read", "r")
    with pytest.raises(Refusal) as caught:
        authoriser.check_room(identity, "list", "r")
    assert caught.value.code == "forbidden"
    assert asked == [("u1", "read", "r"), ("u1", "list", "r")]
