"""A running gateway, as the command line speaks to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn

import httpx

_PATIENCE = httpx.Timeout(900, connect=5)
"""Seconds; a long recording is transcribed in one answer."""


class GatewayClient:
    """Says what went wrong through `fail`, which ends the program."""

    def __init__(self, url: str, fail: Callable[[str], NoReturn]) -> None:
        base = url.rstrip("/").removesuffix("/v1")
        self._base = base
        self._fail = fail
        self._client = httpx.Client(base_url=f"{base}/v1", timeout=_PATIENCE, trust_env=False)

    def __enter__(self) -> GatewayClient:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._client.close()

    def say(self, text: str, *, voice: str | None, speed: float, format_: str) -> bytes:
        body = {"model": "tts-1", "input": text, "voice": voice, "speed": speed, "response_format": format_}
        return self._asked("POST", "/audio/speech", json=body).content

    def hear(self, file: Path, *, language: str | None, format_: str) -> str:
        fields = {"model": "whisper-1", "response_format": format_}
        if language:
            fields["language"] = language
        with file.open("rb") as sound:
            return self._asked(
                "POST", "/audio/transcriptions", data=fields, files={"file": (file.name, sound)}
            ).text

    def voices(self) -> Iterator[tuple[str, str, str]]:
        """(name, language, engine) of each voice."""
        listed = self._asked("GET", "/audio/voices").json()["voices"]
        if not listed:
            self._fail(
                "the gateway knows no voices yet; `spark-control check` tells whether its engine answers"
            )
        for voice in listed:
            yield voice["id"], voice["language"] or "", voice["engine"] or ""

    def _asked(self, method: str, path: str, **what: Any) -> httpx.Response:
        try:
            answer = self._client.request(method, path, **what)
        except httpx.ConnectError:
            self._fail(f"no gateway answers at {self._base}; start one with `spark-control serve`")
        except (httpx.InvalidURL, httpx.UnsupportedProtocol):
            self._fail(f"{self._base!r} is not an address such as http://127.0.0.1:8090")
        except httpx.HTTPError as exc:
            self._fail(f"the gateway at {self._base} broke off: {exc}")
        if answer.is_error:
            self._fail(_reason(answer))
        return answer


def _reason(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return f"that address answers {answer.status_code}, but not as a gateway does"
