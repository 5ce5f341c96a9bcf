"""What differs between two settings, and what of it can change while the gateway runs. Pure.

Live is what only the doors go by: access, log, models, speech, traffic, uploads, voices, and how long a request is
held. The engines, their care, and the process itself are as they were at the start.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import BaseModel

from spark_control.settings import DeepHealthSettings, Settings

_LIVE = frozenset({"access", "log", "models", "speech", "traffic", "uploads", "voices"})
_IN_THE_UNITS = frozenset({"host", "port", "drain"})
_CARE = "deep_health"
_LIVE_CARE = frozenset({"patience", "patience_for", "patience_max"})


def is_live(name: str) -> bool:
    """Whether the setting of that dotted name can change while the gateway runs."""
    parts = name.split(".")
    return parts[0] in _LIVE or (_CARE in parts[:-1] and parts[-1] in _LIVE_CARE)


def is_installed(name: str) -> bool:
    """Whether the setting of that dotted name is written into a service's units, or its rights: a unit to restart."""
    first, *rest = name.split(".")
    engine = first == "upstreams" and (len(rest) == 1 or rest[1:2] == ["restart"])
    return first in _IN_THE_UNITS or engine


def changes(old: Settings, new: Settings) -> list[str]:
    """The dotted names of the settings that differ, in the order of the alphabet."""
    return sorted([*_fields(old, new, ""), *_care(old, new)])


def grafted(running: Settings, new: Settings) -> Settings:
    """`running`, with everything of `new` that is live."""
    upstreams = {
        name: each.model_copy(
            update={_CARE: _care_grafted(each.deep_health, new.upstreams[name].deep_health)}
        )
        if name in new.upstreams
        else each
        for name, each in running.upstreams.items()
    }
    care = _care_grafted(running.deep_health, new.deep_health)
    live = {name: getattr(new, name) for name in _LIVE}
    return running.model_copy(update={**live, _CARE: care, "upstreams": upstreams})


def _fields(old: BaseModel, new: BaseModel, prefix: str) -> Iterator[str]:
    """All but the care of engines, where it counts whether something is said at all."""
    for name in type(old).model_fields.keys() - {_CARE}:
        yield from _between(getattr(old, name), getattr(new, name), prefix + name)


def _between(old: object, new: object, name: str) -> Iterator[str]:
    if isinstance(old, BaseModel) and isinstance(new, BaseModel):
        yield from _fields(old, new, f"{name}.")
    elif isinstance(old, dict) and isinstance(new, dict) and _are_tables({**old, **new}):
        both = [key for key in old if key in new]
        yield from (f"{name}.{key}" for key in old.keys() ^ new.keys())
        for key in both:
            yield from _between(old[key], new[key], f"{name}.{key}")
        if both != [key for key in new if key in old]:
            yield name  # the first of two that are alike is preferred
    elif old != new or (isinstance(old, dict) and isinstance(new, dict) and list(old) != list(new)):
        yield name


def _are_tables(values: Mapping[str, object]) -> bool:
    return any(isinstance(value, BaseModel) for value in values.values())


def _care(old: Settings, new: Settings) -> Iterator[str]:
    """What differs in `deep_health`, in general and for one engine. To say what holds anyway is no difference."""
    both = old.upstreams.keys() & new.upstreams.keys()
    for name in DeepHealthSettings.model_fields:
        moved = {
            engine
            for engine in both
            if getattr(old.care_of(engine), name) != getattr(new.care_of(engine), name)
        }
        own = {engine for engine in moved if _said(old, new, name, engine)}
        yield from (f"upstreams.{engine}.{_CARE}.{name}" for engine in own)
        told = getattr(old.deep_health, name) != getattr(new.deep_health, name)
        if told or (moved - own and _said(old, new, name)):
            yield f"{_CARE}.{name}"


def _said(old: Settings, new: Settings, name: str, engine: str | None = None) -> bool:
    """Whether the two say something different of it, or one of them nothing."""
    one, other = (
        each.deep_health if engine is None else each.upstreams[engine].deep_health for each in (old, new)
    )
    silent = (name in one.model_fields_set) != (name in other.model_fields_set)
    return silent or getattr(one, name) != getattr(other, name)


def _care_grafted(running: DeepHealthSettings, new: DeepHealthSettings) -> DeepHealthSettings:
    values = {
        name: getattr(new if name in _LIVE_CARE else running, name)
        for name in DeepHealthSettings.model_fields
    }
    said = (running.model_fields_set - _LIVE_CARE) | (new.model_fields_set & _LIVE_CARE)
    return DeepHealthSettings.model_construct(said, **values)
