"""What clients post to /v1/audio/transcriptions, and what is refused of it."""

from __future__ import annotations

from dataclasses import dataclass

from spark_control.audio.formats import ENOUGH_TO_SNIFF, sniff
from spark_control.audio.wav import read_header
from spark_control.errors import InvalidRequest
from spark_control.form import Form
from spark_control.upstreams.base import Recording

FORMATS = ("json", "text", "verbose_json")

_WAV_HEAD = 4096
"""Bytes in which a WAV file's header is looked for."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """How the transcript is to look."""

    format: str
    words: bool

    @property
    def times(self) -> bool:
        return self.format == "verbose_json"


def read_wanted(form: Form) -> Wanted:
    """The format asked for; `json` unless named. Raises InvalidRequest for one that cannot be made."""
    wanted = form.last("response_format") or "json"
    if wanted not in FORMATS:
        message = f"The format {wanted[:40]!r} cannot be made here; ask for json, text or verbose_json."
        raise InvalidRequest(message, code="unsupported_format", param="response_format")
    # An answer that is not a stream looks like an empty transcript to an SDK that asked for one.
    if (form.last("stream") or "").lower() in ("true", "1"):
        message = "Transcripts are not streamed here; leave out stream."
        raise InvalidRequest(message, code="unsupported_value", param="stream")
    return Wanted(wanted, words="word" in form.all("timestamp_granularities"))


async def read_recording(form: Form) -> Recording:
    """The uploaded file as sound. Raises InvalidRequest if there is none in it."""
    if form.file is None:
        message = 'No file came; send the audio in a part named "file".'
        raise InvalidRequest(message, code="missing_required_parameter", param="file")
    if not form.file.size:
        raise InvalidRequest("The file is empty.", code="audio_undecodable", param="file")
    head = await form.file.head(_WAV_HEAD)
    format_ = sniff(head[:ENOUGH_TO_SNIFF])
    if format_ is None:
        message = "This file is not audio that the gateway knows: send wav, mp3, m4a, webm, ogg, flac or aac."
        raise InvalidRequest(message, code="audio_undecodable", param="file")
    header = read_header(head)
    return Recording(
        form.file,
        format_,
        duration=header.duration(form.file.size) if header else None,
        language=form.last("language"),
        prompt=form.last("prompt"),
        temperature=form.last("temperature"),
    )
