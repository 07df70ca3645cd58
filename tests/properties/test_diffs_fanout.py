"""Fanout against an unfolded log: whoever joins, syncs, or loses the feed at any moment ends with the same room."""

import asyncio
import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from presence_engine import Change, ConnectionOut, Position
from presence_engine.keys import Keyspace
from server.fanout import Fanout
from server.limits import TokenBucket
from server.sockets.session import Session

ROOM: Final = "r"
NODE: Final = "nodeAAAA"
USERS: Final = ("a", "b", "c", "d")
Json = Any


class Log:
    """A room's true history: every change as it is published, and the room after each."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._born = 0x100
        self.epoch, self.seq = "", 0
        self.members: dict[str, str] = {}
        self.outs: list[tuple[str, int]] = []
        self.writing_since, self.lived_since = 1, 1
        self._kept: list[tuple[str, int, dict[str, str]]] = []

    def lose(self, changes: int) -> None:
        """Another server writes from now on, and does not know the last changes."""
        self.writing_since += 1
        for epoch, seq, members in self._kept[-changes:][:1]:
            self.epoch, self.seq, self.members = epoch, seq, members
        self.outs = [at for at in self.outs if at <= (self.epoch, self.seq)]

    def renew_epoch(self, since: int) -> bytes | None:
        if self.lived_since >= since or not self.members:
            return None
        self.lived_since = since
        self._born += 1
        self.epoch, self.seq = f"{self._born:x}", self.seq + 1
        return self._head().encode()

    def change(self) -> bytes:
        """Make one change (a few entries), and return its message."""
        self._kept = [*self._kept[-4:], (self.epoch, self.seq, dict(self.members))]
        if not self.members:
            self._born += 1
            self.epoch, self.seq, self.lived_since = f"{self._born:x}", 0, self.writing_since
        self.seq += 1
        entries = []
        for user in self._dice.sample(USERS, self._dice.randrange(3)):
            if user not in self.members:
                self.members[user] = f'"{self._dice.randrange(9)}"'
                entries.append(f"+\x1e{user}\x1e1000\x1e\x1e{self.members[user]}\x1e")
            elif self._dice.random() < 0.4:
                self.members[user] = f'"{self._dice.randrange(9)}"'
                entries.append(f"~\x1e{user}\x1e1000\x1e\x1e{self.members[user]}\x1e")
            else:
                del self.members[user]
                entries.append(f"-\x1e{user}\x1e\x1e\x1eleft")
        if not self.members and not entries:
            self.members["a"] = '"0"'
            entries.append('+\x1ea\x1e1000\x1e\x1e"0"\x1e')
        if self._dice.random() < 0.1:
            self.outs.append((self.epoch, self.seq))
            entries.append(f"x\x1ez\x1e{NODE}{self.seq}\x1ekicked\x1e")
        return "\x1d".join([self._head(), *entries]).encode()

    def _head(self) -> str:
        return f"{self.epoch}\x1e{self.seq}\x1e{len(self.members)}\x1e{len(self.members)}\x1e2000"

    @property
    def position(self) -> Position:
        return Position(self.epoch if self.members else "", self.seq if self.members else 0, *[len(self.members)] * 2)


class Follower:
    """A socket that applies diffs. A diff that does not fit makes it ask; one that overlaps is never allowed."""

    def __init__(self, number: int) -> None:
        self.session = Session(f"s{number}", "/", TokenBucket(0, 0))
        self.epoch, self.seq = "", -1
        self.members: dict[str, str] = {}
        self.wants_sync = False
        # After a failover, until it is told the room anew, nothing that comes need fit.
        self.misled = False

    def start(self, at: Position, members: dict[str, str]) -> None:
        self.epoch, self.seq, self.members, self.wants_sync = at.epoch, at.seq, dict(members), False
        self.misled = False

    def apply(self, diff: Json) -> None:
        if self.wants_sync:
            return
        if diff["epoch"] != self.epoch or diff["from"] > self.seq:
            self.wants_sync = True
            return
        if self.misled:
            self.seq = max(self.seq, diff["seq"])
            return
        assert diff["from"] == self.seq, f"told again: at {self.seq}, a diff from {diff['from']}"
        for member in diff["joined"]:
            assert member["userId"] not in self.members, "a member joined twice"
        for member in [*diff["joined"], *diff["updated"]]:
            self.members[member["userId"]] = f'"{member["username"]}"'
        for gone in diff["left"]:
            del self.members[gone["userId"]]
        self.seq = diff["seq"]
        assert len(self.members) == diff["count"]


class Stand:
    """What Fanout asks of an engine: a feed whose messages this test hands over, and where rooms stand."""

    node = NODE

    def __init__(self, log: Log) -> None:
        self._log = log
        self.keys = Keyspace()
        self.handler: Callable[[bytes], None] | None = None
        self.published: Callable[[bytes], None] = lambda _message: None
        self.restored: Callable[[], None] = lambda: None

    def channel(self, room: str) -> str:
        return room

    def open_feed(self, *, on_lost: Callable[[], None], on_restored: Callable[[], None]) -> "Stand":
        self.restored = on_restored
        return self

    async def subscribe(self, _channel: str, handler: Callable[[bytes], None]) -> None:
        self.handler = handler

    async def unsubscribe(self, _channel: str) -> None:
        self.handler = None

    async def close(self) -> None:
        self.handler = None

    async def counts(self, rooms: Iterable[str]) -> dict[str, Position]:
        return dict.fromkeys(rooms, self._log.position)

    async def writing_since(self, _partition: int) -> int:
        return self._log.writing_since

    async def renew_epoch(self, _room: str, since_us: int) -> None:
        if (message := self._log.renew_epoch(since_us)) is not None:
            self.published(message)


class Windows(msgspec.Struct):
    diff_window_ms: int = 1
    diff_window_large_ms: int = 2
    large_room: int = 3
    counts_room: int = 1000
    count_window_ms: int = 1


class Play:
    """One run: changes, late messages, lost feeds, joins and syncs in a random order."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.log = Log(self.dice)
        self.stand = Stand(self.log)
        self.waiting: list[bytes] = []
        self.stand.published = self.publish
        self.followers: dict[str, Follower] = {}
        self.put_out: list[str] = []
        self.deaf = False

    async def run(self, steps: int) -> None:
        self.fanout = Fanout(self.stand, Windows(), self.send, self.out)  # type: ignore[arg-type]
        verbs = [self.change] * 6 + [self.deliver] * 6 + [self.join] * 2 + [self.leave, self.sync, self.turn]
        verbs += [self.lose_feed] if self.dice.random() < 0.5 else []
        verbs += [self.fail_over] if self.dice.random() < 0.3 else []
        for _ in range(steps):
            await self.dice.choice(verbs)()
        await self.settle()

    def send(self, event: str, data: Json, sessions: Iterable[Session]) -> None:
        body = msgspec.json.decode(msgspec.json.encode(data))
        for session in sessions:
            if event == "room:diff":
                self.followers[session.sid].apply(body)

    def out(self, _room: str, entry: ConnectionOut, _change: Change) -> None:
        self.put_out.append(entry.connection)

    async def change(self) -> None:
        self.publish(self.log.change())

    def publish(self, message: bytes) -> None:
        if self.stand.handler is not None and not self.deaf:
            self.waiting.append(message)

    async def deliver(self) -> None:
        if self.waiting and self.stand.handler is not None:
            self.stand.handler(self.waiting.pop(0))

    async def join(self) -> None:
        one = Follower(len(self.followers))
        self.followers[one.session.sid] = one
        await self.fanout.enter(one.session, ROOM)
        await self.answer(one)

    async def answer(self, one: Follower) -> None:
        """As a handler does: a snapshot is read; the feed may bring more before it is told and the socket is placed."""
        at, members = self.log.position, dict(self.log.members)
        for verb in self.dice.choices([self.change, self.deliver, self.turn], k=self.dice.randrange(4)):
            await verb()
        one.start(at, members)
        self.fanout.place(one.session, ROOM, ROOM, at)

    async def leave(self) -> None:
        if len(self.followers) > 2:
            one = self.followers[self.dice.choice(list(self.followers))]
            await self.fanout.exit(one.session, ROOM)
            one.epoch = "left"

    async def sync(self) -> None:
        for one in self.followers.values():
            if one.epoch != "left" and (one.wants_sync or self.dice.random() < 0.2):
                await self.catch_up(one)

    async def catch_up(self, one: Follower) -> None:
        known = self.fanout.since(ROOM, one.epoch, one.seq)
        if known is None:
            await self.answer(one)
            return
        at, diffs = known
        one.wants_sync = False
        for diff in diffs:
            one.apply(msgspec.json.decode(msgspec.json.encode(_body(diff))))
        assert (one.epoch, one.seq) == (at.epoch, at.seq)
        self.fanout.place(one.session, ROOM, ROOM, at)

    async def turn(self) -> None:
        await asyncio.sleep(self.dice.choice([0, 0.003]))

    async def lose_feed(self) -> None:
        """What is under way is lost; what is published meanwhile too; then the feed is back."""
        self.waiting.clear()
        self.deaf = True
        for _ in range(self.dice.randrange(3)):
            await self.change()
        self.deaf = False
        self.stand.restored()
        await self.turn()

    async def fail_over(self) -> None:
        """The feed is lost, and with it the last changes; others come and bear their positions."""
        self.log.lose(self.dice.randrange(1, 4))
        for one in self.followers.values():
            one.misled = True
        await self.lose_feed()

    async def settle(self) -> None:
        """Everything is delivered, every window ends, whoever saw a gap asks: then all have the same room."""
        self.stand.restored()
        for _ in range(200):
            while self.waiting and self.stand.handler is not None:
                await self.deliver()
            await asyncio.sleep(0.002)
            here = [one for one in self.followers.values() if one.epoch != "left"]
            asking = [one for one in here if one.wants_sync]
            for one in asking:
                await self.catch_up(one)
            if not asking and not self.waiting and all(one.members == self.log.members for one in here):
                break
        for one in here:
            assert one.members == self.log.members, f"{one.session.sid} at {one.epoch}/{one.seq} of {self.log.position}"
        await self.fanout.close()


