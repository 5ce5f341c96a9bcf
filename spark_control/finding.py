"""`spark-control discover`: what answers at the usual ports, and the settings that it takes."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from spark_control.options import fail, json_option, print_json

if TYPE_CHECKING:
    from spark_control.discover import Found, Survey
    from spark_control.upstreams.fingerprints import Identity

_WORDS = {"speech": "text to speech", "transcription": "speech to text", "chat": "language models"}

_HEAD = """\
# Goes into spark-control.toml; `spark-control check` then tells whether it holds.
# An engine with a `restart` is cured when it has wedged; one without is only watched."""

_POOL = """\
# Several engines are of one kind: they share the requests that each of them can do. One that is only to help
# out when the others cannot gets a higher number, `priority = 1`."""

_NOTHING = (
    "no engine was found. Name the host where yours run (`spark-control discover spark-1`), or the port "
    "(`--port 8123`); an engine that listens on 127.0.0.1 alone is seen from its own machine only"
)


@dataclass(frozen=True, slots=True)
class Entry:
    """An `[upstreams.NAME]` to be."""

    name: str
    found: Found
    identity: Identity

    @property
    def words(self) -> str:
        return f"{self.identity.title}, {_WORDS[self.identity.task]}"

    @property
    def model(self) -> str | None:
        """The model that its requests must name; other kinds know theirs, and language models are all listed."""
        asked = self.identity.kind == "openai" and self.identity.task != "chat"
        return self.identity.model if asked else None


@click.command()
@click.argument("hosts", metavar="[HOST]...", nargs=-1)
@click.option(
    "--port",
    "ports",
    type=click.IntRange(1, 65535),
    multiple=True,
    help="Look at this port too. May be given several times.",
)
@json_option
def discover(hosts: tuple[str, ...], ports: tuple[int, ...], *, as_json: bool) -> None:
    """Look for engines on HOST (127.0.0.1 unless given), and print the settings for them.

    HOST may be a name, an address, or either with a port. What is found is
    told on stderr; stdout gets the TOML, so that `> spark-control.toml` works.
    Nothing is sent but small questions. Exit status 1 if there is no engine.
    """
    import asyncio

    from spark_control.discover import MOST_HOSTS, NotAHost, parse_host, survey

    try:
        asked = [parse_host(text) for text in hosts or ("127.0.0.1",)]
    except NotAHost as exc:
        fail(str(exc))
    if len(asked) > MOST_HOSTS:
        fail(f"{len(asked)} hosts are too many at once; {MOST_HOSTS} are the most")
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


def lines(seen: Survey, entries: Sequence[Entry]) -> Iterator[str]:
    """A line for each thing that was found, and for each that was not there."""
    told = [(entry.found, entry.words) for entry in entries]
    told += [(found, found.remark) for found in seen.found if not found.identities]
    width = max((len(found.place) for found, _ in told), default=0)
    for found, words in told:
        yield f"{found.place:<{width}}  {words}"
    yield from seen.missing


def name_entries(engines: Sequence[Found]) -> list[Entry]:
    """A name for everything that each engine does, no two alike in any case of letters."""
    all_ = [(found, identity) for found in engines for identity in found.identities]
    plain = Counter(_name(identity) for _, identity in all_)
    entries: list[Entry] = []
    taken: set[str] = set()
    for found, identity in all_:
        name = _name(identity)
        if plain[name] > 1 and len({each.host.name for each in engines}) > 1:
            name = f"{name}-{_slug(found.host.bare)}"
        unique, number = name, 1
        while unique in taken:
            number += 1
            unique = f"{name}-{number}"
        taken.add(unique)
        entries.append(Entry(unique, found, identity))
    return entries


def _name(identity: Identity) -> str:
    if identity.kind != "openai":
        return {"parakeet-nim": "parakeet"}.get(identity.kind, identity.kind)
    server = _slug(identity.flavour or "engine")
    return server if identity.task == "chat" else f"{server}-{identity.task}"


def _slug(text: str) -> str:
    """What of a text may stand in a name."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:32] or "host"


def toml_of(entries: Sequence[Entry]) -> str:
    """The settings, ready to be pasted."""
    alike = Counter((entry.identity.kind, entry.identity.task) for entry in entries)
    head = [_HEAD, *([_POOL] if max(alike.values(), default=0) > 1 else [])]
    several = len({entry.found.host.name for entry in entries}) > 1
    return "\n\n".join([*head, *("\n".join(_table(entry, several=several)) for entry in entries)])


def _table(entry: Entry, *, several: bool) -> Iterator[str]:
    identity = entry.identity
    yield f"# {entry.words}"
    yield f"[upstreams.{entry.name}]"
    yield f'kind = "{identity.kind}"'
    if identity.kind == "openai":
        yield f'serves = "{identity.task}"'
    if identity.flavour:
        yield f'flavour = "{identity.flavour}"'
    yield f"url = {_quoted(f'http://{entry.found.place}')}"
    if entry.model:
        yield f"model = {_quoted(entry.model)}"
    elif identity.kind == "openai" and identity.task != "chat":
        yield '# model = "..."   # it has told none; requests may have to name one'
    if identity.wants_key:
        yield '# api_key = "..."   # it wants one'
    if several:
        yield f"machine = {_quoted(entry.found.host.bare)}   # engines of one machine are restarted one by one"
    yield '# restart = { docker = "NAME" }   # or { systemd = "NAME.service" }, or { command = ["..."] }'


def _quoted(text: str) -> str:
    """A TOML string. What comes here is visible ASCII, for which JSON's rules are TOML's."""
    return json.dumps(text)


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
