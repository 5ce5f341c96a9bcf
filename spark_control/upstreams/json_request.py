"""Writes the JSON that engines read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache

import httpx

_parsed = lru_cache(maxsize=64)(httpx.URL)
"""The few addresses that it goes to, parsed once: that takes as long as the rest of a request's making."""


def json_request(url: str, fields: Mapping[str, object]) -> httpx.Request:
    """A POST of those `fields` that are not None."""
    given = {name: value for name, value in fields.items() if value is not None}
    body = json.dumps(given, ensure_ascii=False).encode("utf-8", "replace")
    headers = {"content-type": "application/json", "content-length": str(len(body))}
    return httpx.Request("POST", _parsed(url), headers=headers, content=body)
