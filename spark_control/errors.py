"""What can go wrong, and how it looks to a client: OpenAI's envelope, with a sentence a person can act on.

`detail` repeats the sentence for clients that read FastAPI's errors.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Self

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from spark_control.evidence import Evidence


class LingeringAnswer(JSONResponse):
    """Answers, then throws away what is still being sent: a client that sends into a closed socket sees no answer."""

    most_bytes = 32 * 1024 * 1024
    seconds = 5.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 (ASGI's signature)
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        left = self.most_bytes
        with suppress(TimeoutError):
            async with asyncio.timeout(self.seconds):
                while left > 0 and (message := await receive()).get("more_body"):
                    left -= len(message["body"])
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class GatewayError(Exception):
    """The root: an answer that is not what was asked for."""

    status = 500
    type = "server_error"
    code = "internal_error"
    lingers = False  # whether the client may still be sending
    retry_after: int | None = None  # seconds, 1...60: the openai SDKs differ outside of that

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        retry_after: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.code
        self.param = param
        self.retry_after = retry_after or self.retry_after
        self.headers = dict(headers or {})

    def envelope(self) -> dict[str, object]:
        """The body: `{"error": {message, type, param, code}, "detail": message}`."""
        error = {"message": self.message, "type": self.type, "param": self.param, "code": self.code}
        return {"error": error, "detail": self.message}

    def response(self) -> JSONResponse:
        headers = {"cache-control": "no-store", **self.headers}
        if self.retry_after is not None:
            headers["retry-after"] = str(self.retry_after)
        kind = LingeringAnswer if self.lingers else JSONResponse
        return kind(self.envelope(), self.status, headers)


class InvalidRequest(GatewayError):
    """The request can never succeed as it is."""

    status = 400
    type = "invalid_request_error"
    code = "invalid_request"


class TooLarge(InvalidRequest):
    """More bytes than the gateway takes. The connection closes, since the rest is not read."""

    status = 413
    code = "audio_too_large"
    lingers = True

    def __init__(self, message: str, *, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message, code=code, param=param, headers={"connection": "close"})


class Unprocessable(InvalidRequest):
    """A parameter of the wrong form."""

    status = 422


class PoisonInput(Unprocessable):
    """An input that has wedged every engine that got it: none gets it again for a day."""

    code = "poison_input"

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message, param=param, headers={"x-should-retry": "false"})


class NotFound(InvalidRequest):
    """There is nothing of that name."""

    status = 404
    type = "not_found_error"
    code = "not_found"


class NotConfigured(NotFound):
    """No engine of that kind is configured."""

    code = "not_configured"


class MethodNotAllowed(InvalidRequest):
    """The address is right and the verb is not."""

    status = 405
    code = "method_not_allowed"


class ClientGone(GatewayError):
    """The client left before its answer; nobody reads this one (nginx counts such requests as 499)."""

    status = 499
    code = "client_closed_request"


class Unavailable(GatewayError):
    """The gateway itself cannot take work just now."""

    status = 503
    type = "service_unavailable_error"
    code = "service_unavailable"


class EngineDown(Unavailable):
    """An engine does not work just now, and when it should again is longer than the client can wait."""

    code = "service_restarting"


class Unauthenticated(InvalidRequest):
    """No key, or a wrong one."""

    status = 401
    type = "authentication_error"
    code = "invalid_api_key"

    def __init__(self, message: str) -> None:
        super().__init__(message, headers={"www-authenticate": "Bearer"})


class RateLimited(GatewayError):
    """More than this client may ask in that time."""

    status = 429
    type = "rate_limit_error"
    code = "rate_limit_exceeded"


class QueueFull(GatewayError):
    """More is waiting for the engines than they can do in good time. Nothing is wrong with them."""

    status = 429
    type = "rate_limit_error"
    code = "queue_full"


class Conflict(InvalidRequest):
    """What was asked for does not go with how things are."""

    status = 409
    code = "conflict"


class Forbidden(InvalidRequest):
    """Not for whoever asked."""

    status = 403
    type = "permission_error"
    code = "forbidden"


class UpstreamError(GatewayError):
    """An engine answered wrongly, or broke off. `evidence` is what was seen, if it tells of the engine's health."""

    status = 502
    code = "upstream_error"
    evidence: Evidence | None = None

    def seen(self, evidence: Evidence) -> Self:
        """The same error, with its evidence."""
        self.evidence = evidence
        return self


class Unreachable(UpstreamError):
    """No connection: nothing was sent, so trying again is safe."""

    status = 503
    type = "service_unavailable_error"
    code = "service_unavailable"
    retry_after = (
        5  # a supervisor starts a dead process within seconds, and voice clients wait as long as this says
    )


class Loading(Unreachable):
    """The engine says that it is not ready yet."""

    code = "service_loading"


class Busy(UpstreamError):
    """The engine says that it has enough to do."""

    status = 429
    type = "rate_limit_error"
    code = "rate_limit_exceeded"
    retry_after = 5


class TimedOut(UpstreamError):
    """The engine took the work and did not answer in time."""

    status = 504
    code = "upstream_timeout"


def plain(status: int, message: str) -> GatewayError:
    """An error for an HTTP `status` that somebody else chose (Starlette's own)."""
    kind: type[GatewayError] = InvalidRequest if status < HTTPStatus.INTERNAL_SERVER_ERROR else GatewayError
    error = kind(message)
    error.status = status
    return error


async def answer_gateway_error(_: Request, exc: Exception) -> JSONResponse:
    """The one handler that renders the errors above."""
    assert isinstance(exc, GatewayError)  # noqa: S101 (what it is registered for)
    return exc.response()


def bug() -> GatewayError:
    """What a client sees of a bug: that it was ours, and nothing else. The log has the rest."""
    return GatewayError(
        "The gateway made a mistake of its own. Its log tells more, under this answer's x-request-id."
    )
