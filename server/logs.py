"""Logging: readable lines for people, JSON for machines, and no secret in either."""

import logging
import sys
from collections.abc import Iterable
from typing import TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from server.masking import Masker
from server.settings import Settings

# They come with handlers or levels of their own; here they only pass on what goes wrong. The rest holds whole queries
# of handshakes, and with them whatever an application puts there. Of what they warn a client decides: how often, and
# with what words of its own, before it has shown a token.
_LIBRARY_LOGGERS = ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi", "socketio.server", "engineio.server")

_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), 127)}


def mask_secrets(known: Iterable[str] = ()) -> Processor:
    """Return a structlog processor that masks secrets in every value of a record, however deep.

    Masked are values under keys such as `token`, `password`, `secret`, `authorization`, credentials inside addresses,
    bearer tokens, and the `known` secrets wherever they occur.
    """
    masker = Masker(known)

    def mask(_: WrappedLogger, __: str, record: EventDict) -> EventDict:
        return {key: masker.pair(key, value) for key, value in record.items()}

    return mask


def _one_line(_: WrappedLogger, __: str, record: EventDict) -> EventDict:
    """Keep what a client sent from starting a line of its own or steering the terminal."""
    for key, value in record.items():
        if key != "exception" and isinstance(value, str):
            record[key] = value.translate(_CONTROLS)
    return record


def configure_logs(settings: Settings, stream: TextIO | None = None, level: int = logging.INFO) -> None:
    """Send all logs of this process to `stream` (default: standard error), replacing what was configured before.

    One line a record: JSON in production, else for reading, coloured on a terminal. Records of uvicorn, Socket.IO and
    every other library take the same way and are masked too; start uvicorn with `log_config=None`.
    """
    stream = stream or sys.stderr
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                mask_secrets(settings.secret_values),
                *_renderer(settings.production, stream.isatty()),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _LIBRARY_LOGGERS:
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = True
        library.setLevel(max(level, logging.ERROR))


def _renderer(production: bool, colors: bool) -> list[Processor]:
    if production:
        return [structlog.processors.JSONRenderer(sort_keys=False)]
    # Rich tracebacks show local variables, secrets among them.
    plain = structlog.dev.plain_traceback
    return [_one_line, structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=plain)]
