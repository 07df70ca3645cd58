"""The recipes as the servers of an application use them: sockets come, beat and go, and somebody counts."""

from abc import ABC, abstractmethod
from contextlib import AsyncExitStack
from typing import Final

from bench.peers_recipes import Recipe
from bench.peers_scripts import Ours
from bench.people import Person
from bench.wire import Wire, encode
from presence_engine import EngineSettings, Node, PresenceEngine, RoomRules, Sweeper

TTL_MS: Final = 2_000
GRACE_MS: Final = 100
# Of ours in every room but those where a TTL is to pass: elsewhere the lease has to do what a TTL does for the others.
LONG_TTL_MS: Final = 600_000


class Peer(ABC):
    """A recipe as a server of an application would use it."""

    word: str

    @abstractmethod
    async def connect(self, room: str, user: str, connection: str) -> None: ...

    @abstractmethod
    async def beat(self, room: str, user: str, connection: str) -> None: ...

    @abstractmethod
    async def disconnect(self, room: str, user: str, connection: str) -> None: ...

    @abstractmethod
    async def count(self, room: str) -> int: ...

    def channel(self, room: str) -> str:
        """A sharded channel on which changes are told, besides what a pattern finds."""
        return "none"


class ByRecipe(Peer):
    def __init__(self, recipe: Recipe, wire: Wire) -> None:
        self.word, self.beats = recipe.word, recipe.beats
        self._recipe, self._wire = recipe, wire
        recipe.load(wire)

    async def connect(self, room: str, user: str, connection: str) -> None:
        self._wire.play(encode(self._recipe.join(room, _person(user, connection))))

    async def beat(self, room: str, user: str, connection: str) -> None:
        self._wire.play(encode(self._recipe.beat(room, _person(user, connection))))

    async def disconnect(self, room: str, user: str, connection: str) -> None:
        self._wire.play(encode(self._recipe.leave(room, _person(user, connection))))

    async def count(self, room: str) -> int:
        return self._recipe.ask(self._wire, "count", room)


def _person(user: str, connection: str) -> Person:
    return Person(user, connection, f'\x1e"{user}"\x1e{{}}')


class ByEngine(Peer):
    """Ours as its server uses it: a closed socket is detached, and ends with its grace."""

    def __init__(self, engine: PresenceEngine) -> None:
        self.word, self._engine = Ours.word, engine

    async def connect(self, room: str, user: str, connection: str) -> None:
        await self._engine.join(room, user, connection)

    async def beat(self, room: str, user: str, connection: str) -> None:
        await self._engine.heartbeat(room, user, connection)

    async def disconnect(self, room: str, user: str, connection: str) -> None:
        await self._engine.detach(room, user, connection)

    async def count(self, room: str) -> int:
        return (await self._engine.count(room)).count

    def channel(self, room: str) -> str:
        return self._engine.channel(room)


async def _engine(stack: AsyncExitStack, socket_path: str, name: str) -> PresenceEngine:
    def rules(room: str) -> RoomRules:
        return RoomRules(ttl_ms=TTL_MS if room in ("unread", "half") else LONG_TTL_MS, grace_ms=GRACE_MS)

    engine = await stack.enter_async_context(
        PresenceEngine(f"unix://{socket_path}", settings=EngineSettings(rules=rules))
    )
    node = Node(engine, name, lease_ms=TTL_MS)
    await node.start()
    stack.push_async_callback(node.stop)
    await stack.enter_async_context(Sweeper(engine))
    return engine


async def make_peer(stack: AsyncExitStack, recipe: Recipe, socket_path: str, name: str) -> Peer:
    if isinstance(recipe, Ours):
        return ByEngine(await _engine(stack, socket_path, name))
    return ByRecipe(recipe, stack.enter_context(Wire(socket_path)))
