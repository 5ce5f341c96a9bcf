"""What a client asks of a language model: bytes that are passed on as they came, and the little that is read in them.

Where an engine knows the model by another name, that name is exchanged, and
every other byte stays what it was: a number keeps its digits, a key its place.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from spark_control.errors import InvalidRequest

_MOST_VALUES = 4_000_000
"""Values a body may have: more than any model can read, and fewer than would fill the memory as objects."""

_WANTED = ("model", "stream")

_MARK = re.compile(r"[ \t\n\r]*([{}:,])[ \t\n\r]*")
_DECODER = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class ChatBody:
    """A JSON object, and what it says of itself."""

    raw: bytes
    model: str | None
    """None where it names none."""
    streamed: bool
    """Whether the answer is to come as events."""
    name_at: tuple[int, int]
    """Where the model's name begins and ends, or would."""
    around_name: tuple[bytes, bytes]
    """What is missing before and behind a name there."""

    def naming(self, model: str) -> bytes:
        """The same bytes with that name for the model."""
        if model == self.model:
            return self.raw
        (begins, ends), (before, behind) = self.name_at, self.around_name
        return b"".join((self.raw[:begins], before, json.dumps(model).encode(), behind, self.raw[ends:]))


def read_chat_body(raw: bytes) -> ChatBody:
    """Raises InvalidRequest for what is no JSON object, and for a model whose name is no text."""
    if sum(map(raw.count, (b",", b"[", b"{"))) > _MOST_VALUES:
        raise InvalidRequest("No model can read as many values as this.", code="request_too_large")
    # As Latin-1, a place in the text is a place in the bytes; what is not ASCII is read where it is wanted.
    text = raw.decode("latin-1")
    found: dict[str, tuple[int, int, object]] = {}
    empty = True
    try:
        for name, begins, ends, value in _members(text):
            empty = False
            if name in _WANTED:
                found[name] = begins, ends, value
        begins, ends, _ = found.get("model", (start := text.index("{") + 1, start, None))
        model = _name(raw[begins:ends])
    except (ValueError, RecursionError):
        raise InvalidRequest("The body is not a JSON object.", code="invalid_json") from None
    return ChatBody(
        raw,
        model,
        streamed="stream" in found and found["stream"][2] is True,
        name_at=(begins, ends),
        around_name=(b"", b"") if "model" in found else (b'"model": ', b"" if empty else b", "),
    )


def _name(written: bytes) -> str | None:
    name = json.loads(written.decode()) if written else None
    if name is not None and not isinstance(name, str):
        raise InvalidRequest("The model's name is to be a text.", code="invalid_parameter", param="model")
    return name or None


def _members(text: str) -> Iterator[tuple[str, int, int, object]]:
    """The members of the JSON object: the name, where its value begins and ends, and the value.

    `json` itself reads names and values, so this is as strict as it is, and
    as fast. Raises ValueError or RecursionError.
    """
    mark, at = _mark("{", text, 0)
    if text.startswith("}", at):
        mark, at = _mark("}", text, at)
    while mark != "}":
        name, at = _DECODER.raw_decode(text, at)
        if not isinstance(name, str):
            raise ValueError("a member's name is a text")
        _, begins = _mark(":", text, at)
        value, ends = _DECODER.raw_decode(text, begins)
        yield name, begins, ends, value
        mark, at = _mark(",}", text, ends)
    if at != len(text):
        raise ValueError("something stands behind the object")


def _mark(expected: str, text: str, at: int) -> tuple[str, int]:
    """One of the expected marks, with the blanks around it, and where it ends."""
    found = _MARK.match(text, at)
    if found is None or found[1] not in expected:
        raise ValueError(f"one of {expected} was expected")
    return found[1], found.end()
