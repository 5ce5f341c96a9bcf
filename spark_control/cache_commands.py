"""The commands for what a running gateway remembers of its speech."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import click

from spark_control.options import address, config_option, fail, gateway_option


@click.command()
@click.argument("file", type=click.File(encoding="utf-8-sig"))
@click.option("--voice", help="The name that will be asked for. Default: the gateway's default voice.")
@click.option("--format", "format_", default="mp3", show_default=True, help="The one that will be asked for.")
@click.option(
    "--speed",
    type=click.FloatRange(0.25, 4.0),
    default=1.0,
    show_default=True,
    help="1 is the voice's own pace.",
)
@gateway_option
@config_option
def warm(
    file: IO[str], voice: str | None, format_: str, speed: float, gateway: str | None, config: Path | None
) -> None:
    """Have each line of FILE spoken and remembered; - reads stdin.

    Blank lines and those that begin with # are left out. Exit status 1 if
    any could not be.
    """
    from spark_control.gateway_client import CacheClient, NotWarmed

    lines = list(_lines(file))
    new, failures = 0, []
    with CacheClient(address(gateway, config), fail) as client, _shown(lines) as going:
        for number, text in going:
            try:
                new += client.warm(text, voice=voice, speed=speed, format_=format_)
            except NotWarmed as exc:
                failures.append(f"line {number}: {exc}")
    for failure in failures:
        click.echo(failure, err=True)
    there = len(lines) - new - len(failures)
    click.echo(f"{new} new, {there} there already, {len(failures)} failed.")
    sys.exit(1 if failures else 0)


@click.command()
@click.option("--voice", help="What it has said: its own name, or one that it was asked for by.")
@click.option("--all", "all_", is_flag=True, help="All there is.")
@gateway_option
@config_option
def purge(voice: str | None, *, all_: bool, gateway: str | None, config: Path | None) -> None:
    """Have remembered speech forgotten."""
    from spark_control.gateway_client import CacheClient
    from spark_control.uploads import megabytes

    if (voice is None) is not all_:
        raise click.UsageError("Say what is to be forgotten: --voice NAME, or --all.")
    with CacheClient(address(gateway, config), fail) as client:
        count, size = client.purge(voice)
    click.echo(f"Forgotten: {count} pieces of speech, {megabytes(size)}.")


COMMANDS = (warm, purge)


def _lines(file: IO[str]) -> Iterator[tuple[int, str]]:
    """(number, text) of each that is to be spoken."""
    try:
        for number, line in enumerate(file, 1):
            text = line.strip()
            if text and not text.startswith("#"):
                yield number, text
    except UnicodeDecodeError:
        fail(f"{file.name} is not text in UTF-8")


@contextmanager
def _shown(lines: list[tuple[int, str]]) -> Iterator[Iterable[tuple[int, str]]]:
    """The same, with a bar on a terminal that tells how far they have got."""
    if not sys.stderr.isatty():
        yield lines
        return
    with click.progressbar(lines, label="Speaking", file=sys.stderr) as going:
        yield going
