"""What each known server answers to the small questions, and what it is for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from spark_control.upstreams.fingerprints import QUESTIONS, Reply

Said = Mapping[str, Any]


def replies(said: Said) -> dict[str, Reply]:
    """Answers by path: a text, something for JSON, or a status with one of these. Every other path is a 404."""
    answers = {path: Reply(404, "application/json", b'{"detail": "Not Found"}') for path in QUESTIONS}
    for path, answer in said.items():
        status, body = answer if isinstance(answer, tuple) else (200, answer)
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        answers[path] = Reply(status, "text/plain" if isinstance(body, str) else "application/json", data)
    return answers


def everywhere(answer: object) -> dict[str, object]:
    """The same answer to every question."""
    return dict.fromkeys(QUESTIONS, answer)


def models(*names: str, **extra: object) -> dict[str, object]:
    return {
        "object": "list",
        "data": [{"id": name, "object": "model", "created": 1, **extra} for name in names],
    }


LM_STUDIO: Said = {path: {"error": f"Unexpected endpoint or method. (GET {path})"} for path in QUESTIONS}
GROXAXO_HEALTH = {"status": "healthy", "ready": True, "models": ["parakeet-tdt-0.6b-v3"]}
QWEN3_BACKEND = {"name": "official", "model_id": "Qwen/Qwen3-TTS-12Hz-1.7B-CustomVoice", "ready": True}
NEMO_MODELS = {
    "object": "list",
    "data": [
        {"id": "parakeet-tdt-0.6b-v3", "object": "model", "owned_by": "local", "capability": "transcription"},
        {"id": "sortformer", "object": "model", "owned_by": "local", "capability": "diarization"},
        {
            "id": "magpie-357m",
            "object": "model",
            "owned_by": "local",
            "capability": "speech",
            "voices": ["Mia"],
        },
    ],
}
SPEACHES_MODELS = {
    "object": "list",
    "data": [
        {"id": "Systran/faster-whisper-small", "owned_by": "Systran", "task": "automatic-speech-recognition"},
        {"id": "speaches-ai/Kokoro-82M-v1.0-ONNX", "owned_by": "speaches-ai", "task": "text-to-speech"},
        {"id": "pyannote/segmentation", "owned_by": "pyannote", "task": "voice-activity-detection"},
    ],
}

PARAKEET, CHAT, SPEECH = ("parakeet", "transcription"), ("openai", "chat"), ("openai", "speech")
QWEN3, HEARING = ("qwen3-tts", "speech"), ("openai", "transcription")

KNOWN: dict[str, tuple[Said, list[tuple[tuple[str, str], str | None, str | None]]]] = {
    "magpie": (
        {
            "/v1/health/ready": {"status": "ready"},
            "/v1/audio/list_voices": {"en-US,de-DE": {"voices": ["Magpie-Multilingual.EN-US.Mia"]}},
        },
        [(("magpie", "speech"), None, None)],
    ),
    "parakeet-nim": (
        {"/v1/health/ready": {"ready": True}},
        [(("parakeet-nim", "transcription"), None, None)],
    ),
    "parakeet-nim that lists its model": (
        {
            "/v1/health/ready": {
                "object": "health.response",
                "message": "Service is ready.",
                "status": "ready",
            },
            "/v1/models": models("parakeet-1-1b-ctc-en-us"),
        },
        [(("parakeet-nim", "transcription"), None, "parakeet-1-1b-ctc-en-us")],
    ),
    "a NIM of a language model": (
        {
            "/v1/health/ready": {"status": "ready"},
            "/v1/models": models("meta/llama-3.1-8b", owned_by="system"),
        },
        [(CHAT, None, "meta/llama-3.1-8b")],
    ),
    "groxaxo": ({"/health": GROXAXO_HEALTH, "/healthz": {"status": "ok"}}, [(PARAKEET, "groxaxo", None)]),
    "groxaxo that starts": (
        {"/health": {"status": "starting", "ready": False}, "/healthz": (503, {"detail": "not ready"})},
        [(PARAKEET, "groxaxo", None)],
    ),
    "groxaxo-legacy": (
        {"/health": {"status": "healthy"}, "/status": {"status": "idle"}},
        [(PARAKEET, "groxaxo-legacy", None)],
    ),
    "groxaxo-legacy at work": (
        {"/status": {"job_id": "7", "status": "processing", "current_chunk": 1}},
        [(PARAKEET, "groxaxo-legacy", None)],
    ),
    "achetronic": (
        {"/health": {"status": "ok"}, "/v1/models": models("parakeet-tdt-0.6b", "whisper-1")},
        [(PARAKEET, "achetronic", "parakeet-tdt-0.6b")],
    ),
    "runparakeet": (
        {
            "/healthz": {"status": "ok", "model_name": "nvidia/parakeet-tdt-0.6b-v3", "loaded": False},
            "/v1/models": models("nvidia/parakeet-tdt-0.6b-v3", owned_by="nvidia"),
        },
        [(PARAKEET, "runparakeet", "nvidia/parakeet-tdt-0.6b-v3")],
    ),
    "xr-ai hears": (
        {
            "/health": {"status": "ok"},
            "/v1/models": models("nvidia/parakeet-tdt-0.6b-v3", owned_by="local"),
        },
        [(PARAKEET, "xr-ai", "nvidia/parakeet-tdt-0.6b-v3")],
    ),
    "xr-ai speaks, and loads": (
        {
            "/health": (503, {"detail": "model not loaded"}),
            "/v1/models": models("nvidia/magpie_tts_multilingual_357m", owned_by="local"),
        },
        [(SPEECH, "xr-ai", "nvidia/magpie_tts_multilingual_357m")],
    ),
    "xr-ai before a NIM": (
        {"/health": {"service": "magpie-nim-tts"}, "/v1/health/ready": {"status": "ready"}},
        [(SPEECH, "xr-ai", None)],
    ),
    "nemo-speech-cpp": (
        {
            "/health": {"status": "ok", "version": "0.3.0"},
            "/ready": {"ready": True, "device": "cuda", "capabilities": ["transcription", "speech"]},
            "/version": {"version": "0.3.0"},
            "/v1/models": NEMO_MODELS,
        },
        [
            (PARAKEET, "nemo-speech-cpp", "parakeet-tdt-0.6b-v3"),
            (SPEECH, "nemo-speech-cpp", "magpie-357m"),
        ],
    ),
    "nemo-speech-cpp with a key": (
        {"/ready": {"ready": True, "capabilities": ["speech"]}, "/v1/models": (401, {"error": "Key?"})},
        [(SPEECH, "nemo-speech-cpp", None)],
    ),
    "icantc0de1": (
        {
            "/": {"name": "Qwen3-TTS"},
            "/health": {"status": "healthy", "timestamp": 1.5},
            "/v1/audio/voices": {"voices": [{"voice_id": "alloy", "name": "Vivian", "preview_url": None}]},
        },
        [(QWEN3, "icantc0de1", None)],
    ),
    "groxaxo's Qwen3": (
        {
            "/health": {"status": "healthy", "backend": QWEN3_BACKEND, "version": "0.1.0"},
            "/v1/models": models("qwen3-tts", "tts-1"),
            "/v1/audio/voices": {"voices": [{"id": "Vivian", "name": "Vivian"}], "languages": ["English"]},
        },
        [(QWEN3, "groxaxo", "qwen3-tts")],
    ),
    "groxaxo's Qwen3 that failed": (
        {
            "/health": {
                "status": "error",
                "error": "CUDA error",
                "backend": {"name": "official", "ready": False},
            }
        },
        [(QWEN3, "groxaxo", None)],
    ),
    "vllm-omni": (
        {
            "/health": "",
            "/version": {"version": "0.11.0"},
            "/v1/models": models("Qwen/Qwen3-TTS-12Hz-1.7B-CustomVoice", owned_by="vllm"),
            "/v1/audio/voices": {"voices": ["aiden", "vivian"], "uploaded_voices": []},
        },
        [(QWEN3, "vllm-omni", "Qwen/Qwen3-TTS-12Hz-1.7B-CustomVoice")],
    ),
    "speaches": (
        {"/health": "OK", "/api/ps": {"models": []}, "/v1/models": SPEACHES_MODELS},
        [
            (HEARING, "speaches", "Systran/faster-whisper-small"),
            (SPEECH, "speaches", "speaches-ai/Kokoro-82M-v1.0-ONNX"),
        ],
    ),
    "speaches with a message, and no model yet": (
        {"/health": {"message": "OK"}, "/api/ps": {"models": []}, "/v1/models": models()},
        [(HEARING, "speaches", None), (SPEECH, "speaches", None)],
    ),
    "kokoro": (
        {
            "/health": {"status": "healthy"},
            "/v1/models": models("tts-1", "tts-1-hd", "kokoro", owned_by="kokoro"),
            "/v1/audio/voices": {"voices": ["af_heart", "bm_george"]},
        },
        [(SPEECH, "kokoro", "kokoro")],
    ),
    "localai": (
        {
            "/readyz": "OK",
            "/healthz": "OK",
            "/version": {"version": "v3.1.0"},
            "/v1/models": {
                "object": "list",
                "data": [{"id": name} for name in ("whisper-base", "llama", "tts-hd")],
            },
        },
        [
            (CHAT, "localai", "llama"),
            (HEARING, "localai", "whisper-base"),
            (SPEECH, "localai", "tts-hd"),
        ],
    ),
    "localai that introduces itself, and speaks Ollama's API too": (
        {
            "/": "Ollama is running",
            "/.well-known/localai.json": {"version": "v4.9.0", "endpoints": {"models": "/v1/models"}},
            "/v1/models": models("qwen3-30b"),
        },
        [(CHAT, "localai", "qwen3-30b")],
    ),
    "vllm": (
        {
            "/health": "",
            "/version": {"version": "0.11.0"},
            "/v1/models": models("qwen3-30b", owned_by="vllm"),
        },
        [(CHAT, "vllm", "qwen3-30b")],
    ),
    "vllm that hears": (
        {"/health": "", "/v1/models": models("openai/whisper-large-v3", owned_by="vllm")},
        [(HEARING, "vllm", "openai/whisper-large-v3")],
    ),
    "vllm with a key": (
        {"/health": "", "/version": {"version": "0.11.0"}, "/v1/models": (401, {"error": "Unauthorized"})},
        [(CHAT, "vllm", None)],
    ),
    "ollama": (
        {
            "/": "Ollama is running",
            "/api/ps": {"models": []},
            "/v1/models": models("llama3.2:3b", "nomic-embed-text", owned_by="library"),
        },
        [(CHAT, "ollama", "llama3.2:3b")],
    ),
    "llama.cpp": (
        {
            "/health": {"status": "ok"},
            "/props": {"total_slots": 1},
            "/v1/models": models("qwen3", owned_by="llamacpp"),
        },
        [(CHAT, "llama.cpp", "qwen3")],
    ),
    "llama.cpp that loads": (
        {"/health": (503, {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}})},
        [(CHAT, "llama.cpp", None)],
    ),
    "sglang": ({"/health": "", "/v1/models": models("qwen", owned_by="sglang")}, [(CHAT, None, "qwen")]),
    "trt-llm": (
        {
            "/health": "",
            "/version": {"version": "1.0"},
            "/v1/models": models("gpt-oss-120b", owned_by="tensorrt_llm"),
        },
        [(CHAT, None, "gpt-oss-120b")],
    ),
    "lm studio": (
        {**LM_STUDIO, "/v1/models": models("qwen3", owned_by="organization_owner")},
        [(CHAT, None, "qwen3")],
    ),
    "somebody's own": (
        {"/v1/models": models("Qwen3-ASR-1.7B", owned_by="me")},
        [(HEARING, None, "Qwen3-ASR-1.7B")],
    ),
}
