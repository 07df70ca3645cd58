"""Where an embedded server answers: `address.json` in its data directory, and what is asked of that very process."""

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, cast
from urllib.parse import urlsplit

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

_PROBE_TIMEOUT_S = 0.5


class Address(NamedTuple):
    url: str
    pid: int
    persistent: bool

    @classmethod
    def read(cls, path: Path) -> "Address | None":
        try:
            fields = json.loads(path.read_bytes())
            return cls(str(fields["url"]), int(fields["pid"]), bool(fields["persistent"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    @property
    def port(self) -> int:
        """Its TCP port, 0 for a unix socket."""
        with suppress(ValueError):
            return urlsplit(self.url).port or 0
        return 0

    def write(self, path: Path) -> None:
        draft = path.with_suffix(".new")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(self._asdict(), file)
        draft.replace(path)

    def _connect(self, timeout_s: float) -> Redis:
        retry = Retry(NoBackoff(), 0)
        return Redis.from_url(self.url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s, retry=retry)

    def _is_of(self, client: Redis) -> bool:
        return bool(cast("dict[str, object]", client.info("server"))["process_id"] == self.pid)

    def answers(self) -> bool:
        """Whether the very process named here, not a stranger on its port, has loaded its data and answers."""
        try:
            with self._connect(_PROBE_TIMEOUT_S) as client:
                client.ping()
                return self._is_of(client)
        except RedisError:
            return False

    def shut_down(self, timeout_s: float) -> None:
        """Send SHUTDOWN to the process named here, never to a stranger on its port; the wait for its end is another."""
        with suppress(RedisError), self._connect(timeout_s) as client:
            if self._is_of(client):
                client.execute_command("SHUTDOWN")
