"""`presence-engine serve` as a process: start, address of Redis, errors, Ctrl-C, kill."""

import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import redis
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect as ws_connect

from presence_engine import EmbeddedServer
from tests.client.command import Command
from tests.client.driver import Client, eventually
from tests.server.conftest import StartStore

Connect = Callable[..., Client]
Run = Callable[..., Command]

PASSWORD = "s3cret-of-the-store"


@pytest.fixture
def run() -> Iterator[Run]:
    """Run the command: `run("serve", "--port", "0", REDIS_URL=…)`. Whatever still runs at the end is killed."""
    started: list[Command] = []

    def start(*arguments: str, **environ: str) -> Command:
        started.append(Command(*arguments, **environ))
        return started[-1]

    yield start
    for one in started:
        one.stop()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_embedded_start_says_so_and_ctrl_c_ends_cleanly(
    run: Run, connect: Connect, room: str, short_dir: Path, kind: signal.Signals
) -> None:
    """C15: no Redis setting; goodbye to sockets; exit code 0; the store ends with its owner."""
    data = short_dir / uuid4().hex[:8]
    command = run("serve", "--port", "0", PRESENCE_DATA_DIR=str(data)).serving()
    assert "embedded" in command.output
    assert str(data) in command.output
    store_pid = json.loads((data / "address.json").read_text())["pid"]
    client = connect(command)
    client.join(room, "u1")
    command.ask(kind)
    goodbye = client.wait("server:restarting")
    assert set(goodbye) == {"message", "timestamp"}
    client.wait("disconnect")
    assert command.exit_code() == 0, command.output
    assert "Traceback" not in command.output
    eventually(lambda: not alive(store_pid), "the end of the embedded store")


def test_embedded_store_that_ends_by_itself_is_started_again(
    run: Run, connect: Connect, room: str, short_dir: Path
) -> None:
    """On one machine nobody else would: who was there is there again, and no server is restarted for it."""
    data = short_dir / uuid4().hex[:8]
    command = run("serve", "--port", "0", PRESENCE_DATA_DIR=str(data)).serving()
    client = connect(command)
    client.join(room, "u1")
    os.kill(json.loads((data / "address.json").read_text())["pid"], signal.SIGKILL)
    eventually(lambda: client.emit("room:heartbeat", {"roomId": room})["ok"], "a beat", timeout_s=15)
    assert client.emit("room:users:get", {"roomId": room})["count"] == 1
    eventually(lambda: "started again" in command.output, "the line that says so")
    command.ask(signal.SIGTERM)
    assert command.exit_code() == 0, command.output


def test_embedded_store_dies_with_a_killed_server(run: Run, short_dir: Path) -> None:
    data = short_dir / uuid4().hex[:8]
    command = run("serve", "--port", "0", PRESENCE_DATA_DIR=str(data)).serving()
    store_pid = json.loads((data / "address.json").read_text())["pid"]
    command.ask(signal.SIGKILL)
    command.exit_code()
    eventually(lambda: not alive(store_pid), "the end of the embedded store")


@pytest.mark.parametrize(
    "environ",
    [
        {"REDIS_URL": "redis://:{password}@127.0.0.1:{port}/0"},
        {"REDIS_HOST": "127.0.0.1", "REDIS_PORT": "{port}", "REDIS_PASSWORD": "{password}"},
    ],
    ids=["url", "parts"],
)
def test_000_4_an_unreachable_redis_is_one_clear_line(run: Run, environ: dict[str, str]) -> None:
    """000-4: exit code ≠ 0, no traceback, the password is nowhere."""
    port = closed_port()
    filled = {name: text.format(password=PASSWORD, port=port) for name, text in environ.items()}
    command = run("serve", "--port", "0", **filled)
    assert command.exit_code() != 0
    [store, told] = command.output.splitlines()
    assert "store: redis://" in store
    assert told.startswith("presence-engine: Redis is out of reach")
    assert PASSWORD not in command.output
    assert str(port) in told


