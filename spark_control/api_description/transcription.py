"""Writing down what was said: `/v1/audio/transcriptions`."""

from __future__ import annotations

from spark_control.api_description.failures import COUNTED
from spark_control.api_description.operations import (
    EVENTS,
    JSON,
    Paths,
    answer,
    body,
    operation,
    parameter,
)
from spark_control.api_description.shapes import (
    Schema,
    Schemas,
    always,
    count,
    either,
    event,
    flag,
    listing,
    maybe,
    number,
    one_of,
    text,
    the,
    thing,
)
from spark_control.transcription_form import FORMATS
from spark_control.transcripts import MEDIA_TYPES

_FORMAT = one_of(FORMATS, "The shape of the transcript; json unless given.", examples=["verbose_json"])
_HINTS: dict[str, Schema] = {
    "language": text("What is spoken, such as `en`, for engines that can be told.", examples=["en"]),
    "prompt": text("What is likely to be said, for engines that can be told."),
}
_FORM: dict[str, Schema] = {
    "file": text("The recording, in whatever container: its first bytes decide.", format="binary"),
    "model": text("Any name will do, unless the owner wants names to be right.", examples=["whisper-1"]),
    **_HINTS,
    "response_format": _FORMAT,
    "temperature": number("For engines that have one.", minimum=0, maximum=1),
    "timestamp_granularities[]": listing(
        one_of(["word", "segment"]), "`word`: verbose_json gets the words too."
    ),
    "stream": flag("The transcript as events while it is made; for json and text alone."),
}
_BESIDES = {name: _FORM[name] for name in ("model", *_HINTS, "response_format")}
_SECONDS = number("Seconds from the beginning.")

SCHEMAS: Schemas = {
    "TranscriptionForm": thing(
        "A recording, and how its transcript is to look. Fields that are not known are ignored.",
        _FORM,
        optional=[name for name in _FORM if name != "file"],
    ),
    "TranscriptionJson": thing(
        "The same inside of JSON.",
        {
            "input_audio": thing(
                "",
                {
                    "data": text("The recording, in base64.", contentEncoding="base64"),
                    "format": maybe(text()),
                },
                optional=("format",),
            ),
            **{name: maybe(schema) for name, schema in _BESIDES.items()},
        },
        optional=tuple(_BESIDES),
    ),
    "Transcription": thing("`json`.", {"text": text("What was said.")}, additionalProperties=False),
    "VerboseTranscription": thing(
        "`verbose_json`.",
        {
            "task": always("transcribe"),
            "language": text("What was spoken; `unknown` if the engine does not tell."),
            "duration": number("Of the recording, in seconds.", minimum=0),
            "text": text("What was said."),
            "words": listing(the("Word")),
            "segments": listing(the("Segment")),
            "usage": thing("", {"type": always("duration"), "seconds": count()}),
        },
        optional=("words",),
    ),
    "Word": thing("A word and when it was said.", {"word": text(), "start": _SECONDS, "end": _SECONDS}),
    "Segment": thing(
        "A stretch of speech, with every field that Whisper's have.",
        {
            "id": count(),
            "seek": count(),
            "start": _SECONDS,
            "end": _SECONDS,
            "text": text(),
            "tokens": listing({"type": "integer"}),
            "temperature": number(),
            "avg_logprob": number(),
            "compression_ratio": number(),
            "no_speech_prob": number(),
        },
    ),
    "TranscriptionEvent": either(
        thing("More of the text.", {"type": always("transcript.text.delta"), "delta": text(minLength=1)}),
        thing("The last, with all of it.", {"type": always("transcript.text.done"), "text": text()}),
    ),
}

_TEXTS: dict[str, Schema] = {media_type.partition(";")[0]: text() for media_type in MEDIA_TYPES.values()}

PATHS: Paths = {
    "/v1/audio/transcriptions": {
        "post": operation(
            "transcribe",
            "Write down what is said in a recording.",
            {
                "200": answer(
                    "The transcript, in the shape that was asked for.",
                    {
                        JSON: either(the("VerboseTranscription"), the("Transcription")),
                        **_TEXTS,
                        EVENTS: event(the("TranscriptionEvent")),
                    },
                    "X-Model",
                    "X-Spark-Degraded",
                    *COUNTED,
                )
            },
            tag="audio",
            fails=(400, 403, 404, 413, 422, 499, 502, 503, 504),
            body=body(
                {"multipart/form-data": the("TranscriptionForm"), JSON: the("TranscriptionJson")},
                file={"contentType": "audio/*, video/*, application/octet-stream"},
            ),
            parameters=[parameter("Patience")],
        ),
    },
    "/v1/audio/translations": {
        "post": operation(
            "translate",
            "Not offered: no engine here translates.",
            {},
            tag="audio",
            fails=(400, 403, 503),
            description="It is here to say so.",
        ),
    },
}
