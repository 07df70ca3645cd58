"""`GET /api/analytics/removals`: how many left, by day and reason."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Final

import pytest

from presence_engine import PresenceEngine
from tests.client.driver import Client, eventually
from tests.server.conftest import ADMIN_TOKEN, RunningServer, Serve, StartStore

Connect = Callable[..., Client]
DAY_MS: Final = 86_400_000
BEARER = {"Authorization": f"Bearer {ADMIN_TOKEN}"}


def removals(server: RunningServer, query: str = "") -> dict[str, dict[str, int]]:
    days = server.get(f"/api/analytics/removals{query}", headers=BEARER)["days"]
    return {day["date"]: day["removals"] for day in days}


def test_every_reason_is_counted_once(new_store: StartStore, serve: Serve, connect: Connect, room: str) -> None:
    """003-12: users, not connections; whichever script removed them."""
    url = new_store().url
    first = serve(url, PRESENCE_NODE_NAME="a", PRESENCE_GRACE="0.2")
    server = serve(url, PRESENCE_NODE_NAME="b", PRESENCE_GRACE="0.2", PRESENCE_TTL="2")
    lefts, kicked, cut, idle = (connect(server) for _ in range(4))
    doubled = connect(server)
    for client, user in ((lefts, "left"), (doubled, "left"), (kicked, "kicked"), (cut, "cut")):
        client.join(room, user)
    lefts.emit("leave_room", {"roomId": room})
    doubled.emit("leave_room", {"roomId": room})
    server.kick(room, {"userId": "kicked"})
    cut.cut()
    idle.join(room, "idle")
    connect(first).join(room, "restarted")
    idle.wait("room:force-leave", timeout_s=10)
    first.stop()
    again = serve(url, PRESENCE_NODE_NAME="a")
    today = datetime.now(UTC).date().isoformat()
    found = eventually(
        lambda: (found := removals(again)) and sum(found.get(today, {}).values()) >= 5 and found, "five removals"
    )
    counted = found[today]
    # The first server's user is removed by its next boot, or by the end of its short grace just before that.
    late = counted.pop("server_restart", 0) + counted.pop("disconnected") - 1
    assert late == 1
    assert counted == {"left": 1, "kicked": 1, "inactivity_timeout": 1}


@pytest.mark.parametrize(
    ("query", "status"), [("?days=0", 400), ("?days=31", 400), ("?days=x", 400), ("?days=30", 200)]
)
def test_days_are_bounded(server: RunningServer, query: str, status: int) -> None:
    answer = server.get(f"/api/analytics/removals{query}", status, headers=BEARER)
    if status == 400:
        assert (answer["error"]["code"], answer["error"]["field"]) == ("invalid_input", "days")


async def test_a_week_is_told_when_nobody_says_how_many_days(new_store: StartStore, serve: Serve) -> None:
    """003-12: `days` is 7 by default, today included."""
    url = new_store().url
    async with PresenceEngine(url) as engine:
        # Tomorrow too, for a test that midnight interrupts.
        for age in range(-1, 9):
            at_ms = engine.now_ms() - age * DAY_MS
            await engine.join("r", "u", "c", now_ms=at_ms)
            await engine.leave("r", "u", "c", now_ms=at_ms)
    before = datetime.now(UTC).date()
    server = serve(url)
    found = [date.fromisoformat(day) for day in removals(server)]
    today = found[-1]
    assert before <= today <= datetime.now(UTC).date()
    assert found == [today - timedelta(days=age) for age in range(6, -1, -1)]
    assert removals(server, "?days=1") == {today.isoformat(): {"left": 1}}


def test_it_is_for_admins(server: RunningServer) -> None:
    assert server.get("/api/analytics/removals", 403)["error"]["code"] == "forbidden"
