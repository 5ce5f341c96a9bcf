"""A house in which everybody has a key of their own, for PyPI's openai package as it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from spark_control.keys import KeyFile
from tests.live import eventually, unused_port
from tests.processes import COMMAND
from tests.sounds import wav

CLIP = wav(0.5)


class House:
    """A real `spark-control serve` with a state folder, and the command line beside it."""

    def __init__(self, folder: Path, upstreams: dict[str, Any]) -> None:
        self.folder = folder
        self.port = unused_port()
        lines = [f'state = "{folder}/state"', f"port = {self.port}"]
        for name, settings in upstreams.items():
            lines += [f"[upstreams.{name}]", *(f'{key} = "{value}"' for key, value in settings.items())]
        (folder / "spark-control.toml").write_text("\n".join(lines))

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def run(self, *words: str, check: bool = True, **environ: str) -> subprocess.CompletedProcess[str]:
        """One command."""
        return subprocess.run(
            [*COMMAND, *words],
            cwd=self.folder,
            env={**os.environ, **environ},
            capture_output=True,
            text=True,
            timeout=60,
            check=check,
        )

    def client(self, key: str) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.base}/v1", api_key=key, max_retries=0)

    def answers(self) -> bool:
        try:
            return httpx.get(f"{self.base}/readyz").status_code == 200
        except httpx.TransportError:
            return False


@pytest.fixture
def house(tmp_path, upstreams, magpie, parakeet) -> Iterator[House]:
    house = House(tmp_path, upstreams)
    with subprocess.Popen(
        [*COMMAND, "serve"], cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=sys.stderr
    ) as gateway:
        eventually(house.answers, within=20)
        yield house
        gateway.terminate()
        gateway.wait(20)


def spoken(client: openai.OpenAI) -> bytes:
    return client.audio.speech.create(model="tts-1", voice="alloy", input="Good evening.").content


def test_keys_are_made_used_limited_and_revoked_while_the_gateway_runs(house):
    with house.client("sk-invented") as anybody:
        assert spoken(anybody), "nobody needs a key until there is one"

    kitchen = house.run("key", "add", "kitchen", "--only", "speech", "--rate", "3/hour").stdout.strip()
    owner = house.run("key", "add", "owner", "--admin", "--no-cache").stdout.strip()
    eventually(lambda: httpx.post(f"{house.base}/v1/audio/speech", json={"input": "Hi"}).status_code == 401)

    with house.client("sk-invented") as stranger, pytest.raises(openai.AuthenticationError) as refused:
        spoken(stranger)
    assert refused.value.code == "invalid_api_key"
    assert refused.value.request_id
    with house.client("sk-invented") as stranger, pytest.raises(openai.AuthenticationError):
        # The answer comes while the file is still being sent, and is not lost for that.
        stranger.audio.transcriptions.create(model="whisper-1", file=("a.wav", CLIP + bytes(30_000_000)))

    with house.client(kitchen) as client:
        assert spoken(client)
        with pytest.raises(openai.PermissionDeniedError, match="This key is for speech"):
            client.audio.transcriptions.create(model="whisper-1", file=("a.wav", CLIP))
        assert client.models.list().data
        spoken(client)
        spoken(client)
        with pytest.raises(openai.RateLimitError) as limited:
            spoken(client)
        assert 1 <= int(limited.value.response.headers["retry-after"]) <= 60
    with house.client(owner) as client:
        assert client.audio.transcriptions.create(model="whisper-1", file=("a.wav", CLIP)).text
        assert (
            "x-spark-cache"
            not in client.audio.speech.with_raw_response.create(
                model="tts-1", voice="alloy", input="Good evening."
            ).headers
        ), "what this key asks for is not remembered"

    listed = house.run("key", "list").stdout
    assert listed.splitlines()[0].startswith("kitchen")
    assert kitchen not in listed
    assert [each["name"] for each in json.loads(house.run("key", "list", "--json").stdout)] == [
        "kitchen",
        "owner",
    ]

    house.run("key", "revoke", "kitchen")
    with house.client(kitchen) as client:

        def is_refused() -> bool:
            try:
                spoken(client)
            except openai.AuthenticationError:
                return True
            except openai.RateLimitError:
                return False
            return False

        eventually(is_refused)


def test_the_command_line_shows_the_key_that_the_environment_has(house):
    key = house.run("key", "add", "laptop").stdout.strip()
    eventually(lambda: httpx.post(f"{house.base}/v1/audio/speech", json={"input": "Hi"}).status_code == 401)

    refused = house.run("say", "Good evening.", "-o", "a.wav", check=False)
    assert refused.returncode == 1
    assert "needs a key" in refused.stderr
    assert "SPARK_CONTROL_KEY" in refused.stderr
    house.run("say", "Good evening.", "-o", "a.wav", SPARK_CONTROL_KEY=key)
    assert (house.folder / "a.wav").read_bytes()[:4] == b"RIFF"


def test_the_gateway_does_not_start_in_public_without_keys(tmp_path, upstreams):
    house = House(tmp_path, upstreams)
    ended = house.run("serve", "--host", "0.0.0.0", check=False)  # noqa: S104 (what is to be refused)

    assert ended.returncode == 1
    assert "0.0.0.0 is open to the network, and there are no keys" in ended.stderr
    assert "spark-control key add NAME" in ended.stderr


def test_the_gateway_does_not_start_with_keys_that_others_can_read(tmp_path, upstreams):
    house = House(tmp_path, upstreams)
    house.run("key", "add", "kitchen")
    KeyFile(tmp_path / "state").path.chmod(0o644)
    ended = house.run("serve", check=False)

    assert ended.returncode == 1
    assert "chmod 600" in ended.stderr
