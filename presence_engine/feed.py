"""The feed: what the scripts publish, brought to this process in the order of the changes."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from typing import Final

from presence_engine.errors import StoreUnavailable
from presence_engine.feed_connection import FeedConnection, Handler, ended
from presence_engine.tasks import end_tasks
from presence_engine.topology import Topology

_FOLLOW_S: Final = 0.5

# Of a channel whose server is not known.
_NOWHERE: Final = object()

log = logging.getLogger(__name__)


class Feed:
    """Subscriptions of one process, on one connection a server.

    on_lost(), on_restored(): as of FeedConnection, for any of them; `line` tells which channels they speak of. What
    they raise is logged, and the feed goes on.
    timeout_ms: longest wait for a confirmation.
    """

    def __init__(
        self, topology: Topology, *, on_lost: Callable[[], None], on_restored: Callable[[], None], timeout_ms: int
    ) -> None:
        self._topology = topology
        self._on_lost, self._on_restored = _guarded(on_lost), _guarded(on_restored)
        self._timeout_s = timeout_ms / 1000
        self._connections: dict[object, FeedConnection] = {}
        self._wanted: dict[str, tuple[object, Handler]] = {}
        self._moving: asyncio.Task[None] | None = None

    @property
    def connected(self) -> bool:
        """Every connection that is needed stands, and is subscribed to all it should be."""
        placed = all(place is not _NOWHERE for place, _ in self._wanted.values())
        return placed and all(connection.connected for connection in self._connections.values())

    def line(self, channel: str) -> object | None:
        """Return what brings the channel's messages now, None when nothing does.

        While it is the same one, no message was missed; channels of one server have one.
        """
        place, _ = self._wanted.get(channel, (_NOWHERE, None))
        connection = self._connections.get(place)
        return connection.line(channel) if connection else None

    async def subscribe(self, channel: str, handler: Handler) -> None:
        """Call `handler` with every message of `channel` from now on. Raises StoreUnavailable when not confirmed in
        time, or ended by `unsubscribe` before that, ConfigurationError when Redis does not permit it.

        A subscription that is not confirmed stands all the same: it takes effect when Redis is back.
        """
        self._wanted[channel] = (_NOWHERE, handler)
        # A server that lost its slots to another may never say so to those who listen to it.
        self._topology.on_moved.add(self._moved)
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._topology.pipe(channel)
                if self._wanted.get(channel, (_NOWHERE, None))[1] is not handler:
                    raise ended()
                place = self._topology.place(channel)
                self._wanted[channel] = (place, handler)
                await self._connection(place, channel).subscribe(channel, handler)
        except (StoreUnavailable, TimeoutError) as error:
            if channel in self._wanted:
                self._moved()
            if isinstance(error, StoreUnavailable):
                raise
            raise StoreUnavailable("Redis did not confirm a subscription in time") from None

    async def unsubscribe(self, channel: str) -> None:
        """Stop listening to a channel; what is on the way is dropped."""
        place, _ = self._wanted.pop(channel, (_NOWHERE, None))
        if (connection := self._connections.get(place)) is not None:
            await connection.unsubscribe(channel)

    def _connection(self, place: object, channel: str) -> FeedConnection:
        if place not in self._connections:
            connection = FeedConnection(
                self._topology.connect_for(channel),
                self._topology.address(channel),
                on_lost=self._lost,
                on_restored=self._on_restored,
                on_moved=self._moved,
            )
            self._connections[place] = connection
            connection.start()
        return self._connections[place]

    def _lost(self) -> None:
        self._on_lost()
        self._moved()

    def _moved(self) -> None:
        """A channel's server may be another now: look, until every channel listens at the right one."""
        if self._moving is None or self._moving.done():
            self._moving = asyncio.create_task(self._follow(), name="redis-feed-follow")

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(_FOLLOW_S)
            with contextlib.suppress(StoreUnavailable):
                await self._topology.refresh()
                moved, unserved = self._misplaced()
                await self._move(moved)
                await self._drop_idle()
                if self.connected and not unserved:
                    return

    def _misplaced(self) -> tuple[list[str], list[str]]:
        """The channels that another server has now, and those that none has."""
        moved, unserved = list[str](), list[str]()
        for channel, (place, _) in self._wanted.items():
            try:
                if self._topology.place(channel) != place:
                    moved.append(channel)
            except StoreUnavailable:
                unserved.append(channel)
        return moved, unserved

    async def _move(self, channels: Sequence[str]) -> None:
        """Listen to these channels where they are now, and tell: others may be out of reach for long."""
        if not channels:
            return
        before = {channel: self._wanted[channel] for channel in channels}
        for channel, (place, _) in before.items():
            connection = self._connections.get(place)
            if connection is not None and self._wanted.get(channel) is before[channel]:
                await connection.unsubscribe(channel)
        self._on_lost()

        async def subscribe(channel: str) -> None:
            # Meanwhile it may have been unsubscribed, or subscribed by another.
            if self._wanted.get(channel) is before[channel]:
                await self.subscribe(channel, before[channel][1])

        outcomes = await asyncio.gather(*map(subscribe, channels), return_exceptions=True)
        self._on_restored()
        faults = {str(fault) for fault in outcomes if fault is not None and not isinstance(fault, StoreUnavailable)}
        for fault in faults:
            log.error("channels that moved cannot be listened to: %s", fault)

    async def _drop_idle(self) -> None:
        """A server that no channel lives on any more may be gone for good."""
        used = {place for place, _ in self._wanted.values()}
        for place in set(self._connections) - used:
            # While another was closed, a channel may have come to need this one.
            if all(wanted != place for wanted, _ in self._wanted.values()):
                await self._connections.pop(place).close()

    async def close(self) -> None:
        """Close every connection and forget every subscription. The feed may be used again."""
        self._wanted.clear()
        self._topology.on_moved.discard(self._moved)
        if self._moving:
            await end_tasks([self._moving])
        connections, self._connections = list(self._connections.values()), {}
        await asyncio.gather(*(connection.close() for connection in connections))


def _guarded(listener: Callable[[], None]) -> Callable[[], None]:
    def call() -> None:
        try:
            listener()
        except Exception:
            log.exception("a listener to the feed failed")

    return call
