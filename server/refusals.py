"""Every way a request is refused: one list of codes, for sockets and HTTP."""

from typing import Any, Final, Literal

from presence_engine import InvalidInput, StoreUnavailable, TooLarge

Code = Literal[
    "invalid_input",
    "unauthorized",
    "forbidden",
    "not_in_room",
    "room_full",
    "rate_limited",
    "too_large",
    "not_found",
    "unavailable",
    "internal",
]

STATUS: Final[dict[str, int]] = {
    "invalid_input": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "not_in_room": 404,
    "room_full": 422,
    "rate_limited": 429,
    "too_large": 413,
    "not_found": 404,
    "unavailable": 503,
    "internal": 500,
}


class Refusal(Exception):
    """A request is refused with `code`; `field` names the culprit; status overrides HTTP's."""

    def __init__(self, code: Code, message: str, *, field: str | None = None, status: int | None = None) -> None:
        super().__init__(message)
        self.code: Code = code
        self.message = message
        self.field = field
        self.status = status or STATUS[code]

    def body(self) -> dict[str, Any]:
        """Return the `error` object of the contract: code, message, field?, retryable."""
        body: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.field is not None:
            body["field"] = self.field
        body["retryable"] = self.code == "unavailable"
        return body

    def event(self, name: str | None) -> dict[str, Any]:
        """Return the `error` event of the contract, about the event `name`, None for what was none."""
        return {"code": self.code, "message": self.message, "event": name}


def refusal_of(error: Exception) -> Refusal:
    """Return what a client is told of `error`. Whatever is not foreseen is `internal`, without its text."""
    match error:
        case Refusal():
            return error
        case TooLarge():
            return Refusal("too_large", str(error), field=error.field)
        case InvalidInput():
            return Refusal("invalid_input", str(error), field=error.field)
        case StoreUnavailable():
            return Refusal("unavailable", "presence is not available just now; try again")
    return Refusal("internal", "something went wrong here; it has been logged")
