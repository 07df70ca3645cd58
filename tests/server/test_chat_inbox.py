"""The usual inbox in the official JavaScript client: unread exactly 1 after a first message, and never an "Unknown"."""

import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.client.driver import Driver, eventually
from tests.server.chat_scene import incoming, new_phone, post_past_servers, send
from tests.server.conftest import RunningServer, Serve

OpenInbox = Callable[..., "Inbox"]
SCRIPT = Path(__file__).parent / "chat_inbox.cjs"


class Inbox:
    """One running inbox. `drawn` is everything it ever showed."""

    def __init__(self, url: str, room_event: str) -> None:
        self._process = subprocess.Popen(
            ["node", str(SCRIPT), url, room_event], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            encoding="utf-8",
        )  # fmt: skip
        self.drawn: list[Any] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        eventually(lambda: self.drawn, "the inbox's connection")

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            self.drawn.append(json.loads(line))

    def room(self, room: str) -> Any:
        return next((one for one in self.drawn[-1]["rooms"] if one["room_id"] == room), None)

    def messages(self, room: str) -> list[str]:
        found: list[str] = self.drawn[-1]["messages"].get(room, [])
        return found

    def until(self, condition: Callable[[], object], what: str) -> None:
        eventually(condition, f"{what} ({self.drawn[-1]})")

    def until_messages(self, room: str, count: int) -> None:
        self.until(lambda: len(self.messages(room)) == count, f"{count} messages")

    def until_unread(self, room: str, count: int) -> None:
        self.until(lambda: (self.room(room) or {}).get("unread") == count, f"{count} unread")

    def open(self, room: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(room + "\n")
        self._process.stdin.flush()

    def names(self) -> set[str]:
        """Every name that was shown at any moment."""
        return {room["name"] for state in list(self.drawn) for room in state["rooms"]}

    def stop(self) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait(10)
        self._reader.join(10)
        self._process.stdout.close()


@pytest.fixture
def inbox(driver: Driver) -> Iterator[OpenInbox]:
    opened: list[Inbox] = []

    def start(server: RunningServer, room_event: str = "new_room_complete") -> Inbox:
        opened.append(Inbox(server.url, room_event))
        return opened[-1]

    yield start
    for one in opened:
        one.stop()


@pytest.fixture(scope="module")
def legacy(serve: Serve) -> RunningServer:
    return serve(CHAT_LEGACY_EVENTS="true")


@pytest.mark.parametrize("event", ["new_room_complete", "new_room", "new_room_with_message"])
@pytest.mark.parametrize(("text", "shown"), [("hi 🙂", "hi 🙂"), (None, "[Media]")])
def test_004_13_a_new_customer_shows_whole_with_one_unread(
    legacy: RunningServer, inbox: OpenInbox, event: str, text: str | None, shown: str
) -> None:
    """004-2, 004-9, 004-13, T4.3, T4.4, C20: with the event the client knows, old or new, and media first too."""
    one, phone = inbox(legacy, event), new_phone()
    kind = {"content_type": "image"} if text is None else {}
    posted = incoming(legacy, phone, text, customer_name="مرحبا 🙂", **kind)
    room = posted["room_id"]
    one.until(lambda: one.room(room) and one.messages(room), "the room")
    incoming(legacy, new_phone())
    one.until(lambda: len(one.drawn[-1]["messages"]) == 2, "another customer's message")
    assert one.room(room) == {"room_id": room, "name": "مرحبا 🙂", "text": shown, "unread": 1}
    assert one.messages(room) == [posted["message_id"]]
    assert "Unknown" not in one.names()


def test_004_13_a_known_customer_counts_up_and_an_open_room_does_not(
    server: RunningServer, serve: Serve, inbox: OpenInbox
) -> None:
    """Scenario 2, T4.4, T4.6: over two servers; an agent's answer raises nothing; reading sets 0 everywhere."""
    other, phone = serve(), new_phone()
    one, two = inbox(server), inbox(other)
    room = incoming(server, phone, "a")["room_id"]
    incoming(other, phone, "b")
    send(other, room, "c")
    for each in (one, two):
        each.until_messages(room, 3)
        assert (each.room(room)["unread"], each.room(room)["text"]) == (2, "c")
    one.open(room)
    for each in (one, two):
        each.until_unread(room, 0)
    incoming(server, phone, "d")
    for each, unread in ((one, 0), (two, 1)):
        each.until_messages(room, 4)
        assert (each.room(room)["unread"], len(set(each.messages(room)))) == (unread, 4)
    assert one.names() | two.names() == {f"Customer {phone}"}


def test_t4_1_fifty_first_messages_end_with_fifty_unread_in_every_inbox(
    server: RunningServer, serve: Serve, inbox: OpenInbox
) -> None:
    """T4.1, T4.2, T4.10: half of them saved with no server involved, as if theirs had died right after the save."""
    other, phone = serve(), new_phone()
    inboxes = [inbox(server), inbox(other)]

    def post(number: int) -> str:
        if number % 2:
            return post_past_servers(server.settings.redis_url or "", phone, f"m{number}").room_id
        return str(incoming((server, other)[number // 2 % 2], f"+{phone}", f"m{number}")["room_id"])

    with ThreadPoolExecutor(8) as threads:
        rooms = set(threads.map(post, range(50)))
    assert len(rooms) == 1
    room = rooms.pop()
    for one in inboxes:
        one.until_messages(room, 50)
        one.until_unread(room, 50)
        assert [name.rsplit("-", 1)[0] for name in one.messages(room)] == [f"{room}-{seq}" for seq in range(1, 51)]
        assert one.names() == {f"Customer {phone}"}
