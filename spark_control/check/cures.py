"""Pure: what to write instead of a setting that does not hold."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Sequence
from types import NoneType
from typing import get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticUndefined

from spark_control.settings import Settings
from spark_control.settings_file import section_of

_EXAMPLES = {
    "kind": 'kind = "parakeet"',
    "url": 'url = "http://127.0.0.1:5092"',
    "user_agent": 'user_agent = "HomeAssistant"',
    "command": 'command = ["ssh", "spark-2", "sh", "-s"]',
    "systemd": 'systemd = "parakeet.service"',
    "docker": 'docker = "parakeet"',
    "host": 'host = "unix:///var/run/docker.sock"',
    "model": 'model = "qwen3-30b"',
}
_REFERENCE = "docs/settings.md lists all that there is."


def cure_of(error: ErrorDetails) -> str:
    """What to do about what pydantic refused."""
    path = [str(part) for part in error["loc"]]
    key = path[-1] if path else ""
    match error["type"]:
        case "extra_forbidden":
            return cure_of_unknown(path)
        case "missing":
            return f"Add a line to it: {_EXAMPLES.get(key, f'{key} = ...')}"
        case "literal_error":
            return _choice(path, error)
        case "string_pattern_mismatch" if key == "[key]":
            return f"Call it {_plain_name(path[-2])}."
        case "string_pattern_mismatch":
            return f"Write it as {_EXAMPLES.get(key, 'plain letters and digits')}."
        case "url_parsing" | "url_scheme" | "url_type":
            return f"Write it as {_url(error['input'])}."
        case "value_error":
            return _of_a_value(key, error["input"])
        case "bool_parsing" | "bool_type":
            return f"Write {key} = true or {key} = false.{_default(path)}"
    return (_meaning(path) + _default(path)).strip() or _REFERENCE


def cure_of_unknown(path: Sequence[str]) -> str:
    """What to do about a key that there is none of."""
    known = _keys_of(path[:-1])
    near = difflib.get_close_matches(path[-1], known, n=1)
    if near:
        return f"Write {near[0]} instead of {path[-1]}."
    return f"Remove it. {_REFERENCE}"


def field_at(path: Sequence[str]) -> FieldInfo | None:
    """The setting at a path; None where there is none, or a name of the owner's stands."""
    model: object = Settings
    field = None
    for key in path:
        if get_origin(model) in (dict, list):
            model, field = get_args(model)[-1], None
        elif isinstance(model, type) and issubclass(model, BaseModel):
            field = model.model_fields.get(key)
            if field is None:
                return None
            model = section_of(field.annotation)
        else:
            return field
    return field


def _keys_of(path: Sequence[str]) -> list[str]:
    field = field_at(path)
    model: object = section_of(field.annotation) if field else Settings if not path else None
    if field is None and len(path) > 1 and (parent := field_at(path[:-1])):
        model = get_args(section_of(parent.annotation))[-1]
    return list(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else []


def _choice(path: Sequence[str], error: ErrorDetails) -> str:
    choices = re.findall(r"'([^']*)'", str(error.get("ctx", {}).get("expected", "")))
    near = difflib.get_close_matches(str(error["input"]).casefold(), choices, n=1, cutoff=0.5)
    if near:
        return f'Write {path[-1]} = "{near[0]}".'
    return f"Write one of {', '.join(choices)}."


def _of_a_value(key: str, given: object) -> str:
    if key == "restart":
        return (
            'For example: restart = { systemd = "parakeet.service" }; docs/restarts.md has a recipe for each.'
        )
    if key == "url":
        return f"Write it as {_url(given)}."
    return _REFERENCE


def _url(given: object) -> str:
    """The address alone of what was given for one, if there is an address in it."""
    host = re.fullmatch(
        r"(?:(https?)://)?(?:[^/?#]*@)?([A-Za-z0-9.-]+(?::[0-9]{1,5})?)(?:[/?#].*)?", str(given)
    )
    return f'url = "{host[1] or "http"}://{host[2]}"' if host else _EXAMPLES["url"]


def _meaning(path: Sequence[str]) -> str:
    field = field_at(path)
    said = " ".join((field.description or "").split()) if field else ""
    return f"It means: {said}" if said else ""


def _default(path: Sequence[str]) -> str:
    field = field_at(path)
    if field is None or field.default is PydanticUndefined:
        return ""
    value = field.default
    if not isinstance(value, bool | int | float | str | NoneType):
        return ""
    return " Unless set, it is " + ("absent." if value is None else f"{json.dumps(value)}.")


def _plain_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-_") or "parakeet"
