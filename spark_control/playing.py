"""Sound on this machine's loudspeaker, by whichever player is installed and works."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import IO, Literal, Self, cast

from spark_control.audio.wav import wav_header

RATE = 24_000
"""Hz of the samples that are played: s16le, mono, as OpenAI's `pcm` is."""

_NO_LOUDSPEAKER = "audio open failed"
"""What ffplay says before it ends as if all were well."""

_WORDS_OF_A_FAILURE = 200
"""Characters of what a player says of its failure."""


@dataclass(frozen=True, slots=True)
class Player:
    """A program, and what it is given: bare samples or a WAV on its stdin, as they come, or a whole file."""

    command: tuple[str, ...]
    takes: Literal["samples", "wav", "file"]

    @property
    def name(self) -> str:
        return self.command[0]


# pw-play's way with stdin is another in each version of PipeWire, and afplay has none.
PLAYERS = (
    Player(("paplay", "--raw", "--format=s16le", f"--rate={RATE}", "--channels=1"), "samples"),
    Player(("pw-play",), "file"),
    Player(("aplay", "-q", "-t", "raw", "-f", "S16_LE", "-r", str(RATE), "-c", "1", "-"), "samples"),
    Player(("mpv", "--no-config", "--no-video", "--really-quiet", "-"), "wav"),
    Player(("ffplay", "-nodisp", "-autoexit", "-loglevel", "error", "-i", "pipe:0"), "wav"),
    Player(("afplay",), "file"),
)


class CannotPlay(Exception):
    """Why no player has played it, in a sentence."""


def installed() -> list[Player]:
    """The players that there are, the best first."""
    return [player for player in PLAYERS if shutil.which(player.name)]


class Playback:
    """Sound that is played while it comes.

    A thread of its own feeds the player, at the pace of speech, so that whoever
    feeds this is not held up. A player that fails, as one for another sound
    server does, is followed by the next, from the beginning.
    """

    def __init__(self, players: Sequence[Player]) -> None:
        self.sound = bytearray()
        """All of it so far."""
        self._players = players
        self._news = threading.Condition()
        self._whole = self._left = False
        self._process: subprocess.Popen[bytes] | None = None
        self._by: Player | None = None
        self._failures: list[str] = []
        self._thread = threading.Thread(target=self._play, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._news:
            self._left = True
            self._news.notify()
            if self._process and self._process.poll() is None:
                self._process.terminate()
        self._thread.join()

    def feed(self, samples: bytes) -> None:
        with self._news:
            self.sound += samples
            self._news.notify()

    def finish(self) -> str:
        """That was all: the name of the player, when it has been heard. Raises CannotPlay."""
        with self._news:
            self._whole = True
            self._news.notify()
        while self._thread.is_alive():
            self._thread.join(0.1)  # a join without end would not see Ctrl-C
        if self._by is None:
            raise CannotPlay("; ".join(self._failures) or "there is no player")
        return self._by.name

    def _play(self) -> None:
        for player in self._players:
            failure = self._played_by(player)
            if self._left:
                return
            if failure is None:
                self._by = player
                return
            self._failures.append(f"{player.name}: {failure}")

    def _played_by(self, player: Player) -> str | None:
        """Why it has not played it; None if it has."""
        with tempfile.TemporaryFile() as said:
            try:
                way = self._from_a_file if player.takes == "file" else self._from_its_stdin
                status = way(player, said)
            except OSError as exc:
                return exc.strerror or "it cannot be run"
            said.seek(0)
            words = said.read().decode(errors="replace").strip()
        if _NO_LOUDSPEAKER in words:
            return "there is no loudspeaker"
        if status == 0:
            return None
        return words.rpartition("\n")[2][:_WORDS_OF_A_FAILURE] or f"exit status {status}"

    def _from_its_stdin(self, player: Player, said: IO[bytes]) -> int:
        process = self._started(player.command, said, stdin=subprocess.PIPE)
        # A pipe that breaks has a player that has ended; its status tells why.
        with suppress(BrokenPipeError), cast("IO[bytes]", process.stdin) as stdin:
            if player.takes == "wav":
                stdin.write(wav_header(RATE))
            for piece in self._pieces():
                stdin.write(piece)
                stdin.flush()
        return process.wait()

    def _from_a_file(self, player: Player, said: IO[bytes]) -> int:
        whole = b"".join(self._pieces())
        with tempfile.NamedTemporaryFile(prefix="spark-control-", suffix=".wav") as file:
            file.write(wav_header(RATE, len(whole)) + whole)
            file.flush()
            return self._started((*player.command, file.name), said, stdin=subprocess.DEVNULL).wait()

    def _started(self, command: Sequence[str], said: IO[bytes], stdin: int) -> subprocess.Popen[bytes]:
        with self._news:
            self._process = subprocess.Popen(  # noqa: S603 (a program of the table above)
                command, stdin=stdin, stdout=subprocess.DEVNULL, stderr=said
            )
            if self._left:
                self._process.terminate()
            return self._process

    def _pieces(self) -> Iterator[bytes]:
        """The sound from its beginning, as it comes."""
        sent = 0
        while True:
            with self._news:
                while not (self._left or self._whole or len(self.sound) > sent):
                    self._news.wait()
                piece = bytes(self.sound[sent:])
            if self._left or not piece:
                return
            sent += len(piece)
            yield piece
