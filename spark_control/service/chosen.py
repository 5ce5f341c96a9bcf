"""The settings that a service is installed with: which file has them, and what a service needs to be in them."""

from __future__ import annotations

import json
import os
import pwd
import re
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from spark_control.service.names import SETTINGS, STATE, USER
from spark_control.service.steps import File
from spark_control.service.units import CannotInstall
from spark_control.settings import ENV_PREFIX, Settings
from spark_control.settings_file import (
    CLIENTS_KEY,
    HERE,
    InvalidSettings,
    load_settings,
    secrets_of,
    values_of,
)
from spark_control.state_folder import state_folder

_STATE_LINE = re.compile(r"^(#[ \t]*)?state[ \t]*=.*$", re.MULTILINE)
"""The setting, or the comment in which it stands with nothing set."""

_NO_SETTINGS = (
    "there are no settings yet. `spark-control init` looks for engines and writes them into spark-control.toml; "
    "run this in the same folder then, or name the file: --config FILE."
)


@dataclass(frozen=True)
class Chosen:
    """The settings of the service to be."""

    source: Path
    text: str
    settings: Settings
    secret: bool
    """Whether only root and the service may read them."""
    old_state: Path | None
    """Where a gateway with these settings has kept what it knows, if that is another folder."""

    def file(self) -> File:
        if self.secret:
            return File(SETTINGS, self.text, 0o640, USER)
        return File(SETTINGS, self.text)


def choose(config: Path | None, environ: Mapping[str, str]) -> Chosen:
    """From `config`; else those that are installed; else from this folder. Raises CannotInstall."""
    _demand_none_of(environ)
    source = config or next((each for each in (SETTINGS, HERE) if os.path.lexists(each)), None)
    if source is None:
        raise CannotInstall(_NO_SETTINGS)
    if SETTINGS.exists() and source.exists() and source.samefile(SETTINGS):
        source = SETTINGS
    try:
        values = values_of(source)
        text = with_state(source.read_text(encoding="utf-8"))
        with _as_file(text) as file:
            settings = load_settings(file, {})
    except InvalidSettings as exc:
        sentence = (
            f"the settings in {source} are not valid; `spark-control check` has a cure for each fault:\n{exc}"
        )
        raise CannotInstall(sentence) from None
    return Chosen(source, text, settings, any(secrets_of(values)), _old_state(values.get("state"), environ))


def _old_state(given: object, environ: Mapping[str, str]) -> Path | None:
    folder = Path(str(given)) if given else _default_state(environ)
    return folder if folder != STATE and folder.is_dir() else None


def _default_state(environ: Mapping[str, str]) -> Path:
    """Of who has become root by sudo, which changes the home and hides most variables."""
    number = environ.get("SUDO_UID", "")
    with suppress(KeyError, OverflowError):  # a user that this machine does not know
        if number.isdigit():
            return state_folder(
                Settings(), {"XDG_STATE_HOME": f"{pwd.getpwuid(int(number)).pw_dir}/.local/state"}
            )
    return state_folder(Settings(), environ)


def _demand_none_of(environ: Mapping[str, str]) -> None:
    """A service has only its file; who has set something in this shell would find it missing."""
    named = (name for name in environ if name.upper().startswith(ENV_PREFIX) and name.upper() != CLIENTS_KEY)
    if set_here := sorted(named):
        raise CannotInstall(
            f"{', '.join(set_here)}: the service would not see what is set in this shell. Write it into the settings "
            f"file, and go on with: env -u {' -u '.join(set_here)} ..."
        )


def with_state(text: str) -> str:
    """The settings with the service's state folder, and all else as it was. Raises CannotInstall."""
    line = f"state = {json.dumps(str(STATE))}"
    wanted = {**tomllib.loads(text), "state": str(STATE)}
    places = [text[: found.start()] + line + text[found.end() :] for found in _STATE_LINE.finditer(text)]
    for changed in (text, *places, f"{line}\n\n{text}"):
        if _says(changed, wanted):
            return changed
    raise CannotInstall(f"the settings need the line {line}, above all tables; write it in by hand.")


def _says(text: str, wanted: Mapping[str, object]) -> bool:
    try:
        return tomllib.loads(text) == wanted
    except tomllib.TOMLDecodeError:
        return False


@contextmanager
def _as_file(text: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / HERE.name
        file.touch(0o600)
        file.write_text(text, encoding="utf-8")
        yield file
