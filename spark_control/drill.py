"""A fire drill: wedges an engine while requests are under way, and watches what becomes of both."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from urllib.parse import quote

import click
import httpx

from spark_control import events
from spark_control.gateway_client import Json, base_of, key_shown, reason, why_no_answer
from spark_control.wording import lasting, plain

Tell = Callable[[float, str, str], None]
"""Is told what happened: seconds after the wedge, what, and details."""

_LONGER = 30.0
"""Seconds by which its requests are more patient than it is: some begin before it does."""

_CLIENTS = 4
_CALM = 1.0
_BREATH = 0.02
_SENTENCE = "The kettle is on, and dinner will be ready in about ten minutes."
_COUNTS = ("held", "replayed", "degraded")


class DrillRefused(Exception):
    """Why there is no drill, in a sentence."""


@dataclass
class Outcome:
    """What became of the engine and of the requests."""

    cured_after: float | None = None
    answered: int = 0
    failures: list[str] = field(default_factory=list)
    slowest: float = 0.0
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_COUNTS, 0))

    @property
    def good(self) -> bool:
        """Whether the engine was cured, and nobody was failed."""
        return self.cured_after is not None and not self.failures

    def told(self) -> Json:
        """It, for a program."""
        return {
            "good": self.good,
            "cured_after": self.cured_after,
            "answered": self.answered,
            **self.counts,
            "failed": len(self.failures),
            "failures": list(dict.fromkeys(self.failures)),
            "slowest": self.slowest,
        }

    def lines(self) -> list[str]:
        """It, for a terminal."""
        numbers = [("answered", self.answered), *self.counts.items(), ("failed", len(self.failures))]
        told = ", ".join(f"{number} {what}" for what, number in numbers)
        cured = self.cured_after is not None
        lines = [
            click.style(self._verdict(), fg="green" if self.good else "red", bold=True),
            f"  {'requests':<16}{told}",
            f"  {'slowest answer':<16}{lasting(self.slowest)}",
        ]
        if cured:
            lines.append(f"  {'cured after':<16}{lasting(self.cured_after or 0)}")
        return lines + [f"  {'failed':<16}{plain(each)}" for each in dict.fromkeys(self.failures)]

    def _verdict(self) -> str:
        if self.cured_after is None:
            return "The engine was not cured in time."
        if self.failures:
            return "The engine was cured, but not every request got its answer."
        return "The engine was cured, and every request got its answer."


class Drill:
    """One drill on the engine called `name`."""

    def __init__(self, gateway: str, name: str, fault: str, seconds: float, tell: Tell) -> None:
        self._base = base_of(gateway)
        self._name = name
        self._fault = fault
        self._seconds = seconds
        self._tell = tell
        self._outcome = Outcome()
        self._wedged_at = 0.0
        self._told = False
        self._untold: list[tuple[float, str, str]] = []
        self._over = asyncio.Event()
        self._incident: str | None = None
        self._numbers = count(1)
        self._under_way = 0

    def run(self) -> Outcome:
        """Do it. Raises DrillRefused where it cannot be done."""
        return asyncio.run(self._run())

    async def _run(self) -> Outcome:
        headers = {
            "x-spark-patience": f"{self._seconds + _LONGER:g}",  # or one could be failed before the drill is over
            "cache-control": "no-store",  # it is the engine that is to answer
            **key_shown(),
        }
        timeout = httpx.Timeout(self._seconds + 60, connect=5)
        try:
            async with httpx.AsyncClient(
                base_url=self._base, headers=headers, timeout=timeout, trust_env=False
            ) as client:
                self._client = client
                task = await self._fit_for_it()
                await self._wedge_and_watch(await self._recording() if task == "speech-to-text" else None)
                return self._outcome
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            raise DrillRefused(why_no_answer(exc, self._base)) from exc

    async def _fit_for_it(self) -> str:
        """What the engine does, if it may be wedged: it works, and will be cured."""
        engine = await self._json("POST", f"{self._path}/probe")
        if engine["state"] != "healthy":
            raise DrillRefused(f"{engine['sentence']} Only an engine that works can be wedged.")
        if engine["maintenance"]:
            raise DrillRefused(f"{self._name} is in maintenance, so that nobody would restart it.")
        if not engine["restart"]:
            raise DrillRefused(f"nobody would cure {self._name}: no way to restart it is configured.")
        if not engine["budget"]["left"]:
            wait = lasting(engine["budget"]["next_in"] or 0)
            raise DrillRefused(f"{self._name} has had its restarts; the next is free in {wait}.")
        return str(engine["task"])

    async def _recording(self) -> bytes:
        """Something to transcribe, spoken by the gateway itself."""
        body = {"model": "tts-1", "input": _SENTENCE, "response_format": "wav"}
        answer = await self._client.post("/v1/audio/speech", json=body)
        if answer.is_error:
            raise DrillRefused(f"there is nothing to transcribe: {reason(answer)}")
        return answer.content

    async def _wedge_and_watch(self, recording: bytes | None) -> None:
        async with self._client.stream("GET", "/api/events") as news:
            told = events.read(news.aiter_bytes())
            await anext(told)  # how everything was; from here on nothing is missed
            following = asyncio.create_task(self._follow(told))
            asking = [asyncio.create_task(self._keep_asking(recording)) for _ in range(_CLIENTS)]
            try:
                await asyncio.sleep(_CALM)
                if self._outcome.failures:
                    raise DrillRefused(f"requests fail already: {self._outcome.failures[0]}")
                await self._wedge()
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._seconds):
                        await self._over.wait()
                        await asyncio.gather(*asking)
            finally:
                for task in (following, *asking):
                    task.cancel()
                await asyncio.wait([following, *asking])
                await self._leave_in_order()
        self._outcome.failures += ["no answer in time"] * self._under_way

    async def _wedge(self) -> None:
        self._wedged_at = time.monotonic()
        await self._json("POST", f"{self._path}/fault", {"fault": self._fault})
        self._tell(0.0, "wedged", f"by its fault switch ({self._fault}), with {_CLIENTS} clients at it")
        self._told = True
        self._tell_the_rest()

    async def _follow(self, told: AsyncIterator[Json]) -> None:
        """Pass on what happens to the engine, until the gateway has no more to tell, which is too early."""
        try:
            async for event in told:
                if event.get("upstream") == self._name and self._wedged_at:
                    self._note(event)
            self._outcome.failures.append("the gateway ended its news")
        except (httpx.HTTPError, ValueError) as exc:
            self._outcome.failures.append(why_no_answer(exc, self._base))
        self._over.set()

    def _note(self, event: Json) -> None:
        self._incident = event["incident"] or self._incident
        what, after = event["what"], time.monotonic() - self._wedged_at
        if what not in (*_COUNTS, "failed"):
            self._untold.append((after, what, event["detail"]))
        if self._told:
            self._tell_the_rest()
        if what == "healthy":
            self._outcome.cured_after = after
            self._over.set()

    def _tell_the_rest(self) -> None:
        """The gateway may have noticed before the order to wedge was answered."""
        for told in self._untold:
            self._tell(*told)
        self._untold.clear()

    async def _keep_asking(self, recording: bytes | None) -> None:
        """One client, whom nobody has told of the drill."""
        while not self._over.is_set():
            began = time.monotonic()
            self._under_way += 1
            failure = await self._asked(recording)
            self._under_way -= 1
            if failure:
                self._outcome.failures.append(failure)
            else:
                self._outcome.answered += 1
                self._outcome.slowest = max(self._outcome.slowest, time.monotonic() - began)
            await asyncio.sleep(_BREATH)

    async def _asked(self, recording: bytes | None) -> str | None:
        """Why a request failed; None if it was answered well."""
        try:
            if recording is None:
                text = f"{_SENTENCE} This is request number {next(self._numbers)}."
                answer = await self._client.post("/v1/audio/speech", json={"model": "tts-1", "input": text})
            else:
                answer = await self._client.post(
                    "/v1/audio/transcriptions",
                    data={"model": "whisper-1"},
                    files={"file": ("drill.wav", recording)},
                )
        except httpx.HTTPError as exc:
            return str(exc) or type(exc).__name__
        return f"{answer.status_code}: {reason(answer)}" if answer.is_error else None

    async def _leave_in_order(self) -> None:
        """Count what was held, and end the fault if nothing else did."""
        with suppress(httpx.HTTPError, DrillRefused):
            if self._outcome.cured_after is None:
                await self._json("POST", f"{self._path}/fault", {"fault": "ok"})
            if self._incident:
                incident = await self._json("GET", f"/api/incidents/{self._incident}")
                self._outcome.counts = {what: incident[what] for what in _COUNTS}

    @property
    def _path(self) -> str:
        return f"/api/upstreams/{quote(self._name, safe='')}"

    async def _json(self, method: str, path: str, body: Json | None = None) -> Any:
        answer = await self._client.request(method, path, json=body)
        if answer.is_error:
            raise DrillRefused(reason(answer))
        try:
            return answer.json()
        except ValueError:
            raise DrillRefused(reason(answer)) from None
