"""Every route, fuzzed: with the structs of the bodies, with garbage, and by schemathesis from openapi.json (002-9)."""

import faulthandler
import logging
import os
import warnings
from typing import Any, Final
from urllib.parse import quote

import httpx
import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from server import messages
from tests.fuzz.conftest import Target
from tests.fuzz.strategies import ODD_TEXTS, garbage, ids, payload, text_of
from tests.server.conftest import ADMIN_TOKEN
from tests.server.specified import OPERATIONS

log = logging.getLogger(__name__)

EVERY_RUN, NIGHTLY = 40, 2_000
ADMIN: Final = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
fuzzing: Final = settings(
    deadline=None, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck), derandomize=True
)
_parts = st.one_of(ids.map(str), st.sampled_from(ODD_TEXTS), st.text(max_size=30))
_values = st.one_of(
    _parts, st.integers().map(str), st.sampled_from(["1", "100", "full", "names", "a,b", ",", "1e3", "٣"])
)


def encoded(text: str) -> str:
    return quote(text.encode("utf-8", "surrogatepass"), safe="")


@st.composite
def requests(draw: st.DrawFn, method: str, path: str) -> tuple[str, str, bytes | None]:
    """Method, address and body of one request to a route."""
    operation = OPERATIONS[method, path]
    address = "/".join(encoded(draw(_parts)) if part.startswith("{") else part for part in path.split("/"))
    known = [one.name for one in operation.query] + ["nothing", "limit"]
    query = draw(st.lists(st.tuples(st.sampled_from(known), _values), max_size=4))
    if query:
        address += "?" + "&".join(f"{name}={encoded(value)}" for name, value in query)
    if method == "get":
        return method, address, None
    body = operation.body if isinstance(operation.body, type) else None
    made = st.one_of(payload(body), payload(body), garbage).map(lambda one: text_of(one).encode())
    return method, address, draw(st.one_of(made, made, made, st.binary(max_size=60)))


def fire(target: Target, method: str, path: str, number: int) -> dict[int, int]:
    statuses: dict[int, int] = {}

    @settings(fuzzing, max_examples=number)
    @given(request=requests(method, path))
    def one(request: tuple[str, str, bytes | None]) -> None:
        verb, address, body = request
        headers = {**ADMIN, "Content-Type": "application/json"}
        answer = target.http.request(verb, address, content=body, headers=headers)
        statuses[answer.status_code] = statuses.get(answer.status_code, 0) + 1
        assert answer.status_code < 500, (request, answer.text)
        if answer.status_code != 200:
            msgspec.convert(answer.json(), messages.HttpRefused, strict=True)

    one()
    return statuses


def fire_all(target: Target, number: int) -> None:
    for method, path in sorted(OPERATIONS):
        log.info("%s %s: %s", method, path, dict(sorted(fire(target, method, path, number).items())))
    assert target.faults() == [], target.command.output[-4000:]


@pytest.mark.slow
def test_every_route_answers_whatever_it_is_sent(target: Target) -> None:
    """No 500, no traceback; what is refused is refused in the contract's shape."""
    fire_all(target, EVERY_RUN)


@pytest.mark.nightly
def test_thousands_of_requests_a_route(target: Target) -> None:
    # It takes longer than a test may before it counts as hung.
    faulthandler.cancel_dump_traceback_later()
    fire_all(target, int(os.environ.get("FUZZ_REQUESTS", NIGHTLY)))


@pytest.mark.slow
@settings(fuzzing, max_examples=100)
@given(
    sid=st.booleans(),
    query=st.lists(st.tuples(st.sampled_from(["EIO", "transport", "sid", "j", "t", "x"]), _values), max_size=4),
    body=st.one_of(st.binary(max_size=60), st.text(max_size=40).map(lambda text: text.encode("utf-8", "replace"))),
)
def test_long_polling_answers_whatever_it_is_sent(
    target: Target, sid: bool, query: list[tuple[str, str]], body: bytes
) -> None:
    """Below /socket.io/ too: sessions that do not exist, bodies that cannot be read."""
    address = "/socket.io/?EIO=4&transport=polling"
    if sid:
        opened = target.http.get(address).text
        answer = target.http.post(f"{address}&sid={msgspec.json.decode(opened[1:])['sid']}", content=body)
    else:
        rest = "&".join(f"{name}={encoded(value)}" for name, value in query)
        answer = target.http.post(f"/socket.io/?{rest}", content=body)
    assert answer.status_code < 500
    assert target.faults() == [], target.command.output[-4000:]


def schema_of(target: Target) -> Any:
    with warnings.catch_warnings():
        # Its own use of what its dependencies will drop.
        warnings.simplefilter("ignore")
        import schemathesis

        return schemathesis.openapi.from_dict(target.http.get("/openapi.json").json())


@pytest.mark.slow
def test_schemathesis_finds_nothing(target: Target) -> None:
    """Requests made from openapi.json; every answer must be one that it describes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        schema = schema_of(target)
        for result in schema.get_all_operations():
            _conforms(target, result.ok())
    assert target.faults() == [], target.command.output[-4000:]


def _conforms(target: Target, operation: Any) -> None:
    from schemathesis.specs.openapi.checks import positive_data_acceptance

    number = int(os.environ.get("FUZZ_SCHEMATHESIS", "8"))

    @settings(fuzzing, max_examples=number)
    @given(case=operation.as_strategy())
    def one(case: Any) -> None:
        try:
            answer = case.call(base_url=target.url, headers=ADMIN, timeout=30)
        except httpx.InvalidURL:
            return
        assert answer.status_code < 500
        # Ids and texts are bounded in bytes, phones in digits, which a schema cannot say: some of what it lets pass
        # is refused, and must then be refused as described.
        case.validate_response(answer, excluded_checks=[positive_data_acceptance])

    one()
