"""Clients that mean harm or are broken: each costs no more than it may, and none writes the log (002-9)."""

import json
import time
from collections.abc import Iterator
from contextlib import suppress

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.frames import Close, Frame, Opcode
from websockets.sync.client import connect as ws_connect

from server.limits import TokenBucket
from server.sockets import engine_io
from server.sockets.gateway import Gateway
from server.sockets.session import Identity, Session
from tests.client.command import Command
from tests.client.driver import eventually
from tests.client.raw import RawClient
from tests.server.conftest import RunningServer, Serve


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    """As in production: the command, its own log, tokens wanted."""
    command = Command(
        "serve", "--port", "0", PRESENCE_ENV="production", PRESENCE_JWT_SECRET="0123456789abcdef" * 3,
        PRESENCE_DATA_DIR=str(tmp_path_factory.mktemp("data")),
    )  # fmt: skip
    yield command.serving()
    command.stop()


def polling(server: RunningServer) -> tuple[httpx.Client, str]:
    opening = server.http.get("/socket.io/", params={"EIO": 4, "transport": "polling"}).text
    return server.http, f"/socket.io/?EIO=4&transport=polling&sid={json.loads(opening[1:])['sid']}"


def test_leaving_the_namespace_and_coming_again_brings_no_fresh_burst(serve: Serve) -> None:
    """Section 7: 50 events a second, 100 at once, whatever a client does in between."""
    server = serve(PRESENCE_RATE_LIMIT="1/10")
    client = RawClient(server.url, auth={"userId": "again"})
    for number in range(10):
        for _ in range(5):
            client.send(f'42{number}["room:heartbeat",{{"roomId":"r"}}]')
        client.send("41")
        client.send('40{"userId":"again"}')
    client.send("2")
    with suppress(TimeoutError):
        while True:
            client.receive(1)
    answers = [frame for frame in client.frames if frame.startswith("43")]
    assert 8 <= len(answers) <= 12
    assert '44{"message":"rate_limited"}' in client.frames
    client.close()


def test_a_connection_that_left_its_last_namespace_is_closed(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_io, "CONNECT_WITHIN_S", 0.3)
    left, back = RawClient(server.url), RawClient(server.url)
    time.sleep(0.4)  # What is looked at once, of each connection, is over.
    for client in (left, back):
        client.send("41")
    back.send("40")
    assert back.until("40")
    assert left.closed(3)
    assert back.emit('["room:heartbeat",{"roomId":"r"}]')["error"]["code"] == "not_in_room"
    left.close()
    back.close()


