"""What a board is for: it outlives disconnects, tabs, servers and crashes, and ends as one."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import redis

from presence_engine import EmbeddedServer
from tests.client.command import Command
from tests.client.driver import Client, eventually
from tests.server.board.conftest import Sit, content, fill, stored
from tests.server.conftest import RunningServer, Serve

Connect = Callable[..., Client]
Run = Callable[..., Command]


@pytest.fixture
def run() -> Iterator[Run]:
    started: list[Command] = []

    def start(**environ: str) -> Command:
        started.append(Command("serve", "--port", "0", **environ).serving())
        return started[-1]

    yield start
    for one in started:
        one.stop()


@pytest.mark.parametrize("end", ["close", "cut"])
@pytest.mark.parametrize("servers", [1, 2])
def test_002_8_scenario_1_disconnect_and_reconnect(
    server: RunningServer, serve: Serve, sit: Sit, end: str, servers: int
) -> None:
    """Join, add items, groups and action items, go, come back (to another server): everything is there."""
    one = sit(server, "u1", handshake=True)
    fill(one)
    before = content(stored(server, one.board))
    getattr(one.client, end)()
    one.client.wait("disconnect")
    back = sit(server if servers == 1 else serve(), "u1", handshake=True)
    assert content(back.wait("retro-state")) == before
    assert content(stored(server, one.board)) == before


def test_a_reconnecting_client_gets_the_state_of_now(server: RunningServer, sit: Sit) -> None:
    one, two = sit(server, "u1", handshake=True), sit(server, "u2")
    fill(one)
    one.client.cut()
    one.client.wait("disconnect")
    two.move("while away", 7)
    one.client.reopen()
    assert content(one.wait("retro-state")) == content(stored(server, one.board))
    assert one.told()["itemPositions"]["while away"] == {"x": 7, "y": 0}


@pytest.mark.parametrize("servers", [1, 2])
def test_002_8_scenario_2_several_tabs_at_once(server: RunningServer, serve: Serve, sit: Sit, servers: int) -> None:
    """Concurrent changes of every kind from several tabs: none is lost, all end with the same picture."""
    places = [server, server if servers == 1 else serve()]
    seats = [sit(places[number % 2], f"u{number % 3}") for number in range(6)]
    numbers = []
    for step in range(12):
        for tab, seat in enumerate(seats):
            about = {"retroId": seat.board, "userId": seat.user}
            for event, payload in (
                ("item-position-update", {"itemId": f"own {tab}", "position": {"x": step, "y": tab}, "source": "drag"}),
                ("item-position-update", {"itemId": "shared", "position": {"x": step, "y": tab}, "source": "drag"}),
                ("grouping-update", {"itemGroups": {"i": f"{tab}-{step}"}, "signatureColors": {}}),
                ("vote-update", {"userVotes": {str(tab): step % 4}}),
                ("action-item-added", {"task": f"task {tab}-{step}", "assigneeId": seat.user}),
            ):
                numbers.append((seat, seat.client.send(event, {**about, **payload})))
        time.sleep(0.08)
    assert all(seat.client.answer(number)["ok"] for seat, number in numbers)
    state = stored(server, seats[0].board)
    assert {f"own {tab}": {"x": 11, "y": tab} for tab in range(6)}.items() <= state["itemPositions"].items()
    assert sorted(item["task"] for item in state["actionItems"]) == sorted(
        f"task {tab}-{step}" for tab in range(6) for step in range(12)
    )
    assert set(state["allUserVotes"]) == {"u0", "u1", "u2"}
    end = content(state)
    for seat in seats:
        seat.comes_to(end)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGKILL])
def test_002_8_scenario_3_restart_on_the_embedded_store(
    run: Run, sit: Sit, short_dir: Path, board: str, kind: signal.Signals
) -> None:
    """Also kill -9: whatever was acknowledged is there, byte for byte; C24: participants are presence, and gone."""
    environ = {"PRESENCE_DATA_DIR": str(short_dir / uuid4().hex[:8]), "PRESENCE_NODE_NAME": "n1"}
    first = run(**environ)
    one = sit(first, "u1")
    fill(one)
    last = one.move("last", 1)
    before = stored(first, board)
    first.ask(kind)
    first.exit_code()
    second = run(**environ)
    after = stored(second, board)
    assert content(after) == content(before)
    assert (after["version"], after["lastUpdated"]) == (last["version"], before["lastUpdated"])
    assert after["participants"] == []
    back = sit(second, "u1")
    assert content(back.wait("retro-state")) == content(before)
    assert back.move("last", 2)["version"] == last["version"] + 1


@pytest.mark.slow
@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGKILL])
def test_002_8_scenario_3_restart_of_one_of_two_servers(
    run: Run, sit: Sit, store: EmbeddedServer, board: str, kind: signal.Signals
) -> None:
    """The other server's users go on meanwhile, and see the board as it is."""
    dying, staying = run(REDIS_URL=store.url, PRESENCE_LEASE="1"), run(REDIS_URL=store.url, PRESENCE_LEASE="1")
    one, two = sit(dying, "u1"), sit(staying, "u2")
    fill(one)
    dying.ask(kind)
    dying.exit_code()
    two.move("meanwhile", 1)
    end = content(stored(staying, board))
    eventually(lambda: content(two.told()) == end, "the picture of who stayed")
    back = sit(run(REDIS_URL=store.url), "u1")
    assert content(back.wait("retro-state")) == end
    eventually(lambda: len(stored(staying, board)["participants"]) == 2, "both participants")


