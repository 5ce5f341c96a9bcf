from __future__ import annotations

import hashlib
import threading

import httpx
import pytest

from spark_control.supervision.canaries import CLIP, CLIP_TEXT, PHRASES, judge_speech
from tests.fakes.magpie import VOICES
from tests.fakes.parakeet import words_of
from tests.fakes.supervised import SupervisedEngine
from tests.live import eventually
from tests.processes import lives
from tests.sounds import wav

CLIENT = {"user-agent": "somebody"}
WATCHER = {"user-agent": "spark-control canary"}
SOUND = wav(0.5)


@pytest.fixture
def parakeet(tmp_path):
    with SupervisedEngine("parakeet", tmp_path) as engine:
        yield engine


@pytest.fixture
def magpie(tmp_path):
    with SupervisedEngine("magpie", tmp_path) as engine:
        yield engine


def hear(engine, sound=SOUND, headers=CLIENT, timeout=10.0):
    files = {"file": ("a.wav", sound)}
    return httpx.post(f"{engine.url}/v1/audio/transcriptions", files=files, headers=headers, timeout=timeout)


def say(engine, text, headers=CLIENT):
    form = {"text": text, "voice": VOICES[0], "sample_rate_hz": "22050"}
    parts = {name: (None, value) for name, value in form.items()}
    return httpx.post(f"{engine.url}/v1/audio/synthesize", files=parts, headers=headers)


def test_what_it_was_given_to_do_is_written_down(parakeet):
    assert hear(parakeet).json() == {"text": words_of(SOUND)}
    (only,) = parakeet.executions()

    assert only.sha256 == hashlib.sha256(SOUND).hexdigest()
    assert (only.kind, only.pid, only.status) == ("parakeet", parakeet.pid, 200)
    assert only.end is not None
    assert only.start < only.end


def test_text_is_known_by_its_words_and_voice(magpie):
    say(magpie, "Good morning.")
    say(magpie, "Good morning.")
    say(magpie, "Good night.")

    same, again, other = (each.sha256 for each in magpie.executions())
    assert same == again == hashlib.sha256(f"Good morning.|{VOICES[0]}".encode()).hexdigest()
    assert other != same


def test_the_watcher_s_work_is_counted_apart(parakeet):
    assert hear(parakeet, CLIP, WATCHER).json() == {"text": CLIP_TEXT}

    assert parakeet.executions() == []
    assert [each.sha256 for each in parakeet.executions(canaries=True)] == [hashlib.sha256(CLIP).hexdigest()]


@pytest.mark.parametrize("phrase", PHRASES)
def test_a_healthy_fake_s_speech_passes_for_speech(magpie, phrase):
    assert judge_speech(say(magpie, phrase, WATCHER).content, 22_050, phrase) is None


def test_a_wedge_lasts_until_it_is_restarted_and_is_in_the_books(parakeet):
    before = parakeet.pid
    parakeet.wedge("w1")
    assert [hear(parakeet).status_code for _ in range(3)] == [500] * 3
    assert parakeet.is_ready()
    parakeet.restart(takes=0)
    parakeet.wait_until_ready()

    assert hear(parakeet).status_code == 200
    assert [each.status for each in parakeet.executions()] == [500, 500, 500, 200]
    assert {each.pid for each in parakeet.executions()} == {before, parakeet.pid}
    assert parakeet.restarts == 1


def test_a_wedge_can_outlive_restarts(parakeet):
    parakeet.wedge("w6", restarts_needed=1)
    answers = []
    for _ in range(2):
        parakeet.restart(takes=0)
        parakeet.wait_until_ready()
        answers.append(hear(parakeet).status_code)

    assert answers == [500, 200]


def test_work_in_hand_when_it_is_killed_has_no_end(parakeet):
    parakeet.wedge("hang")

    def wait():
        with pytest.raises(httpx.TransportError):
            hear(parakeet, timeout=None)

    waiting = threading.Thread(target=wait)
    waiting.start()
    eventually(parakeet.executions)
    parakeet.restart(takes=0)
    waiting.join(10)
    parakeet.wait_until_ready()
    hear(parakeet)

    assert [(each.end is None, each.status) for each in parakeet.executions()] == [(True, None), (False, 200)]


def test_while_it_starts_nobody_listens(tmp_path):
    with SupervisedEngine("parakeet", tmp_path) as engine:
        engine.start_takes = 600
        engine.restart(takes=0)

        assert engine.runs
        with pytest.raises(httpx.ConnectError):
            hear(engine)


def test_restarts_that_come_at_once_are_done_one_after_the_other(parakeet):
    threads = [threading.Thread(target=parakeet.restart, args=(0,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    parakeet.wait_until_ready()

    assert parakeet.restarts == 3
    assert hear(parakeet).status_code == 200


def test_it_ends_with_whoever_holds_it(tmp_path):
    with SupervisedEngine("magpie", tmp_path) as engine:
        assert engine._process
        assert engine._process.stdin
        engine._process.stdin.close()

        eventually(lambda: not lives(engine.pid))
