"""Which server a URL names."""

import asyncio

import pytest

from presence_engine.errors import ConfigurationError, StoreUnavailable
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
    ],
)
async def test_a_url_names_a_shape(url: str, shape: type) -> None:
    assert type(topology(url, 1000)) is shape


@pytest.mark.parametrize(
    "url", ["redis+cluster://:7000:1", "redis+sentinel://host:x/s", "redis+cluster://", "ftp://secret@host"]
)
def test_a_bad_url_is_told_without_its_parts(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        topology(url, 1000)
    assert "secret" not in str(caught.value)
    assert "7000" not in str(caught.value)


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
