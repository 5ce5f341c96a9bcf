"""JSON Schema in few words: what a value is, and what it means."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

Schema = dict[str, Any]
Schemas = Mapping[str, Schema]


def text(description: str = "", **more: Any) -> Schema:
    return _described({"type": "string", **more}, description)


def number(description: str = "", **more: Any) -> Schema:
    return _described({"type": "number", **more}, description)


def count(description: str = "", **more: Any) -> Schema:
    """A whole number, not negative."""
    return _described({"type": "integer", "minimum": 0, **more}, description)


def flag(description: str = "", **more: Any) -> Schema:
    return _described({"type": "boolean", **more}, description)


def moment(description: str = "") -> Schema:
    """A time as ISO 8601."""
    return text(description, format="date-time")


def always(value: str) -> Schema:
    """A text that is the same each time, by which a kind of object is known."""
    return {"type": "string", "const": value}


def one_of(values: Collection[str], description: str = "", **more: Any) -> Schema:
    return text(description, enum=list(values), **more)


def maybe(schema: Schema) -> Schema:
    """It, or null."""
    said = [key for key in ("description", "examples") if key in schema]
    bare = {key: value for key, value in schema.items() if key not in said}
    return {"anyOf": [bare, {"type": "null"}], **{key: schema[key] for key in said}}


def listing(items: Schema, description: str = "", **more: Any) -> Schema:
    return _described({"type": "array", "items": items, **more}, description)


def thing(
    description: str, fields: Mapping[str, Schema], *, optional: Collection[str] = (), **more: Any
) -> Schema:
    """An object. It has all of its fields, but for those that are `optional`."""
    required = [name for name in fields if name not in optional]
    shape = {"type": "object", "properties": dict(fields), **more}
    return _described(shape | ({"required": required} if required else {}), description)


def the(name: str) -> Schema:
    """The schema of that name."""
    return {"$ref": f"#/components/schemas/{name}"}


def either(*schemas: Schema) -> Schema:
    return {"anyOf": list(schemas)}


def event(data: Schema, *, named: bool = False, ends_with: str = "") -> Schema:
    """One server-sent event, of which a stream has many: its `data` is JSON, or the word that it ends with."""
    encoded = {"type": "string", "contentMediaType": "application/json", "contentSchema": data}
    data = either(encoded, always(ends_with)) if ends_with else encoded
    fields = {"data": data} | ({"event": text("Its name, if it has one.")} if named else {})
    return thing("Each event of the stream.", fields, optional=("event",))


def _described(schema: Schema, description: str) -> Schema:
    return {**schema, "description": description} if description else schema
