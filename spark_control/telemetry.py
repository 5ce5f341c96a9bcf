"""Logs: one event a line, readable on a terminal, JSON elsewhere. Never audio or keys; text only by `log.content`."""

from __future__ import annotations

import logging
import sys

import structlog


def configure_logging(level: int = logging.INFO) -> None:
    """Send every log line to stderr, so that what a command prints stays alone on stdout."""
    rendered: list[structlog.typing.Processor]
    # Plain tracebacks: the fancy ones print local variables, and those may hold keys or what people said.
    if sys.stderr.isatty():
        rendered = [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
    else:
        rendered = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *rendered,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    # uvicorn and asyncio speak through the standard library.
    logging.basicConfig(
        level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("uvicorn.error").addFilter(_is_news)


_NO_NEWS = (
    "returned without completing response",
    "Unsupported upgrade request",
    "No supported WebSocket library",
)


def _is_news(record: logging.LogRecord) -> bool:
    """Not an answer that was cut off on purpose, which the relay has told; nor a WebSocket, which got its 404."""
    return not record.getMessage().startswith(_NO_NEWS) and _NO_NEWS[0] not in record.getMessage()
