"""Prints `docs/settings.md` from the settings themselves; `make docs` writes it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import get_args, get_origin

from pydantic import BaseModel

from spark_control.settings import ENV_DELIMITER, ENV_PREFIX, Settings
from spark_control.settings_file import section_of

HEAD = f"""# Settings

Made by `make docs` from `spark_control/settings.py`.

A setting comes from the file that `--config` names, or else from `spark-control.toml` in the folder where
`spark-control` runs, or else from the service's `/etc/spark-control/spark-control.toml`. A file with an `api_key` or
an address of `alerts` in it may not be open to everybody (mode 0640). The environment wins over the file.
`uploads.max_bytes` is the key `max_bytes` in the table `[uploads]`, and the variable
`{ENV_PREFIX}UPLOADS{ENV_DELIMITER}MAX_BYTES`. `NAME` is a name of your own. A name that is no setting stops the start.

| setting | default | what it does |
|---|---|---|"""


REPEATED = ("deep_health",)
"""Tables that an engine may have of its own, and that are listed where they hold for all."""


def rows(model: type[BaseModel], path: Sequence[str] = ()) -> Iterator[tuple[str, str, str]]:
    """(name, default, description) of every setting below `path`."""
    for key, field in model.model_fields.items():
        here = [*path, key]
        annotation = section_of(field.annotation)
        description = " ".join((field.description or "").split())
        if get_origin(annotation) is dict:
            value = get_args(annotation)[1]
            here = [*here, "NAME"]
            yield ".".join(here), "none", description
            if isinstance(value, type) and issubclass(value, BaseModel):
                yield from rows(value, here)
        elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
            if field.default is None or (key in REPEATED and path):
                yield ".".join(here), "none", description
            if not (key in REPEATED and path):
                yield from rows(annotation, here)
        else:
            default = "required" if field.is_required() else f"`{_shown(field.default)}`"
            yield ".".join(here), default, description


def _shown(default: object) -> str:
    if isinstance(default, list):
        return f"[{', '.join(map(_shown, default))}]"
    return str(default.model_dump()) if isinstance(default, BaseModel) else repr(default)


if __name__ == "__main__":
    print(HEAD)
    for name, default, description in rows(Settings):
        print(f"| `{name}` | {default} | {description} |")