def test_002_4_all_parts_end_together_and_only_by_time(serve: Serve, sit: Sit, store: EmbeddedServer) -> None:
    """T2.9, C17, 002-10: every change and every join sets one end for all parts; reading sets none."""
    server = serve(BOARD_TTL="3")
    one = sit(server, "u1")
    fill(one)
    with redis.Redis.from_url(store.url, decode_responses=True) as client:
        keys = [key for key in client.scan_iter("retro:room:state:*", count=1000) if f":{one.board}:" in key]

        def ends() -> list[Any]:
            return [client.pexpiretime(key) for key in keys]

        assert len(keys) == 5
        before = ends()
        assert len(set(before)) == 1
        time.sleep(0.05)
        assert stored(server, one.board)["ttl"] == 3
        one.do("request-retro-state")
        one.do("typing")
        assert ends() == before
        one.client.close()
        assert ends() == before
        two = sit(server, "u2")
        joined = ends()
        assert len(set(joined)) == 1
        assert joined[0] > before[0]
        time.sleep(0.05)
        two.do("vote-update", userVotes={})
        assert len(set(ends())) == 1
        assert ends()[0] > joined[0]
        eventually(lambda: client.exists(*keys) < 5, "the board's end")
        assert client.exists(*keys) == 0
    state = stored(server, one.board)
    assert (state["version"], state["ttl"], state["itemPositions"], state["actionItems"]) == (0, 0, {}, [])
    assert state["participantCount"] >= 1


def test_t2_9_a_board_that_expired_begins_again_whole(serve: Serve, sit: Sit) -> None:
    """Those who still show the old one are sent all of the new one, on every server."""
    server, far = serve(BOARD_TTL="0.3"), serve(BOARD_TTL="0.3")
    one, two = sit(server, "u1"), sit(far, "u2")
    fill(one)
    two.wait("action-items-update", lambda items: len(items) == 2)
    eventually(lambda: stored(server, one.board)["version"] == 0, "the board's end")
    one.client.forget()
    two.client.forget()
    assert two.move("new", 1)["version"] == 1
    for seat in (one, two):
        assert seat.wait("retro-state")["itemPositions"] == {"new": {"x": 1, "y": 0}}
        assert seat.told()["actionItems"] == []


