"""`presence-engine watch`: names are shown as they are, whatever they mean to the terminal's library."""

from io import StringIO

import pytest
from rich.console import Console

from presence_engine import EmbeddedServer, PresenceEngine
from server.live_view import _table


@pytest.mark.parametrize("name", ["[/x]", "[red]u[/red]", "[link=http://a.example]u", ":smile:", "\\[b]", "u\x1b[2J"])
async def test_a_name_is_shown_as_it_is(store: EmbeddedServer, room: str, name: str) -> None:
    """Markup and control characters too: a name can neither end the command nor change how it looks."""
    shown = StringIO()
    room, user = f"{room} [/y]", "[/z]"
    async with PresenceEngine(store.url) as engine:
        await engine.join(room, user, "c", username=name)
        Console(file=shown, width=200).print(_table(room, await engine.list(room)))
    for text in (room, user, name):
        assert repr(text) in shown.getvalue()
