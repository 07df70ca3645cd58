"""The made-up members: the same for both sides of a comparison and for every run with one seed."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

NODE: Final = "benchN0d"
RECORD_BYTES: Final = 116
_SID_LENGTH: Final = 20  # of a Socket.IO session id
_JOINED_AT_BYTES: Final = 13


@dataclass(frozen=True)
class Person:
    """One member with one connection. public: id␞name␞data as a client gives it."""

    user: str
    connection: str
    public: str

    @property
    def slot(self) -> str:
        return f"{self.user}\x1f{self.connection}"

    def record(self, joined_at_ms: int) -> str:
        """What the engine stores for it, RECORD_BYTES long."""
        return f"{joined_at_ms}\x1e\x1f{self.connection}\x1f\x1e\x1e{self.public}"


def people(count: int, seed: int) -> list[Person]:
    """Return `count` members whose stored record has RECORD_BYTES bytes."""
    dice = random.Random(seed)
    return [_person(number, dice) for number in range(count)]


def _person(number: int, dice: random.Random) -> Person:
    connection = f"{NODE}{dice.getrandbits(4 * _SID_LENGTH):0{_SID_LENGTH}x}"
    name = f'"Member {number}"'
    # joinedAt, the connection and seven separators stand beside the public part.
    filling = RECORD_BYTES - _JOINED_AT_BYTES - len(connection) - 7 - len(name) - len('{"avatar":""}')
    return Person(
        f"u{number:07d}", connection, f'\x1e{name}\x1e{{"avatar":"{dice.getrandbits(4 * filling):0{filling}x}"}}'
    )


def shuffled(members: Sequence[Person], seed: int) -> list[Person]:
    """Every member once, in an order that no cache likes."""
    walk = list(members)
    random.Random(seed).shuffle(walk)
    return walk


def hundreds(members: Sequence[Person], size: int = 100) -> Iterator[Sequence[Person]]:
    return (members[i : i + size] for i in range(0, len(members), size))
