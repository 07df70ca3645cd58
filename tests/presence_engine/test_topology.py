"""Which server a URL names."""

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest
from redis._parsers.base import BaseParser
from redis.asyncio.connection import SSLConnection

from presence_engine.address import Place
from presence_engine.errors import ConfigurationError, StoreUnavailable
from presence_engine.pipe import Pipe
from presence_engine.store import Store
from presence_engine.topology import Cluster, OneServer, topology
from tests.faults.processes import free_port


@pytest.mark.parametrize(
    ("url", "shape"),
    [
        ("redis://127.0.0.1:6379/0", OneServer),
        ("rediss://user:secret@host:6380/1", OneServer),
        ("unix:///tmp/some.sock?db=0", OneServer),
        ("redis+sentinel://a:26379,b:26380,[::1]:26381/service/2?sentinel_password=x", OneServer),
        ("redis+cluster://user:p%40ss@a:7000,b:7001", Cluster),
        ("rediss+sentinel://a/service", OneServer),
        ("rediss+cluster://a:7000/0?db=0&ssl_check_hostname=no", Cluster),
    ],
)
async def test_a_url_names_a_shape(url: str, shape: type) -> None:
    assert type(topology(url, 1000)) is shape


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://user:secret@host/1", "host:6379"),
        ("redis://:secret@[::1]:7000", "[::1]:7000"),
        ("unix://:secret@/tmp/some.sock?password=secret", "/tmp/some.sock"),
        ("redis+sentinel://:secret@a,b:7000/s?sentinel_password=secret", "s of the Sentinels a:26379,b:7000"),
        ("redis+cluster://:secret@a:7000,b:7001", "the Cluster of a:7000,b:7001"),
    ],
)
def test_an_address_for_people_has_no_password(url: str, address: str) -> None:
    assert topology(url, 1000).address("any") == address


