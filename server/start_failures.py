"""A start that fails for a reason that is known is told in one line, whichever runner prints it."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from presence_engine import PresenceError


class StartFailures:
    """An ASGI layer around an application whose lifespan would tell a traceback."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        failed: list[Message] = []

        async def tell(message: Message) -> None:
            if message["type"] == "lifespan.startup.failed":
                failed.append(message)
            else:
                await send(message)

        try:
            await self._app(scope, receive, tell if scope["type"] == "lifespan" else send)
        except PresenceError as error:
            failed = [{**message, "message": f"cannot start: {error}"} for message in failed]
            raise
        finally:
            for message in failed:
                await send(message)
