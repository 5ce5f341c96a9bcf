"""Every server that there is a fake of, recognised over a socket: as a stranger, and as an engine of its kind."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from spark_control.discover import Host, survey
from spark_control.errors import GatewayError
from spark_control.settings import ModelsSettings, UpstreamSettings
from spark_control.upstreams import build_upstream
from spark_control.upstreams.catalog import Catalog
from spark_control.upstreams.client import Upstream, open_client
from spark_control.upstreams.fingerprints import flavour_of, questions
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


@pytest.mark.parametrize("path", questions("openai"))
def test_one_that_was_too_busy_for_a_question_is_recognised_later(path, monkeypatch):
    monkeypatch.setattr("spark_control.upstreams.interview._ANSWER_SECONDS", 0.5)
    fake = OPENAI_AUDIO["localai"]()
    vars(fake)["old"] = True  # then it has few marks to be known by
    busy = True

    async def app(scope, receive, send):
        if busy and scope["type"] == "http" and scope["path"] == path:
            await asyncio.sleep(1)
        await fake.app(scope, receive, send)

    async def story(url):
        nonlocal busy
        async with open_client() as client:
            settings = UpstreamSettings(kind="openai", serves="speech", url=url)
            it: Upstream[Any] = build_upstream("it", settings, client)
            catalog = Catalog([it], own_names={}, default_voice="alloy", models=ModelsSettings())
            with suppress(GatewayError):
                await catalog.refresh("it")
            busy = False
            await catalog.refresh("it")
            return it.dialect.flavour

    with serving(app) as url:
        assert asyncio.run(story(url)) == "localai"
