"""Pure: what the gateway tells of its engines, as lines for a terminal. They fit 80 columns.

Colour is put in everywhere; `click.echo` takes it out where it is not wanted.
"""

from __future__ import annotations

import re
import textwrap
import unicodedata
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from spark_control.wording import lasting, plain

COLUMNS = 80
_NARROWEST, _WIDEST = 60, 120
"""Columns of what is written for a whole screen; of one that has less, the left is shown."""

_GOOD, _UNDER_WAY, _BAD = "green", "yellow", "red"
_COLOURS = {
    "healthy": _GOOD,
    "canary passed": _GOOD,
    "wedged": _BAD,
    "ejected": _BAD,
    "canary failed": _BAD,
    "restart failed": _BAD,
    "given up": _BAD,
    "failed": _BAD,
    "xid": _BAD,
}

Json = dict[str, Any]


def status_screen(status: Json, columns: int = COLUMNS) -> Iterator[str]:
    """A sentence, a row for each engine, and what there is to say of those that are not well."""
    now, engines = moment(status["at"]), status["upstreams"]
    well = all(each["state"] in ("healthy", "unknown") for each in engines)
    yield click.style(plain(status["sentence"]), fg=_GOOD if well else _BAD, bold=True)
    if not engines:
        return
    yield ""
    longest = max(len(each["name"]) for each in engines)
    widths = [2, max(14, min(longest, 14 + columns - COLUMNS)), 14, 10, 10, 12, 8]
    yield _row(["", "ENGINE", "TASK", "STATE", "SINCE", "LAST CANARY", "RESTARTS"], widths, bold=True)
    for each in engines:
        yield _engine_row(each, now, widths)
    if loop := status.get("closed_loop"):
        yield f"\n  What one engine says, the other hears: {_canary(loop, now)}."
    for each in engines:
        yield from _notes(each, columns)


def _engine_row(engine: Json, now: float, widths: Sequence[int]) -> str:
    state, left = engine["state"], engine["budget"]["left"]
    colour = _COLOURS.get(state, _UNDER_WAY)
    name, task, state, since, canary, restarts = _cut(
        [
            engine["name"],
            engine["task"],
            state,
            ago(now - moment(engine["since"])),
            _canary(engine["last_probe"], now),
            f"{left} left" if engine["restart"] else "-",
        ],
        widths[1:],
    )
    passed = not engine["last_probe"] or engine["last_probe"]["passed"]
    cells = [
        click.style("● ", fg=colour),
        click.style(name, bold=True),
        task,
        click.style(state, fg=colour),
        since,
        canary if passed else click.style(canary, fg=_BAD),
        restarts.rstrip() if left or not engine["restart"] else click.style(restarts.rstrip(), fg=_BAD),
    ]
    return cells[0] + "  ".join(cells[1:])


def _canary(probe: Json | None, now: float) -> str:
    return f"{'✓' if probe['passed'] else '✗'} {ago(now - moment(probe['at']))}" if probe else "none yet"


def _notes(engine: Json, columns: int) -> Iterator[str]:
    """Sentences on an engine that is not as it should be."""
    said = []
    if engine["state"] not in ("healthy", "unknown"):
        said.append(engine["sentence"])
        if engine.get("reason"):
            said.append(f"Reason: {engine['reason']}.")
        if engine["back_in"] is not None:
            said.append(f"It should be back in about {lasting(max(1, engine['back_in']))}.")
        if engine["held"]:
            said.append(f"Requests that wait for it: {engine['held']}.")
        if engine["incident"]:
            said.append(f"Its story: spark-control incidents {engine['incident']}")
    if engine["maintenance"]:
        said.append("In maintenance: it is watched, but not restarted.")
    if engine["drained"]:
        said.append("Drained: it gets no new requests.")
    if engine["restart"] and not engine["budget"]["left"]:
        wait = engine["budget"]["next_in"]
        said.append(f"No restarts left{f'; the next in {lasting(wait)}' if wait else ''}.")
    if said:
        yield ""
        yield from wrapped(f"{engine['name']}: {' '.join(said)}", 2, columns)


def incidents_screen(incidents: Sequence[Json], now: float) -> Iterator[str]:
    """A row for each."""
    if not incidents:
        yield "Nothing has gone wrong yet."
        return
    widths = [16, 10, 14, 11, 7, 4, 6]
    yield _row(["INCIDENT", "BEGAN", "ENGINE", "VERDICT", "LASTED", "HELD", "FAILED"], widths, bold=True)
    for each in incidents:
        began = moment(each["opened"])
        lasted = lasting(moment(each["closed"]) - began) if each["closed"] else "(open)"
        failed = each["failed"]
        row = _cut(
            [
                each["id"],
                ago(now - began),
                each["service"],
                each["verdict"] or "-",
                lasted,
                each["held"],
                failed,
            ],
            widths,
        )
        row[-1] = click.style(row[-1].rstrip(), fg=_BAD if failed else None)
        if not each["closed"]:
            row[4] = click.style(row[4], fg=_UNDER_WAY)
        yield "  ".join(row)


