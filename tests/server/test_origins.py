"""Whose pages may open sockets: the server's own always, others when they are named."""

from typing import Any

import pytest

from server.origins import allowed_origins
from tests.server.conftest import RunningServer, Serve

NAMED = "https://app.example"


@pytest.fixture(params=[None, NAMED], ids=["none-named", "named"])
def one(request: pytest.FixtureRequest, serve: Serve) -> RunningServer:
    return serve(PRESENCE_CORS_ORIGINS=request.param) if request.param else serve()


def status(server: RunningServer, origin: str, **headers: str) -> int:
    more = {name.replace("_", "-"): value for name, value in headers.items()}
    opening = server.http.get("/socket.io/?EIO=4&transport=polling", headers={"Origin": origin, **more})
    return opening.status_code


def test_the_own_origin_is_always_taken(one: RunningServer) -> None:
    """The page at `/` could not connect once another origin had been named."""
    assert status(one, one.url) == 200


def test_another_origin_is_taken_only_when_named(one: RunningServer) -> None:
    host = one.url.removeprefix("http://")
    assert status(one, NAMED) == (200 if one.settings.cors_origins else 400)
    for origin in ("http://b.example", "null", f"https://{host}", f"http://{host}.b.example", f"http://{host}0"):
        assert status(one, origin) == 400, origin


def test_behind_a_proxy_the_own_origin_is_what_the_browser_sees(one: RunningServer) -> None:
    host = one.url.removeprefix("http://")
    for proto in ("https", "wss"):
        assert status(one, f"https://{host}", X_Forwarded_Proto=proto) == 200
    assert status(one, one.url, X_Forwarded_Host="inner") == 200
    assert status(one, "https://b.example", X_Forwarded_Proto="https, http", X_Forwarded_Host="b.example, inner") == 200
    assert status(one, "https://b.example", X_Forwarded_Proto="https") == 400
    assert status(one, "http://b.example", X_Forwarded_Proto="https", X_Forwarded_Host="b.example") == 400


@pytest.mark.parametrize("scheme", ["https", "wss"])
def test_a_server_with_tls_of_its_own_knows_its_origin(scheme: str) -> None:
    allows: Any = allowed_origins(())
    environ = {"asgi.scope": {"scheme": scheme}, "HTTP_HOST": "a.example"}
    assert allows("https://a.example", environ)
    assert not allows("http://a.example", environ)
    assert not allows(None, environ)
    assert not allows("https://", {"asgi.scope": {"scheme": scheme}})