def _body(change: Any) -> Json:
    from server import wire

    return wire.diff(ROOM, change)


@settings(max_examples=120, deadline=None)
@given(seed=st.integers(0, 2**32), steps=st.integers(5, 80))
def test_every_follower_converges_whatever_the_order(seed: int, steps: int) -> None:
    """X3, T1.4: no diff told twice, none missed without a visible gap, no ghost after folding."""
    asyncio.run(Play(seed).run(steps))


@pytest.mark.parametrize("seed", range(5))
def test_no_gap_while_the_feed_is_whole(seed: int) -> None:
    """Fine print: a socket's answer and its first diff fit together, whenever it joins."""

    async def run() -> None:
        play = Play(seed)
        play.fanout = Fanout(play.stand, Windows(), play.send, play.out)  # type: ignore[arg-type]
        await play.join()
        verbs: Sequence[Callable[[], Any]] = [play.change] * 6 + [play.deliver] * 6 + [play.join] * 2 + [play.turn]
        for _ in range(300):
            await play.dice.choice(verbs)()
            behind = [one for one in play.followers.values() if one.wants_sync]
            # Only a new life of the room (it was empty in between) makes a client ask.
            assert all(one.epoch != play.log.epoch for one in behind)
            for one in behind:
                await play.catch_up(one)
        await play.settle()

    asyncio.run(run())
