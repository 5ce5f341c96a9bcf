"""A house hears the same sentences every day: spoken once, they are there, whatever has become of the engine."""

from __future__ import annotations

import base64
import json
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fakes.faults import CutOff, Fault, Slow
from tests.fakes.magpie import FakeMagpie, speech_of
from tests.live import eventually, serving, unused_port
from tests.processes import Serving, serve, spark_control
from tests.remembering import remembering_gateway
from tests.sounds import wav_of

DINNER = {"model": "tts-1", "input": "Dinner is ready, please wash your hands.", "voice": "alloy"}
MIA = "Magpie-Multilingual.EN-US.Mia"


@pytest.fixture
def home(tmp_path, upstreams, magpie):
    with remembering_gateway(tmp_path / "speech", {"magpie": upstreams["magpie"]}) as client:
        yield client


def speak(client: httpx.Client, headers: dict[str, str] | None = None, **changes: Any) -> httpx.Response:
    return client.post("/v1/audio/speech", json={**DINNER, **changes}, headers=headers)


def told(answer: httpx.Response) -> tuple[int, str | None]:
    return answer.status_code, answer.headers.get("x-spark-cache")


# In one gateway.


@pytest.mark.parametrize("format_", ["mp3", "opus", "aac", "flac", "wav", "pcm"])
def test_the_second_time_the_engine_is_not_asked_and_the_sound_is_the_same(home, magpie, format_):
    first, second = (speak(home, response_format=format_) for _ in range(2))

    assert [told(first), told(second)] == [(200, "miss"), (200, "hit")]
    assert second.content == first.content
    assert second.headers["content-length"] == str(len(first.content))
    for name in ("content-type", "content-disposition", "x-model", "x-voice"):
        assert second.headers[name] == first.headers[name]
    assert len(magpie.asked) == 1


def test_a_long_text_is_remembered_as_one_answer(home, magpie):
    text = "The kettle on the second shelf is ready for tea. " * 20
    first = speak(home, input=text)
    pieces = len(magpie.asked)
    second = speak(home, input=text)

    assert told(second) == (200, "hit")
    assert second.content == first.content
    assert len(magpie.asked) == pieces > 1


def test_events_base64_and_batches_are_made_of_the_same_bytes(home, magpie):
    sound = speak(home).content
    events = speak(home, stream_format="sse")
    in_json = home.post("/v1/audio/speech/base64", json=DINNER)
    batch = home.post("/v1/audio/speech/batch", json={"inputs": [DINNER["input"]] * 2, "voice": "alloy"})

    assert [told(events), told(in_json)] == [(200, "hit")] * 2
    said = [json.loads(line[6:]) for line in events.text.splitlines() if line.startswith("data: ")]
    assert said[-1]["type"] == "speech.audio.done"
    assert b"".join(base64.b64decode(each.get("audio", "")) for each in said) == sound
    assert events.headers["content-type"].startswith("text/event-stream")
    assert base64.b64decode(in_json.json()["audio"]) == sound
    assert in_json.json()["sample_rate"] == 22_050
    assert in_json.json()["duration_ms"] == pytest.approx(len(DINNER["input"]) / 14 * 1000, abs=60)
    lines = [json.loads(line) for line in batch.text.splitlines()]
    assert [base64.b64decode(each["audio"]) for each in lines] == [sound] * 2
    assert {each["voice"] for each in lines} == {MIA}
    assert len(magpie.asked) == 1


def test_nobody_hears_what_another_asked_for(home):
    changes: dict[str, dict[str, Any]] = {
        "dinner": {},
        "lunch": {"input": "Lunch is ready, please wash your hands."},
        "another voice": {"voice": "ash"},
        "a mood": {"instructions": "Speak in a calm voice."},
        "faster": {"speed": 1.5},
    }
    answers = {name: speak(home, response_format="wav", **each).content for name, each in changes.items()}
    assert len(set(answers.values())) == len(answers)
    assert speak(home, response_format="wav").content == answers["dinner"]


