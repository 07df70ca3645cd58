"""How an engine starts: what Redis must permit, what it says when it does not, and what a failed start leaves."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from presence_engine import (
    Beat,
    ConfigurationError,
    EngineSettings,
    Joined,
    Left,
    Node,
    PresenceEngine,
    StoreUnavailable,
    Sweeper,
)
from presence_engine.board import BoardEngine
from presence_engine.board_models import Move
from presence_engine.chat import ChatEngine
from presence_engine.chat_models import IncomingMessage
from tests.conftest import MakeEngine, StartServer

# As README tells them, with `app` for `pr1`.
RIGHTS = (
    "~app:* &app:* -@all +@read +@write +evalsha +evalsha_ro +script|load +ping +time +spublish +ssubscribe "
    "+sunsubscribe +info -keys -scan -sort"
)
BOARDS = "~retro:room:state:* &retro:room:state:*"


@pytest.fixture
def address(start_server: StartServer) -> str:
    """host:port of a server of the test's own."""
    return start_server(port=0).url.removeprefix("redis://").removesuffix("/0")


@pytest.fixture
async def admin(address: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(f"redis://{address}/0") as client:
        yield client


async def add_user(admin: Redis, rights: str) -> None:
    await admin.execute_command("ACL", "SETUSER", "app", "reset", "on", ">secret", *rights.split())


@pytest.mark.parametrize("rights", ["~app:* resetchannels +@all", "~app:* &other:* +@all", "~app:* &* +@all -spublish"])
async def test_a_user_who_may_not_publish_is_refused_before_anything_is_written(
    address: str, admin: Redis, rights: str
) -> None:
    await add_user(admin, rights)
    engine = PresenceEngine(f"redis://app:secret@{address}/0", settings=EngineSettings(prefix="app"))
    with pytest.raises(ConfigurationError) as caught:
        await engine.start()
    assert "may not do all that is needed" in str(caught.value)
    assert "secret" not in str(caught.value)
    # Nor by a caller who did not start it.
    await engine.close()
    assert await admin.dbsize() == 0


@pytest.mark.parametrize(
    ("rights", "prefix", "database"),
    [(RIGHTS, "app", 0), (f"{RIGHTS} +select", "app", 1), (f"{RIGHTS} {BOARDS}".replace("app", "pr1"), "pr1", 0)],
)
async def test_the_rights_that_are_documented_are_enough(
    address: str, admin: Redis, make_engine: MakeEngine, rights: str, prefix: str, database: int
) -> None:
    """For presence, boards, chats, the feed, a sweeper and a node's whole life, a second one's cleaning up included."""
    await add_user(admin, rights)
    url = f"redis://app:secret@{address}/{database}"
    engine = await make_engine(url, prefix=prefix)
    heard: asyncio.Queue[bytes] = asyncio.Queue()
    feed = engine.open_feed(on_lost=lambda: None, on_restored=lambda: None)
    board, chat = BoardEngine(engine.store, engine.keys), ChatEngine(engine.store, engine.keys)
    for channel in (engine.channel("r"), board.channel("r"), engine.keys.chat_feed(0)):
        await feed.subscribe(channel, heard.put_nowait)
    await Node(engine, "web").start()
    await engine.join("r", "u", "c")
    again = await make_engine(url, prefix=prefix)
    node = Node(again, "web")
    await node.start()
    async with Sweeper(again):
        assert isinstance(await again.join("r", "u", "c", data={"a": 1}), Joined)
        assert isinstance(await again.heartbeat("r", "u", "c"), Beat)
        await again.update("r", "u", "c", username="Ada")
        assert len((await again.list("r")).members) == len(await again.where("u")) == (await again.rooms()).total == 1
        await again.detach("r", "u", "c")
        await again.join("r", "u", "d")
        await again.kick("r", "u")
        await again.join("r", "u", "d")
        assert isinstance(await again.leave("r", "u", "d"), Left)
        assert await again.removals(days=1)
    await board.move("r", [Move("item", {"x": 1, "y": 2}, "u")])
    await chat.read((await chat.post(IncomingMessage(phone="123", content_text="text"))).room_id)
    assert (await engine.ping(), (await engine.server()).split()[0] in {"Redis", "Valkey"}) == (True, True)
    for _ in range(3):
        await asyncio.wait_for(heard.get(), 5)
    await feed.unsubscribe(engine.channel("r"))
    await feed.close()
    await node.stop()


async def test_a_missing_password_is_said(address: str, admin: Redis) -> None:
    engine = PresenceEngine(f"redis://{address}/0")
    await engine.start()
    await admin.config_set("requirepass", "secret")
    await engine.close()
    for _ in range(2):
        with pytest.raises(StoreUnavailable) as caught:
            await engine.start()
        assert "password" in str(caught.value)
    await engine.close()
    await admin.config_set("requirepass", "")


async def test_a_database_out_of_range_is_said(address: str) -> None:
    engine = PresenceEngine(f"redis://{address}/99")
    with pytest.raises(StoreUnavailable) as caught:
        await engine.start()
    assert "DB index is out of range" in str(caught.value)
    await engine.close()


async def test_a_full_redis_lets_an_engine_start(address: str, admin: Redis) -> None:
    """So that a restart during it can still answer, and let users leave."""
    async with PresenceEngine(f"redis://{address}/0") as engine:
        await engine.join("r", "u", "c")
    await admin.config_set("maxmemory", 1)
    await admin.script_flush()
    async with PresenceEngine(f"redis://{address}/0", node=engine.node) as restarted:
        assert (await restarted.count("r")).count == 1
        assert isinstance(await restarted.leave("r", "u", "c"), Left)
    await admin.flushall()
    async with PresenceEngine(f"redis://{address}/0") as first:
        assert (await first.count("r")).count == 0
    await admin.config_set("maxmemory", 0)


async def left_behind(admin: Redis, others: set["asyncio.Task[object]"]) -> tuple[list[str], int]:
    """Names of tasks, and connections at the server once it has noticed what went."""
    tasks = [task.get_name() for task in asyncio.all_tasks() - others]
    give_up_at = time.monotonic() + 2
    while (clients := len(await admin.client_list()) - 1) and time.monotonic() < give_up_at:
        await asyncio.sleep(0.005)
    return tasks, clients


async def test_a_start_that_fails_leaves_nothing(address: str, admin: Redis) -> None:
    url = f"redis://{address}/0"
    async with PresenceEngine(url, settings=EngineSettings(partitions=2)):
        pass
    others = set(asyncio.all_tasks())
    with pytest.raises(ConfigurationError):
        async with PresenceEngine(url):
            pass
    assert await left_behind(admin, others) == ([], 0)


@pytest.mark.parametrize("turns", [1, 2, 3, 5, 8, 12, 16, 20])
async def test_a_start_that_is_cancelled_leaves_nothing(address: str, admin: Redis, turns: int) -> None:
    others = set(asyncio.all_tasks())

    async def session() -> None:
        async with PresenceEngine(f"redis://{address}/0"):
            await asyncio.Event().wait()

    task = asyncio.create_task(session())
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await left_behind(admin, others) == ([], 0)
