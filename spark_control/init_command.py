"""`spark-control init`: looks what is there, asks, and writes the settings file of a new gateway."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from spark_control.options import fail, hosts_argument, ports_option

if TYPE_CHECKING:
    from spark_control.discover import Survey
    from spark_control.entries import Entry
    from spark_control.keepers import Keeper
    from spark_control.settings import RestartSettings

_EVERYWHERE = "0.0.0.0"  # noqa: S104 (only if the person says so)

_NOT_THERE = (
    "no engine was found there, so nothing was written. An engine that listens on 127.0.0.1 alone is seen from its "
    "own machine only; `--port 8123` looks at another port"
)


@click.command()
@hosts_argument
@ports_option
@click.option(
    "--output",
    "-o",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("spark-control.toml"),
    show_default=True,
    help="The file to write.",
)
@click.option(
    "--yes", is_flag=True, help="Ask nothing: all engines that are found, and none but this machine comes in."
)
@click.option("--force", is_flag=True, help="Write over a file that is there.")
def init(
    hosts: tuple[str, ...],
    ports: tuple[int, ...],
    output: Path,
    yes: bool,  # noqa: FBT001 (click's way)
    force: bool,  # noqa: FBT001
) -> None:
    """Look for engines on HOST (127.0.0.1 unless given), ask, and write a settings file.

    Where an engine of this machine is a container or a systemd unit, that is
    how it will be restarted. Without a terminal nothing is asked, as with
    `--yes`.
    """
    from spark_control.initial_settings import toml_text

    if not force and os.path.lexists(output):
        fail(f"{output} is there already; `--force` writes over it, and `--output` names another")
    asking = sys.stdin.isatty() and not yes
    entries = _found(hosts, ports, asking=asking)
    if not entries and hosts and not asking:
        fail(_NOT_THERE)
    keepers = _keepers(entries)
    chosen = list((_asked if asking else _as_found)(entries, keepers))
    public = asking and click.confirm(
        "May other machines use the gateway? Each needs a key then", default=False
    )
    text = toml_text(chosen, host=_EVERYWHERE if public else None)
    # A key for an engine is to be filled in: it would be read by everybody otherwise.
    secret = any(entry.identity.wants_key for entry in chosen)
    _write(output, text, 0o600 if secret else 0o644, force=force)
    for line in _told(output, chosen, public=public):
        click.echo(line)


def _found(hosts: Sequence[str], ports: Sequence[int], *, asking: bool) -> list[Entry]:
    """What is on these hosts; a person who sees that nothing is there may name another."""
    import asyncio

    from spark_control.discover import NotAHost, parse_hosts, survey
    from spark_control.entries import lines, name_entries

    while True:
        try:
            asked = parse_hosts(hosts)
        except NotAHost as exc:
            fail(str(exc))
        click.echo(f"Looking on {', '.join(host.bare for host in asked)} ...")
        seen: Survey = asyncio.run(survey(asked, ports))
        entries = name_entries(seen.engines)
        for line in lines(seen, entries):
            click.echo(line)
        if entries or not asking:
            return entries
        another = click.prompt(
            "No engine is there. On which host do yours run? With none, the gateway brings its own",
            default="",
            show_default=False,
        )
        if not another.strip():
            return []
        hosts = another.split()


def _keepers(entries: Sequence[Entry]) -> Mapping[str, Keeper]:
    """What runs the engines of this machine, by their places."""
    from spark_control.keepers import is_here, keepers

    here = {entry.found.place: entry.found.port for entry in entries if is_here(entry.found.host.bare)}
    known = keepers(here.values(), os.environ)
    return {place: known[port] for place, port in here.items()}


def _as_found(entries: Sequence[Entry], keepers: Mapping[str, Keeper]) -> Iterator[Entry]:
    for entry in entries:
        keeper = keepers.get(entry.found.place)
        yield replace(entry, restart=keeper.restart if keeper else None)


def _asked(entries: Sequence[Entry], keepers: Mapping[str, Keeper]) -> Iterator[Entry]:
    """What a person wants to have, and how each server is restarted; asked once for one that does several things."""
    restarts: dict[str, RestartSettings | None] = {}
    for entry in entries:
        place = entry.found.place
        if not click.confirm(f"Use {entry.name}, {entry.words} at {place}?", default=True):
            continue
        if place not in restarts:
            restarts[place] = _restart(keepers.get(place))
        yield replace(entry, restart=restarts[place])


def _restart(keeper: Keeper | None) -> RestartSettings | None:
    if keeper and keeper.words:
        click.echo(f"  It is run by {keeper.words}.")
    guess = keeper.restart if keeper else None
    answer: RestartSettings | None = click.prompt(
        "  How is it restarted: `docker NAME`, `systemd UNIT`, or `no`",
        default=_typed(guess),
        value_proc=lambda text: guess if text == _typed(guess) else _understood(text),
    )
    return answer


def _typed(restart: RestartSettings | None) -> str:
    if restart is None:
        return "no"
    return f"docker {restart.docker}" if restart.docker else f"systemd {restart.systemd}"


def _cure(restart: RestartSettings | None) -> str:
    if restart is None:
        return "only watched, since nothing says how it is restarted; its `restart` is yours to fill in"
    return (
        f"restarted as the container {restart.docker}"
        if restart.docker
        else f"restarted as the unit {restart.systemd}"
    )


def _understood(text: str) -> RestartSettings | None:
    from pydantic import ValidationError

    from spark_control.settings import RestartSettings

    way, _, name = text.strip().partition(" ")
    if way in ("no", "none", "n"):
        return None
    with suppress(ValidationError):
        if way == "docker":
            return RestartSettings(docker=name.strip())
        if way == "systemd":
            return RestartSettings(systemd=name.strip())
    raise click.BadParameter("`docker parakeet`, `systemd parakeet.service` and `no` are answers")


def _write(output: Path, text: str, mode: int, *, force: bool) -> None:
    """All of it or nothing; and without `force` over nothing that is there, or has come meanwhile."""
    import tempfile

    try:
        descriptor, new = tempfile.mkstemp(dir=output.parent, prefix=f".{output.name}.")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                os.fchmod(descriptor, mode)
            if force:
                Path(new).replace(output)
            else:
                output.hardlink_to(new)
        finally:
            Path(new).unlink(missing_ok=True)
    except OSError as exc:
        fail(f"{output} cannot be written: {exc.strerror}")


def _told(output: Path, entries: Sequence[Entry], *, public: bool) -> Iterator[str]:
    """What was written, and what comes next."""
    from spark_control.engines.embedded import missing_extra
    from spark_control.service import this_program, with_sudo

    yield ""
    yield f"{output} is written."
    for entry in entries:
        yield f"  {entry.name}: {_cure(entry.restart)}"
        if entry.identity.wants_key:
            yield "    It wants a key, which is yours to fill in as `api_key`. The file is readable for you alone."
    if not entries:
        yield "It names no engine, so the gateway brings its own, which run on any CPU."
        if missing := missing_extra():
            yield f"These are not installed yet. {missing}"
    named = "" if output == Path("spark-control.toml") else f" --config {output}"
    yield "Next:"
    yield f"  spark-control check{named}   # whether all of it holds"
    yield f"  {with_sudo(this_program())} install-service{named}   # for good: it starts with the machine"
    yield "Or, in this terminal alone:"
    if public:
        yield f"  spark-control key add NAME{named}   # for each device; without a key the gateway does not start"
    yield f"  spark-control serve{named}"
