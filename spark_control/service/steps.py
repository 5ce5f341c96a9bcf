"""The steps of an installation: each can be told, and be done; done twice it is as if done once."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from shlex import join

_TAKEN = (
    "{host} port {port} is taken: end the gateway that runs in a terminal, or whatever else `sudo ss -ltnp` shows "
    "there, or set another port; then do this again"
)


class StepFailed(Exception):
    """What went wrong, in a sentence."""


@dataclass(frozen=True)
class Folder:
    """A folder that is there."""

    path: Path
    mode: int
    owner: str = "root"

    def told(self) -> Iterator[str]:
        yield f"folder {self.path} ({self.owner}, {self.mode:04o})"

    def do(self) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        shutil.chown(self.path, self.owner, self.owner)
        self.path.chmod(self.mode)


@dataclass(frozen=True)
class File:
    """A file of this content, which it gets as a whole or not at all."""

    path: Path
    content: str
    mode: int = 0o644
    group: str = "root"

    def told(self) -> Iterator[str]:
        yield f"file {self.path} (root:{self.group}, {self.mode:04o})"
        if self.mode & stat.S_IROTH:
            yield from (f"    {line}".rstrip() for line in self.content.splitlines())
        else:
            yield "    (not shown, since there are secrets in it)"

    def do(self) -> None:
        fresh = self.path.with_name(f".{self.path.name}.new")
        fresh.unlink(missing_ok=True)
        with open(fresh, "x", encoding="utf-8", opener=_for_its_owner) as file:
            shutil.chown(file.fileno(), "root", self.group)
            os.fchmod(file.fileno(), self.mode)
            file.write(self.content)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self.path)


@dataclass(frozen=True)
class Gone:
    """A file, or a folder with all that is in it, that is not there any more."""

    path: Path

    def told(self) -> Iterator[str]:
        yield f"remove {self.path}"

    def do(self) -> None:
        if self.path.is_dir() and not self.path.is_symlink():
            shutil.rmtree(self.path)
        else:
            self.path.unlink(missing_ok=True)


@dataclass(frozen=True)
class Command:
    """A program that is run; it has to go well, unless nothing depends on it."""

    words: tuple[str, ...]
    must: bool = True

    def told(self) -> Iterator[str]:
        yield f"run {join(self.words)}"

    def do(self) -> None:
        ran = subprocess.run(self.words, capture_output=True, text=True, check=False)  # noqa: S603 (none of it is a stranger's)
        if ran.returncode and self.must:
            # What follows tells how to see the journal, which is shown anyway.
            said = (ran.stderr or ran.stdout).strip().partition("\n")[0]
            raise StepFailed(f"`{join(self.words)}` failed: {said or f'exit status {ran.returncode}'}")


@dataclass(frozen=True)
class Free:
    """Addresses that nobody has taken, unless it is `unit` that listens there."""

    addresses: tuple[tuple[str, int], ...]
    unit: str

    def told(self) -> Iterator[str]:
        yield f"look whether {' and '.join(f'{host} port {port}' for host, port in self.addresses)} is free"

    def do(self) -> None:
        asked = ("systemctl", "is-active", "--quiet", self.unit)
        if subprocess.run(asked, check=False).returncode == 0:  # noqa: S603 (the name is ours)
            return
        for host, port in self.addresses:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            try:
                socket.create_server((host, port), family=family).close()
            except OSError as exc:
                if exc.errno == errno.EADDRINUSE:
                    raise StepFailed(_TAKEN.format(host=host, port=port)) from None


Step = Folder | File | Gone | Command | Free


def do(step: Step) -> None:
    """Raises StepFailed."""
    try:
        step.do()
    except (OSError, LookupError) as exc:
        reason = getattr(exc, "strerror", None) or exc
        raise StepFailed(f"this could not be done: {next(step.told())}: {reason}") from None


def _for_its_owner(path: str, flags: int) -> int:
    """Nobody else reads it until it has its rights."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