def test_000_4_host_port_password_and_db_are_read(run: Run, new_store: StartStore, connect: Connect, room: str) -> None:
    """000-4, 002-7, C15: the password is used and masked; a wrong one is one line; the database is the one named.

    T1.9: a store that would forget is warned about.
    """
    store = new_store(port=0)
    port = store.url.rsplit(":", 1)[1].split("/")[0]
    with redis.Redis(port=int(port), db=3) as client:
        client.config_set("requirepass", PASSWORD)
        client.config_set("maxmemory-policy", "allkeys-lru")
        try:
            parts = {"REDIS_HOST": "127.0.0.1", "REDIS_PORT": port, "REDIS_DB": "3"}
            command = run("serve", "--port", "0", REDIS_PASSWORD=PASSWORD, **parts).serving()
            assert PASSWORD not in command.output
            assert f"127.0.0.1:{port}" in command.output
            assert "its maxmemory-policy is allkeys-lru; use noeviction" in command.output
            connect(command).join(room, "u1")
            assert command.users(room) == ["u1"]
            assert client.dbsize() > 0
            wrong = run("serve", "--port", "0", REDIS_PASSWORD=PASSWORD + "-wrong", **parts)
            assert wrong.exit_code() != 0
            assert len([line for line in wrong.output.splitlines() if line.startswith("presence-engine: ")]) == 1
            assert PASSWORD not in wrong.output
            command.ask(signal.SIGTERM)
            assert command.exit_code() == 0
        finally:
            client.config_set("requirepass", "")
            client.config_set("maxmemory-policy", "noeviction")


@pytest.mark.parametrize(
    ("environ", "name"),
    [({"PRESENCE_TTL": "soon"}, "PRESENCE_TTL"), ({"PRESENCE_ENV": "production"}, "PRESENCE_JWT_SECRET")],
)
def test_a_bad_setting_is_one_line_that_names_it(run: Run, environ: dict[str, str], name: str) -> None:
    command = run("serve", "--port", "0", **environ)
    assert command.exit_code() != 0
    assert [line for line in command.output.splitlines() if name in line], command.output
    assert "Traceback" not in command.output


@pytest.mark.parametrize(
    ("name", "value", "culprit"),
    [
        ("REDIS_URL", "redis://127.0.0.1:1/0?foo=bar", "foo"),
        ("REDIS_URL", "redis+cluster://127.0.0.1:1?ssl=true", "rediss"),
        ("REDIS_URL", "redis://127.0.0.1:1/0?socket_timeout=abc", "socket_timeout"),
        ("PRESENCE_DATA_DIR", "/dev/null", "/dev/null"),
    ],
)
def test_000_4_an_address_or_place_of_no_use_is_one_line(run: Run, name: str, value: str, culprit: str) -> None:
    """000-4: found out by the library or the file system, and still told by the name of the variable."""
    command = run("serve", "--port", "0", **{name: value})
    assert command.exit_code() == 1
    [told] = [line for line in command.output.splitlines() if line.startswith("presence-engine: ")]
    assert told.startswith(f"presence-engine: {name}: ")
    assert culprit in told
    assert "Traceback" not in command.output


def test_002_7_an_empty_password_is_none_and_a_taken_port_one_line(run: Run, new_store: StartStore) -> None:
    port = new_store(port=0).url.rsplit(":", 1)[1].split("/")[0]
    parts = {"REDIS_HOST": "127.0.0.1", "REDIS_PORT": port, "REDIS_PASSWORD": "", "REDIS_DB": "0"}
    first = run("serve", "--port", "0", **parts).serving()
    second = run("serve", "--port", first.url.rsplit(":", 1)[1], **parts)
    assert second.exit_code() != 0
    assert len([line for line in second.output.splitlines() if line.startswith("presence-engine: ")]) == 1
    assert "Traceback" not in second.output


def test_a_handshake_leaves_no_line_whether_it_is_taken_or_refused(run: Run, store: EmbeddedServer) -> None:
    """Its query holds whatever an application puts there; a refusal is no fault of the server's."""
    command = run("serve", "--port", "0", REDIS_URL=store.url, PRESENCE_CONNECT_RATE="1").serving()
    before = command.output
    address = command.url.replace("http", "ws") + "/socket.io/?EIO=4&transport=websocket&api_key=opaque"
    with ws_connect(address, proxy=None), pytest.raises(InvalidStatus) as caught, ws_connect(address, proxy=None):
        pass
    assert (caught.value.response.status_code, b"rate_limited" in caught.value.response.body) == (429, True)
    command.ask(signal.SIGTERM)
    assert command.exit_code() == 0
    assert command.output == before


