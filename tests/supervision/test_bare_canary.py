"""Canaries of engines that have no WAV file of their own, or one at a rate of theirs."""

from __future__ import annotations

import asyncio

import pytest

from spark_control.audio.wav import read_header
from spark_control.settings import UpstreamSettings
from spark_control.supervision.canaries import PHRASES
from spark_control.supervision.probes import CanaryVoice, speech_canary
from spark_control.upstreams import speakers
from spark_control.upstreams.client import open_client
from tests.fakes.openai_audio import FakeLocalAI
from tests.fakes.qwen3 import FakeGroxaxoQwen3
from tests.live import serving

LOCALAI = {"kind": "openai", "serves": "speech", "flavour": "localai", "model": "voice-en-us-amy-low"}


@pytest.mark.parametrize(
    ("fake", "settings", "rate"),
    [(FakeGroxaxoQwen3(), {"kind": "qwen3-tts"}, 24_000), (FakeLocalAI(), LOCALAI, 16_000)],
)
def test_what_an_engine_says_to_a_canary_is_a_file_that_another_can_hear(fake, settings, rate):
    fake.old = True

    async def asked() -> tuple[bytes, str | None]:
        async with open_client() as client:
            (speaker,) = speakers({"it": UpstreamSettings(url=url, **settings)}, client)
            return await CanaryVoice(speaker).says(PHRASES[0]), await speech_canary(speaker)()

    with serving(fake.app) as url:
        sound, wrong = asyncio.run(asked())

    header = read_header(sound)
    assert header is not None
    assert (header.rate, header.held(len(sound))) == (rate, len(sound) - 44)
    assert wrong is None
