"""The commands that use the engines: say, hear, voices."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from spark_control.completion import voices as voice_names
from spark_control.options import fail, json_option, print_json, speed_option, with_gateway

if TYPE_CHECKING:
    from spark_control.gateway_client import GatewayClient
    from spark_control.playing import Player

_WITHOUT_A_PLAYER = "speech.wav"

_BYTES_A_SECOND = {"wav": 48_000, "pcm": 48_000, "flac": 24_000, "mp3": 8_000, "aac": 8_000}
"""About how many a second of sound has, for the bar; Opus has 6,000."""


def _user(url: str) -> GatewayClient:
    from spark_control.gateway_client import GatewayClient

    return GatewayClient(url, fail)


_with_gateway = with_gateway(_user)


@click.command()
@click.argument("text")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, writable=True),
    help="Put the sound there instead, in the format of its ending; - is stdout, as WAV.",
)
@click.option(
    "--voice",
    shell_complete=voice_names,
    help="One of OpenAI's names, your own, or those that `spark-control voices` lists.",
)
@speed_option
@json_option
@_with_gateway
def say(
    client: GatewayClient, text: str, output: str | None, voice: str | None, speed: float, *, as_json: bool
) -> None:
    """Speak TEXT aloud, if this machine has a player; - reads the text from stdin.

    Where there is none it goes to speech.wav. Players: paplay, pw-play,
    aplay, mpv, ffplay, afplay.
    """
    from spark_control.playing import installed

    if as_json and output == "-":
        raise click.UsageError("stdout cannot get both the sound and JSON: give --output a file.")
    text = sys.stdin.read() if text == "-" else text
    players = [] if output else installed()
    if not players and not output:
        click.echo(f"There is no player here, so it goes to {_WITHOUT_A_PLAYER}.", err=True)
    performance = _Performance(client, text, voice, speed)
    if players:
        performance.play(players)
    else:
        performance.write(output or _WITHOUT_A_PLAYER)
    if as_json:
        print_json(performance.told)
    elif output != "-":
        click.echo(performance.sentence(), err=True)


class _Performance:
    """One text, spoken to the loudspeaker or into a file, and what there is to tell of that."""

    def __init__(self, client: GatewayClient, text: str, voice: str | None, speed: float) -> None:
        self.told: dict[str, Any] = {}
        self._client = client
        self._text, self._voice, self._speed = text, voice, speed

    def play(self, players: list[Player]) -> None:
        from spark_control.audio.wav import wav_header
        from spark_control.playing import RATE, CannotPlay, Playback
        from spark_control.progress import progress

        with Playback(players) as playback:
            for piece in self._spoken("pcm"):
                playback.feed(piece)
            try:
                with progress("Playing"):
                    self.told["player"] = playback.finish()
            except CannotPlay as exc:
                sound = wav_header(RATE, len(playback.sound)) + bytes(playback.sound)
                _write(_WITHOUT_A_PLAYER, sound)
                fail(f"it could not be played, so it is in {_WITHOUT_A_PLAYER} ({exc})")

    def write(self, output: str) -> None:
        from spark_control.audio.formats import SPOKEN

        ending = Path(output).suffix.removeprefix(".").lower()
        spoken = self._spoken(ending if ending in SPOKEN else "wav")
        if output == "-":
            for piece in spoken:
                sys.stdout.buffer.write(piece)
                sys.stdout.buffer.flush()
            return
        _write(output, b"".join(spoken))  # half a file would be none
        self.told["output"] = output

    def sentence(self) -> str:
        if "output" in self.told:
            return f"{self.told['output']}: {self.told['bytes']:,} bytes"
        from spark_control.playing import RATE
        from spark_control.wording import lasting

        length, first = self.told["bytes"] / 2 / RATE, self.told["first_sound"]
        return (
            f"{self.told['player']} played {lasting(length)} of sound; the first came after {lasting(first)}."
        )

    def _spoken(self, format_: str) -> Iterator[bytes]:
        """The sound, as it comes."""
        from spark_control.audio.speaking_time import speaking_time
        from spark_control.progress import progress

        began = time.monotonic()
        expected = speaking_time(self._text) / self._speed * _BYTES_A_SECOND.get(format_, 6_000)
        told = self.told
        with (
            progress("Speaking", expected) as going,
            self._client.saying(self._text, voice=self._voice, speed=self._speed, format_=format_) as (
                headers,
                pieces,
            ),
        ):
            told |= {"format": format_, "voice": headers.get("x-voice"), "model": headers.get("x-model")}
            told |= {"cache": headers.get("x-spark-cache"), "degraded": headers.get("x-spark-degraded")}
            told |= {"bytes": 0, "first_sound": None}
            for piece in pieces:
                told["first_sound"] = told["first_sound"] or round(time.monotonic() - began, 3)
                told["bytes"] += len(piece)
                going.done(told["bytes"])
                yield piece
        told["seconds"] = round(time.monotonic() - began, 3)


def _write(file: str, sound: bytes) -> None:
    try:
        Path(file).write_bytes(sound)
    except OSError as exc:
        fail(f"{file} cannot be written: {exc.strerror}")


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--language", help="Such as en or en-US. Default: the engine's own choice.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "srt", "vtt", "json", "verbose_json"]),
    help="How the words are written. Default: text.",
)
@click.option("--words", is_flag=True, help="With the time of each word.")
@json_option
@_with_gateway
def hear(
    client: GatewayClient,
    file: Path,
    language: str | None,
    format_: str | None,
    *,
    words: bool,
    as_json: bool,
) -> None:
    """Print the words spoken in FILE, as they are heard.

    With --words each has a line of its own: from when and until when, in
    seconds, and the word. With --json it is what verbose_json has.
    """
    from spark_control.gateway_client import Upload
    from spark_control.progress import progress
    from spark_control.screens import legible

    if words and format_ not in (None, "verbose_json"):
        raise click.UsageError(f"{format_} has no times of words; --words goes without it.")
    size = file.stat().st_size
    with ExitStack() as bar:
        going = bar.enter_context(progress("Sending", size))

        def sent(count: int) -> None:
            going.done(count)
            if count >= size:
                going.now_doing("Listening")

        with Upload(file, sent) as upload:
            if words or as_json:
                heard = client.hear_verbosely(upload, language=language, words=words)
                bar.close()
                _print_heard(heard, as_json=as_json or format_ == "verbose_json")
            elif format_ in (None, "text"):
                for delta in client.hearing(upload, language=language):
                    bar.close()
                    click.echo(legible(delta), nl=False)
                click.echo()
            else:
                written = client.hear(upload, language=language, format_=format_)
                bar.close()
                click.echo(legible(written))


def _print_heard(heard: dict[str, Any], *, as_json: bool) -> None:
    from spark_control.screens import words_screen

    if as_json:
        print_json(heard)
        return
    if heard.get("text") and not heard.get("words"):
        fail("this engine does not tell when a word was said; --format srt has the times of its sentences")
    for line in words_screen(heard.get("words") or []):
        click.echo(line)


@click.command()
@json_option
@_with_gateway
def voices(client: GatewayClient, *, as_json: bool) -> None:
    """List the voices, a line each: name, language, engine."""
    from spark_control.wording import plain

    listed = client.voices()
    if as_json:
        print_json({"voices": listed})
        return
    for each in listed:
        click.echo(plain(f"{each['id']:<44} {each['language'] or '':<8} {each['engine'] or ''}").rstrip())


COMMANDS = (say, hear, voices)
