"""Bodies of chat requests: big integers stay exact, and what could not be read again is refused."""

from typing import Any

from presence_engine import InvalidInput, MessageContent, OutgoingMessage
from server.refusals import Refusal
from server.sockets.transport import Codec

MAX_DEPTH = 100
# What is told of a message rather than by it.
_ABOUT = {"content_type", "wa_message_id", "status", "status_timestamp", "reply_to_wa_message_id"}


def decoded(data: bytes) -> Any:
    """Return what the JSON says. Raises `invalid_input` naming `payload` when it is none, or nested too deeply."""
    try:
        content = Codec.loads(data)
    except (ValueError, UnicodeDecodeError):
        raise Refusal("invalid_input", "payload must be JSON", field="payload") from None
    if _too_deep(content):
        raise Refusal("invalid_input", f"payload is nested more than {MAX_DEPTH} deep", field="payload")
    return content


def check_says_something(message: OutgoingMessage) -> None:
    """Raise InvalidInput naming `text` for a text without one, and nothing beside it: a field's name was mistaken."""
    is_text = (message.content_type or "text") == "text"
    said = {"text", *MessageContent.__struct_fields__} - _ABOUT
    if is_text and not any(getattr(message, name) for name in said):
        raise InvalidInput("text", "is missing")


def _too_deep(content: Any) -> bool:
    """What is deeper than this could be stored, and then not be read again by somebody with less of a stack."""
    level = [content]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return False
    return True
