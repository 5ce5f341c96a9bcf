"""Pure: what a server answers to small questions, read without trusting a byte of it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

_A_NAME = re.compile(r"[!-~]{1,200}")
"""What may be a model's name: as in the settings, and nothing that could move a terminal or end a line of TOML."""

_MOST_MODELS = 1000

Entry = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back."""

    status: int
    content_type: str
    body: bytes


class Answers:
    """A server's replies by path. What it did not say, or said in another shape, reads as nothing."""

    def __init__(self, replies: Mapping[str, Reply]) -> None:
        self._replies = replies

    def status(self, path: str) -> int | None:
        reply = self._replies.get(path)
        return reply.status if reply else None

    def body(self, path: str) -> bytes | None:
        """The body of a 200, without the white space around it; None for any other answer."""
        reply = self._replies.get(path)
        return reply.body.strip() if reply and reply.status == 200 else None

    def entry(self, path: str) -> Entry:
        """The JSON object in a 200, or in the 503 of a server that is loading; empty if there is none."""
        reply = self._replies.get(path)
        said = _json(reply.body) if reply and reply.status in (200, 503) else None
        return said if isinstance(said, dict) else {}

    def entries(self, path: str, key: str) -> list[object] | None:
        """The list under `key` in the JSON object of a 200."""
        listed = self.entry(path).get(key) if self.status(path) == 200 else None
        return listed if isinstance(listed, list) else None

    @cached_property
    def models(self) -> tuple[Entry, ...]:
        """What `/v1/models` lists, as far as it has a usable name."""
        listed = self.entries("/v1/models", "data") or []
        return tuple(
            each
            for each in listed[:_MOST_MODELS]
            if isinstance(each, dict) and isinstance(each.get("id"), str) and _A_NAME.fullmatch(each["id"])
        )

    @property
    def lists_models(self) -> bool:
        """Whether there is a list of models at all."""
        return self.entries("/v1/models", "data") is not None

    def owned_by(self, owner: str) -> bool:
        """Whether all its models name that owner."""
        return bool(self.models) and all(each.get("owned_by") == owner for each in self.models)

    @cached_property
    def voices(self) -> tuple[Entry, ...]:
        """The voices of `/v1/audio/voices` that are described, rather than named alone."""
        listed = self.entries("/v1/audio/voices", "voices") or []
        return tuple(each for each in listed if isinstance(each, dict))

    @property
    def wants_key(self) -> bool:
        """Whether it refuses to list its models to somebody without a key."""
        return self.status("/v1/models") in (401, 403)


def _json(body: bytes) -> object:
    try:
        said: object = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return said
