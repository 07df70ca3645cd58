"""Heartbeats of one loop tick and room are one script call; a lone one leaves at once."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest

from presence_engine import Absent, Beat, PresenceEngine, StoreUnavailable
from presence_engine.beats import HeartbeatBatch
from presence_engine.replies import Reply


class Calls:
    """Records what reaches the store, and lets it through."""

    def __init__(self, engine: PresenceEngine, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made: list[tuple[str, int]] = []
        submit = engine.store.submit

        def recording(name: str, keys: Any, values: Any, more: Any = ()) -> Any:
            self.made.append((name.removeprefix("presence/"), len(more)))
            return submit(name, keys, values, more)

        monkeypatch.setattr(engine.store, "submit", recording)


def batch_of(answer: Callable[[str, Sequence[str]], Coroutine[Any, Any, Reply]]) -> HeartbeatBatch:
    return HeartbeatBatch(lambda room, slots: asyncio.ensure_future(answer(room, slots)))


async def test_five_hundred_beats_of_a_tick_are_one_call(
    engine: PresenceEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await asyncio.gather(*(engine.join("r", f"u{n}", f"c{n}") for n in range(500)))
    calls = Calls(engine, monkeypatch)
    beats = await asyncio.gather(*(engine.heartbeat("r", f"u{n}", f"c{n}") for n in range(500)))
    assert calls.made == [("heartbeat", 500)]
    assert all(isinstance(beat, Beat) and not beat.adopted for beat in beats)
    assert len({beat.now_ms for beat in beats if isinstance(beat, Beat)}) == 1


async def test_each_room_is_a_call_and_each_thousand(engine: PresenceEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = Calls(engine, monkeypatch)
    batches = [("a", 1), ("b", 2), ("c", 2500)]
    beats = (engine.heartbeat(room, f"u{n}", "c", adopt=False) for room, size in batches for n in range(size))
    assert set(await asyncio.gather(*beats)) == {Absent()}
    made = [("heartbeat", 1), ("heartbeat", 2), ("heartbeat", 1000), ("heartbeat", 1000), ("heartbeat", 500)]
    assert sorted(calls.made) == sorted(made)


async def test_each_beat_gets_its_own_answer(engine: PresenceEngine) -> None:
    for n in range(0, 100, 2):
        await engine.join("r", f"u{n}", "c")
    beats = await asyncio.gather(*(engine.heartbeat("r", f"u{n}", "c") for n in range(100)))
    assert [isinstance(beat, Beat) for beat in beats] == [n % 2 == 0 for n in range(100)]


async def test_a_lone_beat_leaves_in_the_next_turn_of_the_loop() -> None:
    """No timer: whoever is alone does not wait for company."""
    sent: list[list[str]] = []

    async def answer(room: str, slots: Sequence[str]) -> Reply:
        sent.append([*slots])
        return [b"beat", b"5", b"1" * len(slots)]

    batch = batch_of(answer)
    future = batch.beat("r", "slot")
    for _ in range(3):
        await asyncio.sleep(0)
    assert sent == [["slot"]]
    assert await future == Beat(5)
    await asyncio.gather(batch.beat("r", "x"), batch.beat("other", "y"), batch.beat("r", "z"))
    assert sent[1:] == [["x", "z"], ["y"]]


async def test_callers_in_step_leave_in_two_halves_and_a_burst_in_one() -> None:
    """Whoever beats again at once keeps Redis and the process waiting for each other; a burst does not."""
    sent: list[tuple[str, int]] = []

    async def answer(room: str, slots: Sequence[str]) -> Reply:
        sent.append((room, len(slots)))
        await asyncio.sleep(0.01)
        return [b"beat", b"5", b"1" * len(slots)]

    batch = batch_of(answer)

    async def caller(room: str, slot: str) -> None:
        for _ in range(3):
            await batch.beat(room, slot)

    await asyncio.gather(*(caller("r", f"u{n}") for n in range(50)), *(caller("few", f"u{n}") for n in range(49)))
    assert [size for room, size in sent if room == "r"] == [50, 25, 25, 25, 25]
    assert [size for room, size in sent if room == "few"] == [49, 49, 49]
    sent.clear()
    await asyncio.sleep(0)
    await asyncio.gather(*(batch.beat("r", f"u{n}") for n in range(50)))
    assert sent == [("r", 50)]


async def test_a_cancelled_beat_does_not_disturb_the_others(engine: PresenceEngine) -> None:
    await asyncio.gather(*(engine.join("r", f"u{n}", "c") for n in range(10)))
    tasks = [asyncio.ensure_future(engine.heartbeat("r", f"u{n}", "c")) for n in range(10)]
    await asyncio.sleep(0)
    tasks[3].cancel()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(answers[3], asyncio.CancelledError)
    assert all(isinstance(answer, Beat) for n, answer in enumerate(answers) if n != 3)


async def test_an_error_reaches_every_caller_of_the_call_and_no_other() -> None:
    async def answer(room: str, slots: Sequence[str]) -> Reply:
        if room == "bad":
            raise StoreUnavailable("gone")
        return [b"beat", b"5", b"0" * len(slots)]

    batch = batch_of(answer)
    futures = [batch.beat("bad", "a"), batch.beat("good", "b"), batch.beat("bad", "c")]
    answers = await asyncio.gather(*futures, return_exceptions=True)
    assert [type(answer) for answer in answers] == [StoreUnavailable, type(None), StoreUnavailable]


async def test_a_call_that_cannot_be_made_is_told_to_its_callers() -> None:
    def send(room: str, slots: Sequence[str]) -> asyncio.Future[Reply]:
        raise ValueError(room)

    batch = HeartbeatBatch(send)
    answers = await asyncio.gather(batch.beat("a", "x"), batch.beat("b", "y"), return_exceptions=True)
    assert [str(answer) for answer in answers] == ["a", "b"]


async def test_a_reply_that_is_too_short_is_told_to_every_caller() -> None:
    async def answer(room: str, slots: Sequence[str]) -> Reply:
        return [b"beat", b"5", b"1"]

    batch = batch_of(answer)
    answers = await asyncio.gather(batch.beat("r", "x"), batch.beat("r", "y"), return_exceptions=True)
    assert [type(answer) for answer in answers] == [ValueError, ValueError]
