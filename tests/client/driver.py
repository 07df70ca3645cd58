"""Official Socket.IO clients, driven from Python: one Node process holds them all and speaks JSON lines."""

import itertools
import json
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

PATIENCE_S: Final = 10.0
_SCRIPT: Final = Path(__file__).with_suffix(".cjs")

Json = Any


class Seen(NamedTuple):
    """One thing a client saw: an event, or (`ack` true) an acknowledgement, in the order it came."""

    name: str
    body: Json
    ack: bool = False


class Driver:
    """The Node process. Its clients do not reconnect unless told to."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            ["node", str(_SCRIPT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )
        assert self._process.stdout
        assert self._process.stdout.readline(), "the client driver does not start; `make test` installs its packages"
        self._ids = itertools.count()
        self._changed = threading.Condition()
        self._answers: dict[int, Json] = {}
        self._clients: dict[str, Client] = {}
        self._reader = threading.Thread(target=self._read, name="node-driver", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            said = json.loads(line)
            with self._changed:
                if "answer" in said:
                    self._answers[said["answer"]] = said
                client = self._clients.get(said.get("socket", ""))
                if client and "ack" in said:
                    client.seen.append(Seen(said["ack"], said["values"][0] if said["values"] else None, ack=True))
                elif client and "event" in said:
                    client.seen.append(Seen(said["event"], said["args"][0] if said["args"] else None))
                self._changed.notify_all()

    def tell(self, **command: Json) -> int:
        number = next(self._ids)
        assert self._process.stdin
        self._process.stdin.write(json.dumps({"id": number, **command}) + "\n")
        self._process.stdin.flush()
        return number

    def answer(self, number: int, timeout_s: float = PATIENCE_S) -> Json:
        self.until(lambda: number in self._answers, timeout_s, "the client's answer")
        return self._answers.pop(number)

    def until(self, condition: Callable[[], object], timeout_s: float, what: str) -> None:
        with self._changed:
            assert self._changed.wait_for(condition, timeout_s), f"{what} did not come within {timeout_s:g} s"

    def client(self, url: str, *, wait: bool = True, **options: Json) -> "Client":
        """Open a client; with `wait` it must connect. `options` are those of socket.io-client."""
        client = Client(self, f"c{next(self._ids)}")
        self._clients[client.name] = client
        opened = self.answer(self.tell(do="open", socket=client.name, url=url, options=options))
        client.sid, client.refused = opened.get("sid", ""), opened.get("refused")
        assert not wait or client.sid, f"not connected: {opened}"
        return client

    def stop(self) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        self._process.stdout.close()


class Client:
    """One client. `seen` is everything it was sent, acknowledgements included."""

    def __init__(self, driver: Driver, name: str) -> None:
        self.driver, self.name = driver, name
        self.sid = ""
        self.refused: str | None = None
        self.seen: list[Seen] = []

    def send(self, event: str, *args: Json) -> int:
        """Emit with an acknowledgement callback, without waiting for it; `answer` waits."""
        return self.driver.tell(do="emit", socket=self.name, event=event, args=args, ack=True)

    def answer(self, number: int, timeout_s: float = PATIENCE_S) -> Json:
        answered = self.driver.answer(number, timeout_s)
        return answered["values"][0] if answered["values"] else None

    def emit(self, event: str, *args: Json, timeout_s: float = PATIENCE_S) -> Json:
        """Emit and return what the acknowledgement callback got."""
        return self.answer(self.send(event, *args), timeout_s)

    def shout(self, event: str, *args: Json) -> None:
        """Emit without a callback."""
        self.driver.tell(do="emit", socket=self.name, event=event, args=args, ack=False)

    def join(self, room: Json, user: Json = None, **more: Json) -> Json:
        """Join and return the answer, which must be ok."""
        payload = {"roomId": room, **({} if user is None else {"userId": user}), **more}
        answer = self.emit("join_room", payload)
        assert answer["ok"] is True, answer
        return answer

    def events(self, name: str) -> list[Json]:
        """Return the bodies of all events of this name so far."""
        return [seen.body for seen in list(self.seen) if seen.name == name and not seen.ack]

    def wait(self, name: str, where: Callable[[Json], object] = lambda _: True, timeout_s: float = PATIENCE_S) -> Json:
        """Return the first event of this name, past or coming, whose body meets the condition."""
        found: list[Json] = []

        def look() -> bool:
            found[:] = [body for body in self.events(name) if where(body)]
            return bool(found)

        self.driver.until(look, timeout_s, f"{name} (seen: {[seen.name for seen in self.seen]})")
        return found[0]

    def forget(self) -> None:
        """Forget what was seen so far."""
        self.seen.clear()

    def cut(self) -> None:
        """Break the connection without a word."""
        self.driver.tell(do="cut", socket=self.name)

    def close(self) -> None:
        """Disconnect as the client library does, and wait until it is over."""
        self.driver.tell(do="close", socket=self.name)
        self.wait("disconnect")

    def reopen(self) -> None:
        """Connect anew, with a new sid."""
        self.forget()
        self.driver.tell(do="reopen", socket=self.name)
        self.sid = self.wait("connect")


def eventually(condition: Callable[[], Json], what: str, timeout_s: float = PATIENCE_S, pause_s: float = 0.01) -> Json:
    """Ask until the answer is truthy, and return it; fail after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while True:
        if found := condition():
            return found
        assert time.monotonic() < deadline, f"{what}: not within {timeout_s:g} s"
        time.sleep(pause_s)
