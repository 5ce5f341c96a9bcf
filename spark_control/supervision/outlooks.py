"""What an engine's health means to those who wait for it, in sentences a cook can understand. Pure."""

from __future__ import annotations

from collections.abc import Collection

from spark_control.supervision.lane import Outlook
from spark_control.supervision.recovery import Health, State
from spark_control.supervision.wedge import Verdict
from spark_control.wording import in_words

_WHAT_IT_IS = {
    State.UNKNOWN: "has not been tried yet",
    State.HEALTHY: "is working",
    State.SUSPECTED: "failed a request and is being checked",
    State.WEDGED: "has stopped working and is about to be restarted",
    State.RESTARTING: "is restarting",
    State.LOADING: "is starting",
    State.GIVEN_UP: "does not work, and the gateway cannot mend it",
}


def sentence(title: str, health: Health) -> str:
    """`Speech-to-text is restarting`."""
    what = _WHAT_IT_IS[health.state]
    if health.state is State.WEDGED and health.verdict is Verdict.MEMORY:
        what = "has too little memory and is given time"
    if health.state is State.WEDGED and not health.restartable:
        what = "has stopped working"
    if health.state is State.GIVEN_UP and health.maintenance:
        what = "is in maintenance"
    return f"{title.capitalize()} {what}"


def outlook(title: str, health: Health, back_at: float | None) -> Outlook:
    """What to tell those who are turned away. `back_at` is when it should work again, if anybody knows."""
    if health.open:
        return Outlook(sentence=sentence(title, health))
    hopeless = health.state is State.GIVEN_UP
    return Outlook(
        open=False,
        sentence=sentence(title, health) + ".",
        code=_code(health),
        back_at=None if hopeless else back_at,
        hopeless=hopeless,
    )


def _code(health: Health) -> str:
    if health.state is State.GIVEN_UP:
        spent = health.restartable and health.verdict is not Verdict.PERMANENT and not health.maintenance
        return "restart_budget_exhausted" if spent else "service_unavailable"
    if health.state is State.LOADING and health.restarted_at is None:
        return "service_loading" if health.verdict is Verdict.LOADING else "service_unavailable"
    return "service_restarting" if health.restartable else "service_unavailable"


def household(titles: list[tuple[str, Health]], drained: Collection[str] = ()) -> str:
    """One sentence for all of them. Of what is `drained`, each engine is."""
    sick = [(title, health) for title, health in titles if health.state not in (State.HEALTHY, State.UNKNOWN)]
    if sick:
        return f"{sentence(*sick[0])}."
    for title in drained:
        return f"{title.capitalize()} gets no requests: its owner keeps them away."
    if any(health.state is State.UNKNOWN for _, health in titles):
        return "The engines have not all been tried yet."
    if not titles:
        return "No engine is configured."
    how_many = {1: "The engine is", 2: "Both engines are"}.get(
        len(titles), f"All {in_words(len(titles))} engines are"
    )
    return f"{how_many} working."
