"""What a client means by a model's name: one that an engine has, an alias, one of OpenAI's, or none that is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

from spark_control.errors import NotFound, Unavailable
from spark_control.settings import ModelsSettings, Task
from spark_control.upstreams.base import ChatDialect, SpeechDialect, TranscriptionDialect
from spark_control.upstreams.client import Upstream

OPENAI_MODELS: Mapping[Task, tuple[str, ...]] = {
    "speech": ("tts-1", "tts-1-hd", "gpt-4o-mini-tts"),
    "transcription": ("whisper-1", "gpt-4o-transcribe", "gpt-4o-mini-transcribe"),
    "chat": (),
}
"""OpenAI's names, which many clients have built in: they mean this gateway's models."""


@dataclass(frozen=True, slots=True)
class Model:
    """A model as it is listed. `owner` is its engine's name."""

    name: str
    task: Task
    owner: str


@dataclass(frozen=True, slots=True)
class ChatModel:
    """A language model, by the name that its engines know; `among` are those, each with its rank."""

    name: str
    among: Mapping[str, int]


class ModelNames:
    """The engines of each task, the models they have told, and the owner's other names for those."""

    def __init__(
        self,
        listeners: Sequence[Upstream[TranscriptionDialect]],
        speakers: Sequence[Upstream[SpeechDialect]],
        thinkers: Sequence[Upstream[ChatDialect]],
        settings: ModelsSettings,
    ) -> None:
        self._pools: Mapping[Task, Sequence[Upstream[Any]]] = {
            "transcription": sorted(listeners, key=lambda each: each.priority),
            "speech": speakers,
            "chat": sorted(thinkers, key=lambda each: each.priority),
        }
        self._told: dict[str, tuple[str, ...]] = {}
        self._go_by(settings)

    def renamed(self, settings: ModelsSettings) -> ModelNames:
        """The same by other settings. What an engine tells either of them, both know."""
        other = copy(self)
        other._go_by(settings)  # noqa: SLF001 (one of its kind)
        return other

    def _go_by(self, settings: ModelsSettings) -> None:
        self._aliases = {name.casefold(): target for name, target in settings.aliases.items()}
        self._alias_names = list(settings.aliases)
        self._strict = settings.strict

    def told(self, upstream: Upstream[Any], models: tuple[str, ...]) -> None:
        """An engine has these models. The first is its own where nobody has named one."""
        self._told[upstream.name] = models
        if models and not upstream.model:
            upstream.learn(upstream.dialect.of_model(models[0]))

    def has_told(self, engine: str) -> bool:
        return engine in self._told

    def task_of(self, engine: str) -> Task:
        """What an engine is there for. Raises StopIteration for one that is not known."""
        return next(task for task, pool in self._pools.items() if engine in [each.name for each in pool])

    def listed(self) -> list[Model]:
        """Each name once: those of engines, then the aliases."""
        models: dict[str, Model] = {}
        for task, pool in self._pools.items():
            for upstream in pool:
                for name in self._models_of(upstream, task):
                    models.setdefault(name, Model(name, task, upstream.name))
        for alias in self._alias_names:
            if target := models.get(self._aliases[alias.casefold()]):
                models.setdefault(alias, Model(alias, target.task, target.owner))
        return list(models.values())

    def known(self, asked: str) -> Model:
        """The model that is listed under that name, or that OpenAI's name means. Raises NotFound."""
        listed = self.listed()
        for model in listed:
            if model.name == asked:
                return model
        for task, names in OPENAI_MODELS.items():
            for model in listed:
                if asked in names and model.task == task:
                    return model
        raise _not_found(asked)

    def ranks(self, task: Task, asked: str | None) -> Mapping[str, int] | None:
        """The engines for that task: those that have the model before the others; None if all are alike.

        Raises NotFound for a name that nobody knows, where names are strict.
        """
        if not asked:
            return None
        pool = self._pools[task]
        name = self._aliases.get(asked.casefold(), asked)
        having = [
            each.name for each in pool if name.casefold() in (each.model.casefold(), each.name.casefold())
        ]
        if having:
            return {each.name: int(each.name not in having) for each in pool} if len(pool) > 1 else None
        if self._strict and name.casefold() not in OPENAI_MODELS[task]:
            raise _not_found(asked)
        return None

    def chat_model(self, asked: str | None) -> ChatModel:
        """The language model that is meant: the first engine's own, for a name that nobody knows.

        Raises NotFound where names are strict; Unavailable while the engines have not told their models.
        """
        pool = self._pools["chat"]
        if asked and (found := self._chat_model(self._aliases.get(asked.casefold(), asked))):
            return found
        if self._strict and asked:
            if all(self.has_told(each.name) for each in pool):
                raise _not_found(asked)
            raise Unavailable(
                "The language models are not known yet: an engine has not told them.", retry_after=5
            )
        for upstream in pool:
            if upstream.model:
                return self._chat_model(upstream.model) or ChatModel(upstream.model, {upstream.name: 0})
        # Nobody has told anything: whoever answers first may know it.
        return ChatModel(asked or "", {each.name: 0 for each in pool})

    def _chat_model(self, name: str) -> ChatModel | None:
        pool = self._pools["chat"]
        # Ollama's own tools leave this tag out.
        for known_as in (name, f"{name}:latest"):
            having = {each.name: 0 for each in pool if known_as in self._models_of(each, "chat")}
            if having:
                return ChatModel(known_as, having)
        engine, _, model = name.partition("/")
        for upstream in pool:
            if upstream.name == engine and model in self._models_of(upstream, "chat"):
                return ChatModel(model, {engine: 0})
        return None

    def _models_of(self, upstream: Upstream[Any], task: Task) -> list[str]:
        told = self._told.get(upstream.name, ()) if task == "chat" else ()
        return list(dict.fromkeys(name for name in (upstream.model, *told) if name))


def _not_found(asked: str) -> NotFound:
    message = f"There is no model {asked[:80]!r}; GET /v1/models lists them."
    return NotFound(message, code="model_not_found", param="model")
