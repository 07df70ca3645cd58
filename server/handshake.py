"""uvicorn's WebSockets, but for what they log."""

from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol


class WebSockets(WebSocketsSansIOProtocol):
    """A handshake that was refused with an answer, such as 429, is complete; uvicorn logs an error for each."""

    async def send(self, message: Any) -> None:
        """Called by the application."""
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and self.close_sent:
            self.handshake_complete = True
