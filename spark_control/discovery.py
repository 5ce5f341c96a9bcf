"""What clients ask before they speak: which models and which voices there are. Answered from memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fastapi import APIRouter
from starlette.responses import JSONResponse

from spark_control.settings import Task
from spark_control.upstreams.base import Voice
from spark_control.upstreams.catalog import Catalog

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


_TASKS: Mapping[Task, str] = {
    "speech": "text-to-speech",
    "transcription": "automatic-speech-recognition",
    "chat": "text-generation",
}
"""Tasks by the names that Hugging Face gives them, as Speaches does."""


class _Shelf:
    """The catalog as clients want to read it."""

    def __init__(self, catalog: Catalog, created: int) -> None:
        self._catalog = catalog
        self._created = created

    def models(self) -> list[Entry]:
        return [self._entry(model.name, model.owner, _TASKS[model.task]) for model in self._catalog.models()]

    def speaking_models(self) -> list[Entry]:
        return [entry for entry in self.models() if entry["task"] == _TASKS["speech"]]

    def voice_models(self) -> list[Entry]:
        return [
            self._entry(name, engine, _TASKS["speech"])
            for name, _, engine in self._catalog.listed_voices()
            if name not in self._catalog.own_names
        ]

    def model(self, asked: str) -> Entry:
        """One model's page; a speaking model's has its voices, which is where wyoming_openai finds them."""
        model = self._catalog.model(asked)
        entry = self._entry(model.name, model.owner, _TASKS[model.task])
        return (
            {**entry, "voices": list(self.voices()) or self._openai_voices()}
            if model.task == "speech"
            else entry
        )

    def _openai_voices(self) -> list[Entry]:
        """OpenAI's names, which always work: for a bridge that asks once, at a moment when nobody knows the others."""
        return [
            {"id": name, "name": name, "voice_id": name, "language": None}
            for name in self._catalog.openai_voices()
        ]

    def voices(self) -> Iterator[Entry]:
        """The owner's own names first, then every voice of every engine."""
        return (_voice(*listed) for listed in self._catalog.listed_voices())

    def voice(self, asked: str) -> Entry:
        return _voice(asked, *self._catalog.listed_voice(asked))

    def _entry(self, model: str, owner: str, task: str) -> Entry:
        return {"id": model, "object": "model", "created": self._created, "owned_by": owner, "task": task}


def _voice(name: str, voice: Voice, engine: str) -> Entry:
    """With `id`, `name` and `voice_id`, since each of them is somebody's only key."""
    return {
        "id": name,
        "name": name,
        "voice_id": name,
        "object": "audio.voice",
        "voice": voice.id,
        "language": voice.language,
        "emotion": voice.emotion,
        "description": voice.description,
        "engine": engine,
    }
