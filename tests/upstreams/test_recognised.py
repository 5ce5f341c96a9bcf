"""Every server that there is a fake of, recognised over a socket: as a stranger, and as an engine of its kind."""

from __future__ import annotations

import asyncio

import pytest

from spark_control.discover import Host, survey
from spark_control.settings import UpstreamSettings
from spark_control.upstreams import build_upstream
from spark_control.upstreams.client import open_client
from spark_control.upstreams.fingerprints import flavour_of
from spark_control.upstreams.interview import interview
from tests.fakes.llm import FLAVOURS
from tests.fakes.openai_audio import OPENAI_AUDIO
from tests.fakes.parakeets import PARAKEETS
from tests.fakes.qwen3 import QWEN3
from tests.live import serving

FAKES = [
    *(("parakeet", "transcription", flavour, fake) for flavour, fake in PARAKEETS.items()),
    *(("qwen3-tts", "speech", flavour, fake) for flavour, fake in QWEN3.items()),
    *(("openai", "speech", flavour, fake) for flavour, fake in OPENAI_AUDIO.items()),
    *(
        ("openai", "transcription", flavour, OPENAI_AUDIO[flavour])
        for flavour in ("localai", "speaches", None)
    ),
    *(("openai", "chat", flavour, fake) for flavour, fake in FLAVOURS.items()),
    ("openai", "speech", "nemo-speech-cpp", PARAKEETS["nemo-speech-cpp"]),
    ("openai", "chat", "localai", OPENAI_AUDIO["localai"]),
]


STATES = {"ready": False, "old": True, "loading": True, "dead": True, "error": "CUDA error"}
"""What a fake may be told to be."""


@pytest.fixture(scope="module", params=FAKES, ids=lambda fake: "-".join(map(str, fake[:3])))
def served(request):
    kind, task, flavour, make = request.param
    fake = make()
    with serving(fake.app) as url:
        yield kind, task, flavour, fake, url


def identities_at(url):
    found = asyncio.run(survey([Host("127.0.0.1", int(url.rpartition(":")[2]))]))
    return [(each.kind, each.task, each.flavour) for server in found.engines for each in server.identities]


def test_discover_tells_what_it_is(served):
    kind, task, flavour, _, url = served

    assert (kind, task, flavour) in identities_at(url)


def test_it_is_known_in_every_state(served):
    kind, task, flavour, fake, url = served

    for state in STATES.keys() & vars(fake).keys():
        setattr(fake, state, STATES[state])
        assert (kind, task, flavour) in identities_at(url), state
        fake.reset()


def test_the_gateway_finds_out_which_server_of_its_kind_it_is(served):
    kind, task, flavour, _, url = served

    async def asked():
        async with open_client() as client:
            upstream = build_upstream("it", UpstreamSettings(kind=kind, serves=task, url=url), client)
            return await interview(upstream)

    assert flavour_of(kind, task, asyncio.run(asked())) == flavour
