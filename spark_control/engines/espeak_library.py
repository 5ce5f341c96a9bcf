"""espeak-ng itself, as the C library it is: one line of text in, pieces of sound out.

espeak-ng is GPL-3. It is an optional extra, and loaded only here, when an engine of this kind is started.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass

import espeakng_loader
import numpy as np
from numpy.typing import NDArray

from spark_control.engines.espeak_voices import Voice

Samples = NDArray[np.int16]

NATIVE_RATE = 22_050

# From <espeak-ng/speak_lib.h>
SYNCHRONOUS = 2
DONT_EXIT = 0x8000
RATE, PITCH = 1, 3
UTF8, SSML = 1, 0x10
SOUND = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)
URI = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p)


@dataclass(frozen=True, slots=True)
class Line:
    """What to say, in whose voice, at how many samples a second."""

    text: str
    voice: Voice
    rate: int

    @property
    def flags(self) -> int:
        return UTF8 | SSML if self.text.lstrip().startswith("<speak") else UTF8


class Espeak:
    """The synthesiser, which keeps one global state and so says one line at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._library_path = espeakng_loader.get_library_path()
        self._data_path = _shortened(espeakng_loader.get_data_path())
        self._unload = ctypes.CDLL(None).dlclose
        self._unload.argtypes = [ctypes.c_void_p]

    def say(self, line: Line, hear: Callable[[Samples], bool]) -> None:
        """Give `hear` the line in pieces of 200 ms, at `NATIVE_RATE`, until it has heard enough."""
        # Loading takes a millisecond or two and is the only way to say the same words as the same bytes: the
        # phases of glottis and flutter live in static variables that espeak_Initialize does not reset.
        with self._lock:
            library = ctypes.CDLL(self._library_path)
            try:
                self._say(library, line, hear)
            finally:
                library.espeak_Terminate()
                self._unload(library._handle)  # noqa: SLF001 - ctypes has no public name for it

    def _say(self, library: ctypes.CDLL, line: Line, hear: Callable[[Samples], bool]) -> None:
        if library.espeak_Initialize(SYNCHRONOUS, 200, self._data_path, DONT_EXIT) != NATIVE_RATE:
            raise RuntimeError(f"espeak-ng found no data in {self._data_path.decode()}")
        # SSML may name a sound file to play. 1 means: say the text inside the element instead.
        no_files = URI(lambda _kind, _uri, _base: 1)
        library.espeak_SetUriCallback(no_files)
        ear = _Ear(hear)
        library.espeak_SetSynthCallback(ear.callback)
        if library.espeak_SetVoiceByName(line.voice.variant.encode()):
            raise RuntimeError(f"espeak-ng has no voice {line.voice.variant}")
        library.espeak_SetParameter(RATE, line.voice.words_per_minute, 0)
        library.espeak_SetParameter(PITCH, line.voice.pitch, 0)
        text = line.text.replace("\0", " ").encode()
        library.espeak_Synth(text, ctypes.c_size_t(len(text) + 1), 0, 1, 0, line.flags, None, None)
        if ear.failure:
            raise ear.failure


class _Ear:
    """The callback espeak calls, which must neither be collected nor raise while it does."""

    def __init__(self, hear: Callable[[Samples], bool]) -> None:
        self._hear = hear
        self.failure: Exception | None = None
        self.callback = SOUND(self._receive)

    def _receive(self, samples: int | None, count: int, _events: int | None) -> int:
        """Answer 0 to hear on, 1 to stop."""
        if not samples or not count:
            return 0
        try:
            return int(not self._hear(np.frombuffer(ctypes.string_at(samples, 2 * count), np.int16)))
        except Exception as failure:  # noqa: BLE001 - ctypes would print it and hear on
            self.failure = failure
            return 1


def _shortened(data_path: str) -> bytes:
    """A path espeak can use: over some 160 characters, it finds its data but none of its voices."""
    if len(data_path) <= 120 or sys.platform != "linux":
        return data_path.encode()
    return f"/proc/self/fd/{os.open(data_path, os.O_RDONLY | os.O_DIRECTORY)}".encode()
