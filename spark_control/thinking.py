"""What a client asks of a language model, relayed: its bytes to an engine, the engine's bytes to it.

    body -> the model that is meant -> an engine that has it -> the first of a good answer -> the rest, as it comes

Until that first byte a failed engine's request goes to another, or to the
cured one; after it nobody can send it again.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import AsyncIterator, Mapping
from typing import Protocol

from spark_control import events
from spark_control.chat_body import ChatBody
from spark_control.errors import GatewayError, UpstreamError
from spark_control.patience import Errands
from spark_control.supervision.replay import Replay, Taken
from spark_control.supervision.work import Errand, Work
from spark_control.upstreams.base import ChatDialect
from spark_control.upstreams.client import Answer, Upstream
from spark_control.upstreams.openai_errors import PassingEvents, status_of

_KINDS = ("application/json", "application/x-ndjson", events.MEDIA_TYPE, "text/plain")
"""What an answer may be. A page for a browser, say, is none."""

_PASSED_ON = ("content-type", "content-length", "content-encoding", "cache-control")
"""Of an engine's headers, those that a client gets."""

_STREAM_HEADERS = {"cache-control": "no-cache", "x-accel-buffering": "no"}
"""So that no proxy on the way keeps the events back."""

_COMMENTS = 1024 * 1024
"""Bytes that may come before a stream's first event: comments, which keep the connection alive."""

_READ = 2000
"""Bytes of a request that a slow machine reads in a second."""

_LONGEST_READING = 300.0
"""Seconds: most of many megabytes is pictures, which are less to read than they are large."""

_WRITING = 100.0
"""Seconds for an answer that comes as a whole."""

_SLACK = 120.0
"""Seconds that an engine may take to begin an answer, since it may have to load the model first."""


class ChatModel(Protocol):
    """A model by the name that its engines know, and those engines, each with its rank."""

    @property
    def name(self) -> str: ...

    @property
    def among(self) -> Mapping[str, int]: ...


class Models(Protocol):
    """Who knows which model is meant."""

    def chat_model(self, asked: str | None) -> ChatModel:
        """The model of that name; the one that answers by default for None. Raises NotFound."""


class Thinking:
    """The one way from a body to a language model's answer."""

    def __init__(self, thinkers: Replay[ChatDialect], models: Models, errands: Errands) -> None:
        self.errand = errands
        self._thinkers = thinkers
        self._models = models

    async def start(self, path: str, body: ChatBody, headers: Mapping[str, str], errand: Errand) -> Thought:
        """Have `path` asked. Returns once the first of the answer is there; raises a GatewayError while it is not."""
        model = self._models.chat_model(body.model)
        sent = body.naming(model.name) if model.name else body.raw
        taken = await self._thinkers.take(
            _work_of(path, body, sent, errand, model.among),
            lambda thinker, _: _begin(thinker, path, sent, headers),
        )
        errand.model = model.name or errand.model
        return Thought(taken, errand)


class Thought:
    """An answer on its way, byte for byte."""

    def __init__(self, taken: Taken[ChatDialect, Answer], errand: Errand) -> None:
        self._taken = taken
        self._answer = taken.value
        theirs = self._answer.headers
        self._streamed = _is_stream(self._answer)
        self.headers = {
            **(_STREAM_HEADERS if self._streamed else {}),
            **{name: theirs[name] for name in _PASSED_ON if name in theirs},
            **errand.headers,
        }

    async def pieces(self) -> AsyncIterator[bytes]:
        taken, passing = self._taken, PassingEvents()
        try:
            async for piece in self._answer.pieces():
                if self._streamed and not passing.error:
                    taken.alive()
                    passing.see(piece)
                    self._tell(passing.error)
                yield piece
        except UpstreamError as exc:
            taken.broke(exc)
            raise
        if not passing.error:
            taken.complete()

    def _tell(self, error: bytes | None) -> None:
        failure = _failure(self._taken.upstream, error) if error else None
        if isinstance(failure, UpstreamError):
            self._taken.broke(failure)

    async def aclose(self) -> None:
        self._taken.leave()
        await self._answer.aclose()


def _work_of(path: str, body: ChatBody, sent: bytes, errand: Errand, among: Mapping[str, int]) -> Work:
    async def fingerprint() -> str:
        digest = hashlib.sha256(f"{path}\0".encode())
        digest.update(sent)
        return digest.hexdigest()

    reading = 1.0 + min(len(sent) / _READ, _LONGEST_READING)
    if body.streamed:
        return Work(reading, errand, fingerprint, among=among, slack=_SLACK)
    # It says nothing until its end, whenever that is. Only the engine's `timeout` can tell that it will not come.
    return Work(reading + _WRITING, errand, fingerprint, among=among, slack=math.inf)


async def _begin(
    thinker: Upstream[ChatDialect], path: str, body: bytes, headers: Mapping[str, str]
) -> Answer:
    """The engine's answer, once it is known to be none of an error."""
    answer = await thinker.send(lambda: thinker.dialect.relay_request(path, body, headers))
    try:
        if not _kind(answer).startswith(_KINDS):
            raise thinker.garbage()
        if _is_stream(answer):
            await _first_event(thinker, answer)
        elif not await answer.begin(1):
            raise thinker.cut_short()
    except BaseException:
        await answer.aclose()
        raise
    return answer


async def _first_event(thinker: Upstream[ChatDialect], answer: Answer) -> None:
    """Wait until it is there. Raises the error that it is, if it is one."""
    passing, read = PassingEvents(), 0
    while not passing.begun:
        begun = await answer.begin(read + 1)
        if len(begun) == read:
            raise thinker.cut_short()
        if read > _COMMENTS:
            raise thinker.garbage()
        passing.see(begun[read:])
        read = len(begun)
    if passing.error:
        raise _failure(thinker, passing.error)


def _failure(thinker: Upstream[ChatDialect], error: bytes) -> GatewayError:
    """What an error among the events means: the same as if it had come by its status."""
    error = thinker.without_key(error)
    status = status_of(error)
    if status < 500:
        return thinker.dialect.refusal(status, {}, error)
    return thinker.failed(error.decode("utf-8", "replace"))


def _is_stream(answer: Answer) -> bool:
    return _kind(answer).startswith(events.MEDIA_TYPE)


def _kind(answer: Answer) -> str:
    return str(answer.headers.get("content-type", _KINDS[0])).lower()
