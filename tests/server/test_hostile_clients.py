"""Clients that mean harm or are broken: each costs no more than it may, and none writes the log (002-9)."""

from contextlib import suppress

from tests.client.raw import RawClient
from tests.server.conftest import Serve


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