def test_a_user_of_redis_who_may_not_subscribe_is_one_line(run: Run, new_store: StartStore) -> None:
    store = new_store(port=0)
    with redis.Redis.from_url(store.url) as client:
        client.execute_command("ACL SETUSER nosub on >pw ~* &* +@all -ssubscribe")
    command = run("serve", "--port", "0", REDIS_URL=store.url.replace("redis://", "redis://nosub:pw@"))
    assert command.exit_code() == 1
    [told] = [line for line in command.output.splitlines() if line.startswith("presence-engine: ")]
    assert "ssubscribe" in told
    assert "Traceback" not in command.output


def test_an_address_of_ipv6_is_one_a_browser_takes(run: Run, store: EmbeddedServer) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 here")
    command = run("serve", "--host", "::1", "--port", "0", REDIS_URL=store.url).serving()
    assert command.url.startswith("http://[::1]:")


def test_t1_5_grace_survives_the_death_of_its_server(
    run: Run, store: EmbeddedServer, connect: Connect, room: str
) -> None:
    """T1.5, C5, 003-9: kill -9 within the grace; another server shows the user until, and not after, its end."""
    environ = {"REDIS_URL": store.url, "PRESENCE_GRACE": "2"}
    dies, lives = run("serve", "--port", "0", **environ), run("serve", "--port", "0", **environ)
    dies.serving()
    lives.serving()
    goes, stays = connect(dies), connect(lives)
    stays.join(room, "stays")
    goes.join(room, "goes")
    goes.cut()
    full = f"/api/chatroom/{room}/participants?view=full"
    eventually(lambda: "away" in [m["status"] for m in lives.get(full)["users"]], "the grace")
    ended = time.monotonic()
    dies.ask(signal.SIGKILL)
    dies.exit_code()
    if time.monotonic() - ended < 1:
        assert lives.users(room) == ["stays", "goes"]
    eventually(lambda: lives.users(room) == ["stays"], "the end of the grace")
    assert stays.wait("room:diff", lambda diff: diff["left"])["left"][0]["reason"] == "disconnected"


def test_001_1_a_killed_servers_people_are_gone_after_its_lease(
    run: Run, store: EmbeddedServer, connect: Connect, room: str
) -> None:
    """001-1, C6, T1.6: the dead node's users go with `node_lost`, the others' stay."""
    environ = {"REDIS_URL": store.url, "PRESENCE_LEASE": "1"}
    dies, lives = run("serve", "--port", "0", **environ), run("serve", "--port", "0", **environ)
    dies.serving()
    lives.serving()
    goes, stays = connect(dies), connect(lives)
    stays.join(room, "stays")
    goes.join(room, "goes")
    stays.wait("room:diff", lambda diff: diff["joined"])
    dies.ask(signal.SIGKILL)
    diff = stays.wait("room:diff", lambda diff: diff["left"])
    assert [(one["userId"], one["reason"]) for one in diff["left"]] == [("goes", "node_lost")]
    assert lives.users(room) == ["stays"]


def test_001_11_a_restart_under_a_fixed_name_starts_empty(
    run: Run, store: EmbeddedServer, connect: Connect, room: str
) -> None:
    """001-8, 001-11, T1.7: nobody is restored; a client that only beats gets the popup, with the reason."""
    environ = {"REDIS_URL": store.url, "PRESENCE_NODE_NAME": f"fixed-{room}"}
    first = run("serve", "--port", "0", **environ).serving()
    connect(first).join(room, "u1")
    first.ask(signal.SIGKILL)
    first.exit_code()
    second = run("serve", "--port", "0", **environ).serving()
    assert second.users(room) == []
    client = connect(second)
    assert client.emit("room:heartbeat", {"roomId": room, "userId": "u1"})["error"]["code"] == "not_in_room"
    told = client.wait("room:force-leave")
    assert (told["reason"], told["popup"]) == ("server_restart", "You are not in the chatroom")
    assert client.events("disconnect") == []
