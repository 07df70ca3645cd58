"""uvicorn's WebSockets, but for what they log."""

from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.protocol import State


class WebSockets(WebSocketsSansIOProtocol):
    """Logs nothing that a client alone decides of."""

    async def send(self, message: Any) -> None:
        """Called by the application. A handshake refused with an answer, such as 429, is complete; uvicorn logs an
        error for each.
        """
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and self.close_sent:
            self.handshake_complete = True

    def send_receive_event_to_app(self) -> None:
        """Called with a whole message. Text that is no UTF-8 ends the connection; uvicorn logs a fault of its own."""
        if self.curr_msg_data_type == "text" and not self.close_sent and not _is_utf8(b"".join(self.frames)):
            # A close frame that came in the same piece has been answered already.
            if self.conn.state is State.OPEN:
                self.conn.send_close(1007)
                self.handle_parser_exception()
            return
        super().send_receive_event_to_app()


def _is_utf8(message: bytes) -> bool:
    try:
        message.decode()
    except UnicodeDecodeError:
        return False
    return True
