"""What clients ask before they speak: which models and which voices there are. Answered from memory."""

from __future__ import annotations

from collections.abc import Iterator

from fastapi import APIRouter
from starlette.responses import JSONResponse

from spark_control.errors import InvalidRequest, NotFound
from spark_control.upstreams.base import Voice
from spark_control.upstreams.catalog import Catalog

SPEAKER_NAMES = ("tts-1", "tts-1-hd", "gpt-4o-mini-tts")
LISTENER_NAMES = ("whisper-1", "gpt-4o-transcribe", "gpt-4o-mini-transcribe")
"""OpenAI's names, which many clients have built in: they mean this gateway's models."""

Entry = dict[str, object]


def build_discovery_router(catalog: Catalog, *, list_voices: bool, created: int) -> APIRouter:
    """`/v1/models`, `/v1/audio/models` and `/v1/audio/voices`. `created` is a Unix time, the gateway's start."""
    router = APIRouter(prefix="/v1", tags=["discovery"])
    shelf = _Shelf(catalog, created)

    @router.get("/models")
    async def models() -> JSONResponse:
        voices = shelf.voice_models() if list_voices else []
        return JSONResponse({"object": "list", "data": [*shelf.models(), *voices]})

    @router.get("/models/{model_id:path}")
    async def model(model_id: str) -> JSONResponse:
        return JSONResponse(shelf.model(model_id))

    @router.get("/audio/models")
    async def audio_models() -> JSONResponse:
        """Speaking models under both keys: Open WebUI reads `models`, others `data`."""
        entries = shelf.speaking_models()
        return JSONResponse({"object": "list", "data": entries, "models": entries})

    @router.get("/audio/voices")
    async def voices() -> JSONResponse:
        """Under both keys: Open WebUI reads `voices`, others `data`."""
        entries = list(shelf.voices())
        return JSONResponse({"object": "list", "voices": entries, "data": entries})

    @router.get("/audio/voices/{voice_id:path}")
    async def voice(voice_id: str) -> JSONResponse:
        return JSONResponse(shelf.voice(voice_id))

    return router


class _Shelf:
    """The catalog as clients want to read it."""

    def __init__(self, catalog: Catalog, created: int) -> None:
        self._catalog = catalog
        self._created = created

    def models(self) -> list[Entry]:
        listener = self._catalog.listener
        heard = (
            [self._entry(listener.model, listener.name, "automatic-speech-recognition")] if listener else []
        )
        return [*heard, *self.speaking_models()]

    def speaking_models(self) -> list[Entry]:
        speaker = self._catalog.speaker
        return [self._entry(speaker.model, speaker.name, "text-to-speech")] if speaker else []

    def voice_models(self) -> list[Entry]:
        owner = self._catalog.speaker.name if self._catalog.speaker else ""
        return [self._entry(voice.id, owner, "text-to-speech") for voice in self._catalog.voices]

    def model(self, asked: str) -> Entry:
        """One model's page; a speaking model's has its voices, which is where wyoming_openai finds them."""
        for entry in self.models():
            speaks = entry["task"] == "text-to-speech"
            if asked == entry["id"] or asked in (SPEAKER_NAMES if speaks else LISTENER_NAMES):
                return {**entry, "voices": list(self.voices()) or self._openai_voices()} if speaks else entry
        raise NotFound(
            f"There is no model {asked[:80]!r}; GET /v1/models lists them.", code="model_not_found"
        )

    def _openai_voices(self) -> list[Entry]:
        """OpenAI's names, which always work: for a bridge that asks once, at a moment when nobody knows the others."""
        names = self._catalog.speaker.dialect.openai_voices if self._catalog.speaker else ()
        return [{"id": name, "name": name, "voice_id": name, "language": None} for name in names]

    def voices(self) -> Iterator[Entry]:
        """The owner's own names first, then every voice of the engine."""
        for name in self._catalog.own_names:
            try:
                yield self._voice(name, self._catalog.known_voice(name))
            except InvalidRequest:
                continue  # a name for a voice that the engine does not have
        for voice in self._catalog.voices:
            yield self._voice(voice.id, voice)

    def voice(self, asked: str) -> Entry:
        return self._voice(asked, self._catalog.listed_voice(asked))

    def _voice(self, name: str, voice: Voice) -> Entry:
        """With `id`, `name` and `voice_id`, since each of them is somebody's only key."""
        return {
            "id": name,
            "name": name,
            "voice_id": name,
            "object": "audio.voice",
            "voice": voice.id,
            "language": voice.language,
            "emotion": voice.emotion,
            "engine": self._catalog.speaker.name if self._catalog.speaker else None,
        }

    def _entry(self, model: str, owner: str, task: str) -> Entry:
        return {"id": model, "object": "model", "created": self._created, "owned_by": owner, "task": task}
