"""Both engines, as processes of their own that speak HTTP."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[2]
SERVE = """
import sys
from spark_control.engines.serving import run_engine
run_engine(sys.argv[1], host="127.0.0.1", port=0, fd=None, lifeline=None)
"""


@contextmanager
def engine(kind: str) -> Iterator[httpx.Client]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"}
    command = [sys.executable, "-c", SERVE, kind]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        words = process.stdout.readline().split()
        try:
            assert words[:-1] == [kind, "engine", "listening", "on"]
            with httpx.Client(base_url=words[-1], timeout=60) as client:
                yield client
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def magpie():
    with engine("magpie") as client:
        yield client


@pytest.fixture(scope="module")
def parakeet():
    with engine("parakeet") as client:
        yield client


@pytest.fixture(scope="module")
def say(magpie):
    """Speech as a WAV file, by Magpie's API."""

    def said(text, **fields):
        parts = {name: (None, str(value)) for name, value in {"text": text, **fields}.items()}
        return magpie.post("/v1/audio/synthesize", files=parts).raise_for_status().content

    return said


@pytest.fixture(scope="module")
def hear(parakeet):
    """What Parakeet's API makes of a file."""

    def heard(audio, name="speech.wav", **fields):
        return parakeet.post("/v1/audio/transcriptions", files={"file": (name, audio)}, data=fields)

    return heard
