"""Logs: one event a line, readable on a terminal, JSON elsewhere. Never audio or keys; text only by `log.content`.

The journal of systemd gets each line's priority, so that `journalctl -p warning` shows what matters, and no time of
ours, since it has its own.
"""

from __future__ import annotations

import logging
import os
import sys
from contextlib import suppress

import structlog


def configure_logging(level: int = logging.INFO) -> None:
    """Send every log line to stderr, so that what a command prints stays alone on stdout."""
    rendered: list[structlog.typing.Processor]
    stamped: list[structlog.typing.Processor] = [structlog.processors.TimeStamper(fmt="iso", utc=True)]
    said = "%(levelname)s %(name)s: %(message)s"
    # Plain tracebacks: the fancy ones print local variables, and those may hold keys or what people said.
    if sys.stderr.isatty():
        rendered = [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
    elif _goes_to_the_journal():
        rendered, stamped = [structlog.processors.format_exc_info, _for_the_journal], []
        said = f"<{_PRIORITIES['warning']}>{said}"
    else:
        rendered = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            *stamped,
            *rendered,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    # uvicorn and asyncio speak through the standard library.
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format=said)
    logging.getLogger("uvicorn.error").addFilter(_is_news)


_PRIORITIES = {"critical": 2, "error": 3, "warning": 4, "info": 6, "debug": 7}
"""Of syslog(3), by which sd-daemon(3) has a line begin."""

_in_json = structlog.processors.JSONRenderer()


def _for_the_journal(logger: object, name: str, event: structlog.typing.EventDict) -> str:
    priority = _PRIORITIES.get(event.get("level", ""), _PRIORITIES["info"])
    return f"<{priority}>{_in_json(logger, name, event)!s}"


def _goes_to_the_journal() -> bool:
    """Whether systemd has made stderr a stream to its journal (systemd.exec(5)), and it is one still."""
    with suppress(OSError, ValueError):
        stream = os.fstat(sys.stderr.fileno())
        return os.environ.get("JOURNAL_STREAM") == f"{stream.st_dev}:{stream.st_ino}"
    return False


_NO_NEWS = (
    "returned without completing response",
    "Unsupported upgrade request",
    "No supported WebSocket library",
)


def _is_news(record: logging.LogRecord) -> bool:
    """Not an answer that was cut off on purpose, which the relay has told; nor a WebSocket, which got its 404."""
    return not record.getMessage().startswith(_NO_NEWS) and _NO_NEWS[0] not in record.getMessage()
