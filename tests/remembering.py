"""A gateway that remembers speech, in the process of the test."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from spark_control.settings import Settings
from spark_control.speech_cache import SpeechCache
from spark_control.speech_cache.files import SpeechFiles
from tests.conftest import IMPATIENT, live_gateway


@contextmanager
def remembering_gateway(
    folder: Path, upstreams: dict[str, Any], max_bytes: int = 1 << 24, **settings: Any
) -> Iterator[httpx.Client]:
    """It keeps what it remembers in `folder`."""
    cache = SpeechCache(SpeechFiles(folder, max_bytes))
    cache.files.scan()
    known = Settings(**{"upstreams": upstreams, "deep_health": IMPATIENT, **settings})
    with live_gateway(known, speech_cache=cache) as client:
        yield client
    asyncio.run(cache.aclose())
