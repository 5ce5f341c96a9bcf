"""Restarts a systemd unit. The proof is that its main process began after it was asked to."""

from __future__ import annotations

import os
from collections.abc import Mapping

from spark_control.supervision.restarters.base import RestartFailed
from spark_control.supervision.restarters.quoted import because
from spark_control.supervision.restarters.running import Ran, TookTooLong, run

_ASKING = 10.0
"""Seconds for a question to systemd."""

_BEGAN = "ExecMainStartTimestampMonotonic"
_FORBIDDEN = ("interactive authentication required", "access denied", "permission denied", "not authorized")
_NOBODY_THERE = ("failed to connect to bus", "has not been booted with systemd", "failed to connect to user")


class SystemdRestarter:
    """`systemctl restart UNIT`, of the system or of the gateway's own user."""

    kind = "systemd"

    def __init__(self, unit: str, within: float, *, user: bool = False, as_user: str | None = None) -> None:
        self.what = unit
        self._within = within
        self._user = user
        became = ["setpriv", f"--reuid={as_user}", f"--regid={as_user}", "--init-groups"] if as_user else []
        self._systemctl = [*became, "systemctl", "--no-ask-password", *(["--user"] if user else [])]

    async def rehearse(self) -> str:
        """What speaks for a restart, without one: a phrase. Raises RestartFailed.

        The right is tried by `reset-failed`, which the recipe's rule allows too
        and which does nothing to a unit that has not failed.
        """
        await self._began()
        shown = await self._shown("Type", "ActiveState")
        if shown["Type"] == "oneshot":
            raise RestartFailed(f"{self.what} has no process of its own; name the unit that runs the engine")
        if shown["ActiveState"] == "failed":
            return "the unit is there, and has failed; whether this user may restart it was not tried"
        self._demand(await self._ask("reset-failed"))
        return f"the unit is there ({shown['ActiveState']}), and this user may restart it"

    async def restart(self) -> None:
        before = await self._began()
        try:
            await self._restarted()
        except TookTooLong:
            if await self._began() in (before, 0):
                message = (
                    f"systemd did not restart {self.what} in {self._within:g} s; it may hang in the driver"
                )
                raise RestartFailed(message) from None
            return  # systemd waits for it to say that it is ready; so do we, by our own means
        await self._prove(before)

    async def _restarted(self) -> None:
        ran = await self._ask("restart", within=self._within)
        if ran.status and (await self._shown("Result"))["Result"] == "start-limit-hit":
            # Its own limit, of starts within seconds; ours is the one that counts.
            self._demand(await self._ask("reset-failed"))
            ran = await self._ask("restart", within=self._within)
        self._demand(ran)

    async def _prove(self, before: int) -> None:
        began = await self._began()
        if not began:
            raise RestartFailed(f"{self.what} has no process of its own; name the unit that runs the engine")
        if began == before:
            raise RestartFailed(
                f"systemd says that {self.what} was restarted, but its process is the old one"
            )

    async def _began(self) -> int:
        """When its main process began, in microseconds since boot; 0 if there never was one."""
        shown = await self._shown("LoadState", _BEGAN)
        if shown["LoadState"] == "not-found":
            raise RestartFailed(f"systemd has no unit {self.what}")
        if shown["LoadState"] != "loaded":
            raise RestartFailed(f"systemd cannot use the unit {self.what}: it is {shown['LoadState']}")
        return int(shown[_BEGAN] or 0)

    async def _shown(self, *properties: str) -> dict[str, str]:
        ran = await self._ask("show", f"--property={','.join(properties)}")
        self._demand(ran)
        shown = dict(line.partition("=")[::2] for line in ran.output.splitlines())
        return {name: shown.get(name, "") for name in properties}

    async def _ask(self, verb: str, *options: str, within: float = _ASKING) -> Ran:
        return await run([*self._systemctl, verb, *options, "--", self.what], within, self._environ())

    def _environ(self) -> Mapping[str, str]:
        """In English, whose phrases are known here; a gateway that is no login has to be told its user's folder."""
        return {"XDG_RUNTIME_DIR": f"/run/user/{os.getuid()}", **os.environ, "LC_ALL": "C"}

    def _demand(self, ran: Ran) -> None:
        if ran.status == 0:
            return
        said = ran.output.casefold()
        if any(phrase in said for phrase in _FORBIDDEN):
            raise RestartFailed(
                f"systemd does not let this user restart {self.what}; docs/restarts.md has the rule that does"
            )
        if any(phrase in said for phrase in _NOBODY_THERE):
            whose = "the systemd of this user" if self._user else "systemd"
            raise RestartFailed(f"{whose} cannot be reached from here; docs/restarts.md has the ways to it")
        raise RestartFailed(f"systemd could not restart {self.what}{because(ran.output)}")