def test_a_connection_that_left_its_last_namespace_has_the_whole_time_to_come_back(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However close that is to when it is looked at for having come; and leaving again what it left costs nothing."""
    monkeypatch.setattr(engine_io, "CONNECT_WITHIN_S", 1.0)
    waits: list[object] = []
    expect = engine_io.EngineServer.expect_connected

    def expect_connected(self: engine_io.EngineServer, sid: str) -> None:
        waits.append(sid)
        expect(self, sid)

    monkeypatch.setattr(engine_io.EngineServer, "expect_connected", expect_connected)
    client = RawClient(server.url)
    time.sleep(0.7)
    for _ in range(100):
        client.send("41")
    time.sleep(0.6)
    client.send("40")
    assert client.until("40")
    assert client.emit('["room:heartbeat",{"roomId":"r"}]')["error"]["code"] == "not_in_room"
    assert len(waits) == 2
    client.close()


def test_an_upgrade_that_breaks_off_leaves_long_polling_as_it_was(server: RunningServer) -> None:
    """A proxy that takes WebSockets and drops them must not leave a client with nothing at all."""
    http, address = polling(server)
    http.post(address, content='40{"userId":"polls"}')
    assert http.get(address).text.startswith("40")
    upgrade = server.url.replace("http", "ws") + address.replace("transport=polling", "transport=websocket")
    with ws_connect(upgrade, proxy=None, compression=None):
        pass
    http.post(address, content='427["room:heartbeat",{"roomId":"r"}]')
    assert "437[" in http.get(address).text


async def test_a_session_that_ended_holds_nothing_of_what_its_client_named() -> None:
    """It may be remembered for long, for what a failover of Redis forgets, and with it two thousand rooms."""
    session = Session("sid", "/", TokenBucket(50, 100), Identity("u", "u"))
    for number in range(2000):
        session.told.add(f"room-{number}")
        session.ever_joined.add(f"room-{number}")

    async def closed(ended: Session, _: str) -> None:
        assert ended is session

    async def opened(*_: object) -> Session:
        return session

    await Gateway("/", {}, {"sid": session}, opened, closed)._disconnect("sid")
    assert session.closed
    assert (len(session.told), len(session.ever_joined)) == (0, 0)
    assert session.identity == Identity("u", "u")


@pytest.mark.parametrize(
    "header",
    [
        '["join_room",' + '{"a":' * 900 + '{"_placeholder":true,"num":0}' + "}" * 900 + "]",
        '["join_room",{"_placeholder":true,"num":99}]',
        '["join_room",{"_placeholder":true,"num":"x"}]',
    ],
)
def test_bytes_that_do_not_fit_their_event_are_answered_once(raw: RawClient, header: str) -> None:
    """With the number of its acknowledgement; the packet behind it is taken for itself."""
    raw.send(f"451-7{header}")
    raw.send(b"bytes")
    answer = json.loads(raw.until("437[").removeprefix("437"))[0]
    assert (answer["error"]["code"], answer["error"]["field"]) == ("invalid_input", "payload")
    assert raw.event("error")["code"] == "invalid_input"
    answered = len(raw.frames)
    raw.send(b"more")
    assert raw.event("error")["event"] is None
    assert raw.emit('["room:heartbeat",{"roomId":"r"}]', 8)["error"]["code"] == "not_in_room"
    assert [frame for frame in raw.frames[answered:] if frame.startswith("437")] == []


def test_plain_http_that_asks_for_websocket_is_refused(guarded: Command) -> None:
    headers = {"Upgrade": "websocket", "Connection": "keep-alive"}
    asked = httpx.get(f"{guarded.url}/socket.io/?EIO=4&transport=websocket", headers=headers, trust_env=False)
    assert (asked.status_code, asked.json()) == (400, "Invalid websocket upgrade")


def test_nobody_writes_the_log_before_showing_a_token(guarded: Command) -> None:
    """Neither how much it holds nor what stands there is for a client to say."""
    before = len(guarded.output)
    address = guarded.url.replace("http", "ws") + "/socket.io/?EIO=4&transport=websocket"
    with ws_connect(address, proxy=None, compression=None, max_size=None) as client:
        for number in range(50):
            client.send(f"42/shibboleth-{number}," + '1["join_room",{}]')
            client.send("43999[]")
            client.send("42[")
        client.send("42/shibboleth" + "x" * 100_000 + ',["join_room",{}]')
    with ws_connect(address, proxy=None, compression=None) as client:
        client.send(b'42["\xff\xfe"]', text=True)
        with suppress(ConnectionClosed):
            while client.recv(5):
                pass
        assert client.protocol.close_rcvd is not None
        assert client.protocol.close_rcvd.code == 1007
    with ws_connect(address, proxy=None, compression=None) as client:
        client.recv(5)
        frames = (Frame(Opcode.TEXT, b'42["\xff"]'), Frame(Opcode.CLOSE, Close(1000, "").serialize()))
        client.socket.sendall(b"".join(frame.serialize(mask=True) for frame in frames))
        with suppress(ConnectionClosed):
            client.recv(5)
    for method in ("HEAD", "DELETE"):
        httpx.request(method, f"{guarded.url}/socket.io/?EIO=4&transport=polling", trust_env=False)
    httpx.get(f"{guarded.url}/healthz", headers={"Connection": "Upgrade", "Upgrade": "h2c"}, trust_env=False)
    assert guarded.get("/healthz") == {"status": "ok"}
    assert guarded.output[before:] == ""


def test_a_handshake_that_is_refused_is_one_short_line_a_kind(guarded: Command) -> None:
    """An operator wants to know of an origin that is not named; but not sixty thousand letters of it."""
    before = len(guarded.output)
    for number in range(3):
        headers = {"Origin": f"http://shibboleth-{number}." + "x" * 60_000}
        asked = httpx.get(f"{guarded.url}/socket.io/?EIO=4&transport=polling", headers=headers, trust_env=False)
        assert asked.status_code == 400
    eventually(lambda: guarded.output[before:].endswith("\n"), "the line")
    [line] = guarded.output[before:].splitlines()
    assert "http://shibboleth-0." in line
    assert len(line) < 500
