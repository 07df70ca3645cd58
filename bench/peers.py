"""What the popular ways of knowing who is here cost and answer, beside ours, in one run; see PEERS.md.

    python -m bench.peers [--members 100000] [--room 1000] [--rounds 5] [--servers redis valkey] [--sockets 1000]

--sockets 0 leaves out the part with Node servers, which installs its packages into a temporary folder.
"""

import argparse
import os
import platform
from collections.abc import Callable, Iterator, Sequence
from statistics import median
from typing import Final

from bench import peers_cost, peers_sockets, peers_truth, record
from bench.peers_cost import Found, Sizes
from bench.peers_truth import LEFT_OVER, RIGHT, UNREAD, Truth
from bench.servers import KINDS, find_binary, running

_OPERATIONS: Final = ("join", "leave", "heartbeat", "heartbeats, 100 a call", "count", "list")


def cost_table(found: Sequence[Found]) -> Iterator[str]:
    """µs of the server's CPU for one operation, the median of the rounds / p99 of one call inside the server."""
    yield "| | join | disconnect | heartbeat | 100 heartbeats a call, each | count | list | answered | bytes a member |"
    yield "|---|" + "---:|" * 8
    for one in found:
        cells = [_cost(one, operation) for operation in _OPERATIONS]
        answered = ", ".join(f"{count:,}" for count in sorted(one.answered))
        yield f"| {one.recipe.word} | {' | '.join(cells)} | {answered} | {one.bytes_a_member:,.0f} |"


def _cost(one: Found, operation: str) -> str:
    cpu_us, p99_us = one.cpu(operation), one.p99(operation)
    if cpu_us is None:
        return "–"
    return _number(cpu_us) + ("" if p99_us is None else f" / {p99_us:,.0f}")


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def wait_table(found: Sequence[Found]) -> Iterator[str]:
    """Of every round the longest single call: their median, the worst of them, and the median of the time in all."""
    yield "| | count: longest call ms | worst round | in all ms | expired: longest call ms | worst round | in all ms |"
    yield "|---|" + "---:|" * 6
    for one in found:
        cells: list[str] = []
        for name in ("count", "first count after all expired"):
            rounds = one.waits.get(name)
            if rounds is None:
                cells += ["never expire", "–", "–"]
            else:
                longest = [wait[0] for wait in rounds]
                cells += [_number(median(longest)), _number(max(longest)), _number(median(w[1] for w in rounds))]
        yield f"| {one.recipe.word} | {' | '.join(cells)} |"


def _count(truth: Truth, name: str) -> str:
    told, right = getattr(truth, name), RIGHT[name]
    return f"{told}" if told == right else f"**{told}**, not {right}"


def _killed(truth: Truth) -> str:
    if truth.killed_s is None:
        return f"**{truth.killed_counts}** for good, not {LEFT_OVER}"
    return f"{truth.killed_counts} after {truth.killed_s:.1f} s"


def _announced(truth: Truth) -> str:
    least, most = truth.announced
    return f"{least} ×" if least == most else f"{least} to {most} ×"


_QUESTIONS: Final[dict[str, tuple[str, Callable[[Truth], str]]]] = {
    "tabs": ("two tabs open", lambda truth: _count(truth, "tabs")),
    "tab": ("the second is closed", lambda truth: _count(truth, "tab")),
    "late": ("the old socket's disconnect comes after the new one's join", lambda truth: _count(truth, "late")),
    "beats": ("a heartbeat is repeated", lambda truth: _count(truth, "beats")),
    "twice": ("another's disconnect is delivered twice", lambda truth: _count(truth, "twice")),
    "half": ("one of two tabs dies unnoticed, past its TTL the other closes", lambda truth: _count(truth, "half")),
    "killed": ("the process of 50 is killed, 10 others live on", _killed),
    "unread": ("TTL passes and nobody reads: the first count", lambda truth: _count(truth, "unread")),
    "announced": (f"each of those {UNREAD} announced", _announced),
}


def truth_table(rows: Sequence[Truth]) -> Iterator[str]:
    yield f"| | {' | '.join(row.word for row in rows)} |"
    yield "|---|" + "---|" * len(rows)
    for title, show in _QUESTIONS.values():
        yield f"| {title} | {' | '.join(show(row) for row in rows)} |"


def machine() -> str:
    told, versions = record.machine(), record.versions()
    return (
        f"{told['cpu']}, {told['cores']} cores, {told['system']}; Python {platform.python_version()},"
        f" hiredis {versions['hiredis']}, redis-py {versions['redis']}; load {os.getloadavg()[0]:.1f}"
    )


def _titled(title: str, lines: Iterator[str]) -> None:
    print(f"\n### {title}\n", *lines, sep="\n", flush=True)


def report(kind: str, sizes: Sizes) -> None:
    """Measure one kind of server; print its tables."""
    with running(kind) as server:
        version = server.version
    print(f"\n## {version}\n\n{machine()}", flush=True)
    found = peers_cost.costs(kind, sizes)
    peers_cost.expiry(kind, sizes, found)
    print(f"load at the end {os.getloadavg()[0]:.1f}")
    _titled("CPU of the server, µs (p99 of one call inside it, µs)", cost_table(found))
    _titled("How long one call keeps everybody else waiting", wait_table(found))
    _titled("What is answered", truth_table(peers_truth.truths(kind)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--members", type=int, default=100_000)
    parser.add_argument("--room", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--servers", nargs="*", choices=KINDS, default=list(KINDS))
    parser.add_argument("--sockets", type=int, default=1000)
    asked = parser.parse_args()
    for kind in asked.servers:
        if find_binary(kind) is None:
            print(f"\nno {kind} server is installed: left out")
        else:
            report(kind, Sizes(asked.members, asked.room, asked.rounds))
    if asked.sockets:
        for line in peers_sockets.report(asked.sockets):
            print(line, flush=True)


if __name__ == "__main__":
    main()
