"""Two engines, two nodes, one Redis, and the model beside them: whatever happens, they agree."""

import asyncio
import json
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from redis.asyncio import Redis

from presence_engine import EngineSettings, Joined, PresenceEngine, Removal, RoomRules
from tests.model import Answer, Model

# Long against the real time a run takes, because keys really expire while the clock jumps.
RULES = RoomRules(ttl_ms=1_000_000, grace_ms=200_000)
TOLERANCE_MS = 15_000
NODES = ("nodeAAAA", "nodeBBBB")
ROOMS = ("r", "x:{0}")
# Ages every key as the jump of the clock would, but lets none vanish before it can be found too short; removal
# reasons are left alone. Then tells all keys with their remaining life and content.
LOOK = """
local found = {}
for _, key in ipairs(redis.call('KEYS', ARGV[1] .. ':*')) do
  local life = redis.call('PTTL', key)
  if tonumber(ARGV[2]) > 0 and life > 0 and not string.find(key, ':remov') then
    redis.call('PEXPIRE', key, math.max(life - ARGV[2], 5000))
  end
  local kind = redis.call('TYPE', key).ok
  local content = kind == 'zset' and redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
    or kind == 'hash' and redis.call('HGETALL', key) or {}
  found[#found + 1] = {key, redis.call('PTTL', key), content}
end
return found"""

Target = tuple[str, str, int, str]

rooms = st.sampled_from(ROOMS)
users = st.sampled_from(["u", "é*", "15"])
ids = st.sampled_from(["u", "é*", "15", 15])
nodes = st.sampled_from([0, 1])
connections = st.sampled_from(["c", "d~c"])
picks = st.integers(0, 29)
others = st.tuples(rooms, users, nodes, connections)
names = st.sampled_from([None, "a", "b é"])
datas: st.SearchStrategy[dict[str, Any] | None] = st.sampled_from([None, {}, {"a": []}])
steps_ms = st.sampled_from([1, 9_999, 10_001, 90_000, 199_999, 200_000, 505_000, 999_999, 1_000_000, 1_010_000])


