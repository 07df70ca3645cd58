"""Who is present in chat rooms: asked of presence when a room is told, and kept nowhere."""

import asyncio
from collections.abc import Sequence
from typing import Final

import msgspec

from presence_engine import Page, PresenceEngine
from server import wire

SHOWN: Final = 100


async def participants_of(engine: PresenceEngine, rooms: Sequence[str]) -> dict[str, list[msgspec.Raw]]:
    """Return the first SHOWN participants (`userId`, `username`) of each chat room, in the order they joined.

    They are those of the presence room of the same id. One round trip, and one more when anybody is there. Raises
    StoreUnavailable.
    """
    present: dict[str, list[msgspec.Raw]] = {room: [] for room in rooms}
    if not rooms:
        return present
    found = await engine.counts(rooms)
    busy = [room for room in rooms if found[room].count]
    pages = await asyncio.gather(*(engine.list(room, limit=SHOWN, names_only=True) for room in busy))
    present.update((room, _names(page)) for room, page in zip(busy, pages, strict=True))
    return present


def _names(page: Page) -> list[msgspec.Raw]:
    return [wire.participant(member) for member in page.members]
