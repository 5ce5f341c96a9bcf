"""Pure: which server answers, by what it answers to small questions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from spark_control.settings import Flavour, Kind, Task
from spark_control.upstreams.answers import Answers, Reply
from spark_control.upstreams.models import OPENAI_MODELS
from spark_control.upstreams.servers import (
    ANYTHING,
    SERVERS,
    Server,
    is_gateway,
    is_open_webui,
    task_of,
    tasks_told,
)

__all__ = [
    "FIRST_QUESTION",
    "QUESTIONS",
    "Identity",
    "Reply",
    "bystander",
    "flavour_of",
    "identify",
    "questions",
]

FIRST_QUESTION = "/health"
"""Asked before the others, of a server that may not even speak HTTP."""

_QUESTIONS: Mapping[str, tuple[str, ...]] = {
    "parakeet": (FIRST_QUESTION, "/healthz", "/ready", "/status", "/v1/models"),
    "qwen3-tts": (FIRST_QUESTION, "/v1/audio/voices"),
    "openai": (
        FIRST_QUESTION,
        "/",
        "/.well-known/localai.json",
        "/api/ps",
        "/healthz",
        "/props",
        "/ready",
        "/readyz",
        "/v1/audio/voices",
        "/v1/models",
        "/version",
    ),
}
"""For each kind of which there are several servers."""

_OF_STRANGERS = ("/v1/audio/list_voices", "/v1/health/ready", "/v1/health/live", "/api/status", "/api/config")
"""What tells the other kinds, and those that are no engine."""

QUESTIONS: tuple[str, ...] = tuple(
    dict.fromkeys([path for paths in _QUESTIONS.values() for path in paths] + list(_OF_STRANGERS))
)
"""All of them, for a server of which nothing is known."""


@dataclass(frozen=True, slots=True)
class Identity:
    """One thing that a server does, and how that is configured."""

    kind: Kind
    task: Task
    flavour: Flavour | None
    model: str | None
    """The first that it lists for the task; visible ASCII."""
    title: str
    """The server's name for a person, with its model."""
    wants_key: bool = False


def questions(kind: str) -> tuple[str, ...]:
    """The paths to ask for, of an engine of that kind; none where its kind says it all."""
    return _QUESTIONS.get(kind, ())


def flavour_of(kind: str, task: Task, answers: Mapping[str, Reply]) -> Flavour | None:
    """The flavour of an engine that is configured as that kind, for that task; None if unsure."""
    server = _recognise(Answers(answers))
    known = server is not None and kind in server.kinds.values() and task in server.kinds
    return server.flavour if server and known else None


def identify(answers: Mapping[str, Reply]) -> list[Identity]:
    """Everything that the server does for the gateway; nothing if it is not known, or no engine."""
    said = Answers(answers)
    server = _recognise(said) or (ANYTHING if ANYTHING.is_it(said) and bystander(answers) is None else None)
    if server is None:
        return []
    return [
        Identity(
            server.kinds[task], task, server.flavour, _first(names), _title(server, names), said.wants_key
        )
        for task, names in _abilities(server, said).items()
    ]


def bystander(answers: Mapping[str, Reply]) -> str | None:
    """What a known server is that is no engine, or none yet; None if it is not one of those either."""
    said = Answers(answers)
    if is_gateway(said):
        return "Spark Control, a gateway such as this one"
    if is_open_webui(said):
        return "Open WebUI, which is a client"
    if said.status("/v1/health/ready") == 503 and said.status("/v1/health/live") == 200:
        return "one of NVIDIA's NIMs, which is still loading: ask again in some minutes"
    return "something that wants a key before it tells what it is" if said.wants_key else None


def _recognise(said: Answers) -> Server | None:
    if is_gateway(said) or is_open_webui(said):
        return None
    return next((server for server in SERVERS if server.is_it(said)), None)


def _abilities(server: Server, said: Answers) -> dict[Task, list[str]]:
    """Its tasks, with the models for each. One that tells none is there to chat, or for all that such a server does."""
    if len(server.kinds) == 1:
        return {task: [str(model["id"]) for model in said.models] for task in server.kinds}
    names = {
        task: [str(model["id"]) for model in said.models if task_of(model) == task] for task in server.kinds
    }
    if any(names.values()):
        return {task: listed for task, listed in names.items() if listed}
    told = tasks_told(said) or {"chat"}
    return {task: [] for task in names if task in told} or names


def _first(names: list[str]) -> str | None:
    """A model's own name rather than one of OpenAI's that it answers to as well."""
    openais = {name for borrowed in OPENAI_MODELS.values() for name in borrowed}
    return next((name for name in names if name not in openais), names[0] if names else None)


def _title(server: Server, names: list[str]) -> str:
    first = _first(names)
    if first is None or set(server.kinds.values()) != {"openai"}:
        return server.title
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"{server.title} with {first}{more}"