def test_who_does_not_want_it_kept_is_not_remembered(home, magpie):
    private = {"cache-control": "no-store"}
    assert [told(speak(home, private)) for _ in range(2)] == [(200, None)] * 2
    assert home.get("/api/speech-cache").json()["entries"] == 0

    assert told(speak(home)) == (200, "miss")
    assert told(speak(home, private)) == (200, None)
    assert told(speak(home, {"cache-control": "no-cache"})) == (200, "miss")
    assert told(speak(home)) == (200, "hit")
    assert len(magpie.asked) == 5


def test_an_engine_that_breaks_off_is_not_remembered(home, magpie):
    magpie.fault = CutOff(2000)
    for format_ in ("mp3", "wav"):
        with suppress(httpx.RemoteProtocolError):
            speak(home, response_format=format_)
    magpie.fault = None
    home.post("/api/upstreams/magpie/probe")

    assert [told(speak(home, response_format=each)) for each in ("mp3", "wav")] == [(200, "miss")] * 2


@pytest.mark.parametrize("format_", ["mp3", "wav"])
def test_silence_for_words_is_not_remembered(home, magpie, format_):
    silence = bytes(2 * 22_050 * 3)
    body = wav_of(silence, 22_050) if format_ == "wav" else silence
    magpie.fault = Fault(200, body)
    assert told(speak(home, response_format=format_)) == (200, "miss")
    magpie.fault = None

    assert told(speak(home, response_format=format_)) == (200, "miss")
    assert told(speak(home, response_format=format_)) == (200, "hit")


def test_a_client_that_leaves_early_is_not_remembered(home, magpie):
    hold = magpie.fault = Slow(after=8000)
    body = json.dumps({**DINNER, "response_format": "wav"}).encode()
    url = httpx.URL(home.base_url)
    with socket.create_connection((url.host, url.port or 80), timeout=10) as leaving:
        head = f"POST /v1/audio/speech HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        leaving.sendall(head.encode() + body)
        assert leaving.recv(65536).startswith(b"HTTP/1.1 200")
    assert hold.abandoned.wait(10)
    magpie.fault = None

    assert told(speak(home, response_format="wav")) == (200, "miss")


def test_what_another_engine_had_to_speak_is_not_remembered(tmp_path, upstreams, magpie):
    first = FakeMagpie()
    with serving(first.app) as url:
        engines = {
            "first": {"kind": "magpie", "url": url},
            "second": upstreams["magpie"] | {"model": "other"},
        }
        with remembering_gateway(tmp_path / "speech", engines) as home:
            first.fault = Fault(500, b"no")
            stood_in = speak(home)
            first.fault = None
            home.post("/api/upstreams/first/probe")
            again = [speak(home) for _ in range(2)]

    assert told(stood_in) == (200, "miss")
    assert stood_in.headers["x-spark-degraded"].startswith("first: ")
    assert [told(each) for each in again] == [(200, "miss"), (200, "hit")]
    assert "x-spark-degraded" not in again[1].headers


def test_another_model_speaks_anew_and_the_old_one_helps_out_while_it_is_away(tmp_path, upstreams, magpie):
    url = upstreams["magpie"]["url"]

    def home_with(engine: dict[str, Any]):
        return remembering_gateway(tmp_path / "speech", {"magpie": {"kind": "magpie", "url": url} | engine})

    with home_with({}) as home:
        old = speak(home)
        eventually(lambda: home.get("/api/speech-cache").json()["entries"] == 1)
    with home_with({"model": "magpie-2"}) as home:
        magpie.fault = Fault(503, b"loading")
        while_away = speak(home)
        magpie.fault = None
        # The first may join the probe that the failure has begun.
        eventually(lambda: home.post("/api/upstreams/magpie/probe").json()["state"] == "healthy")
        assert [told(speak(home)) for _ in range(2)] == [(200, "miss"), (200, "hit")]
        assert home.get("/api/speech-cache").json()["entries"] == 1

    assert told(while_away) == (200, "stale")
    assert while_away.content == old.content
    assert while_away.headers["x-model"] == old.headers["x-model"] == "magpie-tts-multilingual"


def test_a_crowd_that_asks_for_the_same_at_once_hears_it_whole(home, magpie):
    right = speech_of({"text": DINNER["input"], "voice": MIA, "sample_rate_hz": "22050"})
    heard: list[bytes] = []

    def ask() -> None:
        heard.extend([speak(home, response_format="wav").content for _ in range(5)])

    crowd = [threading.Thread(target=ask) for _ in range(12)]
    for each in crowd:
        each.start()
    for each in crowd:
        each.join()

    assert len(heard) == 60
    assert set(heard) == {right}
    assert len(magpie.asked) <= 12


