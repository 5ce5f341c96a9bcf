"""Reads the settings, and says in a sentence what is wrong with them."""

from __future__ import annotations

import difflib
import errno
import os
import select
import stat
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from io import FileIO
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import SettingsError

from spark_control.settings import ENV_DELIMITER, ENV_PREFIX, Settings

HERE = Path("spark-control.toml")
INSTALLED = Path("/etc/spark-control/spark-control.toml")
"""The settings of the service."""

SERVICE_USER = "spark-control"
"""Who runs the service, and owns what it remembers."""

USUAL = (HERE, INSTALLED)

CLIENTS_KEY = "SPARK_CONTROL_KEY"
"""Not a setting, but the key that the command line shows to a gateway."""


_SECRET = ("api_key", "alerts")
"""Settings that nobody else may read; an Apprise URL has a token or a password in it."""


_MOST_BYTES = 4 * 1024 * 1024
"""Whatever is larger, or has no end, is no file of settings."""

_PIPE = 5.0
"""Seconds that a pipe may take for all it says. One that nobody writes into would hold a reload up for ever."""


class InvalidSettings(Exception):
    """The settings cannot be used; the text has a line for each reason."""


class UnusableFile(InvalidSettings):
    """Nothing of the file can be used."""

    def __init__(self, file: Path, fault: str, cure: str) -> None:
        super().__init__(f"{file} {fault}. {cure}")
        self.fault = fault
        self.cure = cure


def file_of(path: Path | None, usual: Sequence[Path] = USUAL) -> Path | None:
    """The file that is read: `path`, or the first of the `usual` ones that there is; None if there is none.

    Who reads the settings again has asked once, and goes on with that file: another may be there by then.
    """
    return path or next((each for each in usual if os.path.lexists(each)), None)


def load_settings(path: Path | None, environ: Mapping[str, str], usual: Sequence[Path] = USUAL) -> Settings:
    """The settings of `file_of(path, usual)` under those of the environment.

    `environ` is checked for misspelt names; the values are read by
    pydantic-settings from the process's own environment.
    """
    misspelt = list(unknown_variables(environ))
    if misspelt:
        raise InvalidSettings("\n".join(misspelt))
    values = values_of(path, usual)
    # Settings() has arguments of its own, such as _env_file: no key of the file may reach those.
    strange = [unknown_setting([key]) for key in values if key not in Settings.model_fields]
    if strange:
        raise InvalidSettings("\n".join(strange))
    try:
        return Settings(**values)
    except ValidationError as exc:
        raise InvalidSettings("\n".join(sentence_of(error) for error in exc.errors())) from None
    except SettingsError as exc:
        raise InvalidSettings(f"an environment variable cannot be read: {exc}") from None


def values_of(path: Path | None, usual: Sequence[Path] = USUAL) -> dict[str, Any]:
    """What the file says, whether or not it holds. Raises UnusableFile."""
    file = file_of(path, usual)
    if file is None:
        return {}
    values, too_open = parsed(file)
    if too_open:
        raise too_open
    return values


def parsed(file: Path) -> tuple[dict[str, Any], UnusableFile | None]:
    """What it says, and why it may not be used all the same, if others can read it. Raises UnusableFile."""
    text, found = _read(file)
    if unsafe := _unsafe(file, found):
        raise unsafe
    if not text.strip():
        cure = "Put its text back; for the defaults, a line with a comment is enough."
        raise UnusableFile(file, "is empty, as a file is that was cut off", cure)
    try:
        values = tomllib.loads(text)
        secrets = sorted(secrets_of(values))
    except tomllib.TOMLDecodeError as exc:
        cure = "TOML wants quotes around text, and every bracket closed."
        raise UnusableFile(file, f"is not TOML: {exc}", cure) from None
    except (ValueError, RecursionError):
        cure = "Settings have neither; look what has been written into it."
        raise UnusableFile(
            file, "has a number of thousands of digits, or is nested hundreds deep", cure
        ) from None
    return values, _too_open(file, found.st_mode, secrets)


def _read(file: Path) -> tuple[str, os.stat_result]:
    """Its text, and whose it is, of one and the same file. Raises UnusableFile."""
    try:
        with open(file, "rb", buffering=0, opener=_at_once) as opened:
            found = os.fstat(opened.fileno())
            return _all_of(file, opened).decode(), found
    except OSError as exc:
        raise UnusableFile(file, f"cannot be read: {exc.strerror or exc}", _cure(file, exc.errno)) from None
    except UnicodeDecodeError as exc:
        cure = f"Save it as UTF-8: `iconv -f latin1 -t utf-8 {file}` shows it so."
        raise UnusableFile(file, f"is not UTF-8: byte {exc.start} is part of no character", cure) from None


def _at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)


def _all_of(file: Path, opened: FileIO) -> bytes:
    """Raises OSError, and UnusableFile for what has no end."""
    content, until = b"", time.monotonic() + _PIPE
    ready = select.poll()
    ready.register(opened, select.POLLIN)
    while (piece := opened.read(_MOST_BYTES)) != b"":
        content += piece or b""
        if len(content) >= _MOST_BYTES:
            raise UnusableFile(
                file, "is too large for settings", "Name the file that you mean: --config FILE."
            )
        if piece is None and not ready.poll(max(0.0, until - time.monotonic()) * 1000):
            raise UnusableFile(file, "is a pipe that does not end", "Name a file: --config FILE.")
    return content


