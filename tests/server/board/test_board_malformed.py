"""The malformed twins of a board's events: each is answered, names its field, and changes nothing."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.client.driver import Client
from tests.client.raw import RawClient
from tests.server.board.conftest import Sit, content, fill, stored
from tests.server.conftest import RunningServer

Connect = Callable[..., Client]
AT = {"x": 1, "y": 2}
MOVE = {"itemId": "i", "position": AT}
GROUPS = {"itemGroups": {"i": "s"}, "signatureColors": {"s": "red"}}
ADD = {"task": "t", "assigneeId": "u"}
# Whatever an event wants, but for the board's id.
VALID: dict[str, Any] = {**MOVE, **GROUPS, **ADD, "userVotes": {}, "actionItemId": "a"}
EVENTS = [
    "request-retro-state", "item-position-update", "grouping-update", "vote-update", "request-user-votes",
    "request-voting-result", "action-item-added", "action-item-updated", "action-item-deleted", "phase-change",
    "label-update", "vote-submission", "typing",
]  # fmt: skip
WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("item-position-update", {}, "itemId"),
    ("item-position-update", {"position": AT}, "itemId"),
    ("item-position-update", {**MOVE, "itemId": ""}, "itemId"),
    ("item-position-update", {**MOVE, "itemId": {}}, "itemId"),
    ("item-position-update", {**MOVE, "itemId": "x" * 129}, "itemId"),
    ("item-position-update", {"itemId": "i"}, "position"),
    ("item-position-update", {**MOVE, "position": []}, "position"),
    ("item-position-update", {**MOVE, "position": {"x": 1}}, "position"),
    ("item-position-update", {**MOVE, "position": {"x": "1", "y": 2}}, "position"),
    ("item-position-update", {**MOVE, "position": {"x": True, "y": 2}}, "position"),
    ("item-position-update", {**MOVE, "position": {"x": None, "y": 2}}, "position"),
    ("item-position-update", {**MOVE, "source": "teleport"}, "source"),
    ("item-position-update", {**MOVE, "source": 5}, "source"),
    ("item-position-update", {**MOVE, "source": "init-layout"}, "source"),
    ("item-position-update", {"itemPositions": {}}, "itemPositions"),
    ("item-position-update", {"itemPositions": []}, "itemPositions"),
    ("item-position-update", {"itemPositions": {"i": 5}}, "itemPositions"),
    ("item-position-update", {"itemPositions": {"i": AT, "j": {"x": 1}}}, "itemPositions"),
    ("item-position-update", {"itemPositions": {"": AT}}, "itemPositions"),
    ("item-position-update", {"itemPositions": {str(n): AT for n in range(2001)}}, "itemPositions"),
    ("item-position-update", {"itemPositions": {"i": AT}, "source": "x"}, "source"),
    ("grouping-update", {"signatureColors": {}}, "itemGroups"),
    ("grouping-update", {"itemGroups": {}}, "signatureColors"),
    ("grouping-update", {**GROUPS, "itemGroups": []}, "itemGroups"),
    ("grouping-update", {**GROUPS, "itemGroups": {"i": 5}}, "itemGroups"),
    ("grouping-update", {**GROUPS, "itemGroups": {"i": "x" * 4097}}, "itemGroups"),
    ("grouping-update", {**GROUPS, "itemGroups": {str(n): "" for n in range(2001)}}, "itemGroups"),
    ("grouping-update", {**GROUPS, "signatureColors": {"s": None}}, "signatureColors"),
    ("vote-update", {}, "userVotes"),
    ("vote-update", {"userVotes": []}, "userVotes"),
    ("vote-update", {"userVotes": {"1": 4}}, "userVotes"),
    ("vote-update", {"userVotes": {"1": 2, "2": 2}}, "userVotes"),
    ("vote-update", {"userVotes": {"1": 5, "2": -3}}, "userVotes"),
    ("vote-update", {"userVotes": {"1": 1.5}}, "userVotes"),
    ("vote-update", {"userVotes": {"1": "1"}}, "userVotes"),
    ("vote-update", {"userVotes": {"1": True}}, "userVotes"),
    ("vote-update", {"userVotes": {"1": None}}, "userVotes"),
    ("vote-update", {"userVotes": {"1": 1}, "votes": -1}, "userVotes"),
    ("vote-update", {"userVotes": {"1": 1}, "groupId": {}}, "groupId"),
    ("action-item-added", {"assigneeId": "u"}, "task"),
    ("action-item-added", {**ADD, "task": ""}, "task"),
    ("action-item-added", {**ADD, "task": 5}, "task"),
    ("action-item-added", {**ADD, "task": "x" * 4097}, "task"),
    ("action-item-added", {"task": "t"}, "assigneeId"),
    ("action-item-added", {**ADD, "assigneeId": ""}, "assigneeId"),
    ("action-item-added", {**ADD, "assigneeName": {}}, "assigneeName"),
    ("action-item-added", {**ADD, "createdBy": []}, "createdBy"),
    ("action-item-updated", {"task": "t"}, "actionItemId"),
    ("action-item-updated", {"actionItemId": "a"}, "task"),
    ("action-item-updated", {"actionItemId": "a", "task": ""}, "task"),
    ("action-item-updated", {"actionItemId": [], "task": "t"}, "actionItemId"),
    ("action-item-deleted", {}, "actionItemId"),
    ("action-item-deleted", {"actionItemId": ""}, "actionItemId"),
    ("typing", {"text": "x" * 16_385}, "payload"),
]


@pytest.mark.parametrize(("event", "payload", "field"), WRONG)
def test_t2_11_the_field_is_named_and_nothing_changes(
    server: RunningServer, sit: Sit, event: str, payload: dict[str, Any], field: str
) -> None:
    one, two = sit(server, "u1"), sit(server, "u2")
    error = one.refused(event, **payload)
    assert (error["code"], error["field"], error["retryable"]) == ("invalid_input", field, False)
    assert one.client.wait("error")["event"] == event
    assert stored(server, one.board)["version"] == 0
    one.do("request-retro-state")
    assert [seen for seen in two.client.seen if seen.name.startswith(event)] == []


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400", "9" * 1200])
def test_t2_11_numbers_that_are_none(server: RunningServer, board: str, number: str) -> None:
    """What JSON itself refuses, but Python reads."""
    client = RawClient(server.url, auth={"userId": "u1"})
    client.emit('["join-retro-room","plain"]')
    position = f'"position":{{"x":{number},"y":1}}'
    answer = client.emit(f'["item-position-update",{{"retroId":"plain","itemId":"i",{position}}}]')
    assert (answer["error"]["code"], answer["error"]["field"]) == ("invalid_input", "position")
    answer = client.emit(f'["typing",{{"retroId":"plain","n":{number}}}]')
    assert (answer["error"]["code"], answer["error"]["field"]) == ("invalid_input", "payload")
    assert stored(server, "plain")["version"] == 0
    client.close()


def test_integers_of_any_length_come_back_exact(server: RunningServer, sit: Sit) -> None:
    """T2.3."""
    one = sit(server)
    one.client.close()
    client = RawClient(server.url, auth={"userId": "u1"})
    client.emit('["join-retro-room","exact"]')
    body = '{"retroId":"exact","itemId":"i","source":"drag-stop","position":{"x":12345678901234567890123,"y":-0.1}}'
    assert client.emit(f'["item-position-update",{body}]')["ok"] is True
    assert '"i":{"x":12345678901234567890123,"y":-0.1}' in server.http.get("/api/retro/exact/state").text
    client.close()


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("payload", [None, [], 5, "text", True])
def test_a_payload_that_is_no_object(server: RunningServer, sit: Sit, event: str, payload: Any) -> None:
    one = sit(server)
    error = one.client.emit(event, payload)["error"]
    assert (error["code"], error["field"]) == ("invalid_input", "payload")


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("given", [None, "", {}, True, 1.5, "x" * 123, "a\nb"])
def test_a_board_that_is_no_id(server: RunningServer, sit: Sit, event: str, given: Any) -> None:
    """A board's presence room is `retro:` and its id, and must be an id too: at most 122 bytes are left."""
    one = sit(server)
    error = one.client.emit(event, {**VALID, "retroId": given})["error"]
    assert (error["code"], error["field"]) == ("invalid_input", "retroId")
    assert one.client.emit(event, VALID)["error"]["field"] == "retroId"


