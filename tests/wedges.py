"""Clients at work while their engines wedge, and a checker that reads the history of what was done afterwards."""

from __future__ import annotations

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import httpx

from spark_control.server import create_app
from spark_control.settings import Settings
from tests.fakes.engine import spoken
from tests.fakes.magpie import speech_of
from tests.fakes.parakeet import words_of
from tests.fakes.supervised import SupervisedEngine
from tests.live import eventually, serving
from tests.sounds import wav

VOICE = "Magpie-Multilingual.EN-US.Mia"


class Restarts:
    """Restarts a fake engine for the watcher, as systemd or Docker would a real one."""

    kind = "process"

    def __init__(self, engine: SupervisedEngine, takes: float) -> None:
        self.what = engine.kind
        self._engine = engine
        self._takes = takes

    async def restart(self) -> None:
        await asyncio.to_thread(self._engine.restart, self._takes)


@dataclass(frozen=True)
class Request:
    """One client's one request, like no other, and the only right answer to it."""

    client: int
    number: int

    @property
    def text(self) -> str:
        return f"Client {self.client} asks for the sentence with the number {self.number}."

    @property
    def audio(self) -> bytes:
        return wav(0.25, rate=16_000, seed=hashlib.sha256(self.text.encode()).digest())


@dataclass
class Answers:
    """What the clients got."""

    right: int = 0
    wrong: list[str] = field(default_factory=list)


class Transcribing:
    """Requests for transcripts."""

    kind = "parakeet"

    async def ask(
        self, session: aiohttp.ClientSession, url: str, request: Request, headers: dict[str, str]
    ) -> str:
        form = aiohttp.FormData()
        form.add_field("file", request.audio, filename="a.wav", content_type="audio/wav")
        async with session.post(f"{url}/v1/audio/transcriptions", data=form, headers=headers) as answer:
            body = await answer.json()
            return "" if body == {"text": words_of(request.audio)} else f"{answer.status} {body}"

    def sha256(self, request: Request) -> str:
        return hashlib.sha256(request.audio).hexdigest()


class Speaking:
    """Requests for speech, as WAV."""

    kind = "magpie"

    async def ask(
        self, session: aiohttp.ClientSession, url: str, request: Request, headers: dict[str, str]
    ) -> str:
        body = {"model": "tts-1", "input": request.text, "voice": VOICE, "response_format": "wav"}
        async with session.post(f"{url}/v1/audio/speech", json=body, headers=headers) as answer:
            sound = await answer.read()
            right = speech_of({"text": request.text, "voice": VOICE, "sample_rate_hz": "22050"})
            return "" if sound == right else f"{answer.status} {sound[:300]!r}"

    def sha256(self, request: Request) -> str:
        return hashlib.sha256(spoken(request.text, VOICE)).hexdigest()


Doing = Transcribing | Speaking


@contextmanager
def household(
    folder: Path,
    kinds: Sequence[str],
    *,
    restart_takes: float = 2.0,
    engine: Mapping[str, Any] | None = None,
    each: Mapping[str, Mapping[str, Any]] | None = None,
    **upstream: Any,
) -> Iterator[tuple[str, list[SupervisedEngine]]]:
    """A gateway and real engine processes behind it, each with a restart that takes `restart_takes` seconds.

    The engines are named `parakeet-0`, `magpie-1` and so on, and have the settings `upstream`, and those that
    `each` has for the name. `engine` says what they can do.
    """
    with ExitStack() as house:
        engines = [house.enter_context(SupervisedEngine(kind, folder, **engine or {})) for kind in kinds]
        named = {f"{one.kind}-{number}": one for number, one in enumerate(engines)}
        # Each on a machine of its own, so that one's restart does not wait for another's.
        upstreams = {
            name: {
                "kind": one.kind,
                "url": one.url,
                "machine": name,
                **upstream,
                **(each or {}).get(name, {}),
            }
            for name, one in named.items()
        }
        settings = Settings(upstreams=upstreams, deep_health={"restart_limit": 100})
        app = create_app(
            settings, restarters={name: Restarts(one, restart_takes) for name, one in named.items()}
        )
        url = house.enter_context(serving(app))
        eventually(lambda: all(each["state"] == "healthy" for each in upstreams_of(url)), within=30)
        yield url, engines


def upstreams_of(url: str) -> list[dict[str, Any]]:
    """What the gateway says of its engines."""
    upstreams: list[dict[str, Any]] = httpx.get(f"{url}/api/status").json()["upstreams"]
    return upstreams


class Crowd:
    """Clients of one kind, each asking one thing after another: `requests` in all, and until the last wedge is over."""

    def __init__(self, doing: Doing, clients: int, requests: int, patience: float) -> None:
        self.doing = doing
        self.answers = Answers()
        self._clients = clients
        self._each = requests // clients
        self._headers = {"x-spark-patience": str(patience)}
        self._asked = [0] * clients
        self._over = False

    @property
    def answered(self) -> int:
        return self.answers.right + len(self.answers.wrong)

    async def work(self, url: str) -> None:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(100)) as session:
            await asyncio.gather(*(self._client(session, url, client) for client in range(self._clients)))

    async def _client(self, session: aiohttp.ClientSession, url: str, client: int) -> None:
        while self._asked[client] < self._each or not self._over:
            number = self._asked[client]
            self._asked[client] += 1
            try:
                wrong = await self.doing.ask(session, url, Request(client, number), self._headers)
            except (aiohttp.ClientError, TimeoutError) as exc:
                wrong = repr(exc)
            if wrong:
                self.answers.wrong.append(f"client {client}, request {number}: {wrong}")
            else:
                self.answers.right += 1

    async def wedge_now_and_then(
        self, url: str, engine: SupervisedEngine, wedges: Sequence[Callable[[], None]]
    ) -> None:
        """Have the engine wedge, each time when all that were held by the last one are answered."""
        for turn, wedge in enumerate(wedges, 1):
            enough = self._each * self._clients * turn // (len(wedges) + 1)
            while self.answered < enough or not await self._calm(url):
                await asyncio.sleep(0.02)
            await asyncio.to_thread(wedge)
            while engine.restarts < turn:
                await asyncio.sleep(0.02)
        self._over = True

    async def _calm(self, url: str) -> bool:
        async with aiohttp.ClientSession() as session, session.get(f"{url}/api/status") as answer:
            upstreams = (await answer.json())["upstreams"]
        mine = next(each for each in upstreams if each["kind"] == self.doing.kind)
        return mine["state"] == "healthy" and not mine["held"]

    def end(self) -> None:
        """Let it end once each client has asked for its share."""
        self._over = True

    def requests(self) -> list[Request]:
        return [
            Request(client, number) for client, asked in enumerate(self._asked) for number in range(asked)
        ]


def check_history(crowd: Crowd, engines: Sequence[SupervisedEngine]) -> None:
    """Nothing was done three times by one engine, nothing was done that nobody asked for, all of it in order."""
    asked = {crowd.doing.sha256(request): request for request in crowd.requests()}
    succeeded: dict[int, dict[int, float]] = defaultdict(dict)
    for engine in engines:
        times: dict[str, int] = defaultdict(int)
        for execution in engine.executions():
            assert execution.sha256 in asked, "an engine was given what no client sent"
            times[execution.sha256] += 1
            request = asked[execution.sha256]
            if execution.status == 200:
                succeeded[request.client].setdefault(request.number, execution.start)
        assert max(times.values(), default=0) <= 2, "an engine did the same work a third time"
    for numbers in succeeded.values():
        in_order = [numbers[number] for number in sorted(numbers)]
        assert in_order == sorted(in_order), "a client's requests overtook each other"
