"""What a token must say of itself, and what it may leave out."""

from collections.abc import Callable

import pytest

from tests.client.driver import Client
from tests.server.conftest import RunningServer, Serve
from tests.server.test_auth import KEY, READS, ROOM, refused
from tests.server.tokens import SECRET, forged, token

Connect = Callable[..., Client]


@pytest.fixture(scope="module")
def guarded(serve: Serve) -> RunningServer:
    return serve(PRESENCE_JWT_SECRET=SECRET)


def test_a_user_may_be_a_number_and_a_token_without_an_end(guarded: RunningServer, connect: Connect) -> None:
    """003-13: ids are numbers there; of the claims only `sub` is needed."""
    endless = forged({"alg": "HS256"}, {"sub": 15}, KEY)
    client = connect(guarded, auth={"token": endless})
    assert client.join(ROOM)["userId"] == 15
    assert client.emit("room:heartbeat", {"roomId": ROOM, "userId": "15"})["ok"] is True
    assert client.emit("room:users:get", {"roomId": ROOM, "userId": "16"})["error"]["code"] == "forbidden"
    assert guarded.http.get(READS[0], headers={"Authorization": f"Bearer {endless}"}).status_code == 200


def test_a_token_is_for_whom_it_says(serve: Serve, connect: Connect) -> None:
    server = serve(PRESENCE_JWT_SECRET=SECRET, PRESENCE_JWT_AUDIENCE="presence")
    for good in (token(aud="presence"), token(aud=["other", "presence"])):
        assert connect(server, auth={"token": good}).join(ROOM)["userId"] == "u1"
    for bad in (token(), token(aud="other"), token(aud=["other"])):
        refused(server, connect, bad)
