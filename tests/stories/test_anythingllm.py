"""AnythingLLM: npm's openai package, and a body of three fields."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import need
from tests.fakes.faults import Fault
from tests.fakes.magpie import speech_of
from tests.stories.sound import played

PACKAGES = Path(sys.prefix) / "node" / "node_modules"

TTS_BUFFER = """
const { OpenAI } = require("openai");
const openai = new OpenAI({
  apiKey: process.env.TTS_OPEN_AI_COMPATIBLE_KEY || null,
  baseURL: process.env.TTS_OPEN_AI_COMPATIBLE_ENDPOINT,
  maxRetries: 0,
});

async function ttsBuffer(input) {
  try {
    const result = await openai.audio.speech.create({
      model: process.env.TTS_OPEN_AI_COMPATIBLE_MODEL ?? "tts-1",
      voice: process.env.TTS_OPEN_AI_COMPATIBLE_VOICE_MODEL ?? "alloy",
      input,
    });
    return Buffer.from(await result.arrayBuffer());
  } catch (error) {
    return Buffer.alloc(0);
  }
}

ttsBuffer("The document says that the meeting is at nine.").then((sound) => process.stdout.write(sound));
"""


@pytest.fixture
def read_aloud(gateway):
    """Runs it with these variables in its environment; gives the sound, which is empty after an error."""
    node = need("node", "nodejs")
    if not (PACKAGES / "openai").is_dir():
        need("npm", "npm")
        pytest.fail(f"npm's openai package is not in {PACKAGES}; `make test` puts it there")

    def run(**variables: str) -> bytes:
        variables["TTS_OPEN_AI_COMPATIBLE_ENDPOINT"] = f"{gateway.base_url}/v1"
        variables["TTS_OPEN_AI_COMPATIBLE_KEY"] = "anything"  # the package refuses to start without one
        env = {**os.environ, "NODE_PATH": str(PACKAGES), **variables}
        ended = subprocess.run([node, "-e", TTS_BUFFER], env=env, capture_output=True, timeout=60, check=True)
        return ended.stdout

    return run


def test_an_answer_is_read_aloud_with_nothing_set_but_an_endpoint_and_any_key(read_aloud, magpie):
    sound = played(read_aloud(), declared="mp3")

    assert sound.seconds == pytest.approx(played(speech_of(magpie.asked[0])).seconds, abs=0.2)
    assert magpie.asked[0]["voice"] == "Magpie-Multilingual.EN-US.Mia"


def test_any_voice_of_the_engine_may_be_set(read_aloud, magpie):
    read_aloud(TTS_OPEN_AI_COMPATIBLE_VOICE_MODEL="Magpie-Multilingual.DE-DE.Sofia")

    assert magpie.asked[0]["language"] == "de-DE"


def test_a_failed_engine_is_silence_and_never_a_noise(read_aloud, magpie):
    magpie.fault = Fault(500, b"Internal Server Error")

    assert read_aloud() == b""
