"""The command line: `presence-engine serve`, `verify`, `watch`."""

import asyncio
import logging
import socket
from typing import Annotated, Any

import typer
import uvicorn

from presence_engine import ConfigurationError, EmbeddedServer, PresenceEngine, StoreUnavailable
from server.app import PresenceServer
from server.logs import configure_logs
from server.settings import Settings

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Who is in the room: presence in Redis.")
log = logging.getLogger("presence")


@app.callback()
def main() -> None:
    """Who is in the room: presence in Redis."""


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=0, max=65535)] = 8000,
) -> None:
    """Serve Socket.IO and HTTP. Without any Redis setting the embedded server is started."""
    try:
        settings = Settings.from_environ()
        configure_logs(settings)
        for warning in settings.warnings:
            log.warning(warning)
        _serve(settings, host, port)
    except (ConfigurationError, StoreUnavailable) as error:
        typer.echo(f"presence-engine: {error}", err=True)
        raise typer.Exit(1) from None


def _serve(settings: Settings, host: str, port: int) -> None:
    embedded = EmbeddedServer(settings.data_dir) if settings.embedded else None
    if embedded:
        embedded.start()
        log.info("store: the embedded server, data in %s", settings.data_dir)
    else:
        log.info("store: %s", settings.masked_redis_url)
    try:
        url = embedded.url if embedded else settings.redis_url
        assert url is not None  # noqa: S101 - the settings name a Redis or mean the embedded one
        log.info("store: %s answers", asyncio.run(_who_answers(url)))
        _Uvicorn(PresenceServer(settings, url), host, port).run()
    finally:
        if embedded:
            embedded.stop()


async def _who_answers(url: str) -> str:
    """Name the Redis at `url`, before anything is served. Raises StoreUnavailable."""
    engine = PresenceEngine(url)
    try:
        return await engine.server()
    finally:
        await engine.close()


class _Uvicorn(uvicorn.Server):
    """Says goodbye to the sockets before uvicorn closes them."""

    def __init__(self, presence: PresenceServer, host: str, port: int) -> None:
        self._presence = presence
        options: dict[str, Any] = {"loop": "uvloop", "http": "httptools", "ws": "websockets-sansio"}
        super().__init__(
            uvicorn.Config(
                presence.asgi,
                host=host,
                port=port,
                log_config=None,
                access_log=False,
                ws_per_message_deflate=False,
                timeout_graceful_shutdown=5,
                **options,
            )
        )

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._presence.say_goodbye()
        await super().shutdown(sockets)


if __name__ == "__main__":
    app()
