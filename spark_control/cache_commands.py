"""The commands for what a running gateway remembers of its speech."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

import click

from spark_control.completion import voices as voice_names
from spark_control.options import fail, json_option, print_json, speed_option, with_gateway

if TYPE_CHECKING:
    from spark_control.gateway_client import CacheClient


def _cache(url: str) -> CacheClient:
    from spark_control.gateway_client import CacheClient

    return CacheClient(url, fail)


_with_gateway = with_gateway(_cache)


@click.command()
@click.argument("file", type=click.File(encoding="utf-8-sig"))
@click.option(
    "--voice",
    shell_complete=voice_names,
    help="The name that will be asked for. Default: the gateway's default voice.",
)
@click.option("--format", "format_", default="mp3", show_default=True, help="The one that will be asked for.")
@speed_option
@json_option
@_with_gateway
def warm(
    client: CacheClient, file: IO[str], voice: str | None, format_: str, speed: float, *, as_json: bool
) -> None:
    """Have each line of FILE spoken and remembered; - reads stdin.

    Blank lines and those that begin with # are left out. Exit status 1 if
    any could not be.
    """
    from spark_control.gateway_client import NotWarmed

    lines = list(_lines(file))
    new, failures = 0, []
    with _shown(lines) as going:
        for number, text in going:
            try:
                new += client.warm(text, voice=voice, speed=speed, format_=format_)
            except NotWarmed as exc:
                failures.append({"line": number, "reason": str(exc)})
    there = len(lines) - new - len(failures)
    if as_json:
        print_json({"new": new, "there": there, "failed": len(failures), "failures": failures})
    else:
        for failure in failures:
            click.echo(f"line {failure['line']}: {failure['reason']}", err=True)
        click.echo(f"{new} new, {there} there already, {len(failures)} failed.")
    sys.exit(1 if failures else 0)


@click.command()
@click.option(
    "--voice",
    shell_complete=voice_names,
    help="What it has said: its own name, or one that it was asked for by.",
)
@click.option("--all", "all_", is_flag=True, help="All there is.")
@json_option
@_with_gateway
def purge(client: CacheClient, voice: str | None, *, all_: bool, as_json: bool) -> None:
    """Have remembered speech forgotten."""
    from spark_control.uploads import megabytes

    if (voice is None) is not all_:
        raise click.UsageError("Say what is to be forgotten: --voice NAME, or --all.")
    count, size = client.purge(voice)
    if as_json:
        print_json({"entries": count, "bytes": size})
    else:
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
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield lines
        return
    with click.progressbar(lines, label="Speaking", file=sys.stderr) as going:
        yield going
