"""What an operator is told: nodes, sweeping, the server behind it."""

from collections.abc import Sequence
from typing import Any

import pytest

from presence_engine import (
    CondemnedNode,
    Node,
    PresenceEngine,
    StoreUnavailable,
    SweepLag,
    nodes,
    store_figures,
    sweep_lag,
)
from tests.conftest import MakeEngine


async def test_nodes_with_what_is_left_of_their_leases(make_engine: MakeEngine) -> None:
    one, two = await make_engine(node="bootOne1"), await make_engine(node="bootTwo2")
    first, second = Node(one, "one", lease_ms=60_000), Node(two, "two", lease_ms=30_000)
    await first.start()
    await second.start()
    found = await nodes(one)
    assert [(lease.node, lease.name) for lease in found.leases] == [("bootTwo2", "two"), ("bootOne1", "one")]
    assert 29_000 < found.leases[0].left_ms <= 30_000
    assert found.condemned == []
    lapsed = await nodes(one, now_ms=found.now_ms + 40_000)
    # A node renews once more right after its start.
    assert found.leases[0].left_ms - 40_000 <= lapsed.leases[0].left_ms < found.leases[0].left_ms - 39_000
    await first.stop()
    await second.stop()
    assert (await nodes(one)).leases == []


async def test_the_condemned_are_told_until_they_are_cleaned_up_after(engine: PresenceEngine) -> None:
    keys = [engine.keys.nodes(part) for part in ("leases", "condemned", "gone")]
    await engine.store.run("presence/renew", keys, {"node": "hungNode", "name": "n", "lease_ms": 1, "now_ms": 1000})
    values = {"node": "hungNode", "name": "n", "which": "lapsed", "reason": "node_lost", "now_ms": 5000}
    await engine.store.run("presence/condemn", [*keys, engine.keys.nodes("retired")], values)
    found = await nodes(engine, now_ms=7000)
    assert (found.leases, found.condemned) == ([], [CondemnedNode("hungNode", "node_lost", 2000)])


@pytest.mark.parametrize(("partitions", "asked"), [(1, 1), (2, 2), (9, 5), (128, 8)])
async def test_a_sign_of_life_of_any_shard_is_one(
    make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch, partitions: int, asked: int
) -> None:
    """Partitions lie on several servers: one that is away must not speak for the others, nor answer for them."""
    engine = await make_engine(partitions=partitions)
    run, stems, away = engine.store.run, [], set[str]()

    async def refuse(name: str, keys: Sequence[str], *rest: Any) -> list[Any]:
        stems.append(keys[0].partition("}")[0])
        if stems[-1] in away:
            raise StoreUnavailable("out of reach")
        return await run(name, keys, *rest)

    monkeypatch.setattr(engine.store, "run", refuse)
    assert await engine.ping()
    assert len(set(stems)) == len(stems) == asked
    away.update(stems[:-1])
    assert await engine.ping()
    away.update(stems)
    with pytest.raises(StoreUnavailable):
        await engine.ping()


async def test_how_far_sweeping_is_behind(make_engine: MakeEngine) -> None:
    engine = await make_engine(partitions=4, ttl_ms=10_000)
    now_ms = 1_800_000_000_000
    for n in range(8):
        await engine.join(f"room{n}", "u", "c", now_ms=now_ms + n)
    assert await sweep_lag(engine, now_ms=now_ms) == SweepLag(0, 0)
    late = await sweep_lag(engine, now_ms=now_ms + 15_000)
    assert late.rooms == 8
    assert 4000 < late.lag_ms <= 5000


async def test_figures_of_the_server(engine: PresenceEngine) -> None:
    figures = await store_figures(engine)
    assert (figures["server"], figures["evictionPolicy"]) == (await engine.server(), "noeviction")
    whole = {name: value for name, value in figures.items() if isinstance(value, int)}
    assert set(whole) == {
        "uptimeS", "clients", "usedMemoryBytes", "maxMemoryBytes", "opsPerSecond", "evictedKeys", "keys"
    }  # fmt: skip
    assert whole["clients"] >= 1
    assert whole["usedMemoryBytes"] > 100_000
    assert whole["keys"] >= 1