def test_a_board_that_is_no_id_over_http_is_refused_as_over_a_socket(server: RunningServer, sit: Sit) -> None:
    one, given = sit(server), "é" * 61 + "x"
    said = one.client.emit("request-retro-state", {"retroId": given})["error"]
    assert said == server.get(f"/api/retro/{given}/state", 400)["error"]
    assert (said["field"], said["message"]) == ("retroId", "retroId must have at most 122 UTF-8 bytes")
    assert server.get(f"/api/retro/{given[1:]}/state")["version"] == 0
    (parameter,) = server.get("/openapi.json")["paths"]["/api/retro/{retroId}/state"]["get"]["parameters"]
    assert parameter["schema"]["maxLength"] == 122


@pytest.mark.parametrize("payload", [None, [], {}, True, "", {"retroId": None}, {"retroId": "x" * 123}, 1.5])
def test_joining_nothing(server: RunningServer, connect: Connect, payload: Any) -> None:
    client = connect(server, auth={"userId": "u1"})
    error = client.emit("join-retro-room", payload)["error"]
    assert error["code"] == "invalid_input"
    assert error["field"] == ("payload" if payload in (None, []) else "retroId")
    assert client.wait("error")["event"] == "join-retro-room"


def test_joining_as_nobody_and_as_somebody_else(server: RunningServer, connect: Connect, board: str) -> None:
    client = connect(server)
    error = client.emit("join-retro-room", board)["error"]
    assert (error["code"], error["field"]) == ("invalid_input", "userId")
    assert client.emit("join-retro-room", {"retroId": board, "userId": "u1"})["ok"] is True
    assert client.emit("join-retro-room", {"retroId": board, "userId": "u2"})["error"]["code"] == "forbidden"
    assert (
        client.emit("vote-update", {"retroId": board, "userId": "u2", "userVotes": {}})["error"]["code"] == "forbidden"
    )
    assert stored(server, board)["version"] == 0


