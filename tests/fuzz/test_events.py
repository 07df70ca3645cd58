"""Every event, fuzzed: no payload without an answer, no fault of the server, nobody else disturbed (002-9)."""

import faulthandler
import logging
import os
import time
from typing import Final

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.fuzz.assailant import Assailant
from tests.fuzz.bystander import Bystander, Latency
from tests.fuzz.conftest import Target
from tests.fuzz.strategies import garbage, payload, text_of
from tests.server.specified import FROM_CLIENTS

log = logging.getLogger(__name__)

BATCH: Final = 20
EVERY_RUN, NIGHTLY = 200, 10_000
# What another socket may wait for an answer while payloads rain down: far below what a person notices.
OTHERS_P99_MS: Final = 250.0
BEFORE_S: Final = 2.0


# A server that has been fired at is not the same any more, so that a failure cannot be shrunk.
fuzzing: Final = settings(
    deadline=None, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck), derandomize=True
)


def bombard(target: Target, event: str, number: int) -> Assailant:
    """Send at least `number` payloads of one event."""
    assailant = Assailant(target.url)
    shape = FROM_CLIENTS[event][0] if event in FROM_CLIENTS else None
    # As text: whoever reports a failure need not print what is nested hundreds deep.
    made = (payload(shape) if shape is not None else garbage).map(text_of)

    @settings(fuzzing, max_examples=number // BATCH, derandomize=number == EVERY_RUN)
    @given(payloads=st.lists(made, min_size=BATCH, max_size=BATCH))
    def fire(payloads: list[str]) -> None:
        assailant.settle()
        assailant.send(event, payloads)

    fire()
    assailant.close()
    return assailant


def report(event: str, found: Assailant) -> str:
    codes = ", ".join(f"{code} {number}" for code, number in sorted(found.codes.items()))
    return f"{event}: {found.sent} sent, {found.unanswered} unanswered, {found.ends} connections ended; {codes}"


def check(target: Target, event: str, number: int) -> Assailant:
    found = bombard(target, event, number)
    log.info(report(event, found))
    assert found.sent >= number * 0.9
    assert (found.unanswered, found.ends, found.worst) == (0, 0, [])
    assert target.faults() == [], target.command.output[-4000:]
    return found


@pytest.fixture(scope="module")
def latency(target: Target) -> Latency:
    """Of another socket before anything is sent."""
    return watched(target, BEFORE_S)


def watched(target: Target, for_s: float) -> Latency:
    with Bystander(target.url) as bystander:
        time.sleep(for_s)
        return bystander.stop()


@pytest.mark.slow
def test_every_event_answers_whatever_it_is_sent(target: Target, latency: Latency) -> None:
    """A few hundred payloads an event, the same in every run; another socket's beats go on meanwhile."""
    assert FROM_CLIENTS
    with Bystander(target.url) as bystander:
        for event in [*FROM_CLIENTS, "no such event"]:
            check(target, event, EVERY_RUN)
        during = bystander.stop()
    log.info(f"others before: {latency}\nothers during: {during}")
    assert during.p99_ms < OTHERS_P99_MS


@pytest.mark.nightly
def test_ten_thousand_payloads_an_event(target: Target, latency: Latency) -> None:
    # It takes longer than a test may before it counts as hung.
    faulthandler.cancel_dump_traceback_later()
    number = int(os.environ.get("FUZZ_PAYLOADS", NIGHTLY))
    with Bystander(target.url) as bystander:
        total = sum(check(target, event, number).sent for event in [*FROM_CLIENTS, "no such event"])
        during = bystander.stop()
    log.info(f"{total} payloads\nothers before: {latency}\nothers during: {during}")
    assert during.p99_ms < OTHERS_P99_MS


HEADS: Final = st.sampled_from(["4", "42", "4511-", "43", "40/", "2", "42[", "0", "1", "6"])


@pytest.mark.slow
@settings(fuzzing, max_examples=100)
@given(
    frames=st.lists(st.one_of(st.binary(max_size=40), st.builds(str.__add__, HEADS, st.text(max_size=30))), max_size=5)
)
def test_frames_of_no_protocol_harm_nobody(target: Target, frames: list[str | bytes]) -> None:
    """A connection may be ended for them, never with a traceback, never another's."""
    assailant = Assailant(target.url)
    assailant.throw(frames)
    assailant.close()
    other = Assailant(target.url)
    other.send("user:logout", ["null"])
    assert other.codes == {"ok": 1}
    other.close()
    assert target.faults() == []
