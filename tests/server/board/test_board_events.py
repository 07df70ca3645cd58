"""Every event of a board: its answer, what the board is told, what stays."""

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import quote

import pytest
import redis

from tests.client.driver import Client, eventually
from tests.server.board.conftest import EMPTY, Seat, Sit, content, fill, participants, stored
from tests.server.conftest import RunningServer, Serve

Connect = Callable[..., Client]
STATE = {*EMPTY, "participants", "lastUpdated", "version", "createdAt"}


def test_002_6_the_three_ways_to_join(server: RunningServer, connect: Connect, board: str) -> None:
    """By the handshake's query, by the plain id, by an object; then the whole state, with who is there."""
    first = connect(server, query={"retroId": board, "userId": "u1"})
    state = first.wait(f"retro-state:{board}")
    assert set(state) == STATE
    assert {part: state[part] for part in EMPTY} == EMPTY
    assert (state["version"], state["participants"]) == (0, [{"userId": "u1", "username": "u1"}])
    second = connect(server, auth={"userId": 2, "username": "Two"})
    answer = second.emit("join-retro-room", board)
    assert (answer["ok"], answer["retroId"], answer["userId"], answer["version"]) == (True, board, 2, 0)
    third = connect(server)
    assert third.emit("join-retro-room", {"retroId": board, "userId": "u3"})["ok"] is True
    users = [user["userId"] for user in third.wait(f"retro-state:{board}")["participants"]]
    assert users == ["u1", 2, "u3"]
    assert [user["username"] for user in second.wait(f"retro-state:{board}")["participants"]] == ["u1", "Two"]
    assert first.wait("room:diff")["roomId"] == f"retro:{board}"


def test_joining_by_query_and_by_event_is_joining_once(server: RunningServer, connect: Connect, board: str) -> None:
    """Clients of such boards do both; an event sent right after the connection waits for the handshake's join."""
    client = connect(server, query={"retroId": board, "userId": "u1"})
    early = client.emit("item-position-update", {"retroId": board, "itemId": "i", "position": {"x": 1, "y": 1}})
    assert early["ok"] is True
    assert client.emit("join-retro-room", board)["ok"] is True
    assert stored(server, board)["participantCount"] == 1
    assert len(eventually(lambda: client.events(f"retro-state:{board}")[1:], "a second state")) == 1


def test_a_number_is_the_board_of_its_text(server: RunningServer, sit: Sit) -> None:
    one = sit(server, "u1", 4711)
    two = sit(server, "u2", "4711")
    one.move(7, 1)
    assert two.wait("item-position-update")["itemId"] == "7"
    assert stored(server, 4711)["itemPositions"] == {"7": {"x": 1, "y": 0}}


def test_one_item_moved_is_told_to_everybody(server: RunningServer, sit: Sit) -> None:
    """The sender hears it too: one order of events for all is what makes them end the same."""
    one, two = sit(server, "u1"), sit(server, 2)
    before_ms = time.time() * 1000 - 60_000
    answer = one.do("item-position-update", itemId="i", position={"x": 1.25, "y": -3, "z": 1}, source="drag")
    body = two.wait("item-position-update")
    assert body == one.wait("item-position-update")
    at = {"timestamp": body["timestamp"], "version": 1, "lastUpdated": answer["lastUpdated"]}
    assert body == {"itemId": "i", "position": {"x": 1.25, "y": -3}, "userId": "u1", "source": "drag", **at}
    assert body["timestamp"] > before_ms
    assert datetime.fromisoformat(answer["lastUpdated"]).timestamp() * 1000 == body["timestamp"]
    assert answer == {"ok": True, "itemId": "i", "version": 1, "lastUpdated": answer["lastUpdated"]}
    assert two.move("i", 5)["version"] == 2
    assert one.wait("item-position-update", lambda moved: moved["version"] == 2)["userId"] == 2


def test_bulk_fills_what_is_missing_and_tells_what_holds(server: RunningServer, sit: Sit) -> None:
    one, two = sit(server, "u1"), sit(server, "u2")
    one.move("i", 1, 1)
    answer = one.do("item-position-update", itemPositions={"i": {"x": 9, "y": 9}, "j": {"x": 2, "y": 2}}, source="bulk")
    assert (answer["filled"], answer["itemPositions"], answer["version"]) == (["j"], {"i": {"x": 1, "y": 1}}, 2)
    told = two.wait("item-position-update", lambda body: "itemPositions" in body)
    assert (told["itemPositions"], told["userId"], told["source"]) == ({"j": {"x": 2, "y": 2}}, "u1", "bulk")
    assert one.wait("item-position-update", lambda body: body["userId"] is None)["itemPositions"] == {
        "i": {"x": 1, "y": 1}
    }


