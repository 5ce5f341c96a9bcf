"""A gateway before each server that there is a dialect for, as somebody meets it who has that server and no other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from spark_control.server import create_app
from spark_control.settings import Settings
from tests.conftest import IMPATIENT, engines
from tests.fakes.faults import CutOff, Fault
from tests.fakes.openai_audio import OPENAI_AUDIO, OPENAI_VOICES, FakeStranger
from tests.fakes.parakeet import words_of
from tests.fakes.parakeets import PARAKEETS
from tests.fakes.qwen3 import QWEN3, SPEAKERS
from tests.fakes.server import Page, samples_said
from tests.live import eventually, serving
from tests.sounds import seconds, wav
from tests.stories.sound import played

TEXT = "The kettle on the second shelf is ready for tea."
SOUND = wav(0.5, seed=b"said")
WORDS = words_of(SOUND)


@dataclass
class House:
    """One engine and its gateway."""

    fake: Any
    gateway: httpx.Client

    def say(self, **asked: object) -> httpx.Response:
        body = {"model": "tts-1", "input": TEXT, "voice": "alloy", "response_format": "wav", **asked}
        return self.gateway.post("/v1/audio/speech", json=body)

    def hear(self, **fields: str) -> httpx.Response:
        form = {"model": "whisper-1", **fields}
        return self.gateway.post("/v1/audio/transcriptions", data=form, files={"file": ("a.wav", SOUND)})

    def voices(self) -> list[str]:
        return [each["id"] for each in self.gateway.get("/v1/audio/voices").json()["voices"]]

    def ejected(self, ask: Callable[[], httpx.Response]) -> tuple[httpx.Response, httpx.Response]:
        """What somebody gets whose request meets a wedge, and whoever comes next, of whom the engine hears nothing."""
        self.fake.asked.clear()
        first = ask()
        # Until a canary has failed too, requests may still go to the engine. There is nobody to restart it.
        eventually(lambda: self.engine["state"] == "given up")
        again = ask()
        assert (first.status_code, again.status_code, len(self.fake.asked)) == (503, 503, 1)
        return first, again

    def is_well(self) -> bool:
        """Or as far as anybody knows, while nobody has asked anything of it."""
        return self.engine["state"] in ("healthy", "unknown")

    @property
    def engine(self) -> dict[str, Any]:
        (shown,) = engines(self.gateway)
        return shown


@dataclass(frozen=True)
class Server:
    """How it is configured, and what somebody should hear who asks for `alloy`."""

    fake: type[Any]
    settings: Mapping[str, Any]
    flavour: str | None
    voices: tuple[str, ...] = ()
    says: str = ""
    """Which of its voices `alloy` is, as the fake knows it."""
    rate: int = 24_000


def house_of(server: Server, **state: object) -> Iterator[House]:
    """With a fake in that state."""
    fake = server.fake()
    vars(fake).update(state)
    with ExitStack() as house:
        url = house.enter_context(serving(fake.app))
        settings = Settings(upstreams={"it": {**server.settings, "url": url}}, deep_health=IMPATIENT)
        base = house.enter_context(serving(create_app(settings)))
        gateway = house.enter_context(httpx.Client(base_url=base, timeout=20))
        eventually(lambda: engines(gateway)[0]["flavour"] == server.flavour)
        yield House(fake, gateway)


_QWEN3 = {"kind": "qwen3-tts"}
_OPENAI = {"kind": "openai", "serves": "speech"}
_SPEAKERS = tuple(SPEAKERS)

SPEAKING: Mapping[str, Server] = {
    "qwen3 icantc0de1": Server(QWEN3["icantc0de1"], _QWEN3, "icantc0de1", _SPEAKERS, "vivian"),
    "qwen3 groxaxo": Server(QWEN3["groxaxo"], _QWEN3, "groxaxo", _SPEAKERS, "vivian"),
    "qwen3 vllm-omni": Server(
        QWEN3["vllm-omni"], _QWEN3, "vllm-omni", tuple(sorted(map(str.lower, SPEAKERS))), "vivian"
    ),
    "kokoro": Server(
        OPENAI_AUDIO["kokoro"], _OPENAI, "kokoro", ("af_heart", "af_alloy", "am_echo"), "af_alloy"
    ),
    "speaches": Server(
        OPENAI_AUDIO["speaches"], _OPENAI, "speaches", ("af_heart", "af_alloy", "am_echo"), "af_alloy"
    ),
    "xr-ai": Server(OPENAI_AUDIO["xr-ai"], _OPENAI, "xr-ai", ("default",), "default", 22_050),
    "nemo-speech-cpp": Server(
        PARAKEETS["nemo-speech-cpp"], _OPENAI, "nemo-speech-cpp", ("Sofia", "Aria"), "sofia", 22_050
    ),
    "localai": Server(
        OPENAI_AUDIO["localai"],
        {**_OPENAI, "model": "voice-en-us-amy-low"},
        "localai",
        OPENAI_VOICES,
        "alloy",
    ),
    "a stranger": Server(OPENAI_AUDIO[None], _OPENAI, None, OPENAI_VOICES, "alloy"),
}

_PARAKEET = {"kind": "parakeet"}
_HEARS = {"kind": "openai", "serves": "transcription"}

HEARING: Mapping[str, Server] = {
    **{name: Server(fake, _PARAKEET, name) for name, fake in PARAKEETS.items()},
    "speaches": Server(OPENAI_AUDIO["speaches"], _HEARS, "speaches"),
    "localai": Server(OPENAI_AUDIO["localai"], {**_HEARS, "model": "whisper-base"}, "localai"),
    "a stranger": Server(OPENAI_AUDIO[None], _HEARS, None),
}


@pytest.fixture(scope="module", params=SPEAKING)
def speaking(request: pytest.FixtureRequest) -> Iterator[tuple[Server, House]]:
    server = SPEAKING[request.param]
    for house in house_of(server):
        yield server, house


@pytest.fixture(scope="module", params=HEARING)
def hearing(request: pytest.FixtureRequest) -> Iterator[House]:
    yield from house_of(HEARING[request.param])


Speaking = tuple[Server, House]


def test_its_voices_are_listed_under_names_that_can_be_asked_for(speaking: Speaking) -> None:
    server, house = speaking
    eventually(lambda: set(server.voices) <= set(house.voices()))

    assert [name for name in house.voices() if name in server.voices] == list(server.voices)
    assert house.say(voice=house.voices()[-1]).status_code == 200


def test_speech_in_wav_is_what_it_said(speaking: Speaking) -> None:
    server, house = speaking
    answer = house.say()

    assert (answer.status_code, answer.headers["content-type"]) == (200, "audio/wav")
    assert played(answer.content).rate == server.rate
    assert answer.content[44:] == samples_said(TEXT, server.says, server.rate)


def test_speech_in_mp3_is_mp3_and_lasts_as_long(speaking: Speaking) -> None:
    server, house = speaking
    answer = house.say(response_format="mp3")

    assert answer.headers["content-type"] == "audio/mpeg"
    assert played(answer.content, declared="mp3").codec in ("mp3", "mp3float")
    said = len(samples_said(TEXT, server.says, server.rate)) / 2 / server.rate
    assert seconds(answer.content) == pytest.approx(said, abs=0.1)


def test_a_faster_pace_is_faster_whoever_makes_it_so(speaking: Speaking) -> None:
    _, house = speaking
    answer = house.say(response_format="pcm", speed=2.0)

    assert len(answer.content) / 48_000 == pytest.approx(len(TEXT) / 14 / 2, abs=0.1)


def test_an_unknown_voice_is_refused_in_a_sentence_before_the_engine_hears_of_it(speaking: Speaking) -> None:
    _, house = speaking
    house.fake.asked.clear()
    answer = house.say(voice="nobody's")

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "voice_not_found")
    assert "There is no voice" in answer.json()["error"]["message"]
    assert house.fake.asked == []


@pytest.mark.parametrize(("format_", "after"), [("wav", 0), ("wav", 4000), ("mp3", 4000)])
def test_sound_that_breaks_off_is_never_a_good_answer(speaking: Speaking, format_: str, after: int) -> None:
    _, house = speaking
    eventually(house.is_well)
    house.fake.asked.clear()
    house.fake.faults = [CutOff(after)]
    try:
        answer = house.say(response_format=format_)
    except httpx.RemoteProtocolError:
        answer = None

    assert len(house.fake.asked) == 1
    if answer is not None:
        assert (answer.status_code, answer.json()["error"]["type"]) == (502, "server_error")


NESTED = b'{"detail": {"error": "processing_error", "message": "CUDA error: unspecified launch failure"}}'


def test_a_wedged_speaker_is_an_honest_error_and_gets_nothing_more(speaking: Speaking) -> None:
    _, house = speaking
    eventually(house.is_well)
    house.fake.fault = Fault(500, NESTED, {"content-type": "application/json"})
    first, again = house.ejected(house.say)

    assert "CUDA" not in first.text + again.text


def test_a_file_at_a_rate_of_its_own_is_played_at_that_rate() -> None:
    for house in house_of(SPEAKING["localai"], old=True):
        answer = house.say(response_format="pcm")

        assert house.fake.native_rate == 16_000
        assert len(answer.content) / 48_000 == pytest.approx(len(TEXT) / 14, abs=0.05)
        eventually(house.is_well)


class Silent(FakeStranger):
    """It has no page at all."""

    def pages(self) -> Mapping[str, Page]:
        return {}


def test_a_server_that_lists_no_models_speaks_and_listens_all_the_same() -> None:
    for house in house_of(Server(Silent, _OPENAI, None)):
        assert house.say(voice="nova").status_code == 200
    for house in house_of(Server(Silent, _HEARS, None)):
        assert house.hear().json() == {"text": WORDS}


def test_a_voice_that_icantc0de1_cannot_speak_is_a_200_there_and_an_error_here() -> None:
    for house in house_of(SPEAKING["qwen3 icantc0de1"], mapping={"alloy": "Vivian", "sage": "Narrator"}):
        for format_ in ("wav", "mp3"):
            eventually(house.is_well)
            answer = house.say(voice="Narrator", response_format=format_)
            assert (answer.status_code, answer.json()["error"]["type"]) == (502, "server_error")
        assert len(house.fake.asked) == 2


def test_a_voice_that_groxaxo_no_longer_has_is_a_500_there_and_no_wedge_here() -> None:
    for house in house_of(SPEAKING["qwen3 groxaxo"], gone=("Mother",)):
        answer = house.say(voice="Mother")

        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "voice_not_found")
        assert house.is_well()
        assert house.say().status_code == 200


@pytest.mark.parametrize("name", ["echo", "nova", "onyx", "shimmer"])
def test_openai_s_names_that_groxaxo_gives_to_nobody_are_speakers_here(name: str) -> None:
    for house in house_of(SPEAKING["qwen3 groxaxo"], ready=False):
        assert house.say(voice=name).status_code == 200
        assert house.fake.asked[-1]["voice"] in SPEAKERS


# Listening.


@pytest.mark.parametrize("format_", ["json", "text", "verbose_json", "srt", "vtt"])
def test_words_come_in_every_format_that_clients_know(hearing: House, format_: str) -> None:
    answer = hearing.hear(response_format=format_)

    assert answer.status_code == 200
    assert WORDS in answer.text


def test_verbose_json_is_whole_and_has_the_recording_s_own_length(hearing: House) -> None:
    told = hearing.hear(response_format="verbose_json", language="en").json()

    assert (told["text"], told["duration"], told["task"]) == (WORDS, 0.5, "transcribe")
    assert [(each["text"], each["start"], each["end"]) for each in told["segments"]] == [(WORDS, 0.0, 0.5)]


def test_words_with_times_are_words_and_no_pieces_of_them(hearing: House) -> None:
    fields = {"response_format": "verbose_json", "timestamp_granularities[]": "word"}
    words = hearing.hear(**fields).json()["words"]

    assert [each["word"] for each in words] in (WORDS.split(), [])


def test_a_stream_ends_with_all_the_words(hearing: House) -> None:
    answer = hearing.hear(stream="true")

    assert answer.headers["content-type"].startswith("text/event-stream")
    last = answer.text.strip().split("\n\n")[-1]
    assert last.startswith("data: ")
    assert WORDS in last


def test_a_wedged_listener_is_an_honest_error_and_gets_nothing_more(hearing: House) -> None:
    eventually(hearing.is_well)
    hearing.fake.fault = Fault(500, b"Internal Server Error", {"content-type": "text/plain"})
    hearing.ejected(hearing.hear)
