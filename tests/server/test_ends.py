"""What ends while something of it is under way leaves nothing behind; what fails is not tried without a pause."""

import asyncio
import socket
import subprocess
import sys
import threading

import pytest

from presence_engine import BoardEngine, PresenceEngine
from presence_engine.board_models import Move
from server import process
from server.app import PresenceServer
from server.board_moves import BoardMoves
from server.fanout import Fanout
from server.limits import TokenBucket
from server.settings import Settings
from server.sockets.session import Remembered, Session


async def test_a_socket_that_ends_while_it_asks_to_watch_watches_nothing(engine: PresenceEngine) -> None:
    fanout = Fanout(engine, Settings.from_environ({}), lambda *_: None, lambda *_: None)
    session, stays = (Session(sid, "/", TokenBucket(0, 0)) for sid in ("ends", "stays"))
    asking = [asyncio.create_task(fanout.watch(session, room, room)) for room in ("one", "both")]
    asking.append(asyncio.create_task(fanout.watch(stays, "both", "both")))
    await asyncio.sleep(0)
    session.closed = True
    await asyncio.gather(*asking)
    assert list(fanout.feed._wanted) == [engine.channel("both")]
    await fanout.unwatch(stays, "both")
    assert (fanout._rooms, fanout.feed._wanted) == ({}, {})
    await fanout.close()


async def test_the_end_of_all_boards_waits_for_the_write_under_way(
    engine: PresenceEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store is closed next."""
    boards = BoardEngine(engine.store, engine.keys)
    moves, write, begun, go_on = BoardMoves(boards), boards.move, asyncio.Event(), asyncio.Event()

    async def slow(retro: str, all_of: list[Move]) -> object:
        begun.set()
        await go_on.wait()
        return await write(retro, all_of)

    monkeypatch.setattr(boards, "move", slow)
    moved = asyncio.create_task(moves.move("r", Move("i", {"x": 1, "y": 0}, "u", source="drag-stop")))
    await begun.wait()
    asyncio.get_running_loop().call_later(0.1, go_on.set)
    await moves.close()
    assert go_on.is_set()
    assert list((await boards.snapshot("r")).state.item_positions) == ["i"]
    await moved
    await moves.close()


async def test_every_part_is_ended_though_another_fails_to(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    server = PresenceServer(Settings.from_environ({}), redis_url)

    async def fails() -> None:
        raise ValueError("unforeseen")

    monkeypatch.setattr(server.chat_trimmer, "stop", fails)
    with pytest.raises(ValueError, match="unforeseen"):
        async with server._lifespan():
            assert await server.engine.ping() >= 0
    assert server.fanout.feed._connections == {}
    assert [task.get_name() for task in asyncio.all_tasks()] == [asyncio.current_task().get_name()]  # type: ignore[union-attr]


def test_of_the_rooms_a_client_names_a_thousand_are_remembered() -> None:
    rooms = Remembered()
    for number in range(1500):
        rooms.add(f"r{number}")
        rooms.add("again")
    assert len(rooms) == 1000
    assert "again" in rooms
    assert "r1499" in rooms
    assert "r499" not in rooms
    rooms.discard("again")
    assert "again" not in rooms


def test_a_worker_that_cannot_live_is_not_started_without_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each start is most of a second of the machine's time, taken from the workers that live."""
    started: list[list[str]] = []
    begin = subprocess.Popen

    def ends_at_once(_command: object, **options: object) -> subprocess.Popen[bytes]:
        started.append([])
        return begin([sys.executable, "-S", "-c", ""], **options)  # type: ignore[call-overload,no-any-return]

    monkeypatch.setattr(subprocess, "Popen", ends_at_once)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        workers = process._Workers("redis://nowhere", listener, 2)
        stop = threading.Timer(1.5, workers._stop, (0, None))
        stop.start()
        workers.run()
        stop.join()
    assert len(started) == 2
