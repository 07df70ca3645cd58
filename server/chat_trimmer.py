"""Deletes chat messages that are past their age, now and then."""

import asyncio
import contextlib
import logging
from typing import Final

from presence_engine import ChatEngine, StoreUnavailable

_SHORTEST_S: Final = 1.0
_LONGEST_S: Final = 60.0

log = logging.getLogger(__name__)


class ChatTrimmer:
    """Runs `chat.trim` every tenth of a message's life, at most once a second, at least once a minute.

    Without an age it does nothing. Every server may run one: what one has deleted is gone for the others.
    """

    def __init__(self, chat: ChatEngine) -> None:
        self._chat = chat
        self._pause_s = min(max(chat.rules.max_age_ms / 10_000, _SHORTEST_S), _LONGEST_S)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        if self._chat.rules.max_age_ms:
            self._task = asyncio.create_task(self._run(), name="chat-trim")

    async def stop(self) -> None:
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while True:
            try:
                await self._chat.trim()
            except StoreUnavailable as error:
                log.warning("old chat messages are not deleted just now: %s", error)
            except Exception:
                # Whatever it was: the next messages grow old all the same.
                log.exception("deleting old chat messages failed")
            await asyncio.sleep(self._pause_s)
