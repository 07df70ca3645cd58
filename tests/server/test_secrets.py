"""No secret leaves the process: not in its log, answers, errors, figures, arguments or `repr` (002-9)."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from presence_engine import EmbeddedServer
from server.app import PresenceServer
from server.settings import Settings
from tests.client.command import Command
from tests.client.driver import Client, Driver, eventually
from tests.server.conftest import StartStore
from tests.server.tokens import OTHER_SECRET, token

PASSWORD = "redis-password-4711-shibboleth"
SECRETS = {
    "PRESENCE_JWT_SECRET": "jwt-shibboleth-" + "0123456789abcdef" * 3,
    "PRESENCE_ADMIN_TOKEN": "admin-shibboleth-0123456789abcdef",
    "CHAT_WEBHOOK_SECRET": "webhook-shibboleth-0123456789",
    "CHAT_WEBHOOK_VERIFY_TOKEN": "verify-shibboleth-0123456789",
}  # fmt: skip


@pytest.fixture(scope="module")
def guarded_store(new_store: StartStore) -> Iterator[tuple[EmbeddedServer, str]]:
    """A store that wants a password, and its address with it."""
    store = new_store()
    with redis.Redis.from_url(store.url) as client:
        client.config_set("requirepass", PASSWORD)
    address = store.url.replace("unix://", f"unix://:{PASSWORD}@", 1)
    yield store, address
    with redis.Redis.from_url(address) as client:
        client.config_set("requirepass", "")


@pytest.fixture
def run() -> Iterator[Callable[..., Command]]:
    started: list[Command] = []

    def start(*arguments: str, **environ: str) -> Command:
        started.append(Command(*arguments, **environ))
        return started[-1]

    yield start
    for command in started:
        command.stop()


def assert_no_secret(text: str, where: str) -> None:
    assert "shibboleth" not in text, where
    assert "eyJ" not in text, f"a token in {where}"


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("env", ["production", "development"])
def test_a_server_in_use_says_none(
    guarded_store: tuple[EmbeddedServer, str], run: Callable[..., Command], driver: Driver, env: str, workers: str
) -> None:
    """Good and bad tokens, admin calls, webhooks, a Redis that refuses: everything printed or answered is searched."""
    _, address = guarded_store
    command = run(
        "serve", "--port", "0", "--workers", workers, REDIS_URL=address, PRESENCE_ENV=env, PRESENCE_TTL="9", **SECRETS
    ).serving()
    answers = [answer.text for answer in _requests(command.url)]
    key = SECRETS["PRESENCE_JWT_SECRET"]
    for given in (token(key=key), token(key=OTHER_SECRET), token(key=key)[:-2], key, {"a": key}):
        client = driver.client(command.url, auth={"token": given}, wait=False)
        if client.sid:
            answers += _events(client, key)
            driver.tell(do="close", socket=client.name)
        answers.append(str(client.refused))
    with redis.Redis.from_url(address) as store:
        store.config_set("requirepass", PASSWORD + "-changed")
        store.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    eventually(lambda: httpx.get(f"{command.url}/readyz", trust_env=False).status_code == 503, "that Redis is away")
    answers.append(httpx.get(f"{command.url}/readyz", trust_env=False).text)
    with redis.Redis.from_url(address.replace(PASSWORD, PASSWORD + "-changed")) as store:
        store.config_set("requirepass", PASSWORD)
    arguments = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    command.stop()
    assert "serving" in command.output
    assert_no_secret(command.output, "the log")
    assert_no_secret(arguments, "the arguments of a process")
    for answer in answers:
        assert_no_secret(answer, "an answer")


def _requests(url: str) -> list[httpx.Response]:
    key, admin = SECRETS["PRESENCE_JWT_SECRET"], SECRETS["PRESENCE_ADMIN_TOKEN"]
    with httpx.Client(base_url=url, trust_env=False) as http:
        bearers = [token(key=key), token(key=OTHER_SECRET), admin, admin[:-1], key]
        paths = [
            "/metrics",
            "/api/admin/overview",
            "/api/chatroom/r/participants",
            "/openapi.json",
            f"/nothing/{admin}",
        ]
        found = [http.get(path, headers={"Authorization": f"Bearer {one}"}) for path in paths[:-1] for one in bearers]
        http.get(f"/api/chatrooms?limit={admin}&token={admin}")
        signed = {"X-Hub-Signature-256": f"sha256={SECRETS['CHAT_WEBHOOK_SECRET']}"}
        found.append(http.post("/webhook/whatsapp", json={"entry": []}, headers=signed))
        verify = {"hub.mode": "subscribe", "hub.verify_token": "wrong", "hub.challenge": "c"}
        found.append(http.get("/webhook/whatsapp", params=verify))
        found.append(http.post("/api/chatroom/r/kick", content=b"{", headers={"Authorization": f"Bearer {admin}"}))
        return found


def _events(client: Client, key: str) -> list[str]:
    answers = [
        client.emit("join_room", {"roomId": "r"}), client.emit("auth:refresh", {"token": token("other", key=key)}),
        client.emit("auth:refresh", {"token": key + "x"}), client.emit("auth:refresh", {"token": {"a": 1}}),
    ]  # fmt: skip
    return [json.dumps([answers, client.events("error")])]


@pytest.mark.parametrize(
    "environ",
    [
        {"REDIS_URL": f"redis://someone:{PASSWORD}@127.0.0.1:1/0"}, {"REDIS_URL": f"redis://:{PASSWORD}@/x y"},
        {"REDIS_HOST": "127.0.0.1", "REDIS_PORT": "1", "REDIS_PASSWORD": PASSWORD},
        {"REDIS_URL": f"nonsense://:{PASSWORD}@h"}, {"PRESENCE_JWT_PUBLIC_KEY": "-----BEGIN shibboleth"},
        {"PRESENCE_JWT_SECRET": "shibboleth\nsecond line"}, {"PRESENCE_ADMIN_TOKEN": "shibboleth\x01"},
    ],
)  # fmt: skip
def test_a_start_that_fails_says_none(run: Callable[..., Command], tmp_path: Path, environ: dict[str, str]) -> None:
    command = run("serve", "--port", "0", PRESENCE_DATA_DIR=str(tmp_path), **environ)
    assert command.exit_code() in {1, 3}
    assert len(command.output.strip().splitlines()) <= 4, command.output
    assert_no_secret(command.output, "the error")


def test_production_without_authentication_names_the_variable(run: Callable[..., Command], tmp_path: Path) -> None:
    command = run("serve", "--port", "0", PRESENCE_ENV="production", PRESENCE_DATA_DIR=str(tmp_path))
    assert command.exit_code() == 1
    assert "PRESENCE_JWT_SECRET" in command.output
    assert "serving" not in command.output


async def test_no_repr_shows_one(guarded_store: tuple[EmbeddedServer, str]) -> None:
    settings = Settings.from_environ({**SECRETS, "REDIS_URL": guarded_store[1]})
    server = PresenceServer(settings, guarded_store[1])
    objects: list[Any] = [
        settings,
        server,
        server.authoriser,
        server.engine,
        server.engine.settings,
        server.engine.store,
    ]
    for one in objects:
        assert_no_secret(repr(one), type(one).__name__)
        assert_no_secret(str(one), type(one).__name__)
    assert_no_secret(settings.masked_redis_url, "the masked address")
    await server.fanout.close()
    await server.engine.close()


def test_the_environment_of_the_tests_holds_no_secret_of_theirs() -> None:
    """Otherwise the searches above could not fail."""
    assert "shibboleth" not in str(dict(os.environ))
