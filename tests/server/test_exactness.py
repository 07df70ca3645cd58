"""Counts and lists that are exact at every moment, around expiries and while people come and go."""

import time
from collections.abc import Callable

import httpx

from tests.client.driver import Client
from tests.server.conftest import RunningServer, Serve

Connect = Callable[..., Client]


def test_000_11_count_is_the_number_of_users_at_every_moment_around_an_expiry(
    serve: Serve, connect: Connect, room: str
) -> None:
    """000-8, 000-11, T0.5, T1.2: no expired user is listed past its deadline, swept or not, and no count lies.

    003-10: the deadline is the truth, the sweeper a safety net.
    """
    server = serve(PRESENCE_TTL="0.8", PRESENCE_SWEEP_INTERVAL="30")
    clients = [connect(server, auth={"userId": f"u{at}"}) for at in range(6)]
    for at, client in enumerate(clients):
        client.join(room)
        assert server.count(room)["count"] == at + 1
        time.sleep(0.05)
    sizes: list[int] = []
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and (not sizes or sizes[-1]):
        sent = time.time() * 1000
        body = server.participants(room, view="full")
        assert body["count"] == len(body["users"])
        # One machine, one clock: whoever is listed had a deadline (TTL and 1 % of slack) ahead when it was asked.
        assert all(member["joinedAt"] + 808 > sent for member in body["users"])
        sizes.append(body["count"])
    assert sizes[0] > 0
    assert sizes[-1] == 0
    assert sizes == sorted(sizes, reverse=True)


def test_t0_5_count_equals_users_while_people_come_and_go(server: RunningServer, connect: Connect, room: str) -> None:
    client = connect(server, auth={"userId": "u"})
    numbers = [client.send(event, {"roomId": room}) for _ in range(20) for event in ("join_room", "leave_room")]
    with httpx.Client(base_url=server.url) as http:
        for _ in range(20):
            body = http.get(f"/api/chatroom/{room}/participants").json()
            assert body["count"] == len(body["users"])
    assert all(client.answer(number)["ok"] for number in numbers)
