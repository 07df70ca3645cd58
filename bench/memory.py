"""How many bytes of Redis a member takes, in one room."""

from collections.abc import Iterator, Sequence

from bench.commands import LIFE_MS, Calls, redis_time_ms
from bench.people import NODE, Person, hundreds, people
from bench.wire import Command, Wire, encode

_SEED = 7
_SLICE = 50_000


def bytes_a_member(wire: Wire, members: int) -> tuple[float, float]:
    """Fill a room of an empty server; return the bytes a member without and with the user index.

    Filled by plain commands with what join would have written, since joining a million takes a minute. That it is the
    same is checked: the scripts count it, and a member who really joins is stored byte for byte like its neighbours.
    """
    calls = Calls("million", user_index=False)
    calls.load(wire)
    before = _used(wire)
    everyone = people(members, _SEED)
    now_ms = redis_time_ms(wire)
    for part in hundreds(everyone[:-1], _SLICE):
        wire.play(encode(_stored(calls, part, now_ms)))
    keys = calls.keys
    wire.ask("HSET", keys.members, "", "5f3e2d1c0b9a8\x1f1")
    wire.ask("HSET", calls.keyspace.node(0, NODE), calls.room, members - 1)
    assert wire.ask(*calls.join(everyone[-1])).startswith(b"joined\x1e")
    assert wire.ask(*calls.count()).split(b"\x1e")[3:] == [b"%d" % members] * 2
    joined_at_ms = int(wire.ask("ZSCORE", keys.roster, everyone[-1].user))
    assert wire.ask("HGET", keys.members, everyone[-1].user).decode() == everyone[-1].record(joined_at_ms)
    without_index = (_used(wire) - before) / members
    for part in hundreds(everyone, _SLICE):
        wire.play(encode(_indexed(calls, part, now_ms)))
    return without_index, (_used(wire) - before) / members


def _stored(calls: Calls, part: Sequence[Person], now_ms: int) -> Iterator[Command]:
    for member in part:
        yield "ZADD", calls.keys.deadlines, now_ms + LIFE_MS, member.slot
        yield "HSET", calls.keys.members, member.user, member.record(now_ms)
        yield "ZADD", calls.keys.roster, now_ms, member.user


def _indexed(calls: Calls, part: Sequence[Person], now_ms: int) -> Iterator[Command]:
    for member in part:
        yield "HSET", calls.keyspace.user(0, member.user), calls.room, now_ms
        yield "PEXPIRE", calls.keyspace.user(0, member.user), 2 * LIFE_MS


def _used(wire: Wire) -> int:
    return int(wire.info("memory")["used_memory"])