def incident_screen(incident: Json, now: float, columns: int = COLUMNS) -> Iterator[str]:
    """One of them as it went, from its first sign to the cure."""
    began = moment(incident["opened"])
    over = incident["closed"] and moment(incident["closed"])
    end = f"over after {lasting(over - began)}" if over else "not over yet"
    title = f"{incident['service']}: {incident['verdict'] or 'incident'}, {end}"
    yield click.style(plain(title), fg=_GOOD if over else _BAD, bold=True)
    when = datetime.fromtimestamp(began, UTC).astimezone()
    yield f"  {'began':<10}{when:%A %d %B %Y, %H:%M:%S} ({ago(now - began)})"
    if incident["evidence"]:
        yield from wrapped(f"{'evidence':<10}{incident['evidence']}", 2, columns, hang=10)
    yield f"  {'restarts':<10}{incident['restarts']}"
    counts = ", ".join(f"{incident[what]} {what}" for what in ("held", "replayed", "degraded", "failed"))
    yield f"  {'requests':<10}{counts}"
    yield ""
    for entry in incident["timeline"]:
        yield from timeline_lines(moment(entry["at"]) - began, entry["what"], entry["detail"], columns)


def timeline_lines(after: float, what: str, detail: str, columns: int = COLUMNS) -> Iterator[str]:
    """What happened so many seconds after the beginning; its detail hangs under itself."""
    what = plain(what)
    head = f"{lasting(after):>10}  {what:<15} "
    first, *rest = textwrap.wrap(plain(detail), columns - len(head)) or [""]
    padding = " " * (15 - len(what) + 1) + first if first else ""
    yield head[:12] + click.style(what, fg=_COLOURS.get(what, _UNDER_WAY)) + padding
    yield from (" " * len(head) + line for line in rest)


def watch_screen(
    status: Json | None, news: Sequence[Json], trouble: str, footer: str, size: tuple[int, int]
) -> list[str]:
    """How the engines are and what happened lately, the newest first, on a screen of (columns, rows)."""
    columns, rows = max(_NARROWEST, min(_WIDEST, size[0])), size[1]
    lines = [line for text in (status_screen(status, columns) if status else ()) for line in text.split("\n")]
    if trouble:
        lines = [
            *(click.style(line, fg=_BAD, bold=True) for line in wrapped(trouble, 0, columns)),
            "",
            *lines,
        ]
    room = rows - 2
    lines = [*lines[: room - 1], "…"] if len(lines) > room else lines
    if news and (left := room - len(lines) - 2) > 0:
        lines += ["", _row(["LATELY"], [columns], bold=True)]
        lines += [news_line(each, columns) for each in list(reversed(news))[:left]]
    lines += [""] * (rows - 1 - len(lines))
    return [*lines, click.style(plain(footer)[:columns], dim=True)]


def news_line(event: Json, columns: int = COLUMNS, clock: str = "%H:%M:%S") -> str:
    """One announcement; `times` is how often it came in a row."""
    when = datetime.fromtimestamp(moment(event["at"]), UTC).astimezone()
    times = event.get("times", 1)
    what = plain(event["what"])
    name, shown = _cut(
        [event.get("upstream") or event.get("machine", ""), what + (f" ×{times}" if times > 1 else "")],
        [14, 16],
    )
    head = f"{when:{clock}}  {name}  "
    detail = plain(event.get("detail", ""))
    room = max(1, columns - len(head) - len(shown) - 2)
    detail = detail if len(detail) <= room else detail[: room - 1] + "…"
    return (head + click.style(shown, fg=_COLOURS.get(what, _UNDER_WAY)) + "  " + detail).rstrip()


def words_screen(words: Sequence[Json]) -> Iterator[str]:
    """A line for each word: from when, until when, and the word."""
    for each in words:
        yield f"{each['start']:9.2f}  {each['end']:8.2f}  {plain(each['word']).strip()}"


def moment(iso: str) -> float:
    """Unix seconds of a time as the gateway writes it."""
    return datetime.fromisoformat(iso).timestamp()


def ago(seconds: float) -> str:
    """`12 s ago`, in at most ten characters while that is less than a lifetime."""
    if seconds < 1:
        return "just now"
    for least, length, name in ((172_800, 86_400, "d"), (3600, 3600, "h"), (59.5, 60, "min")):
        if seconds >= least:
            return f"{max(1, seconds // length):.0f} {name} ago"
    return f"{seconds:.0f} s ago"


def legible(text: str) -> str:
    """Text of several lines, without the characters that a terminal obeys."""
    return "".join(each if each in "\n\t" or unicodedata.category(each) != "Cc" else " " for each in text)


def cut(line: str, columns: int) -> str:
    """A line's first so many letters, with their colours."""
    shown = ""
    for piece in re.split(r"(\x1b\[[0-9;]*m)", line):
        part = piece if piece.startswith("\x1b") else piece[:columns]
        columns -= 0 if piece.startswith("\x1b") else len(part)
        shown += part
    return shown


def _row(cells: Sequence[object], widths: Sequence[int], *, bold: bool) -> str:
    padded = _cut(cells, widths)
    joined = padded[0] + "  ".join(padded[1:]) if cells[0] == "" else "  ".join(padded)
    return click.style(joined.rstrip(), bold=bold, dim=True)


def _cut(cells: Sequence[object], widths: Sequence[int]) -> list[str]:
    """Each as wide as its column."""
    texts = [plain(cell) for cell in cells]
    return [
        f"{text if len(text) <= width else text[: width - 1] + '…':<{width}}"
        for text, width in zip(texts, widths, strict=True)
    ]


def wrapped(text: str, indent: int, columns: int, hang: int = 2) -> list[str]:
    """Text in lines of at most so many columns."""
    return textwrap.wrap(
        plain(text), columns, initial_indent=" " * indent, subsequent_indent=" " * (indent + hang)
    )
