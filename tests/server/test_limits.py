"""How much one client, one user, one address may do; each refusal has its code and is counted (002-9)."""

import asyncio
import base64
import json
import os
import re
import socket
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from server.sockets import engine_io, outgoing
from server.sockets.outgoing import OutgoingQueue
from tests.client.driver import Client, eventually
from tests.client.raw import RawClient
from tests.server.conftest import RunningServer, Serve

Connect = Callable[..., Client]


def figure(server: RunningServer, name: str) -> float:
    """One figure of /metrics, such as `presence_refusals_total{code="room_full"}`; 0 when it was never counted."""
    found = re.search(rf"^{re.escape(name)} (\S+)$", server.http.get("/metrics").text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def refusals(server: RunningServer, code: str) -> float:
    return figure(server, f'presence_refusals_total{{code="{code}"}}')


@pytest.fixture(scope="module")
def tight(serve: Serve) -> RunningServer:
    return serve(PRESENCE_MAX_USER_ROOMS="3", PRESENCE_MAX_USER_CONNECTIONS="2", PRESENCE_GRACE="0")


def test_a_user_is_in_so_many_rooms_over_all_sockets(tight: RunningServer, connect: Connect) -> None:
    one, two = connect(tight, auth={"userId": "rooms"}), connect(tight, auth={"userId": "rooms"})
    one.join("l-1")
    one.join("l-2")
    two.join("l-3")
    before = refusals(tight, "rate_limited")
    error = two.emit("join_room", {"roomId": "l-4"})["error"]
    assert (error["code"], error["retryable"]) == ("rate_limited", False)
    assert "3 rooms" in error["message"]
    assert tight.users("l-4") == []
    assert two.wait("error")["code"] == "rate_limited"
    assert refusals(tight, "rate_limited") == before + 1
    two.join("l-1")
    one.emit("leave_room", {"roomId": "l-2"})
    two.join("l-4")
    assert connect(tight, auth={"userId": "another"}).join("l-4")["count"] == 2


def test_a_socket_alone_is_bounded_too(tight: RunningServer, connect: Connect) -> None:
    client = connect(tight, auth={"userId": "alone"})
    answers = [client.emit("join_room", {"roomId": f"a-{n}"}) for n in range(5)]
    assert [answer["ok"] for answer in answers] == [True, True, True, False, False]


def test_expired_rooms_do_not_count(serve: Serve, connect: Connect) -> None:
    server = serve(PRESENCE_MAX_USER_ROOMS="2", PRESENCE_TTL="0.3", PRESENCE_FORCE_DISCONNECT="never")
    client = connect(server, auth={"userId": "quick"})
    for room in ("e-1", "e-2"):
        client.join(room)
    eventually(lambda: len(client.events("room:force-leave")) == 2, "the end of both")
    client.join("e-3")


def test_a_user_holds_so_many_connections_in_a_room(tight: RunningServer, connect: Connect) -> None:
    """Identified by the first payload, so that the handshake could not refuse them."""
    clients = [connect(tight) for _ in range(3)]
    for client in clients[:2]:
        client.join("tabs", "many")
    error = clients[2].emit("join_room", {"roomId": "tabs", "userId": "many"})["error"]
    assert error["code"] == "rate_limited"
    assert "2 connections" in error["message"]
    assert clients[2].emit("room:heartbeat", {"roomId": "tabs", "userId": "many"})["error"]["code"] == "not_in_room"
    assert tight.count("tabs")["connections"] == 2
    clients[0].close()
    eventually(lambda: tight.count("tabs")["connections"] == 1, "the place of the one that closed")
    assert clients[2].join("tabs", "many")["connections"] == 2


def test_a_user_opens_so_many_sockets(tight: RunningServer, connect: Connect) -> None:
    before = refusals(tight, "rate_limited")
    clients = [connect(tight, auth={"userId": 7}) for _ in range(2)]
    assert connect(tight, auth={"userId": "7"}, wait=False).refused == "rate_limited"
    assert refusals(tight, "rate_limited") == before + 1
    connect(tight, auth={"userId": "8"})
    clients[0].close()
    eventually(lambda: connect(tight, auth={"userId": 7}, wait=False).sid, "the place of the one that closed")


def test_a_room_takes_so_many(serve: Serve, connect: Connect, tmp_path: Any) -> None:
    """`room_full`, decided in the script: of many at once exactly as many as fit."""
    policy = tmp_path / "policy.toml"
    policy.write_text('["small-*"]\ncapacity = 3\n', "utf-8")
    server = serve(PRESENCE_ROOM_POLICY=str(policy))
    before = refusals(server, "room_full")
    clients = [connect(server, auth={"userId": f"c{n}"}) for n in range(8)]
    numbers = [(client, client.send("join_room", {"roomId": "small-1"})) for client in clients]
    answers = [client.answer(number) for client, number in numbers]
    assert sum(answer["ok"] for answer in answers) == 3
    assert {answer["error"]["code"] for answer in answers if not answer["ok"]} == {"room_full"}
    assert server.count("small-1")["count"] == 3
    assert refusals(server, "room_full") == before + 5


def test_an_address_opens_so_many_connections_a_second(serve: Serve) -> None:
    """429 for long polling and for WebSockets; whoever is connected already is not touched, nor are plain routes."""
    server = serve(PRESENCE_CONNECT_RATE="5")
    staying = RawClient(server.url, auth={"userId": "stays"})
    time.sleep(1)
    polls = [server.http.get("/socket.io/?EIO=4&transport=polling") for _ in range(12)]
    refused = [answer for answer in polls if answer.status_code != 200]
    assert 6 <= len(refused) <= 8
    assert {answer.status_code for answer in refused} == {429}
    assert refused[0].json()["error"]["code"] == "rate_limited"
    with pytest.raises(InvalidStatus) as caught:
        RawClient(server.url)
    assert caught.value.response.status_code == 429
    assert staying.emit('["join_room",{"roomId":"r"}]')["ok"] is True
    assert server.http.get("/healthz").status_code == 200
    assert refusals(server, "rate_limited") >= 7
    time.sleep(0.5)
    RawClient(server.url).close()
    staying.close()


def test_events_are_bounded_by_rate_and_burst(serve: Serve, connect: Connect) -> None:
    server = serve(PRESENCE_RATE_LIMIT="2/3")
    client = connect(server, auth={"userId": "u"})
    answers = [client.emit("user:logout") for _ in range(6)]
    assert [answer["ok"] for answer in answers] == [True] * 3 + [False] * 3
    assert answers[-1]["error"]["code"] == "rate_limited"
    eventually(lambda: client.emit("user:logout")["ok"], "another event's turn", pause_s=0.1)
    assert figure(server, 'presence_events_total{event="user:logout",outcome="ok"}') >= 4


def test_data_has_four_kilobytes(server: RunningServer, connect: Connect, room: str) -> None:
    """The largest that is taken, and `too_large` naming `data` one byte above it; counted in bytes, not characters."""
    client = connect(server, auth={"userId": "u"})
    fits = {"x": "é" * ((4096 - len('{"x":""}')) // 2)}
    assert len(json.dumps(fits, ensure_ascii=False, separators=(",", ":")).encode()) == 4096
    assert client.join(room, data=fits)["users"][0]["data"] == fits
    before = refusals(server, "too_large")
    for event in ("join_room", "room:update"):
        error = client.emit(event, {"roomId": room, "data": {"x": fits["x"] + "y"}})["error"]
        assert (error["code"], error["field"], error["retryable"]) == ("too_large", "data", False)
    assert refusals(server, "too_large") == before + 2
    assert server.participants(room, view="full")["users"][0]["data"] == fits


@pytest.mark.parametrize(("event", "payload", "field"), [
    ("join_room", {"roomId": "x" * 129}, "roomId"), ("join_room", {"roomId": "r", "username": "x" * 129}, "username"),
    ("room:watch", {"roomIds": ["x"] * 101}, "roomIds"), ("room:users:get", {"roomId": "r", "limit": 1001}, "limit"),
])  # fmt: skip
def test_other_lengths_are_invalid_input(
    server: RunningServer, connect: Connect, event: str, payload: dict[str, Any], field: str
) -> None:
    error = connect(server, auth={"userId": "u"}).emit(event, payload)["error"]
    assert (error["code"], error["field"]) == ("invalid_input", field)


def test_a_message_of_almost_a_megabyte_is_taken_and_more_ends_the_connection(
    server: RunningServer, raw: RawClient
) -> None:
    answer = raw.emit('["room:heartbeat",{"roomId":"r","pad":"' + "x" * 990_000 + '"}]')
    assert answer["error"]["code"] == "not_in_room"
    other = RawClient(server.url)
    other.send('42["room:heartbeat",{"roomId":"r","pad":"' + "x" * 1_000_000 + '"}]')
    assert other.closed()
    other.close()
    assert raw.emit('["room:heartbeat",{"roomId":"r"}]')["error"]["code"] == "not_in_room"
    polling = server.http.get("/socket.io/?EIO=4&transport=polling").text
    sid = json.loads(polling[1:])["sid"]
    long = server.http.post(f"/socket.io/?EIO=4&transport=polling&sid={sid}", content="4" + "x" * 1_000_001)
    assert long.status_code == 400


def test_a_connection_without_a_namespace_is_closed(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch, raw: RawClient
) -> None:
    monkeypatch.setattr(engine_io, "CONNECT_WITHIN_S", 0.3)
    before = figure(server, 'presence_closed_sockets_total{reason="nameless"}')
    silent, named = Deaf(server.url), RawClient(server.url)
    assert silent.until_closed(5)
    assert figure(server, 'presence_closed_sockets_total{reason="nameless"}') == before + 1
    assert named.emit('["room:heartbeat",{"roomId":"r"}]')["ok"] is False
    named.close()


class Deaf:
    """A WebSocket over a bare TCP connection with a small receive buffer, which reads only when told to."""

    def __init__(self, url: str) -> None:
        address = httpx.URL(url)
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.connect((address.host, address.port))
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(
            f"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: {address.host}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        assert self.socket.recv(4096).startswith(b"HTTP/1.1 101")

    def send(self, text: str) -> None:
        data = text.encode()
        assert len(data) < 65536
        head = (
            bytes((0x81, 0x80 | len(data))) if len(data) < 126 else bytes((0x81, 0xFE)) + len(data).to_bytes(2, "big")
        )
        self.socket.sendall(head + bytes(4) + data)

    def until(self, wanted: bytes) -> None:
        heard = b""
        while wanted not in heard:
            data = self.socket.recv(4096)
            assert data
            heard += data

    def until_closed(self, timeout_s: float) -> bool:
        """Read until the server ends the connection: it breaks it off, or sends the frame that closes a WebSocket."""
        self.socket.settimeout(timeout_s)
        try:
            while (data := self.socket.recv(65536)) and not data.endswith((b"\x88\x02\x03\xe8", b"\x88\x00")):
                pass
        except ConnectionError:
            return True
        except TimeoutError:
            return False
        finally:
            self.socket.close()
        return True


@pytest.mark.slow
def test_a_client_that_does_not_read_is_dropped(
    serve: Serve, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    """It asks, never reads an answer, and is gone before it costs more than its bound; others notice nothing."""
    server = serve(PRESENCE_RATE_LIMIT="0", PRESENCE_GRACE="0.2")
    other = connect(server, auth={"userId": "reads"})
    other.join("slow", data={"pad": "x" * 4000})
    deaf = Deaf(server.url)
    deaf.send('40{"userId":"deaf"}')
    deaf.until(b"40{")
    deaf.send('42["join_room",{"roomId":"slow"}]')
    assert other.wait("room:diff", lambda body: body["joined"])["joined"][0]["userId"] == "deaf"
    slow = 'presence_closed_sockets_total{reason="slow"}'
    before = figure(server, slow)
    worst_s = 0.0
    for _ in range(40):
        try:
            for _ in range(100):
                deaf.send('421["room:users:get",{"roomId":"slow"}]')
        except OSError:
            break
        began = time.perf_counter()
        assert other.emit("room:heartbeat", {"roomId": "slow"})["ok"] is True
        worst_s = max(worst_s, time.perf_counter() - began)
    eventually(lambda: figure(server, slow) == before + 1, "the drop")
    assert other.wait("room:diff", lambda body: body["left"])["left"][0] == {
        "userId": "deaf", "username": "deaf", "reason": "disconnected"
    }  # fmt: skip
    assert "does not read" in caplog.text
    assert deaf.until_closed(5)
    assert worst_s < 2
    assert server.users("slow") == ["reads"]


async def test_a_queue_that_overflows_is_emptied_once_and_takes_nothing_more() -> None:
    class Packet:
        def __init__(self, size: int) -> None:
            self.data = "x" * size

    for sizes in ([1] * (outgoing.MAX_QUEUED_PACKETS + 1), [outgoing.MAX_QUEUED_BYTES // 4] * 5):
        told: list[int] = []
        queue = OutgoingQueue()
        queue.on_overflow = partial(told.append, 1)
        for size in sizes[:-1]:
            await queue.put(Packet(size))
        assert queue.qsize() == len(sizes) - 1
        assert told == []
        for _ in range(3):
            queue.put_nowait(Packet(sizes[-1]))
        assert told == [1]
        assert queue.get_nowait() is None
        queue.task_done()
        assert queue.empty()
        await asyncio.wait_for(queue.join(), 1)


async def test_a_queue_that_is_read_never_overflows() -> None:
    class Packet:
        data = "x" * 1_000_000

    queue = OutgoingQueue()
    for _ in range(50):
        queue.put_nowait(Packet())
        assert isinstance(queue.get_nowait(), Packet)
        queue.task_done()
    assert not queue.overflowed
