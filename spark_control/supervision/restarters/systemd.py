"""Restarts a systemd unit. The proof is that its main process began after it was asked to."""

from __future__ import annotations

from spark_control.supervision.restarters.base import RestartFailed
from spark_control.supervision.restarters.running import Ran, run

_ASKING = 10.0
"""Seconds for a question to systemd."""

_BEGAN = "ExecMainStartTimestampMonotonic"
_TOO_OFTEN = (
    "start request repeated too quickly",
    "start-limit-hit",
    "start of the service was attempted too often",
)
_FORBIDDEN = ("interactive authentication required", "access denied", "permission denied", "not authorized")


class SystemdRestarter:
    """`systemctl restart UNIT`, of the system or of the gateway's own user."""

    kind = "systemd"

    def __init__(self, unit: str, within: float, *, user: bool = False) -> None:
        self.what = unit
        self._within = within
        self._systemctl = ["systemctl", "--no-ask-password", *(["--user"] if user else [])]

    async def restart(self) -> None:
        before = await self._began()
        ran = await self._ask("restart", within=self._within)
        if ran.status and _says(ran, _TOO_OFTEN):
            # Its own limit, of starts within seconds; ours is the one that counts.
            await self._ask("reset-failed")
            ran = await self._ask("restart", within=self._within)
        if ran.status:
            raise RestartFailed(self._reason(ran))
        if await self._began() in (before, 0):
            raise RestartFailed(
                f"systemd says that {self.what} was restarted, but its process is the old one"
            )

    async def _began(self) -> int:
        """When its main process began, in microseconds since boot; 0 if there is none."""
        ran = await self._ask("show", f"--property=LoadState,{_BEGAN}")
        if ran.status:
            raise RestartFailed(self._reason(ran))
        shown = dict(line.partition("=")[::2] for line in ran.output.splitlines())
        if shown.get("LoadState") in ("not-found", "masked", "bad-setting", "error"):
            raise RestartFailed(f"systemd has no usable unit {self.what}: it is {shown['LoadState']}")
        began = shown.get(_BEGAN, "")
        return int(began) if began.isdigit() else 0

    async def _ask(self, verb: str, *options: str, within: float = _ASKING) -> Ran:
        return await run([*self._systemctl, verb, *options, "--", self.what], within)

    def _reason(self, ran: Ran) -> str:
        if _says(ran, _FORBIDDEN):
            return (
                f"systemd does not let this user restart {self.what}; "
                "docs/restarts.md has the polkit rule that does"
            )
        if _says(ran, ("failed to connect to bus", "has not been booted with systemd")):
            return "systemd cannot be reached from here"
        if _says(ran, ("not found", "not loaded")):
            return f"systemd has no unit {self.what}"
        return f"systemctl ended with status {ran.status}" + (f": {ran.words}" if ran.words else "")


def _says(ran: Ran, phrases: tuple[str, ...]) -> bool:
    said = ran.output.casefold()
    return any(phrase in said for phrase in phrases)