def test_t2_6_a_first_layout_is_ignored_once_there_is_any_position(server: RunningServer, sit: Sit) -> None:
    """A client that reconnects lays its items out anew; what is stored holds, and the client is told all of it."""
    one = sit(server, "u1")
    layout = {"i": {"x": 1, "y": 1}, "j": {"x": 2, "y": 2}}
    assert one.do("item-position-update", itemPositions=layout, source="init-layout")["filled"] == ["i", "j"]
    two = sit(server, "u2")
    other = {"i": {"x": 8, "y": 8}, "k": {"x": 8, "y": 8}}
    answer = two.do("item-position-update", itemPositions=other, source="init-layout")
    assert (answer["filled"], answer["itemPositions"], answer["version"]) == ([], layout, 1)
    assert two.wait("item-position-update")["itemPositions"] == layout
    assert stored(server, one.board)["itemPositions"] == layout
    assert len(one.events("item-position-update")) == 1


def test_002_5_the_newest_grouping_wins(server: RunningServer, sit: Sit) -> None:
    """T2.4: equal accepted, older refused with what holds, a fast clock counts as now, nonsense as now."""
    one, two = sit(server, "u1"), sit(server, "u2")
    groups, colors = {"i": "a", "j": "a"}, {"a": "red"}
    answer = one.do("grouping-update", itemGroups=groups, signatureColors=colors, timestamp=1000)
    assert (answer["accepted"], answer["timestamp"], answer["version"]) == (True, 1000, 1)
    assert two.wait("grouping-update") == {
        "itemGroups": groups, "signatureColors": colors, "userId": "u1", "timestamp": 1000, "version": 1,
        "lastUpdated": answer["lastUpdated"],
    }  # fmt: skip
    older = two.do("grouping-update", itemGroups={}, signatureColors={}, timestamp=999)
    holds = {"itemGroups": groups, "signatureColors": colors, "timestamp": 1000, "version": 1}
    assert older == {"ok": True, "accepted": False, **holds, "lastUpdated": answer["lastUpdated"]}
    assert two.wait("grouping-update", lambda body: body["userId"] is None)["itemGroups"] == groups
    assert two.do("grouping-update", itemGroups={}, signatureColors={}, timestamp=1000)["accepted"] is True
    ahead = one.do("grouping-update", itemGroups=groups, signatureColors=colors, timestamp=9_999_999_999_999)
    assert ahead["timestamp"] < time.time() * 1000 + 60_000
    assert two.do("grouping-update", itemGroups={}, signatureColors={}, timestamp="NaN")["accepted"] is True
    assert two.do("grouping-update", itemGroups=groups, signatureColors={})["version"] == 5


def test_votes_are_one_users_and_shown_to_all(server: RunningServer, sit: Sit) -> None:
    """T2.7."""
    one, two = sit(server, "u1"), sit(server, "u2")
    two.do("vote-update", groupId="b", votes=1, userVotes={"b": 1})
    answer = one.do("vote-update", groupId=0, votes=2, userVotes={"0": 2, "1": 1.0})
    told = two.wait("vote-update", lambda body: body["userId"] == "u1")
    everybody = {"u1": {"0": 2, "1": 1}, "u2": {"b": 1}}
    assert told == {
        "groupId": 0, "votes": 2, "userId": "u1", "userVotes": {"0": 2, "1": 1}, "allUserVotes": everybody,
        "timestamp": told["timestamp"], "version": 2, "lastUpdated": answer["lastUpdated"],
    }  # fmt: skip
    assert one.do("request-user-votes")["version"] == 2
    assert one.client.wait(f"user-votes:{one.board}:u1") == {"userVotes": {"0": 2, "1": 1}}
    three = sit(server, "u3")
    three.do("request-user-votes")
    assert three.client.wait(f"user-votes:{one.board}:u3") == {"userVotes": {}}
    assert three.do("request-voting-result")["version"] == 2
    assert three.wait("initial-voting-result")["allUserVotes"] == everybody
    assert one.events("initial-voting-result") == []