class PresenceMachine(RuleBasedStateMachine):
    url = ""
    plain_url = ""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.prefix = f"p{uuid4().hex[:12]}"
        self.model = Model(RULES.ttl_ms, RULES.grace_ms, RULES.slack_ms)
        self.model.now = 1_800_000_000_000
        self.unswept = False
        self.told: list[Removal] = []
        self.replayed: dict[str, dict[str, list[str]]] = {room: {} for room in ROOMS}
        self.heads: dict[str, tuple[str, int]] = dict.fromkeys(ROOMS, ("", 0))
        self.look: dict[str, tuple[int, Any]] = {}
        self.runner.run(self._open())

    async def _open(self) -> None:
        options = EngineSettings(prefix=self.prefix, rules=lambda _room: RULES)
        self.engines = [PresenceEngine(self.url, settings=options, node=node) for node in NODES]
        for engine in self.engines:
            engine.on_removed = self.told.extend
            await engine.start()
        self.redis = Redis.from_url(self.plain_url, decode_responses=True)
        self.pubsub = self.redis.pubsub()
        self.channels = {self.engines[0].keys.room(room).feed: room for room in ROOMS}
        for channel in self.channels:
            await self.pubsub.execute_command("SSUBSCRIBE", channel)
            await self.pubsub.parse_response(timeout=5)

    def teardown(self) -> None:
        self.runner.run(self._close())
        self.runner.close()

    async def _close(self) -> None:
        for engine in self.engines:
            await engine.close()
        await self.pubsub.aclose()
        await self.redis.aclose()

    def slots(self) -> list[tuple[str, str, str, int]]:
        """Every connection that is there, in grace or not, and its deadline."""
        return sorted(
            (room, user, token, at)
            for room, members in self.model.rooms.items()
            for user, member in members.items()
            for token, at in member.connections.items()
        )

    def aim(self, pick: int, other: Target) -> Target:
        """Mostly something that is there; now and then whatever the other says."""
        slots = self.slots()
        if not slots or pick >= 25:
            return other
        room, user, token, _ = slots[pick % len(slots)]
        return room, user, NODES.index(token[:8]), token[8:]

    def call(self, node: int, verb: str, *args: Any, **kwargs: Any) -> Any:
        return self.runner.run(getattr(self.engines[node], verb)(*args, now_ms=self.model.now, **kwargs))

    @rule(room=rooms, user=ids, node=nodes, connection=connections, name=names, data=datas)
    def join(self, room: str, user: str | int, node: int, connection: str, name: Any, data: Any) -> None:
        outcome = self.call(node, "join", room, user, connection, username=name, data=data)
        assert isinstance(outcome, Joined)
        expected = self.model.join(room, user, NODES[node] + connection, name, data)
        assert ("joined", outcome.rejoined, outcome.joined_at_ms) == expected

    @rule(pick=picks, other=others, adopt=st.booleans())
    def heartbeat(self, pick: int, other: Target, adopt: bool) -> None:
        room, user, node, connection = self.aim(pick, other)
        outcome = self.call(node, "heartbeat", room, user, connection, adopt=adopt)
        assert plain(outcome) == self.model.heartbeat(room, user, NODES[node] + connection, adopt)

    @rule(pick=picks, other=others, everywhere=st.booleans())
    def leave(self, pick: int, other: Target, everywhere: bool) -> None:
        room, user, node, connection = self.aim(pick, other)
        outcome = self.call(node, "leave", room, user, connection, everywhere=everywhere)
        assert plain(outcome) == self.model.leave(room, user, NODES[node] + connection, everywhere)

    @rule(pick=picks, other=others, grace=st.sampled_from([None, 0, 1, 2_000_000]))
    def detach(self, pick: int, other: Target, grace: int | None) -> None:
        room, user, node, connection = self.aim(pick, other)
        outcome = self.call(node, "detach", room, user, connection, grace_ms=grace)
        assert plain(outcome) == self.model.detach(room, user, NODES[node] + connection, grace)

    @rule(pick=picks, other=others, name=names, data=datas)
    def update(self, pick: int, other: Target, name: Any, data: Any) -> None:
        room, user, node, connection = self.aim(pick, other)
        outcome = self.call(node, "update", room, user, connection, username=name, data=data)
        assert plain(outcome) == self.model.update(room, user, NODES[node] + connection, name, data)

    @rule(pick=picks, other=others)
    def kick(self, pick: int, other: Target) -> None:
        room, user, node, _ = self.aim(pick, other)
        assert plain(self.call(node, "kick", room, user)) == self.model.kick(room, user)

    @rule(room=rooms, node=nodes)
    def sweep(self, room: str, node: int) -> None:
        self.call(node, "sweep", room)
        self.model.members(room)

    @rule(by_ms=steps_ms)
    def time_passes(self, by_ms: int) -> None:
        self.model.now += by_ms
        self.runner.run(self._look(by_ms))
        self.unswept = True

    @rule(pick=picks, past_ms=st.sampled_from([-1, 0, 1]))
    def time_passes_to_a_deadline(self, pick: int, past_ms: int) -> None:
        """The moments around which everything is decided."""
        deadlines = sorted({at for *_, at in self.slots()})
        if deadlines:
            self.time_passes(max(1, deadlines[pick % len(deadlines)] + past_ms - self.model.now))

    @invariant()
    def agrees(self) -> None:
        """List, count, where and rooms of both engines; what was told of removals; then what lies in Redis.

        Not after a jump of the clock: the next verb shall meet what nobody has swept yet.
        """
        if self.unswept:
            self.unswept = False
            return
        self.runner.run(self._compare())
        for room in ROOMS:
            self.model.members(room)
        told = [(one.room, one.user, one.node + one.connection, one.reason, one.detached) for one in self.told]
        assert sorted(told) == sorted(self.model.expired)
        self.runner.run(self._look(0))
        self._check_keys()
        self.runner.run(self._replay())

    async def _compare(self) -> None:
        now, engine, other = self.model.now, *self.engines
        pages, positions, wheres, listing, counts = await asyncio.gather(
            asyncio.gather(*(engine.list(room, now_ms=now) for room in ROOMS)),
            asyncio.gather(*(other.count(room, now_ms=now) for room in ROOMS)),
            asyncio.gather(*(other.where(user, now_ms=now) for user in ("u", "é*", "15"))),
            engine.rooms(now_ms=now),
            other.counts(ROOMS, now_ms=now),
        )
        for room, page, position in zip(ROOMS, pages, positions, strict=True):
            shown = [
                (m.joined_at_ms, m.user, m.user_id, m.username, m.data, m.status, m.connections, m.last_active_at_ms)
                for m in page.members
            ]
            assert shown == self.model.listed(room)
            assert page.position == position == counts[room]
            sizes = (len(shown), sum(one[6] for one in shown))
            assert (position.count, position.connections) == sizes
        for user, found in zip(("u", "é*", "15"), wheres, strict=True):
            assert [(one.room, one.connections, one.joined_at_ms) for one in found] == self.model.where(user)
        live = self.model.live_rooms()
        assert {one.room: (one.count, one.connections) for one in listing.rooms} == live
        assert listing.total == len(live)

    async def _look(self, aged_ms: int) -> None:
        found = await self.redis.eval(LOOK, 0, self.prefix, aged_ms)
        self.look = {
            key.split("}:", 1)[-1]: (life, dict(zip(content[::2], content[1::2], strict=True)))
            for key, life, content in found
            if ":removals:" not in key and not key.endswith(":layout")
        }

    def _check_keys(self) -> None:
        expected: set[str] = set()
        nodes_hold: dict[str, dict[str, int]] = {}
        for room, members in self.model.rooms.items():
            for user, member in members.items():
                expected |= {"due", "rooms", f"user:{user}"}
                expected |= {f"room:{room}:{part}" for part in ("deadlines", "members", "roster")}
                for token in member.connections:
                    held = nodes_hold.setdefault(token[:8], {})
                    held[room] = held.get(room, 0) + 1
            if members:
                self._check_room(room, members)
        expected |= {f"node:{node}" for node in nodes_hold}
        assert {key for key in self.look if not key.endswith(":removed")} == expected
        for node, held in nodes_hold.items():
            assert {room: int(n) for room, n in self.look[f"node:{node}"][1].items()} == held
        deadlines = [d for ms in self.model.rooms.values() for m in ms.values() for d in m.connections.values()]
        newest_ms = max(deadlines, default=0) - self.model.now
        for shared in expected & {"due", "rooms"}:
            assert self.look[shared][0] >= newest_ms - TOLERANCE_MS

    def _check_room(self, room: str, members: dict[str, Any]) -> None:
        parts = {part: self.look[f"room:{room}:{part}"] for part in ("deadlines", "members", "roster")}
        deadlines: dict[str, int] = {}
        for user, member in members.items():
            deadlines |= {f"{user}\x1f{token}": at for token, at in member.live.items()}
            deadlines |= {f"{user}\x1f~{token}": at for token, at in member.grace.items()}
        assert {slot: int(at) for slot, at in parts["deadlines"][1].items()} == deadlines
        assert {user: int(at) for user, at in parts["roster"][1].items()} == {
            user: member.joined_at for user, member in members.items()
        }
        assert set(parts["members"][1]) == {"", *members}
        assert int(self.look["due"][1][room]) <= min(deadlines.values())
        assert int(self.look["rooms"][1][room]) == len(members)
        newest_ms = max(deadlines.values()) - self.model.now
        for life_ms, _ in parts.values():
            assert life_ms >= newest_ms - TOLERANCE_MS
        for user, member in members.items():
            own_ms = max(member.connections.values()) - self.model.now
            life_ms, joined = self.look[f"user:{user}"]
            assert int(joined[room]) == member.joined_at
            assert life_ms >= own_ms - TOLERANCE_MS
            for token, at in member.connections.items():
                assert self.look[f"node:{token[:8]}"][0] >= at - self.model.now - TOLERANCE_MS

    async def _replay(self) -> None:
        """Every message raises seq by one; applied one after the other they give the list."""
        for channel in self.channels:
            await self.redis.spublish(channel, "end")
            while (message := await self.pubsub.parse_response(timeout=5))[2] != "end":
                self._apply(self.channels[message[1]], message[2])
        for room in ROOMS:
            shown = {
                one[1]: [str(one[0]), one[2] if isinstance(one[2], int) else "", one[3], one[4]]
                for one in self.model.listed(room)
            }
            replayed = {
                user: [
                    joined_at, int(id_json) if id_json else "",
                    json.loads(name) if name else id_json or user, json.loads(data) if data else {},
                ]
                for user, (joined_at, id_json, name, data) in self.replayed[room].items()
            }  # fmt: skip
            assert replayed == shown

    def _apply(self, room: str, text: str) -> None:
        (epoch, seq, count, connections, now), *entries = (entry.split("\x1e") for entry in text.split("\x1d"))
        last_epoch, last_seq = self.heads[room]
        if epoch != last_epoch:
            assert self.replayed[room] == {}
            last_seq = 0
        assert int(seq) == last_seq + 1
        self.heads[room] = (epoch, int(seq))
        assert int(now) == self.model.now
        members = self.replayed[room]
        for kind, user, *fields in entries:
            if kind == "+":
                assert user not in members
                members[user] = fields
            elif kind == "~":
                assert user in members
                members[user] = fields
            elif kind == "-":
                del members[user]
        assert int(count) == len(members) <= int(connections) or (int(count), int(connections)) == (0, 0)


def plain(outcome: Any) -> Answer:
    """An outcome as the model tells it."""
    match type(outcome).__name__:
        case "Beat":
            return ("beat", outcome.adopted)
        case "Left":
            return ("left", outcome.stays)
        case "Detached":
            return ("detached", outcome.deadline_ms)
        case "Updated":
            return ("updated", outcome.changed)
        case "Kicked":
            return ("kicked", sorted(node + connection for node, connection in outcome.connections))
    return ("absent", outcome.reason)


def run(url: str, plain_url: str, examples: int, steps: int) -> None:
    machine = type("Machine", (PresenceMachine,), {"url": url, "plain_url": plain_url})
    options = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        # A run of twenty steps can be read as it is; making it shorter takes minutes, more than a test may.
        phases=[Phase.explicit, Phase.reuse, Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    run_state_machine_as_test(machine, settings=options)


@pytest.mark.slow
def test_engine_and_model_agree(redis_url: str, plain_url: str) -> None:
    run(redis_url, plain_url, examples=100, steps=20)


@pytest.mark.nightly
@pytest.mark.parametrize("_batch", range(10))
def test_engine_and_model_agree_for_long(redis_url: str, plain_url: str, _batch: int) -> None:
    run(redis_url, plain_url, examples=100, steps=60)
