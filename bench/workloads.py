"""What is compared with what: a workload names a run of script calls and the plain commands that are its yardstick."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bench.commands import EMPTY_SCRIPT, LIFE_MS, SLACK_MS, TTL_MS, Calls, redis_time_ms
from bench.people import Person, hundreds, people, shuffled
from bench.wire import Chunk, Command, Wire, encode

SWEEP_LIMIT: Final = 100
BEATS_A_MS: Final = 200  # what the plain side's deadlines assume; the script reads the clock
_SEED: Final = 20_240_607


@dataclass(frozen=True)
class Sizes:
    """members: of the room. rounds: of the interleaved run. walk: members a round of heartbeats goes through; joins and
    sweeps share as many among the rounds.
    """

    members: int
    rounds: int
    walk: int

    def larger(self, times: int) -> "Sizes":
        return Sizes(times * self.members, self.rounds, self.walk)


FULL: Final = Sizes(100_000, 5, 100_000)
SMALL: Final = Sizes(200, 2, 200)


@dataclass(frozen=True)
class Workload:
    """One comparison. plain, script: a round's commands. operations: what a round's cost is divided by.

    right: whether the replies of a script round are the expected ones. target: the highest ratio wanted.
    """

    name: str
    plain: Callable[[int], list[Chunk]]
    script: Callable[[int], list[Chunk]]
    operations: int
    right: Callable[[Sequence[Any]], bool]
    target: float | None


def _room(sizes: Sizes) -> str:
    return f", a room of {sizes.members:,}" if sizes.members > FULL.members else ""


def heartbeat(wire: Wire, sizes: Sizes, *, batch: int, written: bool, target: float | None) -> Workload:
    """Heartbeats of members in shuffled order, `batch` in a call; the yardstick is one ZADD a member."""
    slack_ms = 0 if written else SLACK_MS
    calls = Calls(f"beat-{batch}-{written}", user_index=False)
    calls.load(wire)
    members = people(sizes.members, _SEED)
    plain_key = f"plain:{calls.room}"
    wire.play(encode(calls.join(member, TTL_MS + slack_ms) for member in shuffled(members, _SEED)))
    start_ms = redis_time_ms(wire) + TTL_MS
    wire.play(
        encode(("ZADD", plain_key, start_ms + i // BEATS_A_MS, m.slot) for i, m in enumerate(shuffled(members, _SEED)))
    )

    def plain(number: int) -> list[Chunk]:
        begin_ms = start_ms + sizes.members // BEATS_A_MS + 1000 * (number + 1)
        walk = shuffled(members, number)[: sizes.walk]
        return encode(("ZADD", plain_key, begin_ms + i // BEATS_A_MS, member.slot) for i, member in enumerate(walk))

    def script(number: int) -> list[Chunk]:
        walk = shuffled(members, number)[: sizes.walk]
        return encode(calls.heartbeat(part, slack_ms) for part in hundreds(walk, batch))

    def right(replies: Sequence[Any]) -> bool:
        return all(re.fullmatch(rb"beat\x1e\d+\x1e1+", reply) for reply in replies)

    name = f"heartbeat, {batch} a call, {'written' if written else 'within the slack'}{_room(sizes)}"
    return Workload(name, plain, script, sizes.walk, right, target)


def join(wire: Wire, sizes: Sizes, *, user_index: bool) -> Workload:
    """New members join a room that already has `members`; the yardstick is ZADD and HSET of the same bytes."""
    calls = Calls(f"join-{user_index}", user_index=user_index)
    calls.load(wire)
    part = sizes.walk // sizes.rounds
    everyone = people(sizes.members + part * (sizes.rounds + 1), _SEED)
    present, newcomers = everyone[: sizes.members], shuffled(everyone[sizes.members :], _SEED)
    wire.play(encode(calls.join(member) for member in present))
    now_ms = redis_time_ms(wire)

    def written(member: Person) -> tuple[Command, Command]:
        return (
            ("ZADD", f"plain:{calls.room}:deadlines", now_ms + LIFE_MS, member.slot),
            ("HSET", f"plain:{calls.room}:members", member.user, member.record(now_ms)),
        )

    wire.play(encode(command for member in present for command in written(member)))

    def plain(number: int) -> list[Chunk]:
        return encode(c for member in newcomers[number * part : (number + 1) * part] for c in written(member))

    def script(number: int) -> list[Chunk]:
        return encode(calls.join(member) for member in newcomers[number * part : (number + 1) * part])

    name = f"join, user index {'on' if user_index else 'off'}{_room(sizes)}"
    return Workload(name, plain, script, part, lambda replies: all(r.startswith(b"joined\x1e") for r in replies), 4.5)


def count(wire: Wire, sizes: Sizes, *, room_size: int) -> Workload:
    """Count rooms of one size in turn, `members` people in all; the yardstick is an empty script."""
    rooms = [Calls(f"count-{room_size}-{n}", user_index=False) for n in range(max(1, sizes.members // room_size))]
    rooms[0].load(wire)
    empty = wire.ask("SCRIPT", "LOAD", EMPTY_SCRIPT)
    members = people(room_size, _SEED)
    wire.play(encode(room.join(member) for room in rooms for member in members))
    times = sizes.members // 5
    asked = encode(rooms[n % len(rooms)].count() for n in range(times))
    nothing = encode([("EVALSHA_RO", empty, 0)] * times)

    def right(replies: Sequence[Any]) -> bool:
        return all(reply.split(b"\x1e")[3:] == [b"%d" % room_size] * 2 for reply in replies)

    return Workload(f"count, rooms of {room_size:,}", lambda _: nothing, lambda _: asked, times, right, 4)


def sweep(wire: Wire, sizes: Sizes, *, user_index: bool, yardstick: int) -> Workload:
    """Expired members leave, 100 a call; the yardstick is ZREMRANGEBYRANK and HDEL of `yardstick` members a command."""
    calls = Calls(f"sweep-{user_index}", user_index=user_index)
    calls.load(wire)
    part = sizes.walk // sizes.rounds // SWEEP_LIMIT * SWEEP_LIMIT
    # In an order of their own, so that neighbours in the sorted set lie apart in memory.
    order = shuffled(people(sizes.members, _SEED), _SEED)
    wire.play(encode(calls.join(member, LIFE_MS + i) for i, member in enumerate(order)))
    now_ms = redis_time_ms(wire)
    deadlines, records = f"plain:{calls.room}:deadlines", f"plain:{calls.room}:members"
    wire.play(encode(("ZADD", deadlines, now_ms + LIFE_MS + i, member.slot) for i, member in enumerate(order)))
    wire.play(encode(("HSET", records, member.user, member.record(now_ms)) for member in order))

    def plain(number: int) -> list[Chunk]:
        return encode(
            command
            for expired in hundreds(order[number * part : (number + 1) * part], yardstick)
            for command in (
                ("ZREMRANGEBYRANK", deadlines, 0, yardstick - 1),
                ("HDEL", records, *(member.user for member in expired)),
            )
        )

    def script(_: int) -> list[Chunk]:
        return encode(calls.sweep(SWEEP_LIMIT, now_ms + 2 * LIFE_MS) for _ in range(part // SWEEP_LIMIT))

    def right(replies: Sequence[Any]) -> bool:
        return all(reply.startswith(b"swept\x1e") and reply.count(b"\x1e") == 7 + SWEEP_LIMIT for reply in replies)

    name = f"sweep, user index {'on' if user_index else 'off'}, beside {yardstick} a command{_room(sizes)}"
    return Workload(name, plain, script, part, right, 5.5)
