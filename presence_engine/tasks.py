"""Tasks that many wait for, and tasks that have to end."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from presence_engine.errors import StoreUnavailable


class SharedTask:
    """Work that runs once at a time, in the loop that first asks: whoever asks meanwhile waits for the same run.

    A caller who is cancelled leaves it running for the others.
    """

    def __init__(self, work: Callable[[], Coroutine[Any, Any, None]], name: str) -> None:
        self._work, self._name = work, name
        self._task: asyncio.Task[None] | None = None

    def start(self) -> "asyncio.Task[None]":
        """Begin, unless it is under way."""
        loop = asyncio.get_running_loop()
        if self._task is None or self._task.done() or self._task.get_loop() is not loop:
            self._task = loop.create_task(self._work(), name=self._name)
            # Whoever waited for it may be gone when it fails.
            self._task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return self._task

    async def done(self) -> None:
        """Begin, unless it is under way, and wait; raise what the work raises, StoreUnavailable when it is ended."""
        task = self.start()
        await asyncio.wait([task])
        if task.cancelled():
            raise StoreUnavailable("the connection to Redis was closed")
        task.result()

    async def end(self) -> None:
        if self._task:
            await end_tasks([self._task])


async def end_tasks(tasks: "Iterable[asyncio.Task[None]]") -> None:
    """Cancel until they end: code in between may swallow a cancellation that meets its own completion.

    Those of another loop are left to it.
    """
    loop = asyncio.get_running_loop()
    pending = {task for task in tasks if task.get_loop() is loop}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=0.1)