def test_a_disk_that_is_full_costs_nobody_an_answer(home, tmp_path):
    folder = tmp_path / "speech"
    folder.rmdir()
    folder.write_text("in the way")
    assert [speak(home).status_code for _ in range(3)] == [200] * 3


# As a process.


@contextmanager
def house(folder: Path, engine: str, more: str = "") -> Iterator[Serving]:
    path = folder / "settings.toml"
    path.write_text(f'[upstreams.magpie]\nkind = "magpie"\nurl = "{engine}"\n{more}')
    with serve(folder, "--config", str(path)) as gateway:
        gateway.wait_until_ready()
        yield gateway


def test_announcements_are_heard_without_an_engine_and_after_the_gateway_was_killed(tmp_path):
    (tmp_path / "announcements.txt").write_text(f"# Every day\n{DINNER['input']}\n")
    magpie = FakeMagpie()
    with serving(magpie.app) as engine:
        with house(tmp_path, engine) as gateway, gateway.client() as client:
            warmed = spark_control("warm", "announcements.txt", "--gateway", gateway.url, folder=tmp_path)
            first = speak(client)
            eventually(lambda: client.get("/api/speech-cache").json()["entries"] == 1)
            gateway.end(signal.SIGKILL)
        assert warmed.stdout == "1 new, 0 there already, 0 failed.\n"
        assert told(first) == (200, "hit")

    # Neither the engine nor the gateway's memory of its voices is there any more.
    dead = f"http://127.0.0.1:{unused_port()}"
    with house(tmp_path, dead) as gateway, gateway.client() as client:
        second = speak(client)
        other = speak(client, {"x-spark-patience": "0"}, input="Never said before.")
        purged = spark_control("purge", "--voice", "alloy", "--gateway", gateway.url, folder=tmp_path)
        third = speak(client, {"x-spark-patience": "0"})

    assert told(second) == (200, "stale")
    assert second.content == first.content
    assert other.status_code == third.status_code == 503
    assert purged.stdout.startswith("Forgotten: 1 pieces of speech")
    assert list((tmp_path / "state" / "speech").iterdir()) == []


def test_while_the_engine_is_down_what_it_has_said_is_a_hit(tmp_path):
    magpie = FakeMagpie()
    with house_and_engine(tmp_path, magpie) as (client, stop):
        first = speak(client)
        stop()
        second = speak(client)

    assert [told(first), told(second)] == [(200, "miss"), (200, "hit")]
    assert second.content == first.content


@contextmanager
def house_and_engine(folder: Path, magpie: FakeMagpie):
    """A gateway, and how to stop its engine."""
    running = serving(magpie.app)
    with house(folder, running.__enter__()) as gateway, gateway.client() as client:
        yield client, lambda: running.__exit__(None, None, None)


def test_a_key_may_be_made_for_somebody_who_is_not_to_be_remembered(tmp_path):
    def key(*arguments: str) -> dict[str, str]:
        state = {"SPARK_CONTROL_STATE": str(tmp_path / "state")}
        made = spark_control("key", "add", *arguments, folder=tmp_path, **state)
        return {"authorization": f"Bearer {made.stdout.strip()}"}

    private, others = key("diary", "--no-cache"), key("kitchen")
    magpie = FakeMagpie()
    with serving(magpie.app) as engine, house(tmp_path, engine) as gateway, gateway.client() as client:
        asked = [told(speak(client, headers)) for headers in (private, private, others, others, private)]

    assert asked == [(200, None), (200, None), (200, "miss"), (200, "hit"), (200, None)]


def test_it_can_be_switched_off(tmp_path):
    magpie = FakeMagpie()
    with (
        serving(magpie.app) as engine,
        house(tmp_path, engine, "[speech_cache]\nenabled = false\n") as gateway,
        gateway.client() as client,
    ):
        assert [told(speak(client)) for _ in range(2)] == [(200, None)] * 2
        assert client.get("/api/speech-cache").json()["enabled"] is False
    assert not (tmp_path / "state" / "speech").exists()
