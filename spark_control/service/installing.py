"""What is done to have the service, and to have it no more, in steps. What is so already is left out."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path

from spark_control.service.chosen import Chosen
from spark_control.service.names import LAUNCHER, RULE, SERVICE, SETTINGS, SOCKET, STATE, UNITS, USER
from spark_control.service.program import is_launcher, launcher
from spark_control.service.rights import polkit_rule, units_to_restart
from spark_control.service.steps import Command, File, Folder, Free, Gone, Step
from spark_control.service.units import Program, hosts, units
from spark_control.settings import Settings
from spark_control.settings_file import HERE

_USERADD = (
    "useradd", "--system", "--user-group", "--home-dir", str(STATE), "--no-create-home",
    "--shell", "/usr/sbin/nologin", USER,
)  # fmt: skip
_NUMBERED = ("--backup=numbered", "--no-target-directory")
"""An older file of that name is kept beside the new one: `spark-control.toml.old.~1~`."""


def to_install(chosen: Chosen, program: Program) -> Iterator[Step]:
    """All but the start. Raises CannotInstall."""
    if not user_exists():
        yield Command(_USERADD)
    if not STATE.is_dir():
        yield Folder(STATE, 0o700, USER)
    if not SETTINGS.parent.is_dir():
        yield Folder(SETTINGS.parent, 0o755)
    yield from _settings(chosen.file())
    if chosen.source == HERE:
        # Commands in this folder would go on meaning it, and not the service: its keys, say.
        yield Command(("mv", *_NUMBERED, str(HERE), f"{HERE}.installed"))
    yield from _rule(chosen)
    if (found := launcher(program)) and _differs(found):
        yield found
    texts = units(chosen.settings, program)
    changed = [File(UNITS / name, text) for name, text in texts.items() if _differs(File(UNITS / name, text))]
    # systemd opens no address for a gateway that runs: both end first, and nobody is let in for a moment.
    if any(file.path.name == SOCKET for file in changed) and (UNITS / SOCKET).exists():
        yield Command(("systemctl", "stop", SOCKET))
    if changed:
        yield from changed
        yield Command(("systemctl", "daemon-reload"))
    yield Command(("systemctl", "--quiet", "enable", SOCKET, SERVICE))


def to_start(settings: Settings) -> Iterator[Step]:
    """The gateway that runs is exchanged for another, and none of its clients notices."""
    yield Free(tuple((host, settings.port) for host in hosts(settings)), SOCKET)
    yield Command(("systemctl", "start", SOCKET))
    yield Command(("systemctl", "restart", SERVICE))


def to_remove(*, keep: bool) -> Iterator[Step]:
    """All that an installation made, and what the service has written; with `keep` not the settings and the state."""
    there = [UNITS / name for name in (SERVICE, SOCKET) if _exists(UNITS / name)]
    if there:
        names = tuple(file.name for file in there)
        yield Command(("systemctl", "--quiet", "disable", "--now", *reversed(names)))
        yield from map(Gone, there)
        changes = (UNITS / f"{name}.d" for name in (SERVICE, SOCKET))  # by `systemctl edit`
        yield from (Gone(folder) for folder in changes if _exists(folder))
        yield Command(("systemctl", "daemon-reload"))
        # One that had failed would still be listed.
        yield Command(("systemctl", "--quiet", "reset-failed", *names), must=False)
    if _exists(RULE):
        yield Gone(RULE)
    if is_launcher(LAUNCHER):
        yield Gone(LAUNCHER)
    if keep:
        return
    yield from (Gone(folder) for folder in (SETTINGS.parent, STATE) if _exists(folder))
    if user_exists():
        yield Command(("userdel", USER))


def user_exists() -> bool:
    try:
        pwd.getpwnam(USER)
    except KeyError:
        return False
    return True


def _settings(file: File) -> Iterator[Step]:
    if not _differs(file):
        return
    if file.path.exists() and not _says(file):
        yield Command(("cp", "--preserve=all", *_NUMBERED, str(SETTINGS), f"{SETTINGS}.old"))
    yield file


def _rule(chosen: Chosen) -> Iterator[Step]:
    text = polkit_rule(units_to_restart(chosen.settings))
    if text is None:
        if _exists(RULE):
            yield Gone(RULE)
        return
    if RULE.parent.is_dir() and _differs(File(RULE, text)):
        yield File(RULE, text)


def _differs(file: File) -> bool:
    """Whether it is not there as it should be."""
    try:
        found = file.path.lstat()
        group = grp.getgrnam(file.group).gr_gid
        rights = (stat.S_IFREG | file.mode, 0, group)
        return (found.st_mode, found.st_uid, found.st_gid) != rights or not _says(file)
    except (OSError, KeyError):
        return True


def _says(file: File) -> bool:
    """Whether what is there has that content, as far as this user may know."""
    try:
        return file.path.read_text(encoding="utf-8", errors="replace") == file.content
    except OSError:
        return False


def _exists(path: Path) -> bool:
    return os.path.lexists(path)
