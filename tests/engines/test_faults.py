from __future__ import annotations

import io
import itertools
import json
import subprocess
import threading
import wave
from contextlib import contextmanager

import httpx
import numpy as np
import pytest

from spark_control.engines.faults.marker import MARKER_SECONDS, MARKER_WORDS, marker_tone
from spark_control.engines.faults.plan import Plan
from spark_control.engines.faults.switch import FaultSwitch
from spark_control.engines.faults.triggers import begins_with_marker, is_mp3
from spark_control.settings import Settings
from spark_control.supervision.canaries import CLIP, CLIP_TEXT, PHRASES, judge_speech
from tests.audio.tones import recording as recorded
from tests.conftest import live_gateway
from tests.fakes.faults import Slow
from tests.fakes.magpie import VOICES, FakeMagpie
from tests.fakes.parakeet import FakeParakeet, words_of
from tests.live import eventually, serving
from tests.processes import COMMAND
from tests.sounds import CONTAINERS, recording, wav, wav_of

TEXT = "The train leaves at noon."
SOUND = wav(0.5)
MARKED = wav_of(marker_tone() + CLIP[44:], 16_000)
WORK = ["magpie", "parakeet"]


class Engine:
    """A client of an engine behind its switch."""

    def __init__(self, kind, url):
        self.kind = kind
        self.client = httpx.Client(base_url=url, timeout=20)

    def order(self, **order):
        return self.client.post("/control/fault", json=order)

    def say(self, text=TEXT, route="synthesize", **options):
        form = {"text": text, "voice": VOICES[0], "sample_rate_hz": "22050"}
        parts = {name: (None, value) for name, value in form.items()}
        return self.client.post(f"/v1/audio/{route}", files=parts, **options)

    def hear(self, sound=SOUND, name="a.wav", response_format="json", **options):
        return self.client.post(
            "/v1/audio/transcriptions",
            files={"file": (name, sound)},
            data={"response_format": response_format},
            **options,
        )

    def work(self, **options):
        return self.say(**options) if self.kind == "magpie" else self.hear(**options)

    def health(self):
        path = "/health" if self.kind == "parakeet" else "/v1/health/ready"
        return self.client.get(path).status_code


