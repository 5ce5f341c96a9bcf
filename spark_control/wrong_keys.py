"""Whoever shows wrong keys is slowed down, so that to guess one is slow, and to try is seen in the log.

Nobody is shut out: a right key always opens, whatever others at its address do.
"""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network

import structlog

from spark_control.errors import RateLimited

log = structlog.get_logger()

_MOST, _WITHIN = 6, 60.0
"""Wrong keys that one source may show in that many seconds before it is told to wait."""

_SOURCES = 4096
_SLOWED, _SLOWED_AT_ONCE = 0.25, 64
"""Seconds that a wrong key costs, and how many may be waiting for that at once."""


@lru_cache(_SOURCES)
def source_of(host: str) -> str:
    """An address as one client: for IPv6 the network, since a single machine has all of that."""
    if ":" not in host:
        return host
    try:
        address = IPv6Address(ip_address(host.partition("%")[0]))
    except ValueError:
        return "?"
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return "::1" if address.is_loopback else str(ip_network((address, 64), strict=False))


class WrongKeys:
    """Which sources have shown wrong keys in the last minute; the most recent of them alone."""

    def __init__(
        self, clock: Callable[[], float], sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._slowed = asyncio.Semaphore(_SLOWED_AT_ONCE)
        self._shown: OrderedDict[str, list[float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._shown)

    async def slow_down(self, source: str) -> None:
        """Let a wrong key cost its source some time. Raises RateLimited once there were too many."""
        if seconds := self.wait(source):
            raise RateLimited(
                "Too many wrong keys came from there; wait a minute.",
                retry_after=math.ceil(seconds),
                headers={"x-should-retry": "false"},  # it would come with the same wrong key
            )
        log.warning("key refused", address=source, failures=self.add(source))
        if not self._slowed.locked():
            async with self._slowed:
                await self._sleep(_SLOWED)

    def add(self, source: str) -> int:
        """Note one; gives how many there are now."""
        now = self._clock()
        recent = [at for at in self._shown.pop(source, []) if now - at < _WITHIN]
        recent.append(now)
        self._shown[source] = recent
        if len(self._shown) > _SOURCES:
            self._shown.popitem(last=False)
        return len(recent)

    def wait(self, source: str) -> float:
        """Seconds until that source may be wrong again."""
        times = self._shown.get(source, [])
        return max(0.0, times[0] + _WITHIN - self._clock()) if len(times) >= _MOST else 0.0