def test_a_server_that_lost_its_feed_catches_up(
    server: RunningServer, serve: Serve, sit: Sit, store: EmbeddedServer, board: str
) -> None:
    """What was announced meanwhile is lost; the boards that moved are sent whole, the others are left alone."""
    far = serve()
    seats = [sit(server, "u1"), sit(far, "u2")]
    quiet = sit(server, "u3", f"{board} quiet")
    quiet.move("q", 1)
    fill(seats[0])
    eventually(lambda: seats[1].told() == seats[0].told(), "the same picture")
    for seat in (*seats, quiet):
        seat.wait("retro-state")
    states = len(quiet.events("retro-state"))
    with redis.Redis.from_url(store.url) as client:
        client.client_kill_filter(_type="pubsub")
        seats[1].move("meanwhile", 1)
    end = content(stored(server, board))
    for seat in seats:
        seat.comes_to(end)
        assert len(seat.events("retro-state")) == 2
    seats[0].move("after", 1)
    eventually(lambda: "after" in seats[1].told()["itemPositions"], "the next change")
    assert len(quiet.events("retro-state")) == states
    assert content(quiet.told()) == content(stored(server, quiet.board))


def test_redis_out_of_reach_is_unavailable_and_nothing_is_lost(serve: Serve, sit: Sit, new_store: Any) -> None:
    """C16, 002-2: an error that says to try again, within 2 s; when Redis is back, so is the board."""
    store = new_store()
    server = serve(store.url)
    one = sit(server)
    one.move("i", 1)
    os.kill(store.pid, signal.SIGSTOP)
    started = time.monotonic()
    error = one.refused("item-position-update", itemId="i", position={"x": 2, "y": 2}, source="drag-stop")
    assert (error["code"], error["retryable"]) == ("unavailable", True)
    assert time.monotonic() - started < 2.5
    assert server.get("/api/retro/x/state", status=503)["error"]["code"] == "unavailable"
    os.kill(store.pid, signal.SIGCONT)
    move = {"retroId": one.board, "itemId": "i", "position": {"x": 3, "y": 0}, "source": "drag-stop"}
    eventually(lambda: one.client.emit("item-position-update", move)["ok"], "the store's return")
    eventually(lambda: one.told()["itemPositions"] == {"i": {"x": 3, "y": 0}}, "the picture")
    with redis.Redis.from_url(store.url) as client:
        client.config_resetstat()


@pytest.mark.parametrize("servers", [1, 2])
def test_t2_6_who_joins_while_others_drag_misses_nothing(
    server: RunningServer, serve: Serve, sit: Sit, servers: int
) -> None:
    """Subscribed first, then the snapshot: it and what follows are the board, in the order of the versions."""
    places = [server, server if servers == 1 else serve()]
    hands = [sit(places[number % 2], f"hand {number}") for number in range(2)]
    done = threading.Event()

    def drag() -> None:
        step = 0
        while not done.wait(1 / 30):
            step += 1
            for hand in hands:
                body = {"retroId": hand.board, "itemId": hand.user, "position": {"x": step, "y": 0}, "source": "drag"}
                hand.client.shout("item-position-update", body)

    thread = threading.Thread(target=drag)
    thread.start()
    try:
        joiners = []
        for number in range(20):
            joiners.append(sit(places[number % 2], f"joiner {number}", handshake=number % 3 == 0))
            time.sleep(0.037)
    finally:
        done.set()
        thread.join()
    for hand in hands:
        hand.move(hand.user, -1)
    end = stored(server, hands[0].board)
    for joiner in joiners:
        joiner.wait("item-position-update", lambda body: body["version"] == end["version"])
        assert content(joiner.told()) == content(end)
        (state,) = joiner.events("retro-state")
        versions = [body["version"] for body in joiner.events("item-position-update")]
        assert versions == list(range(state["version"] + 1, end["version"] + 1))
