"""Speaking: `/v1/audio/speech`, its other shapes, and the samples of voices."""

from __future__ import annotations

from spark_control.api_description.failures import COUNTED
from spark_control.api_description.operations import (
    EVENTS,
    JSON,
    Paths,
    answer,
    body,
    in_path,
    in_query,
    operation,
    parameter,
    told,
)
from spark_control.api_description.shapes import (
    Schema,
    Schemas,
    always,
    count,
    either,
    event,
    listing,
    maybe,
    number,
    one_of,
    text,
    the,
    thing,
)
from spark_control.audio.formats import SPOKEN

_VOICE = either(text(), thing("", {"id": maybe(text())}, optional=("id",)))
_FORMAT = one_of(list(SPOKEN), "The container of the sound; mp3 unless given.", examples=["wav"])
_HOW: dict[str, Schema] = {
    "model": maybe(text("Any name will do, unless the owner wants names to be right.", examples=["tts-1"])),
    "voice": maybe(
        {
            **_VOICE,
            "description": "A name of `/v1/audio/voices`, or one of OpenAI's. Default: the owner's choice.",
            "examples": ["alloy"],
        }
    ),
    "response_format": maybe(_FORMAT),
    "speed": maybe(number("How fast, as a multiple of the voice's own pace.", minimum=0.25, maximum=4)),
    "instructions": maybe(text("How to speak, for engines that can be told.")),
}
_INPUT = text("What to speak.", pattern=r"\S", examples=["Good morning."])
_MADE: dict[str, Schema] = {
    "audio": text("The sound, in base64.", contentEncoding="base64"),
    "format": one_of(list({made.name for made in SPOKEN.values()}), "Its container."),
    "sample_rate": count("In Hz."),
    "duration_ms": count("How long it is."),
}
_TOKENS = ("input_tokens", "output_tokens", "total_tokens")

SCHEMAS: Schemas = {
    "SpeechRequest": thing(
        "A text to speak. Fields that are not known are ignored.",
        {
            "input": _INPUT,
            **_HOW,
            "stream_format": maybe(one_of(["audio", "sse"], "`sse`: the sound as events with base64.")),
        },
        optional=(*_HOW, "stream_format"),
        examples=[{"input": "Good morning.", "voice": "alloy", "response_format": "wav"}],
    ),
    "SpeechBatch": thing(
        "Several texts. The other fields hold for each that does not say otherwise.",
        {
            "inputs": listing(
                either(_INPUT, thing("", {"input": _INPUT, **_HOW}, optional=tuple(_HOW))),
                minItems=1,
                maxItems=100,
            ),
            **_HOW,
        },
        optional=tuple(_HOW),
        examples=[{"inputs": ["One.", {"input": "Two.", "voice": "nova"}], "response_format": "wav"}],
    ),
    "SpeechBase64": thing("Sound inside of JSON.", _MADE),
    "SpeechEvent": either(
        thing(
            "",
            {"type": always("speech.audio.delta"), "audio": text("More sound, in base64.", minLength=4)},
        ),
        thing(
            "The last.",
            {
                "type": always("speech.audio.done"),
                "usage": thing("Always 0: the engines count none.", dict.fromkeys(_TOKENS, count())),
            },
        ),
    ),
    "SpeechBatchLine": either(
        thing(
            "One text's sound.",
            {
                "index": count("Which of the texts it is."),
                **_MADE,
                "model": text("The model that did it."),
                "voice": text("The voice that was spoken in."),
            },
        ),
        {
            "allOf": [
                the("Error"),
                thing("One text's error.", {"index": count("Which of the texts it is.")}),
            ],
        },
    ),
}

_SPOKEN = ("X-Model", "X-Voice", "X-Spark-Degraded", "X-Spark-Cache", *COUNTED)
_ASKED = [parameter("Patience"), parameter("Remembering")]
_FAILS = (400, 403, 404, 413, 422, 499, 502, 503, 504)


def _sound() -> dict[str, Schema]:
    """The sound itself, in each of its containers."""
    media_types = dict.fromkeys(made.media_type.partition(";")[0] for made in SPOKEN.values())
    return {media_type: {} for media_type in media_types}


_REQUEST = body({JSON: the("SpeechRequest")})

PATHS: Paths = {
    "/v1/audio/speech": {
        "post": operation(
            "speak",
            "Speak a text.",
            {
                "200": answer(
                    "The sound, as it is made.",
                    {**_sound(), EVENTS: event(the("SpeechEvent"))},
                    *_SPOKEN,
                )
            },
            tag="audio",
            fails=_FAILS,
            body=_REQUEST,
            parameters=_ASKED,
        ),
    },
    "/v1/audio/speech/base64": {
        "post": operation(
            "speakInJson",
            "Speak a text; the sound inside of JSON.",
            {"200": told("The sound.", "SpeechBase64", *_SPOKEN)},
            tag="audio",
            fails=_FAILS,
            body=_REQUEST,
            parameters=_ASKED,
        ),
    },
    "/v1/audio/speech/batch": {
        "post": operation(
            "speakSeveral",
            "Speak several texts.",
            {
                "200": answer(
                    "A line of JSON for each text as it finishes, with its sound or its own error.",
                    {"application/x-ndjson": the("SpeechBatchLine")},
                    *COUNTED,
                )
            },
            tag="audio",
            fails=(400, 403, 404, 413, 499, 503),
            body=body({JSON: the("SpeechBatch")}),
            parameters=_ASKED,
            description="What fails for one text is told in its line.",
        ),
    },
    "/v1/audio/voices/{voice_id}/preview": {
        "get": operation(
            "previewVoice",
            "Hear a voice: a short sample, in its own language.",
            {"200": answer("The sound, as it is made.", _sound(), *_SPOKEN)},
            tag="audio",
            fails=(400, 403, 404, 422, 499, 502, 503, 504),
            parameters=[
                in_path("voice_id", "A name of `/v1/audio/voices`, or one of OpenAI's.", examples=["alloy"]),
                in_query("response_format", "The container of the sound.", {**_FORMAT, "default": "mp3"}),
                *_ASKED,
            ],
        ),
    },
}
