"""Pure: the settings file that a new gateway starts with."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from spark_control.entries import Entry, tables, toml
from spark_control.settings import Settings
from spark_control.settings_file import section_of

_HEAD = """\
# The settings of Spark Control. A line that begins with # does nothing; where it has the form `#port = 8090`, it
# shows a default, and holds without the #. `spark-control check` tells whether the file can be used, and
# docs/settings.md lists all that can be set."""

_ENGINES = """\
# The engines. One with a `restart` is cured when it has wedged; one without is only watched. The gateway needs
# the right to do that one thing: docs/restarts.md has it for each way."""

_NO_ENGINE = """\
# No engine is named here, so the gateway brings its own, which run on any CPU. `spark-control discover HOST`
# prints such a table for each of yours:
#
# [upstreams.parakeet]
# kind = "parakeet"
# url = "http://127.0.0.1:5092"
# restart = { systemd = "parakeet.service" }"""

TOP = ("host", "port", "state", "drain")
"""What stands above all tables."""

COMMON: Mapping[str, Sequence[str]] = {
    "voices": (),
    "models": ("strict",),
    "models.aliases": (),
    "speech": ("default_voice", "max_characters"),
    "speech_cache": ("enabled", "max_bytes"),
    "uploads": ("max_bytes", "max_seconds"),
    "access": ("open", "cors_origins"),
    "log": ("content",),
    "deep_health": (
        "interval", "restart_limit", "restart_window", "patience", "patience_for", "alerts",
    ),
    "machine": ("disks",),
}  # fmt: skip
"""The settings that people change, by their tables."""


def toml_text(entries: Sequence[Entry] = (), *, host: str | None = None, state: str | None = None) -> str:
    """A commented settings file for these engines; with none, the gateway brings its own.

    `host` and `state` are written down if given. All else stands there with
    its default, and does nothing.
    """
    given = {"host": host, "state": state}
    top = [_option((name,), given.get(name)) for name in TOP]
    engines = [_ENGINES, *tables(entries)] if entries else [_NO_ENGINE]
    return "\n\n".join([_HEAD, *top, *engines, *map(_table, COMMON)]) + "\n"


def _table(name: str) -> str:
    """The table itself does something, so that each line in it can be taken by itself."""
    path = name.split(".")
    options = [_option((*path, key)) for key in COMMON[name]]
    return "\n\n".join([f"{_prose(_described(path))}\n[{name}]", *options])


def _option(path: Sequence[str], value: object = None) -> str:
    field = _field(path)
    if value is None:
        line = _default(path[-1], field)
    else:
        line = f"{path[-1]} = {toml(value)}"
    return f"{_prose(_described(path))}\n{line}"


def _default(key: str, field: FieldInfo) -> str:
    """The line that changes nothing; for a setting without a default, one with a gap to fill in."""
    if field.default is None:
        return f'# {key} = "..."'
    return f"#{key} = {toml(to_jsonable_python(field.default))}"


def _described(path: Sequence[str]) -> str:
    """What the settings themselves say of a setting, or of a table."""
    field = _field(path)
    section = section_of(field.annotation)
    of_section = section.__doc__ if isinstance(section, type) and issubclass(section, BaseModel) else None
    return field.description or of_section or ""


def _field(path: Sequence[str]) -> FieldInfo:
    model: type[BaseModel] = Settings
    for key in path[:-1]:
        section = section_of(model.model_fields[key].annotation)
        if not (isinstance(section, type) and issubclass(section, BaseModel)):
            raise KeyError(".".join(path))
        model = section
    return model.model_fields[path[-1]]


def _prose(text: str) -> str:
    return textwrap.fill(
        " ".join(text.split()),
        width=110,
        initial_indent="# ",
        subsequent_indent="# ",
        break_long_words=False,
        break_on_hyphens=False,
    )
