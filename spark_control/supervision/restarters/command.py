"""Restarts by a command of the owner's own: over ssh on another Spark, or with anything else that can be called."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path, PurePath

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

    async def rehearse(self) -> str:
        """What speaks for a restart, without one: a phrase. Raises RestartFailed."""
        if missing := _no_program(self._argv[0]):
            raise RestartFailed(missing)
        if self.what == "ssh" and (missing := _missing_identity(self._argv)):
            raise RestartFailed(f"ssh is to use the key {missing}, which this user cannot read")
        return "the program is there, and was not run"

    async def restart(self) -> None:
        ran = await run(self._argv, self._within)
        if ran.status == 0:
            return
        if ran.status == _SSH_ITSELF and self.what == "ssh":
            raise RestartFailed(f"ssh itself failed, and nothing was restarted{because(ran.output)}")
        how = f"status {ran.status}" if ran.status > 0 else f"signal {-ran.status}"
        raise RestartFailed(f"the command {self.what!r} ended with {how}{because(ran.output)}")


def _missing_identity(argv: Sequence[str]) -> str | None:
    """The file of a key that ssh is told to use, if it cannot be read."""
    files = [file for option, file in pairwise(argv) if option == "-i"]
    return next((file for file in files if not os.access(Path(file).expanduser(), os.R_OK)), None)


def _no_program(program: str) -> str | None:
    """Why it cannot be run; None if it can."""
    if shutil.which(program):
        return None
    if Path(program).is_file():
        return f"{program} may not be run by this user"
    return f"there is no program {program} here"
