"""Magpie, as far as the gateway can tell: multipart in, WAV out, and 20 seconds at most."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.fakes.faults import Fault, is_canary
from tests.sounds import wav

LOCALES = {
    "EN-US": [
        "Mia",
        "Mia.Calm",
        "Jason",
        "Aria",
        "Leo",
        "Sofia",
        "Diego",
        "Isabela",
        "Louise",
        "Pascal",
        "Ray",
    ],
    "ES-US": ["Diego", "Mia"],
    "FR-FR": ["Pascal"],
    "DE-DE": ["Sofia"],
}
VOICES = [f"Magpie-Multilingual.{locale}.{name}" for locale, names in LOCALES.items() for name in names]
CHARACTERS_A_SECOND = 14
LONGEST_SECONDS = 20.0


class FakeMagpie:
    """Remembers what it was asked, and has the fault it is given."""

    def __init__(self) -> None:
        self.app = Starlette(
            routes=[
                Route("/v1/audio/synthesize", self._synthesize, methods=["POST"]),
                Route("/v1/audio/synthesize_online", self._synthesize_online, methods=["POST"]),
                Route("/v1/audio/list_voices", self._list_voices),
                Route("/v1/health/ready", self._ready),
            ]
        )
        self.reset()

    def reset(self) -> None:
        self.asked: list[dict[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.canaries: list[dict[str, str]] = []
        self.fault: Fault | None = None
        self.fault_for: Callable[[int], Fault | None] | None = None
        self.voices_fault: Fault | None = None
        self.linger = 0.0
        self.listed = 0
        self.most_at_once = 0
        self._at_once = 0

    async def _synthesize(self, request: Request) -> Response:
        form = await self._noted(request)
        return self._refusal(form) or self._answer(speech_of(form), "audio/wav")

    async def _synthesize_online(self, request: Request) -> Response:
        """Bare samples, of no declared type."""
        form = await self._noted(request)
        one = 0 if is_canary(request) else 1
        self._at_once += one
        self.most_at_once = max(self.most_at_once, self._at_once)
        await asyncio.sleep(self.linger)
        self._at_once -= one
        return self._refusal(form) or self._answer(speech_of(form)[44:], None)

    async def _noted(self, request: Request) -> dict[str, str]:
        form = {name: str(value) for name, value in (await request.form()).items()}
        if is_canary(request):  # what the watcher asks is counted apart from what users do
            self.canaries.append(form)
            return form
        self.asked.append(form)
        self.headers.append(dict(request.headers))
        return form

    def _answer(self, spoken: bytes, media_type: str | None) -> Response:
        fault = self.fault_for(len(self.asked)) if self.fault_for else self.fault
        return fault.response(spoken) if fault else Response(spoken, media_type=media_type)

    def _refusal(self, form: dict[str, str]) -> Response | None:
        if len(form["text"]) > 2000:
            return JSONResponse({"detail": "text exceeds 2000 characters"}, 400)
        if form["voice"] not in VOICES:
            return JSONResponse({"detail": f"voice {form['voice']} not found"}, 500)
        return None

    async def _list_voices(self, request: Request) -> Response:
        self.listed += 0 if is_canary(request) else 1
        if self.voices_fault:
            return self.voices_fault.response(b"{}")
        return JSONResponse({"en-US,es-US,fr-FR,de-DE": {"voices": VOICES}})

    async def _ready(self, _: Request) -> Response:
        return JSONResponse({"status": "ready"})


def speech_of(form: dict[str, str]) -> bytes:
    """The same text and voice always sound the same, and no two others alike."""
    seconds = min(len(form["text"]) / CHARACTERS_A_SECOND, LONGEST_SECONDS)
    seed = hashlib.sha256(f"{form['text']}|{form['voice']}".encode()).digest()
    return wav(seconds, rate=int(form["sample_rate_hz"]), seed=seed)
