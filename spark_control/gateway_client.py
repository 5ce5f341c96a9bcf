"""A running gateway, as the command line speaks to it."""

from __future__ import annotations

import io
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self
from urllib.parse import quote

import httpx

_PATIENCE = httpx.Timeout(900, connect=5)
"""Seconds; a long recording is transcribed in one answer."""

_GLANCE = httpx.Timeout(30, connect=5)
"""For what takes no time: a service that is being exchanged answers within it."""

_MOST_TRIES = 20
_LONGEST_WAIT = 60.0
"""Seconds, of a gateway that has too much to do."""

_HEARING = "/v1/audio/transcriptions"

Json = dict[str, Any]

KEY_VARIABLE = "SPARK_CONTROL_KEY"
"""The environment variable with the key to show, where the gateway wants one."""


class Connection:
    """To one gateway. Says what went wrong through `fail`, which ends the program."""

    def __init__(
        self, url: str, fail: Callable[[str], NoReturn], patience: httpx.Timeout | float = _PATIENCE
    ) -> None:
        self.base = base_of(url)
        self._fail = fail
        self._client = httpx.Client(
            base_url=self.base, timeout=patience, trust_env=False, headers=key_shown()
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._client.close()

    def _asked(self, method: str, path: str, **what: Any) -> httpx.Response:
        answer = self._answered(method, path, **what)
        if answer.is_error:
            self._fail(reason(answer))
        return answer

    def _answered(self, method: str, path: str, *, if_refused: str = "", **what: Any) -> httpx.Response:
        """The answer, be it an error. `if_refused` is what to add where nobody listens."""
        try:
            return self._client.request(method, path, **what)
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            hint = if_refused if isinstance(exc, httpx.ConnectError) else ""
            self._fail(why_no_answer(exc, self.base) + hint)

    @contextmanager
    def _answering(self, method: str, path: str, **what: Any) -> Iterator[httpx.Response]:
        """An answer that is read as it comes."""
        try:
            with self._client.stream(method, path, **what) as answer:
                if answer.is_error:
                    answer.read()
                    self._fail(reason(answer))
                yield answer
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            self._fail(why_no_answer(exc, self.base))

    def _json(self, method: str, path: str, **what: Any) -> Json:
        return self._object(self._asked(method, path, **what))

    def _object(self, answer: httpx.Response) -> Json:
        try:
            read = answer.json()
        except ValueError:
            read = None
        if not isinstance(read, dict):
            self._fail(reason(answer))
        return read


class GatewayClient(Connection):
    """What its users ask of it."""

    @contextmanager
    def saying(
        self, text: str, *, voice: str | None, speed: float, format_: str
    ) -> Iterator[tuple[httpx.Headers, Iterator[bytes]]]:
        """What the answer tells of itself, and the sound as it comes."""
        body = {"model": "tts-1", "input": text, "voice": voice, "speed": speed, "response_format": format_}
        with self._answering("POST", "/v1/audio/speech", json=body) as answer:
            yield answer.headers, answer.iter_bytes()

    def hear(self, file: Upload, *, language: str | None, format_: str) -> str:
        """The transcript, as the gateway writes it."""
        return self._asked("POST", _HEARING, **_heard(file, language, format_)).text

    def hear_verbosely(self, file: Upload, *, language: str | None, words: bool) -> Json:
        """The transcript with all that is known of it, and the times of its words where they are wanted."""
        return self._json("POST", _HEARING, **_heard(file, language, "verbose_json", words=words))

    def hearing(self, file: Upload, *, language: str | None) -> Iterator[str]:
        """The words, as they are heard. Joined they are the transcript."""
        what = _heard(file, language, "text")
        what["data"]["stream"] = "true"
        with self._answering("POST", _HEARING, **what) as answer:
            for line in answer.iter_lines():
                try:
                    event = json.loads(line.removeprefix("data:")) if line.startswith("data:") else {}
                    if event.get("type") == "transcript.text.delta":
                        yield event["delta"]
                except (ValueError, KeyError, AttributeError):
                    self._fail(reason(answer))

    def voices(self) -> list[Json]:
        """Each with its `id`, `language` and `engine`."""
        listed = self._json("GET", "/v1/audio/voices").get("voices")
        if not listed:
            self._fail(
                "the gateway knows no voices yet; `spark-control check` tells whether its engine answers"
            )
        return list(listed)


class Upload(io.FileIO):
    """A file to send, which tells how far it has been read."""

    def __init__(self, path: Path, tell: Callable[[int], None]) -> None:
        super().__init__(path)
        self._path = path
        self._tell = tell

    @property
    def field(self) -> tuple[str, io.FileIO]:
        """It, as a part of a form."""
        return self._path.name, self

    def read(self, size: int | None = -1, /) -> bytes:
        piece = super().read(-1 if size is None else size) or b""
        self._tell(self.tell())
        return piece


def _heard(file: Upload, language: str | None, format_: str, *, words: bool = False) -> dict[str, Any]:
    fields: dict[str, Any] = {"model": "whisper-1", "response_format": format_}
    if language:
        fields["language"] = language
    if words:
        fields["timestamp_granularities[]"] = ["segment", "word"]
    return {"data": fields, "files": {"file": file.field}}


class CacheClient(Connection):
    """What it is to remember, and to forget."""

    def warm(self, text: str, *, voice: str | None, speed: float, format_: str) -> bool:
        """Have it remembered: whether it was not yet. Raises NotWarmed."""
        body = {"model": "tts-1", "input": text, "voice": voice, "speed": speed, "response_format": format_}
        first = self._spoken(body)
        if first != "miss":
            return False
        # Too long a sound is not kept, for one, nor is any on a full disk: the proof is to ask for it again.
        if self._spoken(body) == "miss":
            raise NotWarmed("it was spoken and not kept; the gateway's log may tell why")
        return True

    def purge(self, voice: str | None) -> tuple[int, int]:
        """Have it forget what that voice said, or all for None: how many pieces, and how many bytes."""
        which = {"all": "true"} if voice is None else {"voice": voice}
        told = self._asked("DELETE", "/api/speech-cache", params=which).json()
        return told["entries"], told["bytes"]

    def _spoken(self, body: Json) -> str:
        """What the cache had to do with an answer."""
        for _ in range(_MOST_TRIES):
            answer = self._answered("POST", "/v1/audio/speech", json=body)
            if answer.status_code != httpx.codes.TOO_MANY_REQUESTS:
                break
            time.sleep(min(float(answer.headers.get("retry-after", 1)), _LONGEST_WAIT))
        if answer.is_error:
            raise NotWarmed(reason(answer))
        if "x-spark-cache" not in answer.headers:
            why = "its `speech_cache` is off, or your key was made with --no-cache"
            self._fail(f"the gateway at {self.base} remembers no speech for you: {why}")
        if why := answer.headers.get("x-spark-degraded"):
            raise NotWarmed(f"another engine spoke it ({why}), so it was not kept")
        return str(answer.headers["x-spark-cache"])


class NotWarmed(Exception):
    """Why something is not remembered, in a sentence."""


class AdminClient(GatewayClient):
    """What its owner asks of it, who is a user too."""

    def status(self) -> Json:
        return self._json("GET", "/api/status", timeout=_GLANCE)

    def probe(self, name: str) -> Json:
        """The engine, after a canary."""
        return self._json("POST", f"{_engine(name)}/probe")

    def restart(self, name: str, *, force: bool) -> Json:
        """The engine, as its restart begins."""
        return self._json("POST", f"{_engine(name)}/restart", json={"force": force})

    def set_maintenance(self, name: str, *, on: bool) -> Json:
        return self._json("POST", f"{_engine(name)}/maintenance", json={"on": on})

    def set_drained(self, name: str, *, on: bool) -> Json:
        return self._json("POST", f"{_engine(name)}/drain", json={"on": on})

    def reload(self) -> Json:
        """The settings that have changed: `applied`, and those for which it `needs_restart`."""
        moved = (
            ". If its settings have another host or port now, `sudo spark-control install-service` moves it"
        )
        return self._json("POST", "/api/reload", if_refused=moved)

    def incidents(self) -> list[Json]:
        """The newest first."""
        return list(self._json("GET", "/api/incidents", timeout=_GLANCE)["incidents"])

    def incident(self, identity: str) -> Json:
        return self._json("GET", f"/api/incidents/{quote(identity, safe='')}")

    def machines(self) -> list[Json]:
        return list(self._json("GET", "/api/machine")["machines"])


def _engine(name: str) -> str:
    return f"/api/upstreams/{quote(name, safe='')}"


def key_shown() -> dict[str, str]:
    """The header with the key that this program was given, if it was."""
    key = os.environ.get(KEY_VARIABLE)
    return {"authorization": f"Bearer {key}"} if key else {}


def address_of(host: str, port: int) -> str:
    """Where to ask a gateway that listens there."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 (a comparison)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def base_of(url: str) -> str:
    """The address without what users paste with it."""
    return url.rstrip("/").removesuffix("/v1")


def why_no_answer(exc: Exception, base: str) -> str:
    """A sentence for what httpx raised."""
    if isinstance(exc, httpx.ConnectError):
        return f"no gateway answers at {base}; start one with `spark-control serve`"
    if isinstance(exc, httpx.ReadTimeout):
        return f"the gateway at {base} does not answer; of the service `systemctl status spark-control` tells more"
    if isinstance(exc, httpx.InvalidURL | httpx.UnsupportedProtocol):
        return f"{base!r} is not an address such as http://127.0.0.1:8090"
    return f"the gateway at {base} broke off: {exc}"


def reason(answer: httpx.Response) -> str:
    """The sentence in a refusal."""
    try:
        message = str(answer.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return f"that address answers {answer.status_code}, but not as a gateway does"
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        return f"{message} This command sends the one in {KEY_VARIABLE}."
    return message
