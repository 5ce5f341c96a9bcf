"""How often a key may ask: `60/minute`, counted over the time that has just passed."""

from __future__ import annotations

import math
import time
from functools import lru_cache

from limits import RateLimitItem, parse_many
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from spark_control.errors import RateLimited

_MOST = 100_000
"""Requests of a rate: the time of each is remembered."""

_LONGEST = 366 * 86_400
_LONGEST_PROMISE = 60
"""Seconds of a Retry-After: the openai SDKs differ above."""


@lru_cache(256)
def rate_of(text: str) -> RateLimitItem:
    """A rate as `limits` writes it. Raises ValueError, with a sentence."""
    try:
        (rate,) = parse_many(text)
    except ValueError:
        raise ValueError("a rate is a number for a time, such as 60/minute or 1000/day") from None
    if not (text.isprintable() and 1 <= rate.amount <= _MOST and rate.get_expiry() <= _LONGEST):
        raise ValueError(f"a rate is 1 to {_MOST} for a year at most")
    return rate


class Rates:
    """What each key has asked lately."""

    def __init__(self) -> None:
        self._limiter: MovingWindowRateLimiter | None = None

    def count(self, name: str, rate: str) -> dict[str, str]:
        """Count a request; headers that tell how many are left. Raises RateLimited if none is."""
        if self._limiter is None:  # its storage keeps a thread
            self._limiter = MovingWindowRateLimiter(MemoryStorage())
        item = rate_of(rate)
        may = self._limiter.hit(item, name)
        window = self._limiter.get_window_stats(item, name)
        seconds = max(1, math.ceil(window.reset_time - time.time()))
        told = {
            "x-ratelimit-limit-requests": str(item.amount),
            "x-ratelimit-remaining-requests": str(window.remaining),
            "x-ratelimit-reset-requests": f"{seconds}s",
        }
        if not may:
            raise _spent(item, seconds, told)
        return told


def _spent(rate: RateLimitItem, seconds: int, told: dict[str, str]) -> RateLimited:
    if seconds > _LONGEST_PROMISE:  # who comes back when Retry-After says would come in vain
        told["x-should-retry"] = "false"
    return RateLimited(
        f"This key may ask {rate.amount} times in {rate.get_expiry()} s; wait {seconds} s.",
        retry_after=min(_LONGEST_PROMISE, seconds),
        headers=told,
    )
