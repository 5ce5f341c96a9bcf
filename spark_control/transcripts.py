"""Pure: transcripts of parts made one, and one in the shapes that clients read."""

from __future__ import annotations

import math
from dataclasses import asdict, replace

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


def with_segments(transcript: Transcript, seconds: float | None) -> Transcript:
    """The same, with one segment over the words, or over all `seconds`, where the engine told none."""
    if transcript.segments or not transcript.text:
        return transcript
    words = transcript.words
    start = words[0].start if words else 0.0
    end = words[-1].end if words else seconds or transcript.duration or 0.0
    return replace(transcript, segments=(Segment(transcript.text, start, end),))


def shifted(transcript: Transcript, start: float) -> Transcript:
    """The same, with its times in the whole recording."""
    if not start:
        return transcript
    return replace(
        transcript,
        segments=tuple(
            replace(each, start=each.start + start, end=each.end + start) for each in transcript.segments
        ),
        words=tuple(
            replace(each, start=each.start + start, end=each.end + start) for each in transcript.words
        ),
    )


def joined(parts: list[Transcript]) -> Transcript:
    """One transcript of several, in order."""
    if len(parts) == 1:
        return parts[0]
    durations = [part.duration for part in parts if part.duration is not None]
    return Transcript(
        text=" ".join(part.text for part in parts if part.text),
        language=next((part.language for part in parts if part.language), None),
        duration=sum(durations) if durations else None,
        segments=tuple(segment for part in parts for segment in part.segments),
        words=tuple(word for part in parts for word in part.words),
    )
