"""PocketSphinx in a process of its own, since it holds the interpreter while it listens.

That is about a sixth of a clip's length, for which the server's `/health` would stall. The child is this
module, run by its name; `Recogniser` is the parent's side of it.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import struct
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import IO, Any, Protocol, cast

from pocketsphinx import Decoder

from spark_control.engines.lifeline import die_with_parent

RATE = 16_000
LENGTH = struct.Struct(">I")
FILLER = re.compile(r"[<\[+]")  # <s> <sil> [NOISE] ++UH++
ALTERNATIVE = re.compile(r"\(\d+\)$")  # the(2): the dictionary's second way of saying it


@dataclass(frozen=True, slots=True)
class Word:
    """A word and when it was said, in seconds from the start of the audio."""

    start: float
    end: float
    word: str


class PocketSphinx(Protocol):
    """What we use of `pocketsphinx.Decoder`, which ships no types."""

    def reinit_feat(self) -> None: ...
    def start_utt(self) -> None: ...
    def process_raw(self, data: bytes, *, full_utt: bool) -> None: ...
    def end_utt(self) -> None: ...
    def seg(self) -> Iterable[Any] | None: ...


def listen() -> None:
    """The child's life: utterances on stdin, each after its length; for each, a line of JSON on stdout."""
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C reaches it too, and needs no traceback
    decoder: PocketSphinx = Decoder(samprate=RATE, cmn="batch", loglevel="FATAL")
    _answer([])  # ready
    while length := sys.stdin.buffer.read(LENGTH.size):
        _answer(_heard(decoder, sys.stdin.buffer.read(*LENGTH.unpack(length))))


def _heard(decoder: PocketSphinx, utterance: bytes) -> list[tuple[float, float, str]]:
    # Else its estimate of the noise is that of the utterance before, and the same one may be heard otherwise.
    decoder.reinit_feat()
    decoder.start_utt()
    # The whole of it at once: batch CMN takes its mean over the utterance.
    decoder.process_raw(utterance, full_utt=True)
    decoder.end_utt()
    return [
        # Frames are hundredths of a second, the last one included.
        (segment.start_frame / 100, (segment.end_frame + 1) / 100, ALTERNATIVE.sub("", segment.word))
        for segment in decoder.seg() or ()
        if not FILLER.match(segment.word)
    ]


def _answer(words: list[tuple[float, float, str]]) -> None:
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


class Recogniser:
    """The parent's side of the child, and whose turn it is to be heard."""

    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self._start()

    def _start(self) -> None:
        # Our own search path and no other: without -P, a module run by name finds the current folder first.
        path = os.pathsep.join(entry or "." for entry in sys.path)
        self._child = subprocess.Popen(  # noqa: S603 - this interpreter, this module
            [sys.executable, "-P", "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
        )
        self._reply()

    def hear(self, utterance: bytes) -> list[Word]:
        if self._child.poll() is not None:  # it died over an earlier utterance
            self._start()
        asked = cast("IO[bytes]", self._child.stdin)
        asked.write(LENGTH.pack(len(utterance)) + utterance)
        asked.flush()
        return [Word(*word) for word in self._reply()]

    def _reply(self) -> list[Any]:
        reply: list[Any] = json.loads(cast("IO[bytes]", self._child.stdout).readline())
        return reply


if __name__ == "__main__":
    listen()
