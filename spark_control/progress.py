"""How far long work has got, as one line on a terminal's stderr. Short work and pipes see nothing of it."""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

_PATIENCE = 0.6
"""Seconds after which work is long."""

_EVERY = 0.1
_WIDTH = 24
_HIDE, _SHOW, _CLEAR = "\x1b[?25l", "\x1b[?25h", "\r\x1b[K"

Clock = Callable[[], float]


class Progress:
    """What is being done, how much of it there is, and how much is done. The workers tell; a thread draws."""

    def __init__(self, what: str, total: float | None, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self.now_doing(what, total)

    def now_doing(self, what: str, total: float | None = None) -> None:
        """The next piece of work; without a `total`, the time that it has taken is all there is to tell."""
        self._what, self._total, self._done = what, total, 0.0
        self._began = self._clock()

    def done(self, amount: float) -> None:
        """So much of the total, altogether."""
        self._done = amount

    def line(self, columns: int) -> str:
        """It, no wider than that."""
        taken = f"{self._clock() - self._began:.0f} s"
        if not self._total:
            return f"{self._what}  {taken}"[:columns]
        part = min(1.0, self._done / self._total)
        full = int(part * _WIDTH)
        bar = "█" * full + "░" * (_WIDTH - full)
        return f"{self._what}  {bar}  {part:4.0%}  {taken}"[:columns]


@contextmanager
def progress(what: str, total: float | None = None, stream: TextIO | None = None) -> Iterator[Progress]:
    """Show how work gets on, as long as the block lasts."""
    going, stream = Progress(what, total), stream or sys.stderr
    if not stream.isatty() or os.environ.get("TERM") == "dumb":
        yield going
        return
    over = threading.Event()
    drawing = threading.Thread(target=_draw, args=(going, stream, over), daemon=True)
    drawing.start()
    try:
        yield going
    finally:
        over.set()
        drawing.join()


def _draw(going: Progress, stream: TextIO, over: threading.Event) -> None:
    if over.wait(_PATIENCE):
        return
    stream.write(_HIDE)
    try:
        while True:
            line = going.line(shutil.get_terminal_size().columns - 1)
            letters = stream.encoding or "ascii"
            stream.write(_CLEAR + line.encode(letters, "replace").decode(letters))
            stream.flush()
            if over.wait(_EVERY):
                return
    finally:
        stream.write(_CLEAR + _SHOW)
        stream.flush()