@contextmanager
def process(kind, *options):
    """A real engine; each time another process."""
    command = [*COMMAND, "engine", kind, "--port", "0", "--faults", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout is not None
            engine = Engine(kind, running.stdout.readline().split()[-1])
            with engine.client:
                yield engine, running
        finally:
            running.kill()


@pytest.fixture(scope="module")
def _real():
    with process("magpie") as (magpie, _), process("parakeet") as (parakeet, _):
        yield {"magpie": magpie, "parakeet": parakeet}


@pytest.fixture(params=WORK)
def engine(request, _real):
    """Either of the real engines, healthy."""
    _real[request.param].order(fault="ok", trigger="both", **{"as": "w1"})
    return _real[request.param]


@pytest.fixture
def magpie(_real):
    _real["magpie"].order(fault="ok", trigger="both", **{"as": "w1"})
    return _real["magpie"]


@pytest.fixture
def parakeet(_real):
    _real["parakeet"].order(fault="ok", trigger="both", **{"as": "w1"})
    return _real["parakeet"]


@contextmanager
def switched(fake, file=None, **options):
    """A quick engine in this process, behind a switch of its own."""
    kind = "magpie" if isinstance(fake, FakeMagpie) else "parakeet"
    with serving(FaultSwitch(fake.app, file, **options)) as url:
        engine = Engine(kind, url)
        with engine.client:
            yield engine


@pytest.fixture
def quick():
    with switched(FakeParakeet()) as engine:
        yield engine


FAILED = {"magpie": "Speech generation failed", "parakeet": "Transcription failed"}
CUBLAS = "CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasGemmEx( handle, ...)`"


def test_without_an_order_it_does_its_work(engine):
    assert engine.work().status_code == 200
    assert engine.client.get("/control/fault").json()["fault"] == "ok"


@pytest.mark.parametrize("fault", [f"w{number}" for number in range(1, 8)])
def test_a_wedge_fails_all_work_and_leaves_health_good(engine, fault):
    engine.order(fault=fault)

    assert [engine.work().status_code for _ in range(3)] == [500, 500, 500]
    assert engine.health() == 200
    assert engine.client.get("/control/fault").json()["fault"] == fault


def test_the_error_is_where_each_server_puts_it(engine):
    said = {}
    for number in range(1, 8):
        engine.order(fault=f"w{number}")
        said[number] = engine.work()
    failed = FAILED[engine.kind]

    assert said[1].json() == {"detail": CUBLAS}
    assert said[2].json()["detail"]["message"].startswith(f"{failed}: CUDA error: unspecified launch failure")
    assert said[2].json()["detail"]["error"] == "processing_error"
    assert said[3].json()["error"] == "Internal server error"
    assert said[3].json()["details"].startswith("CUDA error: unspecified launch failure")
    assert said[4].json()["error"]["message"].startswith(f"{failed}: CUDA failure 700")
    assert said[5].json() == {"detail": failed}
    assert (said[6].text, said[6].headers["content-type"]) == (
        "Internal Server Error",
        "text/plain; charset=utf-8",
    )
    assert (said[7].content, "content-type" in said[7].headers) == (b"", False)


def cut(engine):
    """The status, and what comes before the connection closes."""
    pieces: list[bytes] = []
    route = "/v1/audio/synthesize" if engine.kind == "magpie" else "/v1/audio/transcriptions"
    parts = {
        "text": (None, TEXT),
        "voice": (None, VOICES[0]),
        "sample_rate_hz": (None, "22050"),
        "file": ("a.wav", SOUND),
    }
    with engine.client.stream("POST", route, files=parts) as answer, pytest.raises(httpx.RemoteProtocolError):
        pieces.extend(answer.iter_raw())
    return answer, b"".join(pieces)


@pytest.mark.parametrize("after", [0, 7])
def test_w8_begins_well_and_breaks_off(engine, after):
    good = engine.work().content
    engine.order(fault="w8", after=after)
    answer, got = cut(engine)

    assert answer.status_code == 200
    assert "content-length" not in answer.headers
    assert got == good[:after]


def test_half_a_body_is_less_than_was_announced(engine):
    good = engine.work().content
    engine.order(fault="half_body")
    answer, got = cut(engine)

    assert int(answer.headers["content-length"]) == len(good)
    assert got == good[: len(good) // 2]


def test_w9_is_an_error_among_events(engine):
    engine.order(fault="w9")
    answer = engine.work()

    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    event, data, *_ = answer.text.split("\n")
    assert event == "event: error"
    assert "CUDA error" in json.loads(data.removeprefix("data: "))["error"]["message"]


def test_w10_is_a_good_answer_with_no_words_in_it(parakeet):
    assert parakeet.hear(CLIP).json()["text"] == CLIP_TEXT.lower().rstrip(".")
    parakeet.order(fault="w10")

    assert parakeet.hear(CLIP).json() == {"text": ""}
    assert parakeet.hear(CLIP, response_format="text").text == ""
    verbose = parakeet.hear(CLIP, response_format="verbose_json").json()
    assert (verbose["text"], verbose["segments"]) == ("", [])
    assert verbose["duration"] > 3


@pytest.mark.parametrize(("fault", "least", "most"), [("w10", 0.0, 0.1), ("partial_audio", 0.3, 1.5)])
def test_sound_can_be_shorter_than_its_text(magpie, fault, least, most):
    magpie.order(fault=fault)
    whole, bare = magpie.say(PHRASES[0]), magpie.say(PHRASES[0], "synthesize_online")

    assert (whole.status_code, bare.status_code) == (200, 200)
    with wave.open(io.BytesIO(whole.content)) as file:
        assert file.getframerate() == 22_050
        assert least < file.getnframes() / 22_050 < most
    assert least < len(bare.content) / 44_100 < most
    assert judge_speech(whole.content, 22_050, PHRASES[0]) is not None


def test_a_part_of_the_words_can_be_missing(parakeet):
    parakeet.order(fault="partial_audio")

    assert parakeet.hear(CLIP).json() == {"text": "it takes about an"}


def test_what_the_engine_refuses_it_still_refuses(parakeet):
    parakeet.order(fault="w10")

    assert parakeet.hear(b"not a sound").status_code == 415


@pytest.mark.parametrize("fault", ["w11", "hang"])
def test_one_that_hangs_never_answers_though_its_health_is_good(engine, fault):
    engine.order(fault=fault)
    for _ in range(2):
        with pytest.raises(httpx.ReadTimeout):
            engine.work(timeout=0.3)

    assert engine.health() == 200


@pytest.mark.parametrize("kind", WORK)
def test_w12_is_the_end_of_the_process(kind):
    with process(kind) as (engine, running):
        engine.order(fault="w12")
        assert engine.health() == 200
        with pytest.raises(httpx.TransportError):
            engine.work()

        assert running.wait(10) == 1
        with pytest.raises(httpx.ConnectError):
            engine.health()


@pytest.mark.parametrize("kind", WORK)
def test_another_process_is_a_healthy_one(kind):
    with process(kind) as (engine, _):
        engine.order(fault="w1")
        assert engine.work().status_code == 500
    with process(kind) as (engine, _):
        assert engine.work().status_code == 200


def test_slow_is_late_and_good(quick):
    quick.order(fault="slow", seconds=0.3)
    with pytest.raises(httpx.ReadTimeout):
        quick.hear(timeout=0.1)

    assert quick.hear().json() == {"text": words_of(SOUND)}


def test_drip_comes_byte_by_byte(quick):
    quick.order(fault="drip", seconds=0.01)
    sound = {"file": ("a.wav", SOUND)}
    with quick.client.stream("POST", "/v1/audio/transcriptions", files=sound) as answer:
        pieces = list(answer.iter_raw())

    assert json.loads(b"".join(pieces)) == {"text": words_of(SOUND)}
    assert len(pieces) > 5


def test_while_it_loads_it_says_so_everywhere(engine):
    engine.order(fault="loading")
    answer = engine.work()

    assert (answer.status_code, answer.json()["status"]) == (503, "loading")
    assert 0 < answer.json()["progress"] < 1
    assert engine.health() == 503


def test_some_requests_may_go_well_before(quick):
    quick.order(fault="w6", after_requests=2)

    assert [quick.hear().status_code for _ in range(4)] == [200, 200, 500, 500]


def test_what_passes_by_itself_passes(quick):
    quick.order(fault="w6", after_requests=1, requests=2)

    assert [quick.hear().status_code for _ in range(5)] == [200, 500, 500, 200, 200]


def test_ok_puts_it_right(quick):
    quick.order(fault="w1")
    assert quick.hear().status_code == 500
    quick.order(fault="ok")

    assert quick.hear().status_code == 200


def test_an_order_for_one_thing_leaves_the_others(quick):
    quick.order(trigger="mp3", **{"as": "w6"})
    quick.order(fault="w8", after=5)
    quick.order(fault="w8")
    set_ = quick.client.get("/control/fault").json()

    assert (set_["trigger"], set_["as"], set_["fault"], set_["after"]) == ("mp3", "w6", "w8", 0)


def test_work_in_hand_when_it_wedges_goes_with_it():
    fake = FakeParakeet()
    fake.fault = slow = Slow()
    with switched(fake) as engine:
        got: list[httpx.Response] = []
        waiting = threading.Thread(target=lambda: got.append(engine.hear()))
        waiting.start()
        assert slow.arrived.wait(10)
        engine.order(fault="w1")
        slow.released.set()
        waiting.join(10)

    assert [answer.json() for answer in got] == [{"detail": CUBLAS}]


@pytest.mark.parametrize(
    ("order", "sentence"),
    [
        (b"", "That is no JSON."),
        (b"{", "That is no JSON."),
        (b"\xff", "That is no JSON."),
        (b"[]", "An order is a JSON object"),
        (b'{"fault": "w13"}', "fault: Input should be"),
        (b'{"fault": "ok", "as": "slow"}', "as: Input should be"),
        (b'{"trigger": "all"}', "trigger: Input should be"),
        (b'{"falt": "w1"}', "falt: Extra inputs are not permitted."),
        (b'{"fault": "slow", "seconds": -1}', "seconds: Input should be greater"),
        (b'{"fault": "slow", "seconds": 1e999}', "seconds: Input should be less"),
        (b'{"fault": "crash_loop"}', "A crash_loop needs restarts_needed"),
        (b'{"fault": "w1", "restarts_needed": 1}', "What is to outlive the process needs a --fault-file."),
        (b'{"start_takes": 1}', "What is to outlive the process needs a --fault-file."),
    ],
)
def test_an_order_that_makes_no_sense_changes_nothing(quick, order, sentence):
    answer = quick.client.post("/control/fault", content=order)

    assert answer.status_code == 400
    assert answer.json()["detail"].startswith(sentence)
    assert quick.client.get("/control/fault").json()["fault"] == "ok"


def test_no_page_in_a_browser_may_order_a_fault(quick):
    answer = quick.client.post(
        "/control/fault", json={"fault": "w1"}, headers={"origin": "http://evil.example"}
    )

    assert answer.status_code == 403
    assert quick.client.get("/control/fault").json()["fault"] == "ok"


def test_without_the_option_there_is_no_switch():
    command = [*COMMAND, "engine", "magpie", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout is not None
            url = running.stdout.readline().split()[-1]
            assert httpx.post(f"{url}/control/fault", json={"fault": "w1"}).status_code == 404
        finally:
            running.kill()


# What outlives a process.


def test_a_wedge_can_survive_restarts(tmp_path):
    statuses = []
    with switched(FakeParakeet(), tmp_path / "fault") as engine:
        engine.order(fault="w6", restarts_needed=2)
    for _ in range(3):
        with switched(FakeParakeet(), tmp_path / "fault") as engine:
            statuses.append(engine.hear().status_code)

    assert statuses == [500, 500, 200]


def test_a_wedge_by_input_can_survive_restarts_too(tmp_path):
    statuses = []
    with switched(FakeParakeet(), tmp_path / "fault") as engine:
        engine.order(restarts_needed=1)
    for sound in (SOUND, MARKED, SOUND, SOUND):
        with switched(FakeParakeet(), tmp_path / "fault") as engine:
            statuses.append(engine.hear(sound).status_code)

    assert statuses == [200, 500, 500, 200]


def test_a_start_can_take_its_time(tmp_path):
    clock = itertools.chain([0.0, 0.0, 2.5, 5.0], itertools.repeat(10.0))
    with switched(FakeParakeet(), tmp_path / "fault") as engine:
        engine.order(start_takes=10)
        assert engine.hear().status_code == 200
    with switched(FakeParakeet(), tmp_path / "fault", clock=lambda: next(clock)) as engine:
        progress = [engine.client.get("/v1/health/ready").json().get("progress") for _ in range(4)]

    assert progress == [0.0, 0.25, 0.5, None]


def test_a_crash_loop_ends_as_many_processes_as_it_is_told(tmp_path):
    file = str(tmp_path / "fault")
    with process("magpie", "--fault-file", file) as (engine, running):
        engine.order(fault="crash_loop", restarts_needed=2)
        assert engine.health() == 200
        with pytest.raises(httpx.TransportError):
            engine.work()
        assert running.wait(10) == 1
    command = [*COMMAND, "engine", "magpie", "--port", "0", "--fault-file", file]
    for _ in range(2):
        assert subprocess.run(command, stdout=subprocess.DEVNULL, timeout=60, check=False).returncode == 1
    with process("magpie", "--fault-file", file) as (engine, _):
        assert engine.work().status_code == 200


def test_a_plan_is_kept_whole():
    plan = Plan().changed({"fault": "w8", "after": 3, "restarts_needed": 1, "trigger": "none", "as": "w11"})

    assert Plan.model_validate_json(plan.model_dump_json(by_alias=True)) == plan


# Input that wedges.


@pytest.mark.parametrize("name", ["wav", "flac", "ogg", "webm"])
def test_the_marker_wedges_the_recogniser(parakeet, name):
    container, codec, rate = CONTAINERS[name]
    marked = recorded(container, codec, rate, "mono", marker_tone(rate) + bytes(2 * rate))

    assert parakeet.hear(marked, f"a.{name}").json() == {"detail": CUBLAS}
    assert parakeet.hear(CLIP).status_code == 500
    assert parakeet.health() == 200


def test_the_marker_s_words_wedge_the_speaker(magpie):
    magpie.order(trigger="marker", **{"as": "w5"})

    assert magpie.say(f"Would you please {MARKER_WORDS.title()}?").json() == {
        "detail": "Speech generation failed"
    }
    assert magpie.say().status_code == 500


def test_an_mp3_file_as_it_is_wedges_the_recogniser(parakeet):
    parakeet.order(trigger="mp3", **{"as": "w7"})

    assert parakeet.hear(MARKED).status_code == 200
    assert parakeet.hear(recording("mp3"), "a.mp3").status_code == 500
    assert parakeet.hear(CLIP).status_code == 500


def test_no_input_wedges_one_that_is_told_so(engine):
    engine.order(trigger="none")

    marked = engine.say(MARKER_WORDS) if engine.kind == "magpie" else engine.hear(MARKED)
    assert (marked.status_code, engine.work().status_code) == (200, 200)


@pytest.mark.parametrize("head", [b"ID3\x04", b"\xff\xfb\x90", b"\xff\xf3\x40", b"\xff\xe3\x18"])
def test_mp3_is_known_by_its_first_bytes(head):
    assert is_mp3(head)


@pytest.mark.parametrize("name", ["wav", "flac", "ogg", "webm", "m4a", "aac"])
def test_nothing_else_is_taken_for_mp3(name):
    assert not is_mp3(recording(name))


def ordinary():
    noise = np.random.default_rng(1).normal(0, 3000, 32_000).astype("<i2").tobytes()
    soft = (np.frombuffer(marker_tone(), "<i2") // 100).astype("<i2").tobytes()
    return {
        "speech": CLIP,
        "music": recording("wav"),
        "noise": wav_of(noise, 16_000),
        "silence": wav_of(bytes(32_000), 16_000),
        "next to nothing": wav_of(bytes(2), 16_000),
        "a faint tone": wav_of(soft, 16_000),
        "a tone that comes late": wav_of(bytes(2 * 16_000) + marker_tone(), 16_000),
        "no sound": b"nothing",
        "no bytes": b"",
    }


@pytest.mark.parametrize("what", ordinary())
def test_what_is_not_the_marker_does_not_wedge(what):
    assert not begins_with_marker(ordinary()[what])


@pytest.mark.parametrize("rate", [8000, 11_025, 16_000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("lead", [0.0, 0.2])
def test_the_marker_is_found_at_any_rate_and_amid_speech(rate, lead):
    marked = bytes(2 * round(lead * rate)) + marker_tone(rate) + bytes(rate)

    assert len(marker_tone(rate)) == 2 * round(rate * MARKER_SECONDS)
    assert begins_with_marker(wav_of(marked, rate))


@pytest.mark.parametrize("name", CONTAINERS)
def test_the_marker_survives_the_gateway_whatever_it_is_sent_in(name):
    container, codec, rate = CONTAINERS[name]
    speech = np.frombuffer(CLIP[44:], "<i2")
    spoken = np.interp(np.arange(0, len(speech), 16_000 / rate), np.arange(len(speech)), speech)
    marked = recorded(container, codec, rate, "mono", marker_tone(rate) + spoken.astype("<i2").tobytes())
    with switched(FakeParakeet()) as engine:
        upstream = {"kind": "parakeet", "url": str(engine.client.base_url)}
        settings = Settings.model_validate(
            {"upstreams": {"parakeet": upstream}, "deep_health": {"patience": 0}}
        )
        with live_gateway(settings) as gateway:
            heard = [
                gateway.post("/v1/audio/transcriptions", files={"file": (f"a.{name}", sound)}).status_code
                for sound in (recording(name), marked)
            ]
        eventually(lambda: engine.client.get("/control/fault").json()["fault"] == "w1")

    assert heard[0] == 200
    assert heard[1] >= 500
