"""A proxy between a server and its Redis that loses replies, falls silent, or is gone, when told."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

_CHUNK: Final = 65536


def frame_end(buffer: bytes, at: int = 0) -> int | None:
    """Where the reply that begins at `at` ends, None when it is not whole yet."""
    line = buffer.find(b"\r\n", at)
    if line < 0:
        return None
    kind, end = buffer[at : at + 1], line + 2
    if kind == b"$":
        length = int(buffer[at + 1 : line])
        end += length + 2 if length >= 0 else 0
    elif kind == b"*":
        for _ in range(int(buffer[at + 1 : line])):
            after = frame_end(buffer, end)
            if after is None:
                return None
            end = after
    return end if end <= len(buffer) else None


class _Link:
    """One connection through the proxy. feed: it subscribes. deaf: it stays open and forwards nothing any more."""

    def __init__(self, near: asyncio.StreamWriter, far: asyncio.StreamWriter) -> None:
        self.near, self.far = near, far
        self.feed = self.deaf = False

    def close(self) -> None:
        for end in (self.near, self.far):
            end.close()


class Proxy:
    """Stands before the Redis at `upstream`; `url` is what a server is to be told instead."""

    def __init__(self, upstream: str) -> None:
        self._upstream = urlsplit(upstream)
        self._loop = asyncio.new_event_loop()
        self._links: set[_Link] = set()
        self._refusing = False
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._replies_left = 0
        self.replies_seen = 0
        self.dropped = threading.Event()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._serve, "127.0.0.1", 0), self._loop
        ).result(5)
        self.url = f"redis://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/0"

    async def _serve(self, reader: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        try:
            if self._refusing:
                raise ConnectionRefusedError
            if self._upstream.scheme == "unix":
                far_reader, far = await asyncio.open_unix_connection(self._upstream.path)
            else:
                far_reader, far = await asyncio.open_connection(self._upstream.hostname, self._upstream.port)
        except OSError:
            near.close()
            return
        link = _Link(near, far)
        self._links.add(link)
        try:
            await asyncio.gather(self._requests(reader, link), self._replies(far_reader, link))
        except (OSError, asyncio.CancelledError):
            # The end of one direction, or of the proxy; swallowed, since nobody waits for this task.
            return
        finally:
            self._links.discard(link)
            link.close()

    async def _requests(self, reader: asyncio.StreamReader, link: _Link) -> None:
        while chunk := await reader.read(_CHUNK):
            link.feed = link.feed or b"SSUBSCRIBE" in chunk
            await self._flowing.wait()
            if not link.deaf:
                link.far.write(chunk)
        link.close()

    async def _replies(self, reader: asyncio.StreamReader, link: _Link) -> None:
        buffer = b""
        while chunk := await reader.read(_CHUNK):
            buffer += chunk
            while (end := frame_end(buffer)) is not None:
                frame, buffer = buffer[:end], buffer[end:]
                await self._flowing.wait()
                if not link.feed and self._swallows():
                    link.close()
                    return
                if not link.deaf:
                    link.near.write(frame)
        link.close()

    def _swallows(self) -> bool:
        self.replies_seen += 1
        if not self._replies_left:
            return False
        self._replies_left -= 1
        if self._replies_left == 0:
            self.dropped.set()
            return True
        return False

    def _do(self, change: Callable[[], object]) -> None:
        done = threading.Event()

        def run() -> None:
            change()
            done.set()

        self._loop.call_soon_threadsafe(run)
        assert done.wait(5)

    def drop_reply(self, number: int) -> None:
        """Swallow the `number`-th reply from now on (subscriptions not counted), and close its connection."""

        def arm() -> None:
            self._replies_left, self.replies_seen = number, 0

        self.dropped.clear()
        self._do(arm)

    def disarm(self) -> None:
        self._do(lambda: setattr(self, "_replies_left", 0))

    def hold(self) -> None:
        """A partition: nothing passes, nothing is closed; what was sent meanwhile arrives afterwards."""
        self._do(self._flowing.clear)

    def refuse(self) -> None:
        """Redis is gone: every connection is closed, and no new one gets through."""

        def cut() -> None:
            self._refusing = True
            for link in list(self._links):
                link.close()

        self._do(cut)

    def heal(self) -> None:
        def mend() -> None:
            self._refusing = False
            self._flowing.set()

        self._do(mend)

    def cut_feed(self) -> None:
        """Close the connections that subscribe."""

        def cut() -> None:
            for link in list(self._links):
                if link.feed:
                    link.close()

        self._do(cut)

    def deafen_feed(self) -> int:
        """The connections that subscribe die silently. Return how many."""
        feeds = [link for link in list(self._links) if link.feed]

        def deafen() -> None:
            for link in feeds:
                link.deaf = True

        self._do(deafen)
        return len(feeds)

    def stop(self) -> None:
        async def end() -> None:
            self._server.close()
            self._flowing.set()
            for link in list(self._links):
                link.close()
            rest = asyncio.all_tasks() - {asyncio.current_task()}
            for task in rest:
                task.cancel()
            await asyncio.gather(*rest, return_exceptions=True)

        with contextlib.suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(end(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()
