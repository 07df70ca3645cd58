"""What each recipe costs the store, and how long one of its calls keeps everybody else waiting."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Final

from bench.peers_recipes import Keys, Recipe
from bench.peers_scripts import Ours, recipes
from bench.people import NODE, Person, hundreds, people, shuffled
from bench.servers import running
from bench.wire import Command, Wire, encode

_SEED: Final = 20_241_122
SECOND_TAB_OF: Final = 10
WRITES: Final = ("join", "leave", "heartbeat")
READS: Final = ("count", "list")


@dataclass(frozen=True)
class Sizes:
    """members: users in the store, and in the room that expires at once. room: users of a room of the store."""

    members: int
    room: int
    rounds: int

    def reads(self, *, cheap: bool) -> int:
        """How many readings a round makes."""
        return max(4, self.members // (25 if cheap else 500))


@dataclass
class Found:
    """Of one recipe: per operation the rounds' µs of CPU, and of one call's p99 inside the server; the rest by name."""

    recipe: Recipe
    bytes_a_member: float
    cpu_us: dict[str, list[float]]
    p99_us: dict[str, list[float]]
    waits: dict[str, list[tuple[float, float]]]
    answered: set[int]

    def cpu(self, operation: str) -> float | None:
        rounds = self.cpu_us.get(operation)
        return median(rounds) if rounds else None

    def p99(self, operation: str) -> float | None:
        rounds = self.p99_us.get(operation)
        return median(rounds) if rounds else None


class Store:
    """One server filled by one recipe: `members` users in rooms of `room`, every tenth with a second connection."""

    def __init__(self, wire: Wire, recipe: Recipe, sizes: Sizes) -> None:
        self.wire, self.recipe, self.sizes = wire, recipe, sizes
        wire.ask("CONFIG", "SET", "latency-tracking-info-percentiles", "50 99 100")
        recipe.load(wire)
        everyone = people(sizes.members + max(sizes.members // 20, 1), _SEED)
        self.members, self.newcomers = everyone[: sizes.members], everyone[sizes.members :]
        self.rooms = [f"r{number}" for number in range(max(1, sizes.members // sizes.room))]
        before = int(wire.info("memory")["used_memory"])
        for part in hundreds(self.members, 20_000):
            wire.play(encode(self._filling(part)))
        used = int(wire.info("memory")["used_memory"]) - before
        self.found = Found(recipe, used / sizes.members, {}, {}, {}, set())

    def _filling(self, part: Sequence[Person]) -> Iterator[Command]:
        for one in part:
            yield from self.recipe.join(self._room(one), one)
            if int(one.user[1:]) % SECOND_TAB_OF == 0:
                second = Person(one.user, f"{NODE}second{one.connection[14:]}", one.public)
                yield from self.recipe.join(self._room(one), second)

    def _room(self, one: Person) -> str:
        number = int(one.user[1:])
        # Newcomers are spread over all rooms.
        return self.rooms[(number // self.sizes.room if number < self.sizes.members else number) % len(self.rooms)]

    def turn(self, number: int) -> None:
        """One round of every operation. Newcomers join rooms that are full, and leave them again."""
        recipe, arriving = self.recipe, shuffled(self.newcomers, number)
        self._write("join", [c for one in arriving for c in recipe.join(self._room(one), one)], len(arriving))
        self._write("leave", [c for one in arriving for c in recipe.leave(self._room(one), one)], len(arriving))
        if recipe.beats:
            beating = shuffled(self.members, number)[: max(1, self.sizes.members // 5)]
            self._write("heartbeat", [c for one in beating for c in recipe.beat(self._room(one), one)], len(beating))
        if isinstance(recipe, Ours):
            self._write("heartbeats, 100 a call", list(self._together(recipe, number)), len(self.members))
        for what in READS[: 1 + recipe.lists]:
            self._read(what)

    def _together(self, recipe: Ours, number: int) -> Iterator[Command]:
        for at, room in enumerate(self.rooms):
            inside = self.members[at * self.sizes.room : (at + 1) * self.sizes.room]
            for part in hundreds(shuffled(inside, number)):
                yield recipe.together(room, part)

    def _write(self, operation: str, commands: Sequence[Command], times: int) -> None:
        cost, _ = self.wire.measure(encode(commands))
        self._keep(operation, cost.cpu_us / times, cost.p99_us)

    def _read(self, what: str) -> None:
        """Many pipelined; a recipe that needs reply after reply goes few times, as it takes long."""
        recipe, wire = self.recipe, self.wire
        if isinstance(recipe, Keys):
            before_us = wire.cpu_us()
            told = [recipe.ask(wire, what, room) for room in self.rooms[:5]]
            self._keep(what, (wire.cpu_us() - before_us) / len(told), None)
        else:
            times = self.sizes.reads(cheap=what == "count" and not recipe.counts_by_list)
            asked = [recipe.reading(what, self.rooms[i % len(self.rooms)]) for i in range(times)]
            size = len(asked[0])
            cost, replies = wire.measure(encode(command for one in asked for command in one))
            told = [recipe.told(what, reply) for reply in replies[size - 1 :: size]]
            self._keep(what, cost.cpu_us / len(told), cost.p99_us)
        if what == "count":
            self.found.answered.update(told)
            self.wait("count", lambda: recipe.ask(wire, what, self.rooms[-1]))

    def _keep(self, operation: str, cpu_us: float, p99_us: float | None) -> None:
        self.found.cpu_us.setdefault(operation, []).append(cpu_us)
        if p99_us is not None:
            self.found.p99_us.setdefault(operation, []).append(p99_us)

    def wait(self, name: str, work: Callable[[], object]) -> None:
        """Keep the longest single call of `work` inside the server, and how long it took in all; both in ms."""
        longest_ms, total_ms = longest(self.wire, work)
        self.found.waits.setdefault(name, []).append((longest_ms, total_ms))


def longest(wire: Wire, work: Callable[[], object]) -> tuple[float, float]:
    wire.ask("CONFIG", "RESETSTAT")
    began = time.perf_counter()
    work()
    total_ms = (time.perf_counter() - began) * 1000
    told = wire.info("latencystats")
    calls = [text for name, text in told.items() if not name.rpartition("_")[2].startswith(("config", "info"))]
    return max(float(text.rpartition("p100=")[2]) for text in calls) / 1000, total_ms


@contextmanager
def stores(kind: str, sizes: Sizes) -> Iterator[list[Store]]:
    """A server for each recipe, all at once, so that they can take turns."""
    with ExitStack() as stack:
        yield [
            Store(stack.enter_context(Wire(stack.enter_context(running(kind)).socket_path)), recipe, sizes)
            for recipe in recipes()
        ]


def costs(kind: str, sizes: Sizes) -> list[Found]:
    """Every recipe in turn, round after round."""
    with stores(kind, sizes) as found:
        for number in range(sizes.rounds):
            for store in found:
                store.turn(number)
        return [store.found for store in found]


def expiry(kind: str, sizes: Sizes, found: Sequence[Found]) -> None:
    """The first count after all members of one room have expired at once; adds to `found`."""
    members = shuffled(people(sizes.members, _SEED), _SEED)
    for number in range(sizes.rounds):
        for one in found:
            if not one.recipe.beats:
                continue
            with running(kind) as server, Wire(server.socket_path) as wire:
                wire.ask("CONFIG", "SET", "latency-tracking-info-percentiles", "50 99 100")
                _expire_once(wire, one, members, number)


def _expire_once(wire: Wire, found: Found, members: Sequence[Person], number: int) -> None:
    recipe, room = found.recipe, "all"
    recipe.ahead_ms = 0
    recipe.load(wire)
    wire.play(encode(command for one in members for command in recipe.join(room, one)))
    assert recipe.ask(wire, "count", room) == len(members)
    recipe.expire(wire, room, members)
    told: list[int] = []
    took = longest(wire, lambda: told.append(recipe.ask(wire, "count", room)))
    assert told == [0], f"{recipe.word} counts {told} in round {number}"
    found.waits.setdefault("first count after all expired", []).append(took)
    recipe.ahead_ms = 0
