"""What clients post to /v1/audio/transcriptions besides the recording."""

from __future__ import annotations

from dataclasses import dataclass

from spark_control.errors import InvalidRequest
from spark_control.form import Form

FORMATS = ("json", "text", "srt", "vtt", "verbose_json")
_STREAMED = ("json", "text")


@dataclass(frozen=True, slots=True)
class Wanted:
    """How the transcript is to look, and what the client knows of the recording."""

    format: str
    words: bool
    stream: bool
    language: str | None
    prompt: str | None
    temperature: str | None
    model: str | None = None

    @property
    def times(self) -> bool:
        """Whether it matters when something was said."""
        return self.format not in ("json", "text")


def read_wanted(form: Form) -> Wanted:
    """The fields; `json` unless another format is named. Raises InvalidRequest for what cannot be made."""
    if form.file is None:
        message = 'No file came; send the audio in a part named "file".'
        raise InvalidRequest(message, code="missing_required_parameter", param="file")
    if not form.file.size:
        raise InvalidRequest("The file is empty.", code="audio_undecodable", param="file")
    format_ = form.last("response_format") or "json"
    stream = (form.last("stream") or "").lower() in ("true", "1")
    if format_ == "diarized_json":
        message = "No engine here tells speakers apart; ask for verbose_json."
        raise InvalidRequest(message, code="unsupported_format", param="response_format")
    if format_ not in FORMATS:
        message = (
            f"The format {format_[:40]!r} cannot be made; ask for {', '.join(FORMATS[:-1])} or {FORMATS[-1]}."
        )
        raise InvalidRequest(message, code="unsupported_format", param="response_format")
    if stream and format_ not in _STREAMED:
        message = f"A stream of events is json; ask for {format_} without stream."
        raise InvalidRequest(message, code="unsupported_value", param="stream")
    return Wanted(
        format_,
        words="word" in form.all("timestamp_granularities"),
        stream=stream,
        language=form.last("language"),
        prompt=form.last("prompt"),
        temperature=form.last("temperature"),
        model=form.last("model"),
    )
