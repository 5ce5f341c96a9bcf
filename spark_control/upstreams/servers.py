"""Pure: the servers that are known, and how each of them gives itself away.

Most answer `{"status": "ok"}` to somebody. What tells them apart is the odd one
out: a key that only one of them has, or the name that it gives to its models.
A server that answers 200 to every path, with a page or an error in it, must fit
none of them, so that each is known by what an answer holds and never by a status.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from spark_control.settings import Flavour, Kind, Task
from spark_control.upstreams.answers import Answers, Entry


@dataclass(frozen=True, slots=True)
class Server:
    """One server: what it is called, and the kind it is configured as for each of the tasks that it may have."""

    title: str
    kinds: Mapping[Task, Kind]
    is_it: Callable[[Answers], bool]
    flavour: Flavour | None = None


_HEARS = re.compile(
    r"whisper|parakeet|canary|conformer|moonshine|transcribe|(?<![a-z])(asr|stt)(?![a-z])", re.IGNORECASE
)
_SPEAKS = re.compile(
    r"^voice-|kokoro|piper|magpie|chatterbox|orpheus|parler|cosyvoice|fish-?speech|xtts|(?<![a-z])tts(?![a-z])",
    re.IGNORECASE,
)
_WORDS: Mapping[object, Task] = {
    "automatic-speech-recognition": "transcription",
    "transcription": "transcription",
    "text-to-speech": "speech",
    "speech": "speech",
    "text-generation": "chat",
}
"""The tasks, by the names that Speaches and NeMo-Speech.cpp give them."""

_KOKORO_VOICE = re.compile(r"[a-z][fm]_[a-z]+")
"""Language, sex, name: `af_heart`."""


def task_of(model: Entry) -> Task | None:
    """What a listed model is for: as its entry says, or else as its name suggests."""
    told = model.get("task", model.get("capability"))
    if told is not None:
        return _WORDS.get(told) if isinstance(told, str) else None
    name = str(model["id"])
    if _SPEAKS.search(name):
        return "speech"
    return "transcription" if _HEARS.search(name) else "chat"


def tasks_told(said: Answers) -> set[Task]:
    """The tasks that NeMo-Speech.cpp names to everybody, even if its models are for those with a key."""
    told = said.entries("/ready", "capabilities") or []
    return {task for word, task in _WORDS.items() if word in told}


def is_gateway(said: Answers) -> bool:
    """Spark Control itself, or another of its kind; with keys, it shows its state to nobody without."""
    if said.body("/health") != b"OK" or said.entry("/healthz") != {"status": "ok"}:
        return False
    shown = said.entry("/api/status")
    return isinstance(shown.get("upstreams"), list) or said.status("/api/status") in (401, 403)


def is_open_webui(said: Answers) -> bool:
    told = said.entry("/api/config")
    return told.get("status") is True and "version" in told and "name" in told


def _is_magpie(said: Answers) -> bool:
    if said.status("/v1/audio/list_voices") != 200:
        return False
    locales = said.entry("/v1/audio/list_voices").values()
    return any(isinstance(each, dict) and isinstance(each.get("voices"), list) for each in locales)


def _is_parakeet_nim(said: Answers) -> bool:
    """A NIM that neither speaks nor chats. Other servers with `/v1/health/ready` have `/health` too."""
    hears = all(task_of(each) == "transcription" for each in said.models)
    ready = said.entry("/v1/health/ready")
    is_ready = ready.get("status") == "ready" or ready.get("ready") is True
    return said.status("/v1/health/ready") == 200 and is_ready and said.body("/health") is None and hears


def _is_icantc0de1(said: Answers) -> bool:
    """Its voices have no `id`, which is what Open WebUI falls over."""
    return bool(said.voices) and all("voice_id" in each and "id" not in each for each in said.voices)


def _is_groxaxo_qwen3(said: Answers) -> bool:
    backend = said.entry("/health").get("backend")
    return isinstance(backend, dict) and "ready" in backend


def _is_vllm_omni(said: Answers) -> bool:
    return said.entries("/v1/audio/voices", "uploaded_voices") is not None


def _is_nemo_speech_cpp(said: Answers) -> bool:
    ready = said.entry("/ready")
    inventory = isinstance(ready.get("ready"), bool) and isinstance(ready.get("capabilities"), list)
    return inventory or (bool(said.models) and all("capability" in each for each in said.models))


def _is_groxaxo(said: Answers) -> bool:
    told = said.entry("/health")
    return (
        isinstance(told.get("ready"), bool) and isinstance(told.get("status"), str) and not said.lists_models
    )


def _is_groxaxo_legacy(said: Answers) -> bool:
    """It tells how far its one job has come."""
    told = said.entry("/status")
    idle = told == {"status": "idle"}
    return said.status("/status") == 200 and (idle or "job_id" in told) and not said.lists_models


def _is_runparakeet(said: Answers) -> bool:
    told = said.entry("/healthz")
    return isinstance(told.get("model_name"), str) and isinstance(told.get("loaded"), bool)


def _is_achetronic(said: Answers) -> bool:
    """The one server whose Parakeet is also called whisper-1."""
    names = [str(each["id"]) for each in said.models]
    return "whisper-1" in names and all(name == "whisper-1" or name.startswith("parakeet") for name in names)


def _is_xr_ai(said: Answers) -> bool:
    told = said.entry("/health")
    lives = told == {"status": "ok"} or told == {"detail": "model not loaded"}
    return lives and said.owned_by("local") and all(task_of(each) != "chat" for each in said.models)


def _is_xr_ai_adapter(said: Answers) -> bool:
    """What xr-ai puts before a Magpie NIM."""
    return said.entry("/health").get("service") in ("magpie-nim-tts", "nim-model-adapter")


def _is_speaches(said: Answers) -> bool:
    """Its health is the bare word, or that word as a message."""
    lives = said.body("/health") == b"OK" or said.entry("/health").get("message") == "OK"
    loaded = said.entries("/api/ps", "models") is not None
    return lives and not said.entry("/healthz") and (loaded or any("task" in each for each in said.models))


def _is_kokoro(said: Answers) -> bool:
    if said.owned_by("kokoro"):
        return True
    names = said.entries("/v1/audio/voices", "voices") or []
    ids = [each.get("id") if isinstance(each, dict) else each for each in names]
    return bool(ids) and all(isinstance(each, str) and _KOKORO_VOICE.match(each) for each in ids)


def _is_localai(said: Answers) -> bool:
    """Newer ones introduce themselves; older ones have `/readyz` without a body, and models that nobody owns."""
    introduction = said.entry("/.well-known/localai.json")
    if "version" in introduction and isinstance(introduction.get("endpoints"), dict):
        return True
    ready = said.body("/readyz") in (b"", b"OK")
    nobodys = bool(said.models) and not any("owned_by" in each for each in said.models)
    return ready and _tells_version(said) and nobodys


def _is_ollama(said: Answers) -> bool:
    return said.body("/") == b"Ollama is running"


def _is_llama_cpp(said: Answers) -> bool:
    if said.owned_by("llamacpp"):
        return True
    error = said.entry("/health").get("error")
    if isinstance(error, dict) and error.get("message") == "Loading model":
        return True
    props = said.entry("/props") if said.status("/props") == 200 else {}
    lives = said.entry("/health").get("status") == "ok" and said.lists_models
    return lives and bool(props) and "error" not in props


def _is_vllm(said: Answers) -> bool:
    """By the owner of its models; with a key set, by its health, which is empty, beside a version."""
    if said.owned_by("vllm"):
        return True
    lives = said.status("/health") in (200, 503) and not said.entry("/health")
    return lives and said.body("/health") in (None, b"") and _tells_version(said)


def _is_lm_studio(said: Answers) -> bool:
    error = said.entry("/health").get("error")
    return isinstance(error, str) and error.startswith("Unexpected endpoint or method")


def _tells_version(said: Answers) -> bool:
    return said.status("/version") == 200 and isinstance(said.entry("/version").get("version"), str)


def _owned_by(owner: str) -> Callable[[Answers], bool]:
    return lambda said: said.owned_by(owner)


_SPEECH: Mapping[Task, Kind] = {"speech": "openai"}
_CHAT: Mapping[Task, Kind] = {"chat": "openai"}
_AUDIO: Mapping[Task, Kind] = {"transcription": "openai", "speech": "openai"}
_ALL: Mapping[Task, Kind] = {"chat": "openai", **_AUDIO}
_HEARD_AS_PARAKEET: Mapping[Task, Kind] = {"transcription": "parakeet", "speech": "openai"}
_PARAKEET: Mapping[Task, Kind] = {"transcription": "parakeet"}
_QWEN3: Mapping[Task, Kind] = {"speech": "qwen3-tts"}

SERVERS: tuple[Server, ...] = (
    Server("Magpie (NVIDIA's NIM)", {"speech": "magpie"}, _is_magpie),
    Server("Qwen3-TTS (icantc0de1)", _QWEN3, _is_icantc0de1, "icantc0de1"),
    Server("Qwen3-TTS (groxaxo)", _QWEN3, _is_groxaxo_qwen3, "groxaxo"),
    Server("vLLM-Omni", _QWEN3, _is_vllm_omni, "vllm-omni"),
    Server("NeMo-Speech.cpp", _HEARD_AS_PARAKEET, _is_nemo_speech_cpp, "nemo-speech-cpp"),
    Server("Parakeet (groxaxo)", _PARAKEET, _is_groxaxo, "groxaxo"),
    Server("Parakeet (groxaxo, the old app)", _PARAKEET, _is_groxaxo_legacy, "groxaxo-legacy"),
    Server("Parakeet (RunParakeet)", _PARAKEET, _is_runparakeet, "runparakeet"),
    Server("Parakeet (achetronic)", _PARAKEET, _is_achetronic, "achetronic"),
    Server("Magpie (NVIDIA's xr-ai)", _SPEECH, _is_xr_ai_adapter, "xr-ai"),
    Server("NVIDIA's xr-ai", _HEARD_AS_PARAKEET, _is_xr_ai, "xr-ai"),
    Server("Speaches", _AUDIO, _is_speaches, "speaches"),
    Server("Kokoro", _SPEECH, _is_kokoro, "kokoro"),
    Server("LocalAI", _ALL, _is_localai, "localai"),
    Server("Ollama", _CHAT, _is_ollama, "ollama"),
    Server("llama.cpp", _ALL, _is_llama_cpp, "llama.cpp"),
    Server("SGLang", _CHAT, _owned_by("sglang")),
    Server("TensorRT-LLM", _CHAT, _owned_by("tensorrt_llm")),
    Server("vLLM", _ALL, _is_vllm, "vllm"),
    Server("LM Studio", _CHAT, _is_lm_studio),
    Server("Parakeet (NVIDIA's NIM)", {"transcription": "parakeet-nim"}, _is_parakeet_nim),
)
"""In the order in which they are asked for: who has a mark of its own comes before who has less."""

ANYTHING = Server("something OpenAI-compatible", _ALL, lambda said: bool(said.models))
"""What is left: a server that lists models."""
