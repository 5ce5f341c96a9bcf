"""`spark-control discover`: what answers at the usual ports, and the settings that it takes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from spark_control.entries import Entry, lines, name_entries, tables
from spark_control.options import fail, hosts_argument, json_option, ports_option, print_json

if TYPE_CHECKING:
    from spark_control.discover import Survey

_HEAD = """\
# Goes into spark-control.toml; `spark-control check` then tells whether it holds.
# An engine with a `restart` is cured when it has wedged; one without is only watched."""

_NOTHING = (
    "no engine was found. Name the host where yours run (`spark-control discover spark-1`), or the port "
    "(`--port 8123`); an engine that listens on 127.0.0.1 alone is seen from its own machine only"
)


@click.command()
@hosts_argument
@ports_option
@json_option
def discover(hosts: tuple[str, ...], ports: tuple[int, ...], *, as_json: bool) -> None:
    """Look for engines on HOST (127.0.0.1 unless given), and print the settings for them.

    HOST may be a name, an address, or either with a port. What is found is
    told on stderr; stdout gets the TOML, so that `> spark-control.toml` works.
    Nothing is sent but small questions. Exit status 1 if there is no engine.
    """
    import asyncio

    from spark_control.discover import NotAHost, parse_hosts, survey

    try:
        asked = parse_hosts(hosts)
    except NotAHost as exc:
        fail(str(exc))
    if sys.stderr.isatty():
        click.echo(f"Looking on {', '.join(host.bare for host in asked)} ...", err=True)
    seen = asyncio.run(survey(asked, ports))
    entries = name_entries(seen.engines)
    if as_json:
        print_json(_told(seen, entries))
    else:
        for line in lines(seen, entries):
            click.echo(line, err=True)
        if entries:
            click.echo("", err=True)
            click.echo(toml_of(entries))
    if not entries:
        fail(_NOTHING)


def toml_of(entries: Sequence[Entry]) -> str:
    """The settings, ready to be pasted."""
    return "\n\n".join([_HEAD, *tables(entries)])


def _told(seen: Survey, entries: Sequence[Entry]) -> dict[str, object]:
    return {
        "engines": [
            {
                "name": entry.name,
                "host": entry.found.host.bare,
                "port": entry.found.port,
                "title": entry.identity.title,
                "kind": entry.identity.kind,
                "serves": entry.identity.task,
                "flavour": entry.identity.flavour,
                "model": entry.identity.model,
                "wants_key": entry.identity.wants_key,
            }
            for entry in entries
        ],
        "others": [
            {"host": found.host.bare, "port": found.port, "what": found.remark}
            for found in seen.found
            if not found.identities
        ],
        "missing": seen.missing,
        "toml": toml_of(entries) if entries else "",
    }
