"""Pure: the table of the settings file that each engine takes which was found."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spark_control.discover import Found, Survey
    from spark_control.settings import RestartSettings
    from spark_control.upstreams.fingerprints import Identity

_WORDS = {"speech": "text to speech", "transcription": "speech to text", "chat": "language models"}

POOL = """\
# Several engines are of one kind: they share the requests that each of them can do. One that is only to help
# out when the others cannot gets a higher number, `priority = 1`."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An `[upstreams.NAME]` to be."""

    name: str
    found: Found
    identity: Identity
    restart: RestartSettings | None = None

    @property
    def words(self) -> str:
        return f"{self.identity.title}, {_WORDS[self.identity.task]}"

    @property
    def model(self) -> str | None:
        """The model that its requests must name; other kinds know theirs, and language models are all listed."""
        asked = self.identity.kind == "openai" and self.identity.task != "chat"
        return self.identity.model if asked else None


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


def lines(seen: Survey, entries: Sequence[Entry]) -> Iterator[str]:
    """A line for each thing that was found, and for each that was not there."""
    told = [(entry.found, entry.words) for entry in entries]
    told += [(found, found.remark) for found in seen.found if not found.identities]
    width = max((len(found.place) for found, _ in told), default=0)
    for found, words in told:
        yield f"{found.place:<{width}}  {words}"
    yield from seen.missing


def tables(entries: Sequence[Entry]) -> list[str]:
    """The entries as TOML, each a table; before them a word on pools, if there are any."""
    alike = Counter((entry.identity.kind, entry.identity.task) for entry in entries)
    several = len({entry.found.host.name for entry in entries}) > 1
    head = [POOL] if max(alike.values(), default=0) > 1 else []
    return [*head, *("\n".join(_table(entry, several=several)) for entry in entries)]


def _table(entry: Entry, *, several: bool) -> Iterator[str]:
    identity = entry.identity
    yield f"# {entry.words}"
    yield f"[upstreams.{entry.name}]"
    yield f'kind = "{identity.kind}"'
    if identity.kind == "openai":
        yield f'serves = "{identity.task}"'
    if identity.flavour:
        yield f'flavour = "{identity.flavour}"'
    yield f"url = {toml(f'http://{entry.found.place}')}"
    if entry.model:
        yield f"model = {toml(entry.model)}"
    elif identity.kind == "openai" and identity.task != "chat":
        yield '# model = "..."   # it has told none; requests may have to name one'
    if identity.wants_key:
        yield '# api_key = "..."   # it wants one'
    if several:
        yield f"machine = {toml(entry.found.host.bare)}   # engines of one machine are restarted one by one"
    if entry.restart:
        yield f"restart = {toml(entry.restart.model_dump(exclude_unset=True))}"
    else:
        yield '# restart = { docker = "NAME" }   # or { systemd = "NAME.service" }, or { command = ["..."] }'


def toml(value: object) -> str:
    """A value as TOML has it. For a string without DEL, and for a number, JSON's rules are TOML's."""
    if isinstance(value, dict):
        inner = ", ".join(f"{key} = {toml(each)}" for key, each in value.items())
        return f"{{ {inner} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(value)
