"""Pure: what a language model's server says when something is wrong, by a status or in the middle of a stream.

Clients act on it: they shorten a conversation that has become too long, or
leave out a tool that the model cannot use. So a refusal keeps its status, and
its words where they give nothing away.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TypeGuard

from spark_control.errors import Busy, GatewayError, InvalidRequest, NotFound
from spark_control.evidence import Evidence, How
from spark_control.upstreams.refusals import refusal, stated_reason

_LONGEST_REASON = 1000
_LONGEST_LINE = 64 * 1024
"""Bytes of a line in which an error is looked for."""

_NOT_ITS_FAULT = (401, 403, 407, 408, 425, 429)
"""Of all 4xx, those that say nothing of what the client asked for."""

_UNKNOWN_HERE = (404, 405, 501)
_FULL = re.compile(rb"server busy|maximum pending requests")
_TOO_LONG = re.compile(r"context (length|size|window)")
_NAME = re.compile(r"[\w.\-\[\]]{1,100}", re.ASCII)
_FAILURES = ("error", "response.failed")


def told_refusal(title: str, status: int, headers: Mapping[str, str], body: bytes) -> GatewayError:
    """The error for a server's answer of `status` >= 300."""
    if status == 503 and _FULL.search(body):  # Ollama says so of its queue, and loads nothing
        message = f"The {title} engine has its hands full; try again shortly."
        return Busy(message).seen(Evidence(How.STATUS, 429))
    if status in _UNKNOWN_HERE:
        return _unknown_here(title, stated_reason(body, _LONGEST_REASON) or "")
    if not 400 <= status < 500 or status in _NOT_ITS_FAULT:
        return refusal(title, status, headers, body)
    reason = stated_reason(body, _LONGEST_REASON) or f"The {title} engine refused the request."
    stated = _inside(_object(body))
    code, param = stated.get("code"), stated.get("param")
    if not _is_name(code):  # vLLM repeats the status there, and llama.cpp has a word of its own
        code = "context_length_exceeded" if _TOO_LONG.search(reason) else "refused_by_engine"
    error = InvalidRequest(reason, code=code, param=param if _is_name(param) else None)
    error.status = status
    return error


def _unknown_here(title: str, reason: str) -> InvalidRequest:
    """It has no such model, or nothing of that kind at all."""
    if "model" in reason.casefold():
        return NotFound(reason, code="model_not_found", param="model")
    return NotFound(f"The {title} engine does not offer this.", code="unsupported_operation")


class PassingEvents:
    """The events of a stream, looked at as they pass: has one come, and was one of them an error?"""

    def __init__(self) -> None:
        self.begun = False
        self.error: bytes | None = None
        """The first error's JSON."""
        self._line = b""

    def see(self, piece: bytes) -> None:
        """The next bytes of the stream."""
        *lines, self._line = (self._line + piece).split(b"\n")
        for line in lines:
            self._look(line)
        if len(self._line) > _LONGEST_LINE:  # no error takes so many words
            self.begun = True
            self._line = b":"

    def _look(self, line: bytes) -> None:
        if line.startswith(b"data:"):
            self.begun = True
            # What a model says of errors has its quotes escaped, so nearly every event is let pass unread.
            if self.error is None and b'"error"' in line and _is_error(data := line[5:].strip()):
                self.error = data


def _is_error(data: bytes) -> bool:
    event = _object(data)
    return bool(event.get("error")) or event.get("object") == "error" or event.get("type") in _FAILURES


def status_of(error: bytes) -> int:
    """The status that an error in a stream would have had before it began."""
    event = _object(error)
    code = _inside(event).get("code") or event.get("code")
    return code if isinstance(code, int) and 400 <= code < 600 else 500


def _inside(said: Mapping[str, object]) -> Mapping[str, object]:
    error = said.get("error")
    return error if isinstance(error, dict) else {}


def _object(data: bytes) -> Mapping[str, object]:
    try:
        said = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _is_name(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and _NAME.fullmatch(value) is not None
