"""Words with times as json, text, srt, vtt and verbose_json, the way the community's Parakeet servers write them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from itertools import pairwise
from typing import Any

from fastapi.responses import JSONResponse, PlainTextResponse, Response

from spark_control.engines.recogniser import Word

FORMATS = ("json", "text", "srt", "vtt", "verbose_json")
PAUSE = 0.5  # seconds without a word that begin a new segment


def text_of(words: Iterable[Word]) -> str:
    return " ".join(word.word for word in words)


def segments(words: list[Word]) -> list[list[Word]]:
    """The words, parted where the speaker paused."""
    parted = [words[:1]] if words else []
    for before, word in pairwise(words):
        if word.start - before.end > PAUSE:
            parted.append([])
        parted[-1].append(word)
    return parted


def srt(words: list[Word]) -> str:
    return "\n".join(f"{number}\n{cue}" for number, cue in enumerate(_cues(words, ","), start=1))


def vtt(words: list[Word]) -> str:
    return "\n".join(["WEBVTT\n", *_cues(words, ".")])


def _cues(words: list[Word], point: str) -> Iterator[str]:
    for said in segments(words):
        yield f"{_clock(said[0].start, point)} --> {_clock(said[-1].end, point)}\n{text_of(said)}\n"


def _clock(seconds: float, point: str) -> str:
    minutes, milliseconds = divmod(round(seconds * 1000), 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{milliseconds // 1000:02}{point}{milliseconds % 1000:03}"


def verbose(words: list[Word], seconds: float, *, with_words: bool) -> dict[str, Any]:
    unknown = {
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": 0.0,
        "compression_ratio": 0.0,
        "no_speech_prob": 0.0,
    }
    return {
        "task": "transcribe",
        "language": "auto",
        "duration": round(seconds, 3),
        "text": text_of(words),
        "segments": [
            {
                "id": number,
                "seek": 0,
                "start": said[0].start,
                "end": said[-1].end,
                "text": text_of(said),
                **unknown,
            }
            for number, said in enumerate(segments(words))
        ],
        "words": [asdict(word) for word in words] if with_words else None,  # null, not absent
    }


def answer(response_format: str, words: list[Word], seconds: float, *, with_words: bool) -> Response:
    match response_format:
        case "text":
            return PlainTextResponse(text_of(words))
        case "srt":
            return Response(srt(words), media_type="application/x-subrip")
        case "vtt":
            return Response(vtt(words), media_type="text/vtt")
        case "verbose_json":
            return JSONResponse(verbose(words, seconds, with_words=with_words))
    return JSONResponse({"text": text_of(words)})
