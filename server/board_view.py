"""A board as it is shown: its state, and who is in its presence room at that moment."""

import asyncio

from presence_engine import MAX_PAGE, BoardEngine, BoardSnapshot, Page, PresenceEngine
from server.board_fanout import room_of


class BoardView:
    """Reads boards and their participants: up to 1,000 of them, and how many they are."""

    def __init__(self, engine: PresenceEngine, boards: BoardEngine) -> None:
        self._engine, self._boards = engine, boards

    async def present(self, retro: str) -> Page:
        return await self._engine.list(room_of(retro), limit=MAX_PAGE, names_only=True)

    async def whole(self, retro: str) -> tuple[BoardSnapshot, Page]:
        """Read without prolonging the board's life."""
        return await asyncio.gather(self._boards.snapshot(retro), self.present(retro))
