"""Dragging: the moves of a board's items are collected for a moment, and of each item only the last one is written."""

import asyncio
import logging
from typing import Final

from presence_engine import BoardEngine, BoardFull, BoardMoved, BoardPosition, Move, canonical_id

WINDOW_S: Final = 0.05

log = logging.getLogger(__name__)


class _Window:
    """The moves of one board that are not on their way yet."""

    def __init__(self) -> None:
        self.moves: dict[str, Move] = {}
        self.urgent = asyncio.Event()
        self.written: asyncio.Future[BoardMoved | BoardFull] = asyncio.get_running_loop().create_future()
        self.written.add_done_callback(lambda future: future.cancelled() or future.exception())


class BoardMoves:
    """Folds the moves made at this process. One write of a board is under way at a time: what comes meanwhile is
    folded too, so a slow store makes windows longer, not queues.
    """

    def __init__(self, boards: BoardEngine) -> None:
        self._boards = boards
        self._windows: dict[str, _Window] = {}
        self._writing: dict[str, asyncio.Task[None]] = {}

    async def move(self, retro: str, move: Move) -> tuple[BoardPosition, int] | BoardFull:
        """Write a move, at the end of its window, or at once when it ends a drag; return where the board stood then,
        and the version of the move, or the one before it where another of the window took its place.

        The move must have been checked. Raises StoreUnavailable when the write fails.
        """
        item = canonical_id(move.item_id, "itemId")
        window = self._windows.get(retro)
        if window is None:
            window = self._windows[retro] = _Window()
            self._writing[retro] = asyncio.create_task(self._write(retro, window, self._writing.get(retro)))
        window.moves[item] = move
        if move.source != "drag":
            window.urgent.set()
        outcome = await asyncio.shield(window.written)
        if isinstance(outcome, BoardFull):
            return outcome
        version = outcome.versions[list(window.moves).index(item)]
        if version is None:
            return BoardFull(len(window.moves))
        # Whoever had its own place under the version of another's would take what is told of that for known.
        return outcome.position, version if window.moves[item] is move else version - 1

    async def flush(self, retro: str) -> None:
        """Write what was collected so far, at once. A failure is told to those who moved, not here."""
        if (window := self._windows.get(retro)) is not None:
            window.urgent.set()
            await asyncio.wait([window.written])

    async def close(self) -> None:
        """Write everything that was collected, and wait for what is being written."""
        for window in self._windows.values():
            window.urgent.set()
        if self._writing:
            await asyncio.wait(self._writing.values())

    async def _write(self, retro: str, window: _Window, before: "asyncio.Task[None] | None") -> None:
        try:
            async with asyncio.timeout(WINDOW_S):
                await window.urgent.wait()
        except TimeoutError:
            pass
        try:
            if before is not None:
                await asyncio.wait([before])
            del self._windows[retro]
            window.written.set_result(await self._boards.move(retro, list(window.moves.values())))
        except Exception as error:
            window.written.set_exception(error)
        finally:
            if self._writing.get(retro) is asyncio.current_task():
                del self._writing[retro]
