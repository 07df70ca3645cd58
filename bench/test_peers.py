"""The peers at small sizes: every recipe still answers, and the tables are made. What is true of ours is asserted."""

import asyncio
import tempfile
from dataclasses import asdict

import pytest

from bench import peers, peers_cost, peers_sockets, peers_truth, servers
from bench.peers_cost import Sizes
from bench.peers_recipes import LastSeen
from bench.peers_scripts import Ours
from bench.peers_truth import RIGHT

SMALL = Sizes(members=200, room=20, rounds=1)


def available(kind: str) -> str:
    if servers.find_binary(kind) is None:
        pytest.skip(f"no {kind} server is installed")
    return kind


@pytest.mark.parametrize("kind", servers.KINDS)
def test_costs(kind: str) -> None:
    found = peers_cost.costs(available(kind), SMALL)
    peers_cost.expiry(kind, Sizes(members=150, room=20, rounds=1), found)
    # The counter counts the second tabs of two in twenty.
    assert {one.recipe.word: one.answered for one in found} == {
        one.recipe.word: {22} if one.recipe.word == "counter a room" else {20} for one in found
    }
    assert [sum(line.startswith(f"| {one.recipe.word} |") for line in peers.cost_table(found)) for one in found] == [
        1 for one in found
    ]
    assert len(list(peers.wait_table(found))) == len(found) + 2


def test_truth() -> None:
    rows = peers_truth.truths(available("valkey"), {LastSeen.word, Ours.word})
    ours = asdict(next(row for row in rows if row.word == Ours.word))
    assert {name: ours[name] for name in RIGHT} == RIGHT
    assert ours["announced"] == (1, 1)
    assert "**0**, not 1" in "\n".join(peers.truth_table(rows))


def test_sockets() -> None:
    available("redis")

    async def scene() -> None:
        with tempfile.TemporaryDirectory() as folder, peers_sockets.site("ours", folder) as (site, wire):
            await peers_sockets.enter(site, 4)
            asked = await peers_sockets.asked(site, wire, "list", 4)
            assert 0 < asked.p50_ms <= asked.p99_ms
            await peers_sockets.close(site)

    asyncio.run(scene())
