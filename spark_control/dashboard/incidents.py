"""What went wrong lately, as the page tells it: each incident from the first sign to the recovery. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from spark_control.store.records import Entry, Incident
from spark_control.wording import how_many, in_words, lasting

MOST = 20
"""Incidents that are looked at."""

_SHOWN = 12
_DAY = 86400

_LONGEST = 40
"""Steps of one incident that are shown; an engine that nobody can mend fails its canaries all night."""

_LAST = 8

_VERDICTS = {
    "sticky": "its CUDA context was dead",
    "gpu_lost": "it had lost its GPU",
    "memory": "it had too little memory",
    "permanent": "it cannot work as it is set up",
    "unknown": "something was wrong, and nothing told what",
    "hung": "it no longer answered",
    "unreachable": "it could not be reached",
    "loading": "it was loading",
}

_STEPS = {
    "suspected": ("busy", "failed a request"),
    "ejected": ("bad", "wedged"),
    "canary failed": ("bad", "probe failed"),
    "asked to restart": ("busy", "restart asked for"),
    "restarting": ("busy", "restarting"),
    "restarted": ("busy", "started again"),
    "restart failed": ("bad", "restart failed"),
    "quarantined": ("busy", "input quarantined"),
    "given up": ("bad", "given up"),
    "healthy": ("ok", "working"),
    "xid": ("bad", "GPU fault"),
}
"""What a timeline says happened: its tone, and how the page puts it."""


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a timeline. `offset` counts from the first sign."""

    offset: str
    tone: str
    what: str
    detail: str


@dataclass(frozen=True, slots=True)
class Told:
    """One incident. `lasted` is None while it goes on."""

    id: str
    service: str
    tone: str
    word: str
    opened: str
    lasted: str | None
    verdict: str
    evidence: str
    requests: str
    restarts: str
    steps: tuple[Step, ...]
    left_out: int
    """Steps between the first and the last ones that are not shown."""


@dataclass(frozen=True, slots=True)
class Incidents:
    """The newest first, and the last day in a sentence."""

    day: str
    shown: tuple[Told, ...]


def incidents_view(incidents: Sequence[Incident], now: float) -> Incidents:
    """`incidents`, the newest `MOST`, as they stand at `now`. Of these, each that goes on is shown."""
    recent = [each for each in incidents if each.closed is None or now - each.closed < _DAY]
    shown = [each for at, each in enumerate(incidents) if at < _SHOWN or each.closed is None]
    return Incidents(_day(recent, more=len(recent) >= MOST), tuple(_told(each) for each in shown))


def _day(recent: Sequence[Incident], *, more: bool) -> str:
    """With `more` there may have been others before."""
    if not recent:
        return "Nothing went wrong in the last 24 hours."
    failed = sum(each.failed for each in recent)
    if more:
        lost = f"{how_many(failed, 'request')} failed in these" if failed else "no request was lost in these"
        return f"At least {how_many(len(recent), 'incident')} in the last 24 hours; {lost}."
    lost = f"{how_many(failed, 'request')} failed" if failed else "no request was lost"
    return f"{how_many(len(recent), 'incident').capitalize()} in the last 24 hours; {lost}."


def _told(incident: Incident) -> Told:
    tone, word = _standing(incident)
    over = incident.closed
    timeline = incident.timeline
    left_out = max(0, len(timeline) - _LONGEST)
    told = (*timeline[: _LONGEST - _LAST], *timeline[-_LAST:]) if left_out else timeline
    return Told(
        id=incident.id,
        service=incident.service,
        tone=tone,
        word=word,
        opened=datetime.fromtimestamp(incident.opened, UTC)
        .isoformat(timespec="seconds")
        .replace("+00:00", "Z"),
        lasted=None if over is None else lasting(over - incident.opened),
        verdict=_VERDICTS.get(incident.verdict, incident.verdict) or incident.evidence,
        evidence=incident.evidence if incident.verdict else "",
        requests=_requests(incident),
        restarts="" if not incident.restarts else f"{how_many(incident.restarts, 'restart')}.".capitalize(),
        steps=tuple(_step(each, incident.opened) for each in told),
        left_out=left_out,
    )


def _standing(incident: Incident) -> tuple[str, str]:
    if incident.closed is not None:
        return "ok", "over"
    if incident.timeline and incident.timeline[-1].what == "given up":
        return "bad", "needs a person"
    return "busy", "under way"


def _requests(incident: Incident) -> str:
    """What became of the requests that came meanwhile."""
    fates = ", ".join(_fates(incident))
    if incident.failed:
        failed = f"{how_many(incident.failed, 'request')} failed".capitalize()
        return f"{failed}; {fates}." if fates else f"{failed}."
    so_far = " so far" if incident.closed is None else ""
    return f"No request was lost{so_far}: {fates}." if fates else f"No request came to harm{so_far}."


def _fates(incident: Incident) -> Iterator[str]:
    for number, fate in (
        (incident.held, "held until it was back"),
        (incident.replayed, "sent again"),
        (incident.degraded, "answered by another engine"),
    ):
        if number:
            yield f"{in_words(number)} {'was' if number == 1 else 'were'} {fate}"


def _step(entry: Entry, opened: float) -> Step:
    tone, what = _STEPS.get(entry.what, ("idle", entry.what))
    return Step(_offset(entry.at - opened), tone, what, entry.detail)


def _offset(seconds: float) -> str:
    return f"+{max(0.0, seconds):.2f} s" if seconds < 9.995 else f"+{lasting(seconds)}"
