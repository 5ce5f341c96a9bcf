"""Pure: on which line of a TOML file a setting stands."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

_PART = r"""(?:[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*')"""
_KEY = rf"{_PART}(?:\s*\.\s*{_PART})*"
_TABLE = re.compile(rf"\s*\[\[?\s*({_KEY})\s*\]\]?\s*(?:#.*)?")
_VALUE = re.compile(rf"\s*({_KEY})\s*=")


def line_of(text: str, path: Sequence[str]) -> int | None:
    """The number of the line that has most of `path`: of the setting itself, or of the table that it should be in."""
    best, found = 0, None
    for number, keys in _keys(text):
        shared = min(len(keys), len(path))
        if shared > best and list(keys[:shared]) == list(path[:shared]):
            best, found = shared, number
    return found


def _keys(text: str) -> Iterator[tuple[int, list[str]]]:
    table: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        if heading := _TABLE.fullmatch(line):
            table = _parts(heading[1])
            yield number, table
        elif value := _VALUE.match(line):
            yield number, [*table, *_parts(value[1])]


def _parts(key: str) -> list[str]:
    return [part.strip("\"'") for part in re.findall(_PART, key)]
