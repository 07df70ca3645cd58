"""The README's snippets run as they stand there; only addresses are replaced."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from presence_engine import EmbeddedServer
from tests.client.driver import eventually
from tests.server.conftest import RunningServer

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
_MARKED = r"<!-- test: {name} -->\n+```\w*\n(.*?)\n```"
_OUR_ADDRESS = re.compile(r"http://(?:localhost|127\.0\.0\.1):8000")
_REDIS_ADDRESS = re.compile(r"(?:redis|unix)://[^\"'\s)]+")


def snippet(name: str) -> str:
    """Return the code block that `<!-- test: name -->` marks on the line before it."""
    found = re.findall(_MARKED.format(name=re.escape(name)), README.read_text("utf-8"), re.DOTALL)
    assert len(found) == 1, f"README.md has {len(found)} blocks marked `<!-- test: {name} -->`"
    return str(found[0])


@pytest.fixture
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    with EmbeddedServer(tmp_path_factory.mktemp("s"), persistent=False) as one:
        yield one


@pytest.fixture
def server(store: EmbeddedServer) -> Iterator[RunningServer]:
    one = RunningServer(store.url).start()
    yield one
    one.stop()


def packages() -> Path:
    """The folder whose node_modules holds the client's packages."""
    asked = subprocess.run(
        ["node", "-p", 'require.resolve("socket.io-client/package.json")'],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return Path(asked.stdout.strip()).parents[2]


def test_the_client_joins_and_is_listed(server: RunningServer) -> None:
    """A stranger's first client: it runs, and the endpoint tells that it is there."""
    if shutil.which("node") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("node is not installed")
        pytest.skip("node is not installed")
    code, replaced = _OUR_ADDRESS.subn(server.url, snippet("client"))
    assert replaced, "the client names http://127.0.0.1:8000"
    assert len(code.splitlines()) <= 16
    client = subprocess.Popen(
        ["node", "--input-type=module", "-e", code],
        cwd=packages(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        eventually(lambda: client.poll() is not None or server.get("/api/chatrooms")["total"] == 1, "the client's join")
        (room,) = server.get("/api/chatrooms")["rooms"]
        listed = server.participants(room["roomId"])
        assert listed["count"] == len(listed["users"]) == 1
    finally:
        client.kill()
        output, _ = client.communicate(timeout=10)
    assert "Error" not in output, output


# Runs the application with its lifespan and calls every route it declares, writing ones first.
_CALL_ALL = """
import json, sys
from fastapi.testclient import TestClient
from fastapi.routing import APIRoute
import snippet
answers = []
with TestClient(snippet.app) as client:
    routes = [route for route in snippet.app.routes if isinstance(route, APIRoute)]
    for route in sorted(routes, key=lambda route: "GET" in route.methods):
        path = route.path
        for name in route.param_convertors:
            path = path.replace("{" + name + "}", name).replace("{" + name + ":path}", name)
        answer = client.request(next(iter(route.methods)), path)
        answers.append([path, answer.status_code, answer.text])
print(json.dumps(answers))
"""


def test_the_engine_in_a_fastapi_application(store: EmbeddedServer, tmp_path: Path) -> None:
    """The library without our server, in ten lines: every route answers, and somebody is counted."""
    code = _REDIS_ADDRESS.sub(store.url, snippet("fastapi"))
    assert len([line for line in code.splitlines() if line.strip()]) <= 16
    (tmp_path / "snippet.py").write_text(code, "utf-8")
    environ = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    ran = subprocess.run(
        [sys.executable, "-c", _CALL_ALL],
        cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    answers = json.loads(ran.stdout.splitlines()[-1])
    assert answers
    assert all(status == 200 for _, status, _ in answers), answers


@pytest.mark.slow
def test_a_type_checker_lets_the_application_pass(tmp_path: Path) -> None:
    """Whoever begins with it and checks types, as the library invites to, begins without an error."""
    (tmp_path / "snippet.py").write_text(snippet("fastapi"), "utf-8")
    ran = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file=", "--check-untyped-defs", "snippet.py"],
        cwd=tmp_path, env={**os.environ, "MYPYPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout


def test_the_first_screen_names_the_two_commands() -> None:
    """README's first screen: the two commands a stranger types."""
    first = "\n".join(README.read_text("utf-8").splitlines()[:40])
    assert "make run" in first
    assert "make test" in first
