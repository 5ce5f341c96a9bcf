"""Pure: what the switch is set to, what an order changes of it, and what of it outlives the process."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

Wedge = Literal["w1", "w2", "w3", "w4", "w5", "w6", "w7", "w8", "w9", "w10", "w11", "w12"]
"""What a wedged engine answers, by numbers; `answers.py` has them."""

Fault = Literal[Wedge, "ok", "hang", "slow", "drip", "half_body", "partial_audio", "loading", "crash_loop"]

_KEPT = {"trigger", "as_", "start_takes"}
"""What holds whatever the fault."""


class BadOrder(Exception):
    """Why the switch cannot be set so, in a sentence."""


class Plan(BaseModel):
    """How the switch is set.

    An order is a part of this as JSON. One that names a fault forgets the details of the last one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    fault: Fault = "ok"
    """It stays until the process ends, or an order says `ok`."""

    after_requests: int = Field(default=0, ge=0)
    """How many more requests for work are answered well before it begins."""

    requests: int | None = Field(default=None, ge=1)
    """After how many it passes by itself, so that it is no wedge. Default: it does not."""

    seconds: float | None = Field(default=None, ge=0, le=3600)
    """How long `slow` waits, and `drip` between two bytes."""

    after: int = Field(default=0, ge=0)
    """How many bytes of a good answer `w8` sends before it breaks off."""

    restarts_needed: int = Field(default=0, ge=0)
    """How many restarts do not help. `crash_loop` dies at each of them."""

    start_takes: float = Field(default=0.0, ge=0, le=3600)
    """Seconds in which the next processes answer 503 before they are ready."""

    trigger: Literal["both", "marker", "mp3", "none"] = "both"
    """The input that wedges the engine: `marker.py`'s, or an MP3 file as it is."""

    as_: Wedge = Field(default="w1", alias="as")
    """How it is wedged then."""

    @property
    def wedged(self) -> bool:
        return self.fault in get_args(Wedge)

    @property
    def sticky(self) -> bool:
        """Whether it is a wedge that stays."""
        return self.wedged and self.requests is None

    @property
    def lasting(self) -> bool:
        """Whether it needs to be remembered beyond the process."""
        return bool(self.restarts_needed or self.start_takes)

    def wedge(self) -> Plan:
        """After input that wedges it."""
        return self.model_copy(update={"fault": self.as_, "after_requests": 0, "requests": None})

    def met(self) -> tuple[Plan, Plan | None]:
        """The plan after one more request for work, and the one that this request meets; None: it meets no fault."""
        if self.fault == "ok":
            return self, None
        if self.after_requests:
            return self.model_copy(update={"after_requests": self.after_requests - 1}), None
        if self.requests is None:
            return self, self
        left = self.requests - 1
        return (self.model_copy(update={"requests": left}) if left else self._well()), self

    def restarted(self) -> Plan:
        """What the next process finds."""
        if self.fault == "ok":
            return self
        if not self.restarts_needed:
            return self._well()
        update = {"restarts_needed": self.restarts_needed - 1, "after_requests": 0}
        return self.model_copy(update=update)

    def changed(self, order: object) -> Plan:
        """The plan after an order. Raises BadOrder."""
        if not isinstance(order, dict):
            raise BadOrder('An order is a JSON object, such as {"fault": "w1"}.')
        kept = self.model_dump(include=_KEPT if "fault" in order else None, by_alias=True)
        try:
            plan = Plan.model_validate({**kept, **order})
        except ValidationError as exc:
            raise BadOrder(_sentence(exc)) from None
        if plan.fault == "crash_loop" and not plan.restarts_needed:
            raise BadOrder("A crash_loop needs restarts_needed: the number of starts at which it dies.")
        return plan

    def _well(self) -> Plan:
        return Plan.model_validate(self.model_dump(include=_KEPT, by_alias=True))


def _sentence(wrong: ValidationError) -> str:
    first = wrong.errors()[0]
    return f"{first['loc'][0]}: {first['msg']}."
