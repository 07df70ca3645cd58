"""What an operator asks of a running deployment: its nodes, how far sweeping is behind, how the server itself is."""

import asyncio
from typing import Final

from presence_engine import replies
from presence_engine.engine import PresenceEngine
from presence_engine.inputs import clock
from presence_engine.models import Nodes, SweepLag
from presence_engine.store import server_name

_MOST_NODES: Final = 1000
_SECTIONS: Final = ("server", "clients", "memory", "stats", "keyspace")


async def nodes(engine: PresenceEngine, *, now_ms: int | None = None) -> Nodes:
    """List the processes with a lease, the first to end first, and the dead whose connections are being removed.

    At most 1,000 of each. Raises StoreUnavailable. Source: lua/v1/presence/nodes.lua. One round trip.
    """
    keys = [engine.keys.nodes(part) for part in ("leases", "condemned")]
    values = {"limit": _MOST_NODES, "now_ms": clock(now_ms)}
    return replies.nodes(await engine.store.run("presence/nodes", keys, values))


async def sweep_lag(engine: PresenceEngine, *, now_ms: int | None = None) -> SweepLag:
    """Tell how far sweeping is behind; 0 where nothing is due.

    One call a partition, sent together. Raises StoreUnavailable. Source: lua/v1/presence/lag.lua. O(log r).
    """
    values = {"now_ms": clock(now_ms)}
    due = (engine.keys.due(partition) for partition in range(engine.keys.partitions))
    return replies.sweep_lag(await asyncio.gather(*(engine.store.run("presence/lag", (key,), values) for key in due)))


async def store_figures(engine: PresenceEngine) -> dict[str, int | str]:
    """Return figures of one server of the deployment; a figure it does not tell is 0.

    `server` (name and version), `uptimeS`, `clients`, `usedMemoryBytes`, `maxMemoryBytes` (0 = no limit),
    `evictionPolicy`, `opsPerSecond`, `evictedKeys`, `keys` (of all databases). Raises StoreUnavailable.
    """
    facts = await engine.store.info(*_SECTIONS)

    def whole(name: str) -> int:
        return int(facts.get(name, 0))

    return {
        "server": server_name(facts),
        "uptimeS": whole("uptime_in_seconds"),
        "clients": whole("connected_clients"),
        "usedMemoryBytes": whole("used_memory"),
        "maxMemoryBytes": whole("maxmemory"),
        "evictionPolicy": facts.get("maxmemory_policy", ""),
        "opsPerSecond": whole("instantaneous_ops_per_sec"),
        "evictedKeys": whole("evicted_keys"),
        "keys": sum(_keys_of(value) for name, value in facts.items() if name.startswith("db") and name[2:].isdecimal()),
    }


def _keys_of(database: str) -> int:
    """Read `keys=3,expires=1,…`."""
    return int(dict(part.split("=", 1) for part in database.split(",")).get("keys", 0))
