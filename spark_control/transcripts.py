"""Pure: a transcript in the shapes that clients read."""

from __future__ import annotations

import math
from dataclasses import asdict

from spark_control.audio.subtitles import Cue, srt, vtt
from spark_control.transcription_form import Wanted
from spark_control.upstreams.base import Segment, Transcript

MEDIA_TYPES = {
    "text": "text/plain; charset=utf-8",
    "srt": "application/x-subrip; charset=utf-8",
    "vtt": "text/vtt; charset=utf-8",
}


def written(transcript: Transcript, wanted: Wanted) -> str | dict[str, object]:
    """A text for the formats of `MEDIA_TYPES`, an object for the others."""
    match wanted.format:
        case "text":
            return transcript.text
        case "srt":
            return srt(_cues(transcript))
        case "vtt":
            return vtt(_cues(transcript))
        case "verbose_json":
            return verbose(transcript, words=wanted.words)
    return {"text": transcript.text}


def verbose(transcript: Transcript, *, words: bool) -> dict[str, object]:
    """`verbose_json`, with `words` where they were asked for."""
    duration = round(transcript.duration or 0.0, 3)
    answer: dict[str, object] = {
        "task": "transcribe",
        "language": transcript.language or "unknown",
        "duration": duration,
        "text": transcript.text,
    }
    if words:
        answer["words"] = [asdict(word) for word in transcript.words]
    answer["segments"] = [_segment(*each) for each in enumerate(transcript.segments)]
    answer["usage"] = {"type": "duration", "seconds": math.ceil(duration)}
    return answer


def _segment(number: int, segment: Segment) -> dict[str, object]:
    """With every key that Whisper's segments have; typed SDKs miss them otherwise."""
    return {"id": number, "seek": 0, "tokens": [], "temperature": 0.0, **asdict(segment)}


def _cues(transcript: Transcript) -> list[Cue]:
    return [Cue(segment.start, segment.end, segment.text) for segment in transcript.segments]
