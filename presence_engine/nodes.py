"""Nodes: every process that holds connections has a lease, and whoever sees one run out cleans up after it."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from presence_engine import inputs, replies
from presence_engine.engine import PresenceEngine, new_node_id
from presence_engine.errors import PresenceError, StoreUnavailable
from presence_engine.models import Lease
from presence_engine.replies import UNIT_SEPARATOR
from presence_engine.tasks import end_tasks

_RENEWALS_A_LEASE: Final = 3
_RETRY_S: Final = 0.5
# Of a node that keeps some of its connections a page has to show every room of a partition.
_REAP_LIMIT: Final = 1000
_ENDED_LIMIT: Final = 100
_AFTER_LAPSE_MS: Final = 20

log = logging.getLogger(__name__)


def _sentence(reason: str, name: str) -> str:
    """What a node was condemned to; with the name, so that the next boot of that name finds it."""
    return reason + UNIT_SEPARATOR + name


async def _nothing() -> None:
    """What happens by default: a library's user may hold no sockets."""


class Node:
    """This process among those that share a Redis.

    name: for people; a fixed one makes start() clean up after every earlier boot of that name. lease_ms: life without a
    renewal, 100 or more; it is renewed three times as often. on_condemned(): this node was taken for dead, has a new id
    now, and its connections were removed. on_recovered(): Redis was away; connections may have been lost with it. Both
    are awaited and called again when they raise StoreUnavailable.

    Another node is declared dead only by one whose own lease has been in order for a whole lease: when Redis itself was
    away, nobody is.
    """

    def __init__(
        self,
        engine: PresenceEngine,
        name: str,
        *,
        lease_ms: int = 10_000,
        on_condemned: Callable[[], Awaitable[None]] = _nothing,
        on_recovered: Callable[[], Awaitable[None]] = _nothing,
    ) -> None:
        self.engine, self.name, self.lease_ms = engine, inputs.node_name(name), inputs.lease(lease_ms)
        self._on_condemned, self._on_recovered = on_condemned, on_recovered
        self._breaks_seen = 0
        self._had_others = False
        self._condemned: list[str] = []
        self._steady_since_s: float | None = None
        self._reaping: dict[str, asyncio.Task[None]] = {}
        self._task: asyncio.Task[None] | None = None
        self._recovery: asyncio.Task[None] | None = None
        # Where ended nodes may have connections again, as of so many breaks.
        self._doubted: set[int] = set()
        self._breaks_doubted = -1
        # By partition: since when its server has been the one that writes, when that was last looked after.
        self._looked_since: dict[int, int] = {}
        self._looking: asyncio.Task[None] | None = None

    @property
    def recovering(self) -> bool:
        """Redis has been away, and what this process holds has not been compared with it since."""
        return self.engine.store.breaks != self._breaks_seen

    async def start(self) -> None:
        """Remove what earlier boots of this name left (reason `server_restart`), then take a lease and keep it.

        What a shard has of them that is out of reach goes when it is back. Raises StoreUnavailable when all are.
        """
        earlier, live = await self._condemn(self.engine.node, self.name, "name", "server_restart")
        if earlier:
            ids = ", ".join(earlier)
            # One that was killed has a lease, too; of a server that was stopped nobody need be told.
            level, more = (logging.WARNING, "; no live server may share a name") if live else (logging.INFO, "")
            log.log(level, "earlier boots of %r are condemned: %s%s", self.name, ids, more)
        for node in earlier:
            await self._reap_at_start(node)
        await self._renew()
        self._breaks_seen = self.engine.store.breaks
        self._task = asyncio.create_task(self._run(), name="presence-node")

    async def stop(self, *, retire: bool = True) -> None:
        """Give up the lease. The caller has detached its connections: they end with their grace.

        retire=False: it has not, or not all; the lease lapses, and what is left is reaped as of a dead node.
        """
        tasks = (self._task, self._recovery, self._looking, *self._reaping.values())
        await end_tasks(task for task in tasks if task)
        with contextlib.suppress(PresenceError):
            if retire and self._task is not None:
                await self._retire(self.engine.node, self.name)

    async def _run(self) -> None:
        while True:
            try:
                sleep_s = await self._turn()
            except StoreUnavailable as error:
                log.debug("the lease could not be renewed: %s", error)
                self._steady_since_s = None
                sleep_s = _RETRY_S
            except Exception:
                # Whatever it was: a node that stops renewing would be taken for dead.
                log.exception("a turn of this node failed")
                sleep_s = _RETRY_S
            await asyncio.sleep(sleep_s)

    async def _turn(self) -> float:
        """Renew, look after the dead, and return how long to sleep."""
        breaks = self.engine.store.breaks
        lease = await self._renew()
        longest_ms = self.lease_ms // _RENEWALS_A_LEASE
        if self._condemned or breaks != self._breaks_seen:
            longest_ms = min(longest_ms, 500)
            if self._recovery is None or self._recovery.done():
                # Beside the renewals: with many connections it takes longer than a lease.
                self._recovery = asyncio.create_task(self._recover(breaks), name="presence-recovery")
        if lease is None:
            return 0
        self._doubt(breaks)
        self._look_for_deadlines(has_others=lease.next_ms is not None)
        for node, sentence in lease.condemned:
            self._start_reaping(node, sentence)
        if lease.lapsed and self._is_steady():
            for node, name in lease.lapsed:
                lost, _ = await self._condemn(node, name, "lapsed", "node_lost")
                for dead in lost:
                    log.warning("node %s (%s) is lost", dead, name)
                    self._start_reaping(dead, _sentence("node_lost", name))
        elif lease.lapsed:
            longest_ms = min(longest_ms, 500)
        if lease.next_ms is not None:
            longest_ms = min(longest_ms, max(lease.next_ms - lease.now_ms, 0) + _AFTER_LAPSE_MS)
        return longest_ms / 1000

    async def _recover(self, breaks: int) -> None:
        """Compare what this process holds with Redis; what fails is begun again by a later turn."""
        try:
            if condemned := list(self._condemned):
                # What was joined under an old id after its removal, before this process knew, nobody else will remove.
                for node in condemned:
                    await self._reap(node, _sentence("node_lost", self.name))
                await self._on_condemned()
                del self._condemned[: len(condemned)]
            else:
                log.info("Redis is back; comparing what this process holds")
                await self._on_recovered()
            self._breaks_seen = breaks
        except StoreUnavailable as error:
            log.debug("not compared with Redis yet: %s", error)
        except Exception:
            log.exception("this process could not be compared with Redis")

    def _doubt(self, breaks: int) -> None:
        """Look after nodes that ended, at the start and after every break: a failover may have lost their removal."""
        if breaks != self._breaks_doubted:
            self._breaks_doubted = breaks
            self._doubted = set(range(self.engine.keys.partitions))
        if self._doubted and (self._looking is None or self._looking.done()):
            self._looking = asyncio.create_task(self._remove_ended(), name="presence-ended-nodes")

    async def _remove_ended(self) -> None:
        """Remove again what nodes have that are no more, where another server writes; what is out of reach waits.

        One that stopped by itself had put all of its connections into grace: any that is not lost that in a failover.
        """
        doubted, self._doubted = self._doubted, set()
        try:
            asked = await asyncio.gather(*map(self.engine.writing_since, doubted), return_exceptions=True)
            since = {part: at for part, at in zip(doubted, asked, strict=True) if isinstance(at, int)}
            missed = doubted - since.keys()
            # A server that writes as before has lost nothing.
            changed = {part for part, at in since.items() if at != self._looked_since.get(part)}
            dead, stopped = await self._ended() if changed else ([], [])
            for node in (*dead, *stopped):
                missed |= await self._remove(node, "node_lost", changed - missed, spare_grace=node not in dead)
            self._looked_since.update((part, since[part]) for part in changed - missed)
        except StoreUnavailable as error:
            log.debug("nodes that ended are looked after later: %s", error)
            missed = doubted
        except Exception:
            log.exception("nodes that ended could not be looked after")
            missed = doubted
        self._doubted |= missed

    def _look_for_deadlines(self, *, has_others: bool) -> None:
        """A node that stops by itself leaves deadlines of grace behind that no sweeper but its own was told of."""
        if has_others or self._had_others:
            self.engine.expect(0)
        self._had_others = has_others

    def _is_steady(self) -> bool:
        since = self._steady_since_s
        return since is not None and asyncio.get_running_loop().time() - since >= self.lease_ms / 1000

    async def _renew(self) -> Lease | None:
        keys = [self.engine.keys.nodes(part) for part in ("leases", "condemned", "gone")]
        values = {"node": self.engine.node, "name": self.name, "lease_ms": self.lease_ms, "now_ms": ""}
        lease = replies.renewed(await self.engine.store.run("presence/renew", keys, values))
        if lease is None:
            log.warning("this node was taken for dead; it goes on under a new id")
            self._condemned.append(self.engine.node)
            self.engine.node = new_node_id()
            self._steady_since_s = None
            return None
        self.engine.clock_ahead_ms = lease.now_ms - int(time.time() * 1000)
        if self._steady_since_s is None or not lease.in_time:
            self._steady_since_s = asyncio.get_running_loop().time()
        return lease

    async def _condemn(self, node: str, name: str, which: str, reason: str) -> tuple[list[str], int]:
        keys = [self.engine.keys.nodes(part) for part in ("leases", "condemned", "gone", "retired")]
        values = {"node": node, "name": name, "which": which, "reason": reason, "now_ms": ""}
        return replies.condemned(await self.engine.store.run("presence/condemn", keys, values))

    async def _ended(self) -> tuple[list[str], list[str]]:
        keys = [self.engine.keys.nodes(part) for part in ("leases", "gone", "retired")]
        return replies.ended(await self.engine.store.run("presence/ended", keys, {"limit": _ENDED_LIMIT}))

    async def _retire(self, node: str, what: str) -> None:
        keys = [self.engine.keys.nodes(part) for part in ("leases", "condemned", "retired")]
        await self.engine.store.run("presence/retire", keys, {"node": node, "what": what, "now_ms": ""})

    def _start_reaping(self, node: str, sentence: str) -> None:
        if node in self._reaping:
            return
        task = asyncio.create_task(self._reap(node, sentence), name=f"reap-{node}")
        self._reaping[node] = task
        task.add_done_callback(lambda done: self._reaped(node, done))

    def _reaped(self, node: str, task: "asyncio.Task[None]") -> None:
        self._reaping.pop(node, None)
        if not task.cancelled() and (error := task.exception()):
            level = logging.DEBUG if isinstance(error, StoreUnavailable) else logging.WARNING
            log.log(level, "the reaping of node %s stopped and will be taken up again: %s", node, error)

    async def _reap(self, node: str, sentence: str) -> None:
        """Remove all connections of a condemned node, then forget the sentence.

        Raises StoreUnavailable when some were out of reach: the sentence stands then.
        """
        partitions = self.engine.keys.partitions
        reason = sentence.partition(UNIT_SEPARATOR)[0]
        if missed := await self._remove(node, reason, range(partitions)):
            raise StoreUnavailable(f"{len(missed)} of {partitions} partitions are out of reach")
        await self._retire(node, sentence)

    async def _reap_at_start(self, node: str) -> None:
        partitions = range(self.engine.keys.partitions)
        missed = await self._remove(node, "server_restart", partitions)
        # A connection that only broke is there the second time.
        missed = await self._remove(node, "server_restart", missed)
        if len(missed) == len(partitions):
            raise StoreUnavailable("no partition answers")
        if missed:
            log.warning("%d of %d partitions are out of reach: node %s stays there", len(missed), len(partitions), node)
        else:
            await self._retire(node, _sentence("server_restart", self.name))

    async def _remove(
        self, node: str, reason: str, partitions: Iterable[int], *, spare_grace: bool = False
    ) -> set[int]:
        """Remove a node's connections: rooms in handfuls, users in pages. Return the partitions out of reach.

        All are asked first and together, so that a server which hangs costs one timeout, not one a partition.
        """
        asked, missed = list(partitions), set[int]()
        held = await asyncio.gather(*(self._rooms_held(part, node) for part in asked), return_exceptions=True)
        for partition, first in zip(asked, held, strict=True):
            try:
                if isinstance(first, BaseException):
                    raise first
                rooms, spared = first, set[str]()
                while rooms:
                    for room in rooms:
                        await self.engine.reap(room, node, reason, spare_grace=spare_grace)
                    if spare_grace:
                        # Their notes stay.
                        spared.update(rooms)
                    rooms = [room for room in await self._rooms_held(partition, node) if room not in spared]
            except StoreUnavailable:
                missed.add(partition)
        return missed

    async def _rooms_held(self, partition: int, node: str) -> list[str]:
        keys = (self.engine.keys.node(partition, node),)
        return replies.rooms_to_sweep(await self.engine.store.run("presence/held", keys, {"limit": _REAP_LIMIT}))