def test_a_vote_too_many_tells_the_voter_what_holds(server: RunningServer, sit: Sit) -> None:
    one = sit(server, "u1")
    one.do("vote-update", groupId="a", votes=3, userVotes={"a": 3})
    error = one.refused("vote-update", groupId="b", votes=1, userVotes={"a": 3, "b": 1})
    assert (error["code"], error["field"]) == ("invalid_input", "userVotes")
    assert one.client.wait(f"user-votes:{one.board}:u1") == {"userVotes": {"a": 3}}
    error = one.refused("vote-update", groupId="a", votes=-1, userVotes={"a": 1})
    assert (error["field"], error["message"]) == ("userVotes", "votes must be a whole number from 0")
    assert stored(server, one.board)["allUserVotes"] == {"u1": {"a": 3}}


def test_action_items_are_always_the_whole_array(server: RunningServer, sit: Sit) -> None:
    """T2.3: an array, `[]` when empty; the same task and assignee within 500 ms is one item."""
    one, two = sit(server, "u1"), sit(server, "u2")
    new = {"task": "Do it", "assigneeId": 15, "assigneeName": "Ö", "createdBy": "u1"}
    added, again = one.do("action-item-added", **new), two.do("action-item-added", **{**new, "assigneeId": "15"})
    item = added["actionItem"]
    assert set(item) == {"id", "task", "assigneeId", "assigneeName", "createdBy", "createdAt", "edited"}
    assert {name: item[name] for name in new} == new
    assert (added["added"], again["added"], again["actionItem"], item["edited"]) == (True, False, item, False)
    one.do("action-item-added", task="Other", assigneeId="u2")
    items = two.wait("action-items-update", lambda body: len(body) == 2)
    assert (items[0], items[1]["task"], items[1]["assigneeName"], items[1]["createdBy"]) == (item, "Other", "u2", "u1")
    changed = two.do("action-item-updated", actionItemId=item["id"], task="Done", updatedBy="u2")
    assert (changed["updated"], changed["actionItem"]["edited"], changed["version"]) == (True, True, 3)
    assert one.wait("action-items-update", lambda body: body[0]["task"] == "Done")[0]["assigneeName"] == "Ö"
    for gone in (items[1]["id"], item["id"]):
        one.do("action-item-deleted", actionItemId=gone)
    assert two.wait("action-items-update", lambda body: body == []) == []
    error = two.refused("action-item-updated", actionItemId=item["id"], task="x")
    assert error["code"] == "not_found"
    assert two.refused("action-item-deleted", actionItemId=item["id"])["code"] == "not_found"
    assert stored(server, one.board)["actionItems"] == []


@pytest.mark.parametrize("event", ["phase-change", "label-update", "vote-submission", "typing"])
def test_what_is_relayed_reaches_everybody_as_given(server: RunningServer, serve: Serve, sit: Sit, event: str) -> None:
    """Nothing of it is kept; it reaches the sockets of every server."""
    one, two, far = sit(server, "u1"), sit(server, "u2"), sit(serve(), "u3")
    payload = {"phase": "vote", "list": [], "map": {}, "big": 9007199254740991, "text": "ü\u202e"}
    answer = one.do(event, **payload)
    for seat in (one, two, far):
        assert seat.wait(event) == {"retroId": one.board, "userId": "u1", **payload}
    assert answer["version"] == 0
    assert stored(server, one.board)["version"] == 0


def test_request_retro_state_goes_to_the_caller_only(server: RunningServer, sit: Sit) -> None:
    one, two = sit(server, "u1"), sit(server, "u2")
    fill(one)
    two.client.forget()
    answer = one.do("request-retro-state")
    state = one.events("retro-state")[-1]
    assert set(state) == STATE
    assert (state["version"], state["lastUpdated"]) == (answer["version"], answer["lastUpdated"])
    assert content(state) == content(stored(server, one.board))
    assert [user["userId"] for user in state["participants"]] == ["u1", "u2"]
    assert two.events("retro-state") == []


def moved(board: str, item: str, x: int) -> dict[str, Any]:
    return {"retroId": board, "itemId": item, "position": {"x": x, "y": 0}, "source": "drag"}


def test_what_is_dragged_is_written_before_the_state_is_read(server: RunningServer, sit: Sit) -> None:
    one = sit(server)
    one.client.shout("item-position-update", {"retroId": one.board, "itemId": "i", "position": {"x": 1, "y": 2}})
    one.do("request-retro-state")
    assert one.events("retro-state")[-1]["itemPositions"] == {"i": {"x": 1, "y": 2}}


