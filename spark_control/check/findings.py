"""Pure: what the doctor found, each with its cure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How much a finding matters. Only what is wrong makes the check fail."""

    OK = "ok"
    NOTE = "note"
    WARN = "warn"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """A sentence on one thing, and what is to be done about it."""

    level: Level
    subject: str
    text: str
    cure: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """What was found of one part."""

    title: str
    findings: Sequence[Finding]


@dataclass(frozen=True, slots=True)
class Report:
    """All of it. `source` is where the settings came from."""

    source: str
    sections: Sequence[Section]

    @property
    def findings(self) -> list[Finding]:
        return [finding for section in self.sections for finding in section.findings]

    @property
    def good(self) -> bool:
        return all(finding.level is not Level.WRONG for finding in self.findings)

    @property
    def counts(self) -> Counter[Level]:
        return Counter(finding.level for finding in self.findings)

    def told(self) -> dict[str, object]:
        """As JSON."""
        return {
            "settings": self.source,
            "good": self.good,
            "counts": {level.value: self.counts[level] for level in Level},
            "sections": [
                {"title": section.title, "findings": [_told(each) for each in section.findings]}
                for section in self.sections
            ],
        }


def ok(subject: str, text: str) -> Finding:
    return Finding(Level.OK, subject, text)


def note(subject: str, text: str, cure: str = "") -> Finding:
    return Finding(Level.NOTE, subject, text, cure)


def warn(subject: str, text: str, cure: str) -> Finding:
    return Finding(Level.WARN, subject, text, cure)


def wrong(subject: str, text: str, cure: str) -> Finding:
    return Finding(Level.WRONG, subject, text, cure)


def joined(words: Iterable[str], most: int = 6) -> str:
    """`a, b, c and 4 more`."""
    names = list(words)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _told(finding: Finding) -> dict[str, object]:
    return {
        "level": finding.level.value,
        "subject": finding.subject,
        "text": finding.text,
        "cure": finding.cure or None,
    }