def _cure(file: Path, number: int | None) -> str:
    if number == errno.ENOENT:
        return "Name the file that you mean: --config FILE; `spark-control init` writes one."
    if number == errno.EISDIR:
        return f"Name a file in it: --config {file / HERE.name}."
    if number == errno.EACCES:
        return (
            f"Use sudo, or let this user read it: sudo chgrp $(id -gn) {file}. "
            "A command that asks a gateway takes its address instead: --gateway URL."
        )
    return "Name a file that can be read: --config FILE."


def _unsafe(file: Path, found: os.stat_result) -> UnusableFile | None:
    """Whether others may have written it: it names commands. A pipe has no such rights."""
    if stat.S_ISREG(found.st_mode) and found.st_mode & stat.S_IWOTH:
        fault = "may be written by everybody, who could have the gateway run anything"
        return UnusableFile(file, fault, f"Close it: chmod o-rwx {file}")
    if file == HERE and str(found.st_uid) not in ("0", str(os.geteuid()), os.environ.get("SUDO_UID")):
        # In whichever folder one is, one is not to do what somebody has left there.
        fault = f"is another user's (number {found.st_uid}), who could have you run anything"
        return UnusableFile(
            file, fault, f'If it is meant, name it with its whole path: --config "$PWD/{file}".'
        )
    return None


def _too_open(file: Path, mode: int, secrets: Sequence[str]) -> UnusableFile | None:
    """Whether everybody may read what they must not."""
    if stat.S_ISREG(mode) and secrets and mode & stat.S_IROTH:
        fault = f"may be read by everybody, and has secrets in it ({', '.join(secrets)})"
        return UnusableFile(file, fault, f"Close it, with the gateway in its group: chmod 640 {file}")
    return None


def secrets_of(table: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """The settings that are secrets, and set."""
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from secrets_of(value, f"{path}{key}.")
        elif key in _SECRET and value:
            yield f"{path}{key}"


def unknown_variables(environ: Mapping[str, str]) -> Iterator[str]:
    """A sentence for each `SPARK_CONTROL_*` variable that is no setting (pydantic lets them pass)."""
    for name in sorted(environ):
        if name.upper().startswith(ENV_PREFIX) and name.upper() != CLIENTS_KEY:
            path = name.upper().removeprefix(ENV_PREFIX).lower().split(ENV_DELIMITER)
            nearest = _misspelt(path)
            if nearest is not None:
                yield f"{name} is not a setting{_did_you_mean(variable(nearest))}"


def variable(path: Sequence[str]) -> str:
    """The environment variable of a setting."""
    return ENV_PREFIX + ENV_DELIMITER.join(path).upper() if path else ""


def _misspelt(path: Sequence[str]) -> list[str] | None:
    """None if `path` names a setting; else the nearest path that does, empty if none is near."""
    for depth in range(len(path)):
        known = _keys_under(path[:depth])
        if known is not None and path[depth] not in known:
            near = difflib.get_close_matches(path[depth], known, n=1)
            return [*path[:depth], *near, *path[depth + 1 :]] if near else []
    return None


def _keys_under(path: Sequence[str]) -> list[str] | None:
    """The keys of the table at `path`; None where any key may stand."""
    model: object = Settings
    for key in path:
        if get_origin(model) is dict:
            model = get_args(model)[1]
        elif isinstance(model, type) and issubclass(model, BaseModel):
            model = section_of(model.model_fields[key].annotation)
        else:
            return []
    if isinstance(model, type) and issubclass(model, BaseModel):
        return list(model.model_fields)
    return None if get_origin(model) is dict else []


def section_of(annotation: object) -> object:
    """The table that may stand at a setting which may also be absent; any other annotation as it is."""
    inner = [each for each in get_args(annotation) if each is not type(None)]
    return inner[0] if isinstance(annotation, UnionType) and len(inner) == 1 else annotation


def sentence_of(error: ErrorDetails) -> str:
    """What is wrong with one setting."""
    path = [str(part) for part in error["loc"] if part != "[key]"]
    name = ".".join(path)
    if error["type"] == "extra_forbidden":
        return unknown_setting(path)
    if error["type"] == "missing":
        return f"{name} is missing"
    if path == ["host"] and error["type"] == "string_pattern_mismatch":
        return "host: it is an address of this machine, such as 0.0.0.0 for all of them, or localhost"
    if error["type"] == "string_pattern_mismatch":
        plain = "visible ASCII characters" if path[-1] == "model" else "letters, digits, - and _"
        return f"{name}: a name is made of {plain}"
    return f"{name}: {error['msg'].removeprefix('Value error, ')}"


def unknown_setting(path: Sequence[str]) -> str:
    """A sentence for a key that means nothing where it stands."""
    near = difflib.get_close_matches(path[-1], _keys_under(path[:-1]) or [], n=1)
    return f"{'.'.join(path)} is not a setting{_did_you_mean('.'.join([*path[:-1], *near]) if near else '')}"


def _did_you_mean(name: str) -> str:
    return f"; did you mean {name}?" if name else ""
