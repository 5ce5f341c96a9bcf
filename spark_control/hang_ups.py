"""SIGHUP, which tells a service to read its settings again, and a program in a terminal that its terminal is gone."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class HangUps:
    """Notes it from the start, and acts once there is somebody who can. It ends only what has lost its terminal."""

    def __init__(self) -> None:
        self._terminals = [each for each in (sys.stdin, sys.stdout, sys.stderr) if each and each.isatty()]
        self._asked = False
        self._reread: Callable[[], None] | None = None

    def watch(self) -> None:
        if sys.platform != "win32":
            signal.signal(signal.SIGHUP, lambda *_: self._came())

    @contextmanager
    def leading_to(self, reread: Callable[[], None]) -> Iterator[None]:
        """Have `reread` called for each, and now if one has come already."""
        self._reread = reread
        if self._asked:
            self._asked = False
            reread()
        try:
            yield
        finally:
            self._reread = None

    def _came(self) -> None:
        if not all(each.isatty() for each in self._terminals):
            signal.raise_signal(signal.SIGTERM)
        elif self._reread:
            self._reread()
        else:
            self._asked = True
