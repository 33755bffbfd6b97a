"""Logs: one object a line on standard error, and never a token in them.

Everything that logs goes through here, the standard library's loggers (asyncio, aiohttp) included, so that one processor
sees every line last and takes out what looks like a credential.
"""

from __future__ import annotations

import logging
import re
import sys
from typing import Any, Final, Literal

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

#: What a credential looks like, and what stands in its place. A key's id stays: it is what an operator looks for.
CREDENTIALS: Final = (
    (re.compile(r"eyJ[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*){1,4}"), "[token]"),
    (re.compile(r"(?i)((?:^|[^A-Za-z0-9_])(?:access_)?token=)[^&\s\"']+"), r"\1[token]"),
    (re.compile(r"(livecast\.token\.)[^\s,\"']+"), r"\1[token]"),
    (re.compile(r"(?i)(\bbearer\s+)(?!\[|lck_)[A-Za-z0-9._~+/=-]{8,}"), r"\1[token]"),
    (re.compile(r"(lck_[A-Za-z0-9-]{1,64})_[A-Za-z0-9_-]+"), r"\1_[secret]"),
    (re.compile(r"(://[^/\s:@]*):[^/\s@]+@"), r"\1:***@"),
    (re.compile(r"(?i)([?&][a-z_]*password=)[^&\s\"']+"), r"\1***"),
)
#: Objects within objects that are looked into; deeper ones are shown as text and treated as such.
DEPTH_MAX: Final = 4


def without_credentials(text: str) -> str:
    """The text with tokens, keys and passwords of addresses replaced."""
    for pattern, instead in CREDENTIALS:
        text = pattern.sub(instead, text)
    return text


def redact(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """A structlog processor: no credential in any value, however deep. Runs last, when exceptions are text already."""
    del logger, method
    return {key: _redacted(value, DEPTH_MAX) for key, value in event.items()}


def _redacted(value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if depth and isinstance(value, dict):
        return {_redacted(key, 0): _redacted(each, depth - 1) for key, each in value.items()}
    if depth and isinstance(value, list | tuple):
        return [_redacted(each, depth - 1) for each in value]
    return without_credentials(value if isinstance(value, str) else str(value))


def configure(format: Literal["auto", "console", "json"], level: str, worker: int | None = None) -> None:  # noqa: A002 - the key's name
    """Send every logger of this process through one handler to standard error. `worker`: its number, in every line."""
    console = format == "console" or (format == "auto" and sys.stderr.isatty())
    if worker is not None:
        structlog.contextvars.bind_contextvars(worker=worker)  # in force for all that runs in this context, and in tasks made in it
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.PositionalArgumentsFormatter(),
    ]
    renderer: Processor = (
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
        if console
        else structlog.processors.JSONRenderer(ensure_ascii=False)
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=False,  # a second `configure` (a test, a demo) must hold for loggers made before it
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                redact,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # One line per HTTP request says nothing that the metrics do not, and at warning aiohttp still tells what went wrong.
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)  # it says at every start which database it found
    logging.getLogger("aiosqlite").setLevel(logging.INFO)  # at debug it writes eight lines for each statement
