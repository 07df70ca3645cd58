"""Pages, modules and the operator's figures over HTTP; the headers that every answer carries."""

import re
from pathlib import Path

import pytest

from tests.server.conftest import ADMIN_TOKEN, RunningServer, Serve

WEB = Path(__file__).parents[2] / "server" / "web"
SECRET = "a-secret-for-tests-only-that-is-long-enough-0123456789"
ADMIN = {"Authorization": f"Bearer {ADMIN_TOKEN}"}


@pytest.mark.parametrize("path", ["/", "/admin"])
def test_pages_run_nothing_inline_and_cannot_be_framed(server: RunningServer, path: str) -> None:
    answer = server.http.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-presence-node"] == server.settings.node_name
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\bstyle=|\bon\w+=", answer.text)


@pytest.mark.parametrize(
    "path", ["/", "/admin", "/healthz", "/api/chatrooms", "/client/room.js", "/nothing", "/socket.io/"]
)
def test_every_answer_is_guarded(server: RunningServer, path: str) -> None:
    headers = server.http.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-frame-options"] == "DENY"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]


def test_every_module_and_what_it_imports_is_served(server: RunningServer) -> None:
    """Without a build step a wrong path shows only in the browser."""
    modules = [path for path in WEB.rglob("*.js") if "node_modules" not in path.parts]
    assert len(modules) > 30
    for path in modules:
        address = f"/{path.relative_to(WEB).as_posix()}"
        answer = server.http.get(address)
        assert answer.status_code == 200, address
        assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
        assert answer.content == path.read_bytes()
        if "vendor" in path.parts:
            continue
        for wanted in re.findall(r"from '([./][^']+)'", answer.text):
            assert server.http.get(str(answer.url.join(wanted))).status_code == 200, f"{address}: {wanted}"


@pytest.mark.parametrize(("page", "entry"), [("/", "/assets/page.js"), ("/admin", "/assets/admin.js")])
def test_a_page_names_all_its_modules_at_once(server: RunningServer, page: str, entry: str) -> None:
    """A module found in a module found in a module costs a round trip each."""
    found, todo = {entry}, [entry]
    while todo:
        answer = server.http.get(todo.pop())
        wanted = set() if "/vendor/" in str(answer.url) else set(re.findall(r"from '([./][^']+)'", answer.text))
        new = {answer.url.join(path).path for path in wanted} - found
        found |= new
        todo += sorted(new)
    text = server.http.get(page).text
    assert set(re.findall(r'rel="modulepreload" href="([^"]+)"', text)) == found - {entry}


def test_a_file_is_sent_once_and_packed(server: RunningServer) -> None:
    packed = server.http.get("/client/presence-client.js", headers={"Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.headers["vary"] == "Accept-Encoding"
    assert packed.content == (WEB / "client" / "presence-client.js").read_bytes()
    again = server.http.get("/client/presence-client.js", headers={"If-None-Match": packed.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    "path", ["/client/", "/client/README.md", "/client/../admin.html", "/assets/%2e%2e/index.html", "/client/none.js"]
)
def test_nothing_else_is_served(server: RunningServer, path: str) -> None:
    answer = server.http.get(path)
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_found"


def test_what_others_wrote_carries_its_licence(server: RunningServer) -> None:
    text = server.http.get("/vendor/socket.io-client/LICENSE.txt").text
    assert text.startswith("The MIT License")
    version = re.search(
        rb"Socket\.IO v([\d.]+)", server.http.get("/vendor/socket.io-client/socket.io.esm.min.js").content
    )
    assert version is not None
    assert f"| {version[1].decode()} |" in (WEB / "vendor" / "README.md").read_text("utf-8")


def test_without_the_demo_there_is_only_the_operators_page(serve: Serve) -> None:
    server = serve(PRESENCE_DEMO="off")
    assert server.http.get("/").status_code == 404
    assert server.http.get("/admin").status_code == 200


def test_with_authentication_pages_open_and_data_does_not(serve: Serve) -> None:
    """A browser sends no bearer when it opens a page; what the page reads needs one."""
    server = serve(PRESENCE_JWT_SECRET=SECRET)
    assert server.http.get("/").status_code == server.http.get("/client/room.js").status_code == 200
    assert server.http.get("/api/chatrooms").status_code == 401
    assert server.http.get("/api/admin/overview").status_code == 401
    assert server.http.get("/api/admin/overview", headers=ADMIN).status_code == 200


def test_the_overview_needs_the_admin_token(server: RunningServer) -> None:
    refused = server.http.get("/api/admin/overview")
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "forbidden")
    assert refused.json()["success"] is False


def test_the_overview(server: RunningServer) -> None:
    told = server.get("/api/admin/overview", headers=ADMIN)
    assert set(told) == {"timestamp", "node", "nodes", "condemned", "sweeper", "partitions", "redis"}
    assert told["node"]["name"] == server.settings.node_name
    own = next(node for node in told["nodes"] if node["bootId"] == told["node"]["bootId"])
    assert 0 < own["leaseMs"] <= 10_000
    assert set(told["sweeper"]) == {"lagMs", "dueRooms"}
    assert told["partitions"] == 1
    assert told["redis"]["server"].startswith("Valkey 9.")
