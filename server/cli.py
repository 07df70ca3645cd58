"""The command line: `presence-engine serve`, `verify`, `watch`."""

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from typing import Annotated, Final

import typer

from presence_engine import (
    ConfigurationError,
    EmbeddedServer,
    EngineSettings,
    PresenceEngine,
    PresenceError,
    StoreUnavailable,
    audit,
    store_figures,
)
from server import process
from server.kept_up import kept_up
from server.live_view import show_room
from server.logs import configure_logs
from server.room_policy import RoomPolicy
from server.settings import Settings

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
log = logging.getLogger("presence")

# 2 is a wrong use of the command line.
_OUT_OF_REACH: Final = 3


@app.callback()
def main() -> None:
    """Who is in the room: presence in Redis."""
    # Of a command that configures no logs whoever runs it is told by its last line.
    logging.getLogger("presence_engine").addHandler(logging.NullHandler())


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65535)] = 8000,
    workers: Annotated[int, typer.Option(help="Processes sharing the port; more than 1: WebSocket only.", min=1)] = 1,
) -> None:
    """Serve Socket.IO and HTTP. Without any Redis setting the embedded server is started."""
    with _told_in_one_line():
        settings = Settings.from_environ()
        configure_logs(settings)
        for warning in settings.warnings:
            log.warning(warning)
        with _store(settings) as url:
            log.info("store: %s answers", asyncio.run(_who_answers(settings, url)))
            process.run(settings, url, host, port, workers)


@app.command()
def verify() -> None:
    """Recount every room and report what does not agree; exit code 1 if anything, 3 if Redis is out of reach."""
    with _told_in_one_line():
        settings = Settings.from_environ()
        with _store(settings) as url:
            faults = asyncio.run(_verify(settings, url))
    raise typer.Exit(1 if faults else 0)


@app.command()
def watch(room: Annotated[str, typer.Argument(help="The room to show.")]) -> None:
    """Show one room live in the terminal, until Ctrl-C."""
    with _told_in_one_line():
        settings = Settings.from_environ()
        with _store(settings) as url, contextlib.suppress(KeyboardInterrupt):
            asyncio.run(show_room(_engine(settings, url), room))


@contextlib.contextmanager
def _told_in_one_line() -> Iterator[None]:
    try:
        yield
    except PresenceError as error:
        typer.echo(f"presence-engine: {error}", err=True)
        raise typer.Exit(_OUT_OF_REACH if isinstance(error, StoreUnavailable) else 1) from None


@contextlib.contextmanager
def _store(settings: Settings) -> Iterator[str]:
    """The URL of the Redis to use; the embedded server is joined where it runs already, and kept up for the block."""
    if settings.redis_url is not None:
        log.info("store: %s", settings.masked_redis_url)
        yield settings.redis_url
        return
    embedded = EmbeddedServer(settings.data_dir)
    try:
        embedded.start()
    except ConfigurationError as error:
        # Only then the directory is at fault, and not a binary that is missing.
        if isinstance(error.__cause__, OSError):
            raise ConfigurationError(f"PRESENCE_DATA_DIR: {error}") from None
        raise
    with embedded, kept_up(embedded):
        log.info("store: the embedded server, data in %s", settings.data_dir)
        yield embedded.url


def _engine(settings: Settings, url: str) -> PresenceEngine:
    options = EngineSettings(rules=RoomPolicy.from_settings(settings).for_room, partitions=settings.partitions)
    try:
        return PresenceEngine(url, settings=options)
    except ConfigurationError as error:
        # The library does not know where its URL was written.
        raise ConfigurationError(f"REDIS_URL: {error}") from None


async def _who_answers(settings: Settings, url: str) -> str:
    """Name the Redis at `url`, before anything is served. Raises StoreUnavailable."""
    engine = _engine(settings, url)
    feed = engine.open_feed(on_lost=lambda: None, on_restored=lambda: None)
    try:
        await engine.start()
        with contextlib.suppress(StoreUnavailable):
            # Its server may be away, of a Cluster; what is not permitted is told now.
            await feed.subscribe(engine.channel("any"), lambda _message: None)
        try:
            figures = await store_figures(engine)
        except StoreUnavailable:
            return "a part of the Cluster"
        if figures["evictionPolicy"] not in {"", "noeviction"}:
            log.warning(
                "store: its maxmemory-policy is %s; use noeviction, or who is here may be forgotten when it is full",
                figures["evictionPolicy"],
            )
        return str(figures["server"])
    finally:
        await feed.close()
        await engine.close()


async def _verify(settings: Settings, url: str) -> int:
    rooms = users = connections = faults = 0
    async with _engine(settings, url) as engine:
        async for found in audit(engine):
            rooms, users, connections = rooms + 1, users + found.users, connections + sum(found.connections.values())
            faults += len(found.faults)
            for fault in found.faults:
                typer.echo(f"{found.room!r}: {fault}")
            if not found.settled:
                typer.echo(f"{found.room!r}: changed while it was read, five times; not judged")
    typer.echo(f"{rooms} rooms, {users} users, {connections} connections: {faults or 'no'} faults")
    return faults


if __name__ == "__main__":
    app()
