"""Reads the settings again while the gateway runs: `systemctl reload`, SIGHUP and `POST /api/reload` all come here.

    file -> settings -> what has changed -> what can change now, and what at the next start

A file that does not hold changes nothing. What is under way is not disturbed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from spark_control.settings import Settings
from spark_control.settings_changes import changes, grafted, is_live
from spark_control.settings_file import InvalidSettings

log = structlog.get_logger()

_SETTLED = 0.2
"""Seconds in which a file that is being written changes again."""

_READS = 10


@dataclass(frozen=True)
class Reloaded:
    """What came of it: the dotted names of the settings that have changed."""

    applied: tuple[str, ...] = ()
    needs_restart: tuple[str, ...] = ()


class Reloading:
    """The one way to other settings. `reread` reads them anew, or raises InvalidSettings."""

    def __init__(self, reread: Callable[[], Settings], settled: float = _SETTLED) -> None:
        self._reread = reread
        self._settled = settled
        self.running: Settings | None = None
        """Those in force, once there is somebody who serves by them."""
        self._apply: Callable[[Settings], None] = lambda _: None
        self._one_by_one = asyncio.Lock()
        self._next: asyncio.Task[Reloaded] | None = None
        self._under_way: asyncio.Task[Reloaded] | None = None

    def serves(self, running: Settings, apply: Callable[[Settings], None]) -> None:
        """`running` are the settings in force. `apply` puts others in their place, or raises InvalidSettings."""
        self.running, self._apply = running, apply

    async def now(self) -> Reloaded:
        """Read the settings and apply what can be. Raises InvalidSettings, and then all is as it was.

        Logs what came of it. Whoever comes while one reload is under way shares the one after it: the first may have
        read the file before it was changed again.
        """
        if self._next is None:
            self._next = asyncio.create_task(self._in_turn())
            # Looked at even if all who waited have gone; else asyncio complains of an error nobody saw.
            self._next.add_done_callback(lambda done: done.cancelled() or done.exception())
        return await asyncio.shield(self._next)

    async def _in_turn(self) -> Reloaded:
        async with self._one_by_one:
            self._under_way, self._next = self._next, None
            try:
                reloaded = self._take_over(await self._read())
            except InvalidSettings as exc:
                log.warning("settings kept", reason=str(exc))
                raise
            log.info("settings read", applied=reloaded.applied, needs_restart=reloaded.needs_restart)
            return reloaded

    async def _read(self) -> Settings:
        """The settings, once they are the same twice: half of a file may hold, too. Raises InvalidSettings."""
        seen = await self._look()
        for _ in range(_READS):
            await asyncio.sleep(self._settled)
            before, seen = seen, await self._look()
            if isinstance(before, Settings) and isinstance(seen, Settings):
                if not changes(before, seen):
                    return seen
            elif str(before) == str(seen):
                raise InvalidSettings(str(seen))
        raise InvalidSettings("the settings are being written all the time; reload when they are done")

    async def _look(self) -> Settings | InvalidSettings:
        try:
            return await asyncio.to_thread(self._reread)
        except InvalidSettings as exc:
            return exc

    def _take_over(self, new: Settings) -> Reloaded:
        running = self.running
        if running is None:  # they have been read a moment ago
            return Reloaded()
        if running.upstreams and not new.upstreams:
            raise InvalidSettings(
                "the settings name no engine any more, as a file that was cut short would. If that is meant, "
                "`systemctl restart spark-control` starts the embedded engines"
            )
        changed = changes(running, new)
        applied = tuple(name for name in changed if is_live(name))
        wanted = grafted(running, new)
        self._apply(wanted)
        self.running = wanted
        return Reloaded(applied, tuple(name for name in changed if not is_live(name)))
