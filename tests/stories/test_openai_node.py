"""npm's openai package, unmodified, on a live socket."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import need
from tests.fakes.magpie import VOICES, speech_of
from tests.fakes.parakeet import words_of
from tests.live import eventually
from tests.sounds import wav

STORY = Path(__file__).parent / "node" / "story.cjs"
PACKAGES = Path(sys.prefix) / "node" / "node_modules"
CLIP = wav(1.0)


@pytest.fixture
def told(gateway, tmp_path):
    node = need("node", "nodejs")
    if not (PACKAGES / "openai").is_dir():
        need("openai (an npm package)", "npm, with which `make test` installs it,")
    eventually(lambda: gateway.get("/v1/audio/voices").json()["voices"])
    (tmp_path / "clip.wav").write_bytes(CLIP)
    ended = subprocess.run(
        [node, STORY, f"{gateway.base_url}/v1", tmp_path / "clip.wav"],
        env={**os.environ, "NODE_PATH": str(PACKAGES)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def test_it_lists_speaks_hears_and_reads_errors(told, magpie, parakeet):
    assert told["models"] == ["parakeet-tdt-0.6b-v3", "magpie-tts-multilingual"]
    assert told["voices"] == len(VOICES)

    assert told["contentType"] == "audio/wav"
    assert base64.b64decode(told["sound"]) == speech_of(magpie.asked[0])

    assert told["json"] == {"text": words_of(CLIP)}
    assert told["text"] == words_of(CLIP)
    assert told["verbose"]["words"] == [{"word": "heard", "start": 0.1, "end": 0.4}]
    assert told["verbose"]["segments"][0]["text"] == words_of(CLIP)
    assert told["verbose"]["duration"] == 1

    refused = told["refused"]
    assert (refused["name"], refused["status"], refused["code"]) == (
        "BadRequestError",
        400,
        "voice_not_found",
    )
    assert refused["message"].startswith("400 There is no voice 'nobody'.")
    assert refused["requestID"].startswith("req_")
