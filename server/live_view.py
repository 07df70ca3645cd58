"""One room, live in a terminal."""

import asyncio
import time

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from presence_engine import Page, PresenceEngine

SHOWN = 40
_AT_LEAST_EVERY_S = 1.0


async def show_room(engine: PresenceEngine, room: str, console: Console | None = None) -> None:
    """Draw a room's first 40 members, again with every change and once a second, until cancelled."""
    changed = asyncio.Event()
    async with engine:
        feed = engine.open_feed(on_lost=changed.set, on_restored=changed.set)
        try:
            await feed.subscribe(engine.channel(room), lambda _message: changed.set())
            with Live(console=console, auto_refresh=False) as live:
                while True:
                    changed.clear()
                    live.update(_table(room, await engine.list(room, limit=SHOWN)), refresh=True)
                    try:
                        async with asyncio.timeout(_AT_LEAST_EVERY_S):
                            await changed.wait()
                    except TimeoutError:
                        continue
        finally:
            await feed.close()


def _table(room: str, page: Page) -> Table:
    at = page.position
    more = f", first {SHOWN} shown" if page.cursor else ""
    table = Table(
        title=Text(f"{room!r}: {at.count} users, {at.connections} connections{more}"),
        caption=Text(f"epoch {at.epoch or '–'}, seq {at.seq}, {time.strftime('%H:%M:%S')}"),
    )
    for heading in ("user", "name", "status", "connections", "joined", "last active"):
        table.add_column(heading)
    for member in page.members:
        cells = (
            repr(member.user_id),
            repr(member.username),
            member.status,
            str(member.connections),
            _ago(page.now_ms - member.joined_at_ms),
            _ago(page.now_ms - member.last_active_at_ms),
        )
        # As they are: a plain string would be read for styles, and "[/x]" ends one that nobody began.
        table.add_row(*map(Text, cells))
    return table


def _ago(ms: int) -> str:
    seconds = max(ms, 0) // 1000
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02} ago"