def test_t2_10_a_drag_is_folded_and_its_end_never_lost(server: RunningServer, sit: Sit) -> None:
    """Every move is acknowledged with a version that was written; far fewer are sent on; the last one always."""
    one, two = sit(server, "u1"), sit(server, "u2")
    numbers = []
    for x in range(60):
        numbers.append(one.client.send("item-position-update", moved(one.board, "i", x)))
        time.sleep(1 / 240)
    stop = one.move("i", 999, source="drag-stop")
    answers = [one.client.answer(number) for number in numbers]
    assert all(answer["ok"] for answer in answers)
    versions = [answer["version"] for answer in answers]
    assert versions == sorted(versions)
    assert versions[-1] <= stop["version"]
    last = two.wait("item-position-update", lambda body: body["position"]["x"] == 999)
    assert (last["source"], last["version"]) == ("drag-stop", stop["version"])
    told = [body["version"] for body in two.events("item-position-update")]
    assert told == list(range(1, stop["version"] + 1))
    assert len(told) < 30
    assert stored(server, one.board)["itemPositions"] == {"i": {"x": 999, "y": 0}}


def test_of_two_who_drag_one_item_at_once_only_the_last_is_told_its_version(server: RunningServer, sit: Sit) -> None:
    """The first has its own place on the screen, and would take what is told of the other's for known."""
    one, two = sit(server, "u1"), sit(server, "u2")
    sent = {x: by.client.send("item-position-update", moved(by.board, "i", x)) for x, by in ((1, one), (2, two))}
    versions = {1: one.client.answer(sent[1])["version"], 2: two.client.answer(sent[2])["version"]}
    last = max(versions, key=lambda x: versions[x])
    told = one.wait("item-position-update", lambda body: body["version"] == versions[last])
    assert (told["position"]["x"], versions[3 - last]) == (last, versions[last] - 1)


@pytest.mark.parametrize("transport", ["websocket", "polling"])
def test_several_items_dragged_at_once_come_one_by_one_in_order(
    server: RunningServer, sit: Sit, transport: str
) -> None:
    """Each item is an event of its own, whatever the transport makes of what leaves together."""
    one, two = sit(server, "u1"), sit(server, "u2", transports=[transport])
    for number in range(20):
        move = {"itemId": f"i{number}", "position": {"x": number, "y": 0}, "source": "drag"}
        one.client.shout("item-position-update", {"retroId": one.board, **move})
    two.wait("item-position-update", lambda body: body["itemId"] == "i19")
    told = two.events("item-position-update")
    assert [(body["itemId"], body["version"]) for body in told] == [(f"i{n}", n + 1) for n in range(20)]


def test_a_hand_at_sixty_hertz_is_not_too_fast(server: RunningServer, sit: Sit) -> None:
    """Moves cost half of what other events do."""
    one = sit(server)
    body = {"retroId": one.board, "itemId": "i", "position": {"x": 1, "y": 0}, "source": "drag"}
    numbers = [one.client.send("item-position-update", body) for _ in range(180)]
    assert all(one.client.answer(number)["ok"] for number in numbers)


@pytest.mark.parametrize("end", ["cut", "close"])
def test_the_last_moves_of_a_socket_that_ends_are_written(server: RunningServer, sit: Sit, end: str) -> None:
    one, two = sit(server, "u1"), sit(server, "u2")
    for item in ("i", "j"):
        body = {"retroId": one.board, "itemId": item, "position": {"x": 1, "y": 2}, "source": "drag"}
        one.client.shout("item-position-update", body)
    one.client.shout("item-position-update", {**body, "itemId": "k", "source": "drag-stop"})
    if end == "close":
        one.client.close()
    else:
        two.wait("item-position-update")
        one.client.cut()
    eventually(lambda: set(two.told()["itemPositions"]) == {"i", "j", "k"}, "the last moves")


def test_002_4_leaving_deletes_nothing(server: RunningServer, sit: Sit) -> None:
    """T2.1: the state stays when the last socket leaves; leaving twice is fine; who left is told nothing more."""
    one = sit(server, "u1")
    fill(one)
    before = stored(server, one.board)
    assert one.client.emit("leave-retro-room", one.board) == {"ok": True, "retroId": one.board, "left": True}
    after = stored(server, one.board)
    assert (after["participants"], after["participantCount"]) == ([], 0)
    assert content(after) == content(before)
    assert one.client.emit("leave-retro-room", {"retroId": one.board})["left"] is False
    assert one.refused("typing")["code"] == "not_in_room"
    two = sit(server, "u2")
    one.client.forget()
    two.move("x", 1)
    two.do("typing")
    assert one.events("item-position-update") == one.events("typing") == []
    assert one.client.emit("join-retro-room", one.board)["ok"] is True
    assert content(one.wait("retro-state")) == content(stored(server, one.board))


