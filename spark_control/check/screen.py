"""Pure: what the doctor found, as lines for a terminal. Colour is put in everywhere, and taken out by `click.echo`."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

import click

from spark_control.check.findings import Finding, Level, Report, Section
from spark_control.wording import plain

_WORDS = {Level.OK: "ok", Level.NOTE: "note", Level.WARN: "warn", Level.WRONG: "WRONG"}
_COLOURS = {Level.OK: "green", Level.NOTE: "cyan", Level.WARN: "yellow", Level.WRONG: "red"}
_WORD = 5
_INDENT = " " * (_WORD + 4)
_ARROW = "→ "


def check_screen(report: Report, columns: int = 80) -> Iterator[str]:
    """Each part with what was found of it and what to do about that, then the sum."""
    for section in report.sections:
        if section.findings:
            yield from _section(section, columns)
            yield ""
    yield from _verdict(report, columns)


def _section(section: Section, columns: int) -> Iterator[str]:
    yield click.style(plain(section.title), bold=True)
    for finding in section.findings:
        yield from _finding(finding, columns)


def _finding(finding: Finding, columns: int) -> Iterator[str]:
    colour = _COLOURS[finding.level]
    subject = plain(finding.subject)
    first, *rest = _wrapped(f"{subject}  {plain(finding.text)}", columns)
    word = click.style(
        f"{_WORDS[finding.level]:<{_WORD}}", fg=colour, bold=finding.level is Level.WRONG or None
    )
    shown = click.style(subject, bold=True) + first[len(subject) :] if first.startswith(subject) else first
    yield f"  {word}  {shown}"
    yield from (_INDENT + line for line in rest)
    if finding.cure:
        for number, line in enumerate(_wrapped(plain(finding.cure), columns - len(_ARROW))):
            lead = click.style(_ARROW, fg=colour) if number == 0 else " " * len(_ARROW)
            yield _INDENT + lead + line


def _verdict(report: Report, columns: int) -> Iterator[str]:
    bad, doubtful = report.counts[Level.WRONG], report.counts[Level.WARN]
    fine = report.counts[Level.OK]
    if bad:
        said = f"{_count(bad, 'thing is', 'things are')} wrong"
        said += f", {_count(doubtful, 'is', 'are')} doubtful" if doubtful else ""
        said += f", {_count(fine, 'is', 'are')} fine. Each line with an arrow says what to do."
    elif doubtful:
        said = f"Nothing is wrong. {_count(doubtful, 'thing', 'things')} could be better, {fine} {_be(fine)} fine."
    else:
        said = f"All is well: {_count(fine, 'thing was', 'things were')} looked at, and nothing is wrong."
    colour = "red" if bad else "yellow" if doubtful else "green"
    for line in textwrap.wrap(said, columns):
        yield click.style(line, fg=colour, bold=True)


def _wrapped(text: str, columns: int) -> list[str]:
    return textwrap.wrap(text, columns - len(_INDENT), break_on_hyphens=False) or [""]


def _count(number: int, one: str, more: str) -> str:
    return f"{number} {one if number == 1 else more}"


def _be(number: int) -> str:
    return "is" if number == 1 else "are"
