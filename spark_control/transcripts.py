"""Pure: a transcript in the shapes that OpenAI's clients read."""

from __future__ import annotations

import math
from dataclasses import asdict

from spark_control.upstreams.base import Segment, Transcript


def verbose(transcript: Transcript, *, words: bool) -> dict[str, object]:
    """`verbose_json`. Where the engine told no times, one segment stands for the whole recording."""
    duration = transcript.duration or 0.0
    answer: dict[str, object] = {
        "task": "transcribe",
        "language": transcript.language or "unknown",
        "duration": duration,
        "text": transcript.text,
    }
    if words:
        answer["words"] = [asdict(word) for word in transcript.words]
    answer["segments"] = [_segment(*each) for each in enumerate(_segments(transcript, duration))]
    answer["usage"] = {"type": "duration", "seconds": math.ceil(duration)}
    return answer


def _segments(transcript: Transcript, duration: float) -> tuple[Segment, ...]:
    if transcript.segments or not transcript.text:
        return transcript.segments
    if transcript.words:
        return (Segment(transcript.text, transcript.words[0].start, transcript.words[-1].end),)
    return (Segment(transcript.text, 0.0, duration),)


def _segment(number: int, segment: Segment) -> dict[str, object]:
    """With every key that Whisper's segments have; typed SDKs miss them otherwise."""
    return {"id": number, "seek": 0, "tokens": [], "temperature": 0.0, **asdict(segment)}
