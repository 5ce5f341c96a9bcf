"""Finds every fault of the settings, and goes on with what of them holds."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import SettingsError

from spark_control.check.cures import cure_of, cure_of_unknown
from spark_control.check.findings import Finding, note, ok, warn, wrong
from spark_control.check.lines import line_of
from spark_control.settings import Settings
from spark_control.settings_file import (
    UnusableFile,
    file_of,
    parsed,
    sentence_of,
    unknown_setting,
    unknown_variables,
    variable,
)

_ROUNDS = 64
"""Each takes out what was found wrong; a file with more faults is told of these first."""

_SECRET = re.compile("api_key|alerts|command")
_ON_LINE = re.compile(r"at line (\d+)")


@dataclass(slots=True)
class Configuration:
    """What the settings say, as far as they hold; None if nothing can be said. `findings` has all their faults."""

    source: str
    settings: Settings | None = None
    findings: list[Finding] = field(default_factory=list)
    broken: set[tuple[str, ...]] = field(default_factory=set)
    """The paths of what was taken out."""

    def lost(self, section: str, part: str) -> list[str]:
        """The names in a section of which that `part`, or all, was taken out."""
        found = (path for path in self.broken if path[:1] == (section,) and len(path) > 1)
        return sorted({path[1] for path in found if part in ("", *path[2:3])})


def read_configuration(path: Path | None, environ: Mapping[str, str]) -> Configuration:
    """Never raises for what is in them."""
    file = file_of(path)
    found = Configuration(str(file) if file else "no file, so the defaults")
    return _Reader(found, file, environ).read()


class _Reader:
    def __init__(self, found: Configuration, file: Path | None, environ: Mapping[str, str]) -> None:
        self._found = found
        self._file = file
        self._environ = {name.upper(): value for name, value in environ.items()}
        self._text = ""
        self._told: set[tuple[str, ...]] = set()

    def read(self) -> Configuration:
        self._look_at_variables()
        values = self._values()
        if values is not None:
            for key in [key for key in values if key not in Settings.model_fields]:
                del values[key]
                self._fault([key], unknown_setting([key]), cure_of_unknown([key]))
            self._found.settings = self._salvage(values)
        self._conclude()
        return self._found

    def _look_at_variables(self) -> None:
        for said in unknown_variables(self._environ):
            name, _, rest = said.partition(" ")
            near = rest.rpartition("did you mean ")[2].rstrip("?") if "did you mean" in rest else ""
            cure = f"Rename it: {near}." if near else "Unset it; docs/settings.md lists all that there is."
            self._found.findings.append(wrong(name, "There is no such setting.", cure))

    def _values(self) -> dict[str, Any] | None:
        if self._file is None:
            return {}
        try:
            values, too_open = parsed(self._file)
        except UnusableFile as exc:
            self._found.findings.append(self._unusable(self._file, exc))
            return None
        if too_open:
            self._found.findings.append(self._unusable(self._file, too_open))
        self._text = self._file.read_text(encoding="utf-8")
        return values

    def _unusable(self, file: Path, exc: UnusableFile) -> Finding:
        cure = exc.cure
        if number := _ON_LINE.search(exc.fault):
            lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
            shown = lines[int(number[1]) - 1].strip() if int(number[1]) <= len(lines) else "the end"
            cure = f"Line {number[1]} is: {_hushed(shown)}   {cure}"
        return wrong(str(file), _sentence(f"it {exc.fault}"), cure)

    def _salvage(self, values: dict[str, Any]) -> Settings | None:
        """The settings without what is wrong in the file."""
        for _ in range(_ROUNDS):
            try:
                return Settings(**values)
            except ValidationError as exc:
                errors = exc.errors()
            except SettingsError as exc:
                text = f"An environment variable cannot be read: {exc}."
                self._found.findings.append(
                    wrong("environment", text, "Lists and tables are written as JSON.")
                )
                return None
            for error in errors:
                self._report(error)
            removed = [_taken_out(values, error) for error in errors]
            if not any(removed):
                return None  # the fault is in the environment
        return None

    def _report(self, error: ErrorDetails) -> None:
        path = tuple(str(part) for part in error["loc"] if part != "[key]")
        if path in self._told:
            return
        self._told.add(path)
        if variable(path) in self._environ and error["type"] == "extra_forbidden":
            return  # told already, as a misspelt variable
        self._fault(path, _in_words(error), cure_of(error))

    def _fault(self, path: tuple[str, ...] | list[str], said: str, cure: str) -> None:
        name = ".".join(path)
        text = said.removeprefix(f"{name}: ").removeprefix(f"{name} ").partition("; did you mean")[0]
        text = {"is not a setting": "There is no such setting", "is missing": "It is missing"}.get(text, text)
        self._found.findings.append(wrong(name or "settings", f"{self._place(path)}{_sentence(text)}", cure))
        self._found.broken.add(tuple(path))

    def _place(self, path: tuple[str, ...] | list[str]) -> str:
        if variable(path) in self._environ:
            return f"From {variable(path)}. "
        line = line_of(self._text, path)
        return f"Line {line}. " if line else ""

    def _conclude(self) -> None:
        settings, findings = self._found.settings, self._found.findings
        if settings is None:
            said = "Only this machine was looked at: the rest needs settings that hold."
            findings.append(note("the rest", said))
            return
        if not findings:
            engines = len(settings.upstreams)
            named = f"{engines} engine{'s' if engines != 1 else ''}" if engines else "no engine"
            findings.append(ok(self._found.source, f"is valid, and names {named}."))
        findings.extend(_doubts(settings))


def _doubts(settings: Settings) -> Iterator[Finding]:
    """What is allowed, and can hardly be meant."""
    seen: dict[tuple[str, str], str] = {}
    for name, upstream in settings.upstreams.items():
        here = (str(upstream.url).rstrip("/"), upstream.task)
        if here in seen:
            said = f"is the same engine as {seen[here]}: both have {here[0]} for {upstream.task}."
            yield warn(name, said, "Remove one; together they get twice the work that it can do.")
        seen.setdefault(here, name)
        if upstream.restart and not settings.care_of(name).restart_limit:
            said = "has a `restart`, and a restart_limit of 0: it is never used."
            yield warn(name, said, "Set deep_health.restart_limit, which is 3 unless set.")


def _taken_out(values: dict[str, Any], error: ErrorDetails) -> bool:
    """Remove from the file's values what the error is about; whether there was any of it."""
    path = [part for part in error["loc"] if part != "[key]"]
    if error["type"] == "missing":
        path = path[:-1]
    held: Any = values
    for depth, key in enumerate(path):
        last = depth == len(path) - 1
        if not isinstance(held, dict) or key not in held:
            return False
        if last or not isinstance(held[key], dict):
            del held[key]
            return True
        held = held[key]
    return False


def _in_words(error: ErrorDetails) -> str:
    """What is wrong, and what stands there, unless that may be a secret."""
    said = re.sub(r", unable to parse.*", "", sentence_of(error)).replace("Input should", "It should")
    given = error["input"]
    shown = isinstance(given, str | int | float) and not _SECRET.search(str(error["loc"]))
    if not shown or error["type"] in ("extra_forbidden", "value_error", "missing") or len(str(given)) > 40:
        return said
    return f"{said.rstrip('.')}; it is {json.dumps(given, ensure_ascii=False)}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".") + "."


def _hushed(line: str) -> str:
    """A line of the file, without the secrets that may stand in it."""
    return re.sub(r"((?:api_key|alerts)\s*=\s*).*", r"\1...", line)