@pytest.mark.parametrize("query", [{"retroId": ""}, {"retroId": "x" * 123, "userId": "u1"}, {"retroId": "fine"}])
def test_a_handshake_that_names_no_board_is_told(
    server: RunningServer, connect: Connect, query: dict[str, str], board: str
) -> None:
    """The connection stands: presence and another board are still possible."""
    client = connect(server, query=query)
    error = client.wait("error")
    assert (error["code"], error["event"]) == ("invalid_input", "join-retro-room")
    assert client.emit("join-retro-room", {"retroId": board, "userId": "u1"})["ok"] is True


def test_a_full_board_says_so(server: RunningServer, sit: Sit) -> None:
    """2,000 items: known ones can still be moved. In one packet, as a client lays out a whole board."""
    one = sit(server)
    items = {f"item-with-a-long-name-{n:04}": {"x": n + 0.125, "y": n} for n in range(2000)}
    assert len(one.do("item-position-update", itemPositions=items, source="bulk")["filled"]) == 2000
    assert one.refused("item-position-update", itemId="new", position=AT, source="drag-stop")["code"] == "too_large"
    assert one.refused("item-position-update", itemId="new", position=AT, source="drag")["code"] == "too_large"
    assert one.refused("item-position-update", itemPositions={"new": AT}, source="bulk")["code"] == "too_large"
    assert one.move("item-with-a-long-name-0000", 5)["version"] == 2
    two = sit(server, "u2")
    assert one.wait("item-position-update")["itemPositions"] == items
    assert two.wait("retro-state")["itemPositions"] == {**items, "item-with-a-long-name-0000": {"x": 5, "y": 0}}


def test_what_is_refused_leaves_a_filled_board_as_it_is(server: RunningServer, sit: Sit) -> None:
    one = sit(server)
    fill(one)
    before = stored(server, one.board)
    for event, payload, _ in WRONG[:30]:
        one.refused(event, **payload)
    after = stored(server, one.board)
    assert (content(after), after["version"]) == (content(before), before["version"])
