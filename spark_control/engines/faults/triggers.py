"""Input that wedges an engine, as some did when a browser's recording came to them as an MP3 file."""

from __future__ import annotations

import asyncio
import io
from typing import Literal

import numpy as np
from fastapi import HTTPException

from spark_control.engines.faults.marker import MARKER_HZ, MARKER_WORDS
from spark_control.engines.faults.work import Work
from spark_control.engines.recording import RATE, decode

_LOOKED_AT = 256 * 1024
"""Bytes of a file: a second of it, whatever its format."""

_SEARCHED = RATE  # samples; codecs add some quiet before the first sound
_WINDOW = RATE // 5
_STEP = RATE // 40
_PURE = 0.7
"""The share of a window's energy that lies in the tone. In a voice it is a hundredth."""

_AUDIBLE = 300.0


async def pulled(work: Work, body: bytes, which: Literal["both", "marker", "mp3", "none"]) -> bool:
    """Whether this request is one that wedges the engine."""
    if which == "none":
        return False
    if work.kind == "speech":
        return which != "mp3" and MARKER_WORDS.encode() in body.lower()
    head = await work.head_of_file(_LOOKED_AT)
    if which != "marker" and is_mp3(head):
        return True
    return which != "mp3" and await asyncio.to_thread(begins_with_marker, head)


def is_mp3(head: bytes) -> bool:
    """An ID3 tag, or the first frame's eleven bits of sync and its layer III."""
    return head[:3] == b"ID3" or (len(head) > 1 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2)


def begins_with_marker(head: bytes) -> bool:
    """Whether the tone is in the first second of a sound, of any format that can be decoded."""
    pcm = io.BytesIO()
    try:
        decode(io.BytesIO(head), pcm)
    except HTTPException:
        return False
    samples = np.frombuffer(pcm.getvalue(), "<i2")[:_SEARCHED].astype(np.float64)
    if len(samples) < _WINDOW:
        return False
    windows = np.lib.stride_tricks.sliding_window_view(samples, _WINDOW)[::_STEP]
    energy = (windows**2).sum(axis=1)
    tone = np.abs(windows @ np.exp(-2j * np.pi * MARKER_HZ / RATE * np.arange(_WINDOW))) ** 2 * 2 / _WINDOW
    return bool(((tone > _PURE * energy) & (energy > _WINDOW * _AUDIBLE**2)).any())
