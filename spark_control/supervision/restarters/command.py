"""Restarts by a command of the owner's own: over ssh on another Spark, or with anything else that can be called."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from spark_control.supervision.restarters.base import RestartFailed
from spark_control.supervision.restarters.quoted import because
from spark_control.supervision.restarters.running import run

_SSH_ITSELF = 255


class CommandRestarter:
    """Exit status 0 says that it was restarted; whether it was is for the canary to prove."""

    kind = "command"

    def __init__(self, argv: Sequence[str], within: float) -> None:
        self.what = PurePath(argv[0]).name
        self._argv = argv
        self._within = within

    async def restart(self) -> None:
        ran = await run(self._argv, self._within)
        if ran.status == 0:
            return
        if ran.status == _SSH_ITSELF and self.what == "ssh":
            raise RestartFailed(f"ssh itself failed, and nothing was restarted{because(ran.output)}")
        how = f"status {ran.status}" if ran.status > 0 else f"signal {-ran.status}"
        raise RestartFailed(f"the command {self.what!r} ended with {how}{because(ran.output)}")
