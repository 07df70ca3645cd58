"""What fuzzing has found once, kept: each was answered `internal`, or put a traceback into the log."""

import json

import pytest

from tests.client.raw import RawClient
from tests.fuzz.conftest import Target

FOUND = [
    ('["join_room",{"roomId":"r","\\ud800":1}]', "invalid_input"),
    ('["leave-retro-room",NaN]', "invalid_input"),
    ('["leave-retro-room",1.5]', "invalid_input"),
    ('["leave-retro-room",{"retroId":1e400}]', "invalid_input"),
    ('["label-update",{"retroId":"b","text":"\\u007f"}]', "ok"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "code"), FOUND)
def test_it_is_answered_as_any_other(target: Target, text: str, code: str) -> None:
    client = RawClient(target.url, auth={"userId": "u"})
    assert client.emit('["join-retro-room","b"]')["ok"] is True
    answer = client.emit(text)
    assert ("ok" if answer["ok"] else answer["error"]["code"]) == code, answer
    client.close()
    assert target.faults() == []


def test_a_long_polling_body_that_is_no_text(target: Target) -> None:
    """Not only for tracebacks: one that was too long made the request wait for ever."""
    for body, within_s in ((b"\xff\xfe", 5), (b"4" + b"x" * 1_000_001, 5), (b"4x\x1e" * 100, 5)):
        opened = target.http.get("/socket.io/?EIO=4&transport=polling").text
        sid = json.loads(opened[1:])["sid"]
        address = f"/socket.io/?EIO=4&transport=polling&sid={sid}"
        assert target.http.post(address, content=body, timeout=within_s).status_code == 400
    assert target.faults() == []
