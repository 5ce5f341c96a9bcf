"""Figures, times and names in words, as the page shows them. Pure."""

from __future__ import annotations

from urllib.parse import quote

_NUMBERS = [
    "no",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
]
_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def plain(text: object) -> str:
    """Text without characters that nobody sees: an engine may have said it."""
    return "".join(each if each.isprintable() else " " for each in str(text))


def lasting(seconds: float) -> str:
    """`120 ms`, `2.9 s`, `45 s`, `3 min`, `2.5 h`."""
    seconds = max(0.0, seconds)
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 119.5:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7170 else f"{seconds / 3600:.1f} h"


def figure(number: float) -> str:
    """`0`, `0.3`, `12`: as exact as somebody who glances at it wants it."""
    return f"{number:.1f}".removesuffix(".0") if number < 9.95 else f"{number:.0f}"


def byte_count(number: float | None) -> str:
    """`1.2 GB`; `not told` for None."""
    if number is None:
        return "not told"
    unit = 0
    while number >= 999.5 and unit < len(_UNITS) - 1:
        number, unit = number / 1000, unit + 1
    return f"{number:.0f} {_UNITS[unit]}" if number >= 9.95 or not unit else f"{number:.1f} {_UNITS[unit]}"


def in_words(number: int) -> str:
    """`four`; digits from thirteen on."""
    return _NUMBERS[number] if number < len(_NUMBERS) else str(number)


def how_many(number: int, noun: str) -> str:
    """`one request`, `three requests`."""
    return f"{in_words(number)} {noun}{'' if number == 1 else 's'}"


def segment(name: str) -> str:
    """A name as one segment of an address."""
    return quote(name, safe="")