def test_t2_8_a_participant_is_there_until_the_last_tabs_grace_ends(serve: Serve, sit: Sit) -> None:
    server = serve(PRESENCE_GRACE="0.5")
    first, second, other = sit(server, "u1"), sit(server, "u1"), sit(server, "u2")
    first.client.cut()
    first.client.wait("disconnect")
    count = f"/api/chatroom/{quote(f'retro:{other.board}', safe='')}/count"
    eventually(lambda: server.get(count)["connections"] == 2, "the end of the first tab's grace")
    assert participants(server, other.board) == ["u1", "u2"]
    second.client.cut()
    second.client.wait("disconnect")
    assert participants(server, other.board) == ["u1", "u2"]
    eventually(lambda: participants(server, other.board) == ["u2"], "the end of the grace")


def test_a_heartbeat_and_activity_keep_a_participant(serve: Serve, sit: Sit) -> None:
    """`room:heartbeat` for the board's room as for any; clients that know no heartbeat live by what they do."""
    server = serve(PRESENCE_TTL="1", PRESENCE_HEARTBEAT_INTERVAL="0.2", PRESENCE_SWEEP_INTERVAL="0.2")
    beating, moving, silent = sit(server, "beating"), sit(server, "moving"), sit(server, "silent")
    for step in range(8):
        time.sleep(0.2)
        assert beating.client.emit("room:heartbeat", {"roomId": f"retro:{beating.board}"})["ok"] is True
        moving.move("i", step)
    assert participants(server, moving.board) == ["beating", "moving"]
    assert silent.client.wait("room:force-leave")["reason"] == "inactivity_timeout"


def test_the_state_over_http(server: RunningServer, sit: Sit, board: str) -> None:
    """A board that is not there is empty, with version 0 and 200."""
    nothing = stored(server, board)
    assert set(nothing) == STATE | {"participantCount", "ttl"}
    assert (content(nothing), nothing["version"], nothing["ttl"]) == (content({**EMPTY}), 0, 0)
    one = sit(server, "u1")
    fill(one)
    state = stored(server, board)
    assert (state["version"], state["participantCount"]) == (7, 1)
    assert 86_390 <= state["ttl"] <= 86_400
    response = server.http.get("/api/retro/" + "x" * 200 + "/state")
    assert (response.status_code, response.json()["error"]["field"]) == (400, "retroId")
    assert server.http.get("/api/retro/x/state").headers["Cache-Control"] == "no-store"


def test_002_10_the_keys_are_where_one_looks_for_them(server: RunningServer, sit: Sit, store: Any) -> None:
    """C24: whoever only looks is a participant, and in none of them."""
    one, looks = sit(server, "u1", "key-test"), sit(server, "only-looks", "key-test")
    fill(one)
    looks.do("request-retro-state")
    assert participants(server, "key-test") == ["u1", "only-looks"]
    with redis.Redis.from_url(store.url, decode_responses=True) as client:
        kept = {key.rpartition(":")[2]: client.hgetall(key) for key in client.scan_iter("retro:room:state:*key-test*")}
    assert sorted(kept) == ["actions", "grouping", "meta", "positions", "votes"]
    assert "u1" in str(kept)
    assert "only-looks" not in str(kept)


def test_what_everybody_is_told_is_what_is_stored(server: RunningServer, serve: Serve, sit: Sit) -> None:
    """002-2: two servers, every kind of change by each; everybody's picture is the store's."""
    far = serve()
    seats: list[Seat] = [sit(server, "u1"), sit(far, "u2"), sit(server, "u3", handshake=True)]
    for number, seat in enumerate(seats):
        fill(seat)
        seat.move(f"own {number}", number)
        items = stored(server, seat.board)["actionItems"]
        seat.do("action-item-updated", actionItemId=items[0]["id"], task=f"changed {number}")
    end = content(stored(server, seats[0].board))
    assert end == content(stored(far, seats[0].board))
    for seat in seats:
        seat.comes_to(end)
