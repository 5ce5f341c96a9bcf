"""What clients ask before they speak: which models and voices there are. Open to everybody."""

from __future__ import annotations

from collections.abc import Sequence

from spark_control.api_description.operations import Json, Paths, in_path, operation, told
from spark_control.api_description.shapes import (
    Schema,
    Schemas,
    always,
    count,
    either,
    listing,
    maybe,
    one_of,
    text,
    the,
    thing,
)

_TASKS = ("text-to-speech", "automatic-speech-recognition", "text-generation")

_ENTRY: dict[str, Schema] = {
    "id": text("What to ask for."),
    "object": always("model"),
    "created": count("The gateway's start, as Unix time."),
    "owned_by": text("The engine that has it."),
    "task": one_of(_TASKS, "What it does, as Hugging Face calls it."),
}
_NAMED = {name: text("What to ask for.") for name in ("id", "name", "voice_id")}
_LANGUAGE = maybe(text("BCP-47, such as `en-US`."))

SCHEMAS: Schemas = {
    "Model": thing("A model.", _ENTRY),
    "ModelPage": thing(
        "A model, and the voices of one that speaks.",
        {**_ENTRY, "voices": listing(either(the("Voice"), the("VoiceName")))},
        optional=("voices",),
    ),
    "ModelList": thing("", {"object": always("list"), "data": listing(the("Model"))}),
    "SpeakingModelList": thing(
        "The same list twice, since clients read either.",
        {"object": always("list"), "data": listing(the("Model")), "models": listing(the("Model"))},
    ),
    "VoiceName": thing(
        "One of OpenAI's names, which always work, while no engine has told its own voices.",
        {**_NAMED, "language": _LANGUAGE},
    ),
    "Voice": thing(
        "A voice.",
        {
            **_NAMED,
            "object": always("audio.voice"),
            "voice": text("Its name at the engine."),
            "language": _LANGUAGE,
            "emotion": maybe(text()),
            "description": maybe(text("What the engine says of it.")),
            "engine": text("The engine that has it."),
        },
    ),
    "VoiceList": thing(
        "The same list twice, since clients read either.",
        {"object": always("list"), "voices": listing(the("Voice")), "data": listing(the("Voice"))},
    ),
}


def _read(
    identity: str, summary: str, answered: Json, *, named: str = "", fails: Sequence[int] = ()
) -> dict[str, Json]:
    """A page to read. `named` is what its path ends with, which may not be there."""
    where = {
        "model_id": ("A model's name.", "tts-1"),
        "voice_id": ("A voice's name, or one of OpenAI's.", "alloy"),
    }
    about, example = where.get(named, ("", ""))
    return {
        "get": operation(
            identity,
            summary,
            {"200": answered},
            tag="discovery",
            fails=fails,
            parameters=[in_path(named, about, examples=[example])] if named else (),
            open_=True,
        )
    }


PATHS: Paths = {
    "/v1/models": _read("listModels", "Every model.", told("The models.", "ModelList")),
    "/v1/models/{model_id}": _read(
        "showModel", "One model.", told("The model.", "ModelPage"), named="model_id", fails=[404]
    ),
    "/v1/audio/models": _read(
        "listSpeakingModels", "The models that speak.", told("The models.", "SpeakingModelList")
    ),
    "/v1/audio/voices": _read("listVoices", "Every voice.", told("The voices.", "VoiceList")),
    "/v1/audio/voices/{voice_id}": _read(
        "showVoice", "One voice.", told("The voice.", "Voice"), named="voice_id", fails=[404, 503]
    ),
}