@pytest.mark.parametrize(
    "url",
    [
        *("redis+cluster://:7000:1", "redis+sentinel://host:x/s", "redis+cluster://", "ftp://secret@host"),
        *("redis+cluster://host/3", "redis+cluster://host?db=3", "rediss://host?ssl_cert_reqs=secret"),
        *("redis://:some?secret@host/0", "redis://user:7000?secret@host"),
        "unix:///tmp/some.sock?socket_keepalive=yes",
    ],
)
def test_a_bad_url_is_told_without_its_parts(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        topology(url, 1000)
    assert "secret" not in str(caught.value)
    assert "7000" not in str(caught.value)


@pytest.mark.parametrize("address", ["redis://h/0", "unix:///tmp/s", "redis+sentinel://h/s", "redis+cluster://h"])
@pytest.mark.parametrize("name", ["foo", "family", "timeout", "ssl", "ssl_cert_reqs", "connection_class", "host"])
def test_a_parameter_that_is_not_taken_is_named(address: str, name: str) -> None:
    """It stopped the writer of a pipe, and every call waited for ever."""
    with pytest.raises(ConfigurationError, match=f"takes no parameter '{name}'") as caught:
        topology(f"{address}?{name}=7000", 1000)
    assert "7000" not in str(caught.value)


@pytest.mark.parametrize("address", ["redis://h/0", "unix:///tmp/s", "redis+sentinel://h/s", "redis+cluster://h"])
@pytest.mark.parametrize("name", ["socket_timeout", "db"])
def test_a_parameter_with_an_unusable_value_is_named(address: str, name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"'{name}'") as caught:
        topology(f"{address}?{name}=xyz", 1000)
    assert "xyz" not in str(caught.value)


@pytest.mark.parametrize("address", ["rediss://h/0", "rediss+sentinel://h/s", "rediss+cluster://h"])
@pytest.mark.parametrize("name", ["ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile"])
def test_a_file_that_is_not_there_is_named(address: str, name: str, tmp_path: Path) -> None:
    """What connects says of any of them that there is no such file or directory."""
    with pytest.raises(ConfigurationError, match=f"'{name}'"):
        topology(f"{address}?{name}={tmp_path}/nothing-here", 1000)


def connection_of(url: str) -> Any:
    made = topology(url, 1000)
    if isinstance(made, Cluster):
        made._slots = [(0, 16383, ("127.0.0.1", 7000))]
    return made.connect_for("any")()


@pytest.mark.parametrize("address", ["redis://h/0", "unix:///tmp/s", "redis+sentinel://h/s", "redis+cluster://h"])
def test_what_would_break_the_reading_of_replies_has_no_effect(address: str) -> None:
    query = "protocol=3&decode_responses=true&retry=x&retry_on_timeout=yes&encoding=x&max_connections=1"
    connection = connection_of(f"{address}?{query}&client_name=me")
    assert (connection.protocol, connection.encoder.decode_responses, connection.client_name) == (2, False, "me")
    assert connection.retry.get_retries() == 0


@pytest.mark.parametrize("address", ["rediss://h/0", "rediss+sentinel://h/s", "rediss+cluster://h"])
def test_tls_is_asked_for_by_the_scheme(address: str) -> None:
    connection = connection_of(f"{address}?ssl_ca_certs={__file__}&ssl_check_hostname=no")
    assert isinstance(connection, SSLConnection)
    assert (connection.ca_certs, connection.check_hostname) == (__file__, False)


def test_the_sentinels_are_asked_over_tls_too() -> None:
    made = topology(f"rediss+sentinel://h/s?ssl_ca_certs={__file__}&sentinel_password=x", 1000)
    assert isinstance(made, OneServer)
    [sentinel] = made._finders
    connection: Any = sentinel.connection_pool.make_connection()
    assert isinstance(connection, SSLConnection)
    assert (connection.ca_certs, connection.password) == (__file__, "x")


async def test_credentials_go_to_every_connection() -> None:
    made = topology("redis+cluster://us%20er:p%40ss@127.0.0.1:7000", 1000)
    assert isinstance(made, Cluster)
    made._slots = [(0, 16383, ("127.0.0.1", 7000))]
    connection = made.connect_for("any")()
    assert (connection.username, connection.password) == ("us er", "p@ss")
    made = topology("redis+sentinel://u:p@127.0.0.1:26379/svc/3", 1000)
    connection = made.connect_for("any")()
    assert (connection.username, connection.password, connection.db) == ("u", "p", 3)


@pytest.mark.parametrize("scheme", ["redis+cluster", "redis+sentinel"])
async def test_nobody_answers(scheme: str) -> None:
    """C16: unavailable in time, and no part of an address with a password in the text."""
    made = topology(f"{scheme}://user:secret@127.0.0.1:{free_port()}", 300)
    async with asyncio.timeout(2):
        with pytest.raises(StoreUnavailable) as caught:
            await (await made.pipe("key")).call("PING")
    assert "secret" not in str(caught.value)
    await asyncio.gather(*(pipe.close() for pipe in made.pipes()))


async def test_a_slot_nobody_serves_is_unavailable() -> None:
    made = Cluster([("127.0.0.1", 1)], {}, 300)
    made._slots = [(0, 99, ("127.0.0.1", 1))]
    with pytest.raises(StoreUnavailable):
        made.place("{0}")


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A Sentinel that names itself as the master."""
    host, port = writer.get_extra_info("sockname")
    facts = ["name", "s", "ip", host, "port", str(port), "flags", "master", "num-other-sentinels", "1"]
    masters = f"*1\r\n*{len(facts)}\r\n" + "".join(f"${len(fact)}\r\n{fact}\r\n" for fact in facts)
    while data := await reader.read(65536):
        for command in data.split(b"*")[1:]:
            writer.write(masters.encode() if b"SENTINEL" in command else b"+OK\r\n")
    writer.close()


async def _hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.read(65536):
        continue
    writer.close()


async def test_sentinels_that_hang_leave_time_to_ask_the_others() -> None:
    """C16: whichever come first in the URL, within the one timeout."""
    servers = [await asyncio.start_server(serve, "127.0.0.1", 0) for serve in (_hang, _hang, _answer)]
    hosts = ",".join(f"127.0.0.1:{server.sockets[0].getsockname()[1]}" for server in servers)
    made = topology(f"redis+sentinel://{hosts}/s", 1000)
    assert await (await made.pipe("key")).call("PING") == b"OK"
    await made.close()
    for server in servers:
        server.close()


async def test_sentinels_that_all_hang_are_told_in_one_line() -> None:
    server = await asyncio.start_server(_hang, "127.0.0.1", 0)
    host = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    made = topology(f"redis+sentinel://:secret@{host},{host}/s?sentinel_password=secret", 300)
    with pytest.raises(StoreUnavailable, match="none of 2 Sentinels answers") as caught:
        await (await made.pipe("key")).call("PING")
    assert "secret" not in str(caught.value)
    await made.close()
    server.close()


async def test_a_slot_that_changes_hands_counts_as_a_break(monkeypatch: pytest.MonkeyPatch) -> None:
    """C6: whoever takes a slot over may lack its last writes, though no connection broke."""
    one, two = ("127.0.0.1", 1), ("127.0.0.1", 2)
    store = Store("redis+cluster://127.0.0.1:1")
    made: Any = store._topology
    reply: list[Any] = []

    class Told:
        breaks = 0

        async def call(self, *_command: str) -> list[Any]:
            return reply

    monkeypatch.setattr(made, "_pipe_to", lambda _place: Told())
    counted = []
    for slots in (
        [(0, 99, one), (100, 199, two)],
        [(0, 49, one), (50, 99, one), (100, 199, two)],  # the same, said otherwise
        [(0, 99, one), (100, 250, two)],  # nobody's before
        [(0, 98, one), (99, 250, two)],
        [(0, 98, one)],  # without an owner for a while
        [(0, 98, one), (99, 250, two)],
        [(0, 250, one)],
    ):
        reply[:] = [(first, end, (host.encode(), port)) for first, end, (host, port) in slots]
        await made.refresh()
        counted.append(store.breaks)
    assert counted == [0, 0, 0, 1, 1, 1, 2]


class Node:
    """A node of a Cluster: `owner` has the slots, it says; is_down: it carries out nothing; is_gone: nor answers."""

    breaks = 0

    def __init__(self, asked: list[Place], place: Place) -> None:
        self.asked, self.place, self.owner, self.is_down = asked, place, place, False
        self.is_gone = False

    def call(self, *command: Any) -> asyncio.Future[Any]:
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if command == ("CLUSTER", "SLOTS"):
            self.asked.append(self.place)
        if self.is_gone:
            answer.set_exception(StoreUnavailable("no answer in time"))
        elif command == ("CLUSTER", "SLOTS"):
            answer.set_result([(0, 16383, (self.owner[0].encode(), self.owner[1]))])
        elif self.is_down:
            answer.set_exception(BaseParser.parse_error("CLUSTERDOWN The cluster is down"))
        else:
            answer.set_result([b"agreed"])
        return answer

    async def close(self, _error: StoreUnavailable | None = None) -> None:
        """It may be used again."""


async def test_a_master_that_was_cut_off_is_asked_last() -> None:
    """C6, C16: it answers, and says for ever that it has the slots; the others know who has."""
    store = Store("redis+cluster://h:1,h:2")
    made, asked = store._topology, list[Place]()
    assert isinstance(made, Cluster)
    one, two, new = (Node(asked, ("h", port)) for port in (1, 2, 3))
    made._pipes = cast("dict[Place, Pipe]", {node.place: node for node in (one, two, new)})
    told: list[int] = []
    made.on_moved.add(lambda: told.append(store.breaks))
    layout = ("presence/layout", ("{0}", "{0}"), {"partitions": 1})
    assert await store.run(*layout) == [b"agreed"]
    one.is_down, two.owner = True, new.place
    with pytest.raises(StoreUnavailable, match="CLUSTERDOWN"):
        await store.run(*layout)
    await store._looking.done()
    assert await store.run(*layout) == [b"agreed"]
    assert (asked, told) == ([one.place, two.place], [1])
    await store.close()


async def test_of_nodes_that_all_were_down_the_last_to_say_so_is_asked_last() -> None:
    asked: list[Place] = []
    nodes = {("h", port): Node(asked, ("h", port)) for port in (1, 2)}
    made = Cluster(list(nodes), {}, 300)
    made._pipes = cast("dict[Place, Pipe]", nodes)
    for last, first in ((2, 1), (1, 2)):
        made.doubt(made._pipes["h", last])
        await made.refresh()
        assert asked.pop() == ("h", first)


async def test_a_node_that_is_gone_is_not_asked_before_those_who_say_that_the_cluster_is_down(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """C16: each reading of the map waited for it first, as long as the living were without its slots."""
    asked: list[Place] = []
    nodes = {("h", port): Node(asked, ("h", port)) for port in (1, 2, 3)}
    made = Cluster(list(nodes), {}, 300)
    made._pipes = cast("dict[Place, Pipe]", nodes)
    gone, *living = nodes
    nodes[gone].is_gone = True
    for _ in range(3):
        for place in living:
            made.doubt(made._pipes[place])
        await made.refresh()
    assert asked.count(gone) == 1
    # It may be well again, and they cut off.
    monkeypatch.setattr("presence_engine.topology._SILENT_S", 0.0)
    await made.refresh()
    assert asked.count(gone) == 2
