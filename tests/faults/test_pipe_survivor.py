"""A writer that outlives its connection must not take the calls of the one that follows it."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from redis.asyncio.connection import AbstractConnection, ConnectionPool

from presence_engine.errors import StoreUnavailable
from presence_engine.pipe import Pipe
from tests.faults.proxy import Proxy

pytestmark = pytest.mark.faults


def deaf_to_cancellation(make: Callable[[], AbstractConnection]) -> Callable[[], AbstractConnection]:
    """Connections whose sending swallows a cancellation that meets its completion, as `asyncio.wait_for` may."""

    def made() -> AbstractConnection:
        connection = make()
        send = connection.send_packed_command

        async def swallowing(*args: Any, **options: Any) -> None:
            await send(*args, **options)
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0.1)

        connection.send_packed_command = swallowing  # type: ignore[method-assign]
        return connection

    return made


async def test_calls_after_a_break_are_answered(proxy: Proxy) -> None:
    """C16: the reply of a call is lost just as its sending completes; every later call is answered."""
    pool = ConnectionPool.from_url(proxy.url, protocol=2)
    pipe = Pipe(deaf_to_cancellation(pool.make_connection), 1000)
    try:
        for _ in range(2):
            assert await pipe.call("PING") == b"PONG"
            proxy.drop_reply(1)
            with pytest.raises(StoreUnavailable):
                await pipe.call("PING")
            proxy.disarm()
            # The old writer is still within its sending; it wakes while its successor works.
            for _ in range(4):
                assert await pipe.call("PING") == b"PONG"
                await asyncio.sleep(0.04)
    finally:
        await pipe.close()
