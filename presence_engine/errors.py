"""What can go wrong, as one small tree.

PresenceError
├── ConfigurationError   the program was set up wrongly; nothing was started
├── InvalidInput         an argument is refused, by name; nothing was sent to Redis
│   └── TooLarge         because it has more bytes than it may
├── StoreUnavailable     Redis did not answer, or refuses to work just now; a change may or may not have been made
└── ContractBroken       Redis answered what no script of ours answers; a bug, or somebody else's keys

Outcomes a caller branches on (a full room, a member who is gone) are values, not errors.
"""


class PresenceError(Exception):
    """Root of every error this package raises on purpose."""


class ConfigurationError(PresenceError):
    """A setting or the environment is wrong. The message is one line and names the culprit."""


class InvalidInput(PresenceError):
    """An argument breaks its rule. `field` is its name on the wire: camelCase, in the chat snake_case."""

    def __init__(self, field: str, message: str) -> None:
        # Its arguments are what it is made of again, in another process.
        super().__init__(field, message)
        self.field = field

    def __str__(self) -> str:
        return " ".join(self.args)


class TooLarge(InvalidInput):
    """An argument has more bytes than it may."""


class StoreUnavailable(PresenceError):
    """Redis cannot be reached, did not answer in time, or is not able to write.

    Try again: every call may be repeated.
    """


class ContractBroken(PresenceError):
    """A reply or a stored value has a shape that this release does not know."""
