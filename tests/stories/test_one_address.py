"""Five engines of four kinds behind one base URL, for the openai packages of PyPI and npm as they are."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from spark_control.server import create_app
from spark_control.settings import Settings
from tests.conftest import need
from tests.fakes.llm import EMBEDDER, MODEL, FakeOllama
from tests.fakes.magpie import VOICES, FakeMagpie, speech_of
from tests.fakes.parakeet import FakeParakeet, FakeParakeetNim, words_of
from tests.fakes.qwen3 import FakeGroxaxoQwen3
from tests.live import eventually, serving
from tests.sounds import wav

STORY = Path(__file__).parent / "node" / "one_address.cjs"
PACKAGES = Path(sys.prefix) / "node" / "node_modules"
CLIP = wav(1.0)
MIA, VIVIAN = "Magpie-Multilingual.EN-US.Mia", "Vivian"


def samples(sound: bytes) -> bytes:
    """What follows the header, whose sizes are open where engines of several kinds may speak."""
    return sound[44:]


@dataclass
class Home:
    base: str
    magpie: FakeMagpie
    qwen: FakeGroxaxoQwen3


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    fakes: dict[str, Any] = {
        "parakeet": FakeParakeet(),
        "parakeet-nim": FakeParakeetNim(),
        "openai": FakeOllama(),
        "magpie": FakeMagpie(),
        "qwen3-tts": FakeGroxaxoQwen3(),
    }
    with ExitStack() as house:
        upstreams = {
            kind: {"kind": kind, "url": house.enter_context(serving(fake.app))}
            for kind, fake in fakes.items()
        }
        url = house.enter_context(serving(create_app(Settings(upstreams=upstreams))))
        known = len(VOICES) + 9
        eventually(lambda: len(httpx.get(f"{url}/v1/audio/voices").json()["voices"]) == known)
        eventually(lambda: MODEL in httpx.get(f"{url}/v1/models").text)
        yield Home(f"{url}/v1", fakes["magpie"], fakes["qwen3-tts"])


def test_python_chats_embeds_speaks_and_hears_with_one_base_url(home: Home) -> None:
    with openai.OpenAI(base_url=home.base, api_key="anything", max_retries=0) as client:
        chunks = client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": "Hello from Python."}], stream=True
        )
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks).split()[-1] == "Python."
        assert client.embeddings.create(model=EMBEDDER, input="a", encoding_format="float").data[0].embedding
        spoken = client.audio.speech.create(
            model="tts-1", voice=MIA, input="Good evening.", response_format="wav"
        )
        assert samples(spoken.content) == samples(speech_of(home.magpie.asked[-1]))
        before = len(home.qwen.asked)
        other = client.audio.speech.create(model="tts-1", voice=VIVIAN, input="Good evening to you.")
        assert other.content[:3] in (b"ID3", b"\xff\xfb\xe4") or other.content[0] == 0xFF
        assert len(home.qwen.asked) == before + 1
        for model in ("whisper-1", "parakeet-1.1b-ctc-en-us"):
            heard = client.audio.transcriptions.create(model=model, file=("a.wav", CLIP))
            assert heard.text == words_of(CLIP)


def test_node_chats_embeds_speaks_and_hears_with_one_base_url(home: Home, tmp_path: Path) -> None:
    node = need("node", "nodejs")
    if not (PACKAGES / "openai").is_dir():
        need("openai (an npm package)", "npm, with which `make test` installs it,")
    (tmp_path / "clip.wav").write_bytes(CLIP)
    ended = subprocess.run(
        [node, STORY, home.base, tmp_path / "clip.wav", MODEL, EMBEDDER, MIA],
        env={**os.environ, "NODE_PATH": str(PACKAGES)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)

    assert told["chatted"].split()[-1] == "Node."
    assert told["dimensions"] > 0
    assert samples(base64.b64decode(told["sound"])) == samples(speech_of(home.magpie.asked[-1]))
    assert told["heard"] == words_of(CLIP)
