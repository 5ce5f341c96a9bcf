"""What a restarter is."""

from __future__ import annotations

from typing import Protocol


class RestartFailed(Exception):
    """Why an engine could not be restarted, in a sentence a person can act on."""


class Restarter(Protocol):
    """One engine's way to be restarted. `kind` and `what` name it: `systemd`, `parakeet.service`."""

    @property
    def kind(self) -> str: ...

    @property
    def what(self) -> str: ...

    async def restart(self) -> None:
        """Return once the restart is proved. Raises RestartFailed."""
