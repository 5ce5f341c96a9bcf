"""Pure: which of the models that a server lists are there for a task."""

from __future__ import annotations

import json
import re

from spark_control.settings import Task
from spark_control.upstreams.models import OPENAI_MODELS
from spark_control.upstreams.servers import task_of

_A_NAME = re.compile(r"[!-~]{1,200}")
"""As in the settings."""
_MOST = 1000

_BORROWED = {name for names in OPENAI_MODELS.values() for name in names}


def models_for(task: Task, body: bytes) -> tuple[str, ...]:
    """The names of those that do it, the server's own before those of OpenAI's that it answers to as well.

    Of a server with one model alone that is the one, whatever it is called.
    Raises ValueError if it is not a list of models.
    """
    listed = _entries(body)
    fit = [each for each in listed if task_of(each) == task]
    if not fit and len(listed) == 1 and not {"task", "capability"} & listed[0].keys():
        fit = listed
    names = dict.fromkeys(str(each["id"]) for each in fit)
    return tuple(sorted(names, key=lambda name: name in _BORROWED))


def _entries(body: bytes) -> list[dict[str, object]]:
    try:
        said = json.loads(body)
    except RecursionError:
        raise ValueError("not a list of models") from None
    listed = said.get("data") if isinstance(said, dict) else None
    if not isinstance(listed, list):
        raise ValueError("not a list of models")
    return [each for each in listed[:_MOST] if isinstance(each, dict) and _is_name(each.get("id"))]


def _is_name(told: object) -> bool:
    return isinstance(told, str) and _A_NAME.fullmatch(told) is not None
