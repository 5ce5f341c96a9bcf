"""How the engines are, as the page shows it: one sentence for the house, one card for each engine. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from spark_control.store.records import Incident
from spark_control.wording import how_many, in_words, lasting

Json = Mapping[str, Any]

_STATES = {
    "healthy": ("ok", "working", "is working"),
    "unknown": ("idle", "not tried yet", "has not been tried yet"),
    "suspected": ("busy", "being checked", "failed a request and is being checked"),
    "wedged": ("bad", "wedged", "is about to be restarted"),
    "restarting": ("busy", "restarting", "is restarting"),
    "loading": ("busy", "starting", "is starting"),
    "given up": ("bad", "needs a person", "does not work, and the gateway cannot mend it"),
}
"""For each state its tone, a word or two, and how a sentence about the engine goes on."""

_WELL = ("healthy", "unknown")
TAKES_WORK = (*_WELL, "suspected")


@dataclass(frozen=True, slots=True)
class House:
    """The sentence. `at` is a moment, between its two halves; without JavaScript the page tells the time of it."""

    tone: str
    before: str
    at: str | None
    after: str
    back_at: str | None
    last: Incident | None

    @property
    def sentence(self) -> str:
        """It, without a moment that would have a screen reader say it again each second."""
        return self.before.rstrip() + self.after


@dataclass(frozen=True, slots=True)
class Card:
    """One engine."""

    name: str
    title: str
    about: str
    tone: str
    word: str
    reason: str | None
    back_at: str | None
    probe: Json | None
    probed_at: str | None
    probes: Sequence[float | None]
    failed: Sequence[float | None]
    probes_told: str
    per_minute: float
    first_byte: Json | None
    in_flight: int
    queued: int
    held: int
    maintenance: bool
    drained: bool
    restarter: str | None
    left: int
    forgotten: bool
    limit: int
    window: str
    frees_at: str | None
    incident: str | None


def house_view(status: Json, incidents: Sequence[Incident]) -> House:
    """The sentence for `GET /api/status`, whose open incidents are among `incidents`, the newest first."""
    engines: list[Json] = status["upstreams"]
    sick = [each for each in engines if each["state"] not in _WELL]
    last = incidents[0] if incidents else None
    if not sick:
        tried = bool(engines) and all(each["state"] == "healthy" for each in engines)
        tone = "busy" if out_of_service(status) else "ok" if tried else "idle"
        return House(tone, status["sentence"], None, "", None, last)
    tones = [_STATES[each["state"]][0] for each in sick]
    tone = "bad" if "bad" in tones else "busy"
    held = sum(each["held"] for each in engines)
    waits = "; requests are being held." if held else "."
    if len(sick) > 1:
        each_is = ", ".join(f"{each['name']} {_STATES[each['state']][2]}" for each in sick)
        which = (
            "Both"
            if len(sick) == len(engines) == 2
            else f"{in_words(len(sick)).capitalize()} of {in_words(len(engines))}"
        )
        return House(
            tone, f"{which} engines are not working: {each_is}{waits}", None, "", _back_at(status, sick), last
        )
    (engine,) = sick
    incident = next((each for each in incidents if each.id == engine["incident"]), None)
    name, goes_on = _capital(engine["name"]), _STATES[engine["state"]][2]
    if incident is None or engine["state"] == "suspected":
        return House(tone, f"{name} {goes_on}{waits}", None, "", _back_at(status, sick), last)
    goes_on += " again" if engine["state"] == "loading" else ""
    if incident.timeline and incident.timeline[0].what == "asked to restart":  # by a person; it did not wedge
        return House(tone, f"{name} {goes_on}{waits}", None, "", _back_at(status, sick), last)
    return House(
        tone,
        f"{name} wedged ",
        second(incident.opened),
        f" and {goes_on}{waits}",
        _back_at(status, sick),
        last,
    )


def card_view(engine: Json, now: float, incidents: Sequence[Incident] = ()) -> Card:
    """What a card shows of one engine of `GET /api/status`, which was asked at `now`."""
    tone, word, _ = _STATES[engine["state"]]
    probe, budget, restart, figures = (
        engine["last_probe"],
        engine["budget"],
        engine["restart"],
        engine.get("first_byte"),
    )
    failed = [1.0 if each else None for each in engine["probes"]["failed"]]
    frees_in, well = budget.get("frees_in"), engine["state"] in _WELL
    return Card(
        name=engine["name"],
        title=_capital(engine["task"]),
        about=engine["model"] or engine["flavour"] or engine["kind"],
        tone=tone,
        word=word,
        reason=None if well else _reason(engine, incidents),
        back_at=None if engine["back_in"] is None or well else second(now + engine["back_in"]),
        probe=probe,
        probed_at=_whole(probe["at"]) if probe else None,
        probes=[None if bad else good for good, bad in zip(engine["probes"]["seconds"], failed, strict=True)],
        failed=failed,
        probes_told=_probes_told(engine["probes"]),
        per_minute=engine.get("per_minute", 0.0),
        first_byte=figures,
        in_flight=engine["in_flight"],
        queued=engine["queued"],
        held=engine["held"],
        maintenance=engine["maintenance"],
        drained=engine["drained"],
        restarter=f"By {restart['by']}: {restart['what']}" if restart else None,
        left=budget["left"],
        forgotten=not budget.get("known", True),
        limit=budget["limit"],
        window=lasting(budget["window"]),
        frees_at=second(now + frees_in) if frees_in else None,
        incident=engine["incident"],
    )


def _reason(engine: Json, incidents: Sequence[Incident]) -> str | None:
    """Why it is ill: what was seen first, rather than that it does not answer while it starts again."""
    seen = next((each.evidence for each in incidents if each.id == engine["incident"]), "")
    return seen if engine["state"] == "loading" and seen else engine["reason"]


def out_of_service(status: Json) -> list[str]:
    """The tasks that no engine takes work for."""
    tasks: dict[str, bool] = {}
    for each in status["upstreams"]:
        takes_work = each["state"] in TAKES_WORK and not each["drained"]
        tasks[each["task"]] = tasks.get(each["task"], False) or takes_work
    return [task for task, served in tasks.items() if not served]


def second(wall: float) -> str:
    """A moment, to the second: the same text as long as the same moment is meant."""
    return datetime.fromtimestamp(round(wall), UTC).isoformat().replace("+00:00", "Z")


def _whole(iso: str) -> str:
    return second(datetime.fromisoformat(iso).timestamp())


def _back_at(status: Json, sick: Sequence[Json]) -> str | None:
    """When the last of them should be back, if that is known of each."""
    waits = [each["back_in"] for each in sick]
    if any(each is None for each in waits):
        return None
    return second(math.ceil(datetime.fromisoformat(status["at"]).timestamp() + max(waits)))


def _probes_told(probes: Json) -> str:
    """A day of canaries in words."""
    took = [each for each in probes["seconds"] if each is not None]
    failed = sum(probes["failed"])
    bad = f"{how_many(failed, 'probe')} failed" if failed else "none failed"
    if not took:
        return bad if failed else "none yet"
    return f"{lasting(min(took))} to {lasting(max(took))}, {bad}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
