"""Reads the settings, and says in a sentence what is wrong with them."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import SettingsError

from spark_control.settings import ENV_DELIMITER, ENV_PREFIX, Settings

DEFAULT_FILE = Path("spark-control.toml")

_CLIENTS_KEY = "SPARK_CONTROL_KEY"
"""Not a setting, but the key that the command line shows to a gateway."""


class InvalidSettings(Exception):
    """The settings cannot be used; the text has a line for each reason."""


def load_settings(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """The settings of `path` (or `spark-control.toml`, if there is one) under those of the environment.

    `environ` is checked for misspelt names; the values are read by
    pydantic-settings from the process's own environment.
    """
    misspelt = list(unknown_variables(environ))
    if misspelt:
        raise InvalidSettings("\n".join(misspelt))
    values = values_of(path)
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


def values_of(path: Path | None) -> dict[str, Any]:
    """What the file says, whether or not it holds. Raises InvalidSettings."""
    if path is None and not DEFAULT_FILE.exists():
        return {}
    file = path or DEFAULT_FILE
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as exc:
        raise InvalidSettings(f"{file}: {exc.strerror or exc}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise InvalidSettings(f"{file} is not TOML: {exc}") from None


def unknown_variables(environ: Mapping[str, str]) -> Iterator[str]:
    """A sentence for each `SPARK_CONTROL_*` variable that is no setting (pydantic lets them pass)."""
    for name in sorted(environ):
        if name.upper().startswith(ENV_PREFIX) and name.upper() != _CLIENTS_KEY:
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
