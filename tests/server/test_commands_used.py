"""What Redis is asked: nothing whose price is the size of the data."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.client.driver import Client
from tests.server.conftest import FORBIDDEN_COMMANDS, Serve, StartStore, commands_used

Connect = Callable[..., Client]


def test_c3_nothing_uses_scan_or_keys(
    serve: Serve, new_store: StartStore, connect: Connect, server_binary: Path | None
) -> None:
    """C3: on Valkey and on Redis, by the store's own statistics, those inside scripts included. Every other store of
    these tests is asked the same at its end.
    """
    store = new_store(binary=server_binary)
    server = serve(store.url, PRESENCE_GRACE="0")
    client, other = connect(server), connect(server)
    other.join("a", "u2")
    joined = client.join("a", "u1", username="One", data={"x": 1})
    same: dict[str, Any] = {"roomId": "a"}
    for event, payload in (
        ("room:heartbeat", same), ("room:update", {**same, "username": "New"}), ("room:users:get", same),
        ("room:sync", {**same, "epoch": joined["epoch"], "seq": 0}), ("room:watch", {"roomIds": ["a", "b"]}),
        ("room:unwatch", {"roomIds": ["a", "b"]}),
    ):  # fmt: skip
        assert client.emit(event, payload)["ok"] is True
    for path in ("/api/chatroom/a/participants?view=full", "/api/chatroom/a/count", "/api/chatrooms/counts?ids=a,b",
                 "/api/chatrooms", "/api/users/u1/rooms", "/readyz", "/metrics"):  # fmt: skip
        assert server.http.get(path).status_code == 200
    assert server.kick("a", {"userId": "u2"})["kicked"] is True
    client.emit("user:logout")
    client.join("b")
    client.cut()
    client.wait("disconnect")
    assert server.users("a") == []
    used = commands_used(store.url)
    assert not FORBIDDEN_COMMANDS & set(used)
    assert used["evalsha"] > 0
