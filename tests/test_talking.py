"""What somebody types who wants to speak and to be heard."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner

from spark_control.audio.formats import FLAC, MP3, WAV, sniff
from spark_control.cli import main
from tests.fakes.faults import CutOff
from tests.fakes.magpie import VOICES, speech_of
from tests.fakes.parakeet import words_of
from tests.live import eventually, unused_port
from tests.playing import no_players, player
from tests.sounds import wav


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Where the commands are typed; no sound is played from there unless a test installs a player."""
    monkeypatch.chdir(tmp_path)
    no_players(tmp_path, monkeypatch)
    return tmp_path


@pytest.fixture
def run(gateway):
    return typed_to(str(gateway.base_url))


def typed_to(url: str):
    def run(*words: str, **how: Any):
        return CliRunner().invoke(main, [*words, "--gateway", url], **how)

    return run


def samples(gateway, text: str) -> bytes:
    """What a client gets that asks for it as OpenAI's `pcm`."""
    body = {"input": text, "response_format": "pcm", "voice": "nova"}
    return bytes(gateway.post("/v1/audio/speech", json=body).content)


def test_what_is_said_is_heard_where_there_is_a_player(run, gateway, folder, magpie):
    heard = player(folder, "paplay")
    ended = run("say", "Good morning, kettle.", "--voice", "nova")

    assert ended.exit_code == 0, ended.output
    assert heard.read_bytes() == samples(gateway, "Good morning, kettle.")
    assert magpie.asked[0]["voice"] == "Magpie-Multilingual.EN-US.Isabela"
    assert ended.stdout == ""
    assert ended.stderr.startswith("paplay played ")
    assert not (folder / "speech.wav").exists()


def test_without_a_player_it_goes_to_a_file_and_that_is_told(run, folder):
    ended = run("say", "Good morning.")

    assert ended.exit_code == 0
    assert ended.stderr.startswith("There is no player here, so it goes to speech.wav.\n")
    assert sniff((folder / "speech.wav").read_bytes()) is WAV


def test_what_no_player_could_play_is_not_lost(run, gateway, folder):
    player(folder, "paplay", "echo 'Connection refused' >&2; exit 1")
    player(folder, "aplay", "cat > /dev/null; exit 3")
    ended = run("say", "Good morning.", "--voice", "nova")

    assert ended.exit_code == 1
    assert ended.stderr == (
        "spark-control: it could not be played, so it is in speech.wav "
        "(paplay: Connection refused; aplay: exit status 3)\n"
    )
    assert (folder / "speech.wav").read_bytes()[44:] == samples(gateway, "Good morning.")


def test_what_can_neither_be_played_nor_kept_is_told(run, folder):
    player(folder, "aplay", "cat > /dev/null; exit 3")
    (folder / "speech.wav").mkdir()
    ended = run("say", "Good morning.")

    assert ended.exit_code == 1
    assert ended.stderr == "spark-control: speech.wav cannot be written: Is a directory\n"


def test_a_program_is_told_who_said_it_and_how_soon(run, folder):
    player(folder, "paplay")
    played = json.loads(run("say", "Good morning.", "--json").stdout)
    written = json.loads(run("say", "Good morning.", "--json", "-o", "a.mp3").stdout)

    assert played["player"] == "paplay"
    assert played["voice"] == VOICES[0]
    assert 0 < played["first_sound"] <= played["seconds"]
    assert (written["output"], written["format"]) == ("a.mp3", "mp3")
    assert written["bytes"] == (folder / "a.mp3").stat().st_size


@pytest.mark.parametrize(
    ("name", "format_"), [("a.mp3", MP3), ("a.FLAC", FLAC), ("a.sound", WAV), ("a", WAV)]
)
def test_a_file_s_ending_chooses_its_format(run, folder, name, format_):
    assert run("say", "Good morning.", "-o", name).exit_code == 0
    assert sniff((folder / name).read_bytes()) is format_


def test_text_may_come_from_stdin_and_sound_go_to_stdout(run, magpie):
    ended = run("say", "-", "-o", "-", input="From a pipe.")

    assert ended.stdout_bytes == speech_of(magpie.asked[0])
    assert ended.stderr == ""
    assert magpie.asked[0]["text"] == "From a pipe."


def test_stdout_is_for_one_thing(run):
    assert run("say", "Good morning.", "-o", "-", "--json").exit_code == 2


def test_a_refusal_leaves_no_file_behind(run, folder):
    player(folder, "paplay")
    for more in ([], ["-o", "speech.wav"]):
        ended = run("say", "Good morning.", "--voice", "Nobody", *more)
        assert ended.exit_code == 1
        assert ended.stderr.startswith("spark-control: There is no voice 'Nobody'.")
    assert not (folder / "speech.wav").exists()


def test_nor_does_sound_that_breaks_off(run, folder, magpie):
    magpie.fault = CutOff(3000)
    ended = run("say", "Good morning.", "-o", "a.wav")

    assert ended.exit_code == 1
    assert "Traceback" not in ended.output
    assert not (folder / "a.wav").exists()


def test_a_file_that_cannot_be_written_is_told(run):
    ended = run("say", "Good morning.", "-o", "nowhere/a.wav")

    assert ended.exit_code == 1
    assert "nowhere/a.wav cannot be written: No such file or directory" in ended.stderr


def test_hear_prints_the_words(run, folder, parakeet):
    (folder / "a.wav").write_bytes(wav(0.5))
    ended = run("hear", "a.wav", "--language", "en")

    assert ended.stdout == words_of(wav(0.5)) + "\n"
    assert parakeet.heard[0].fields["language"] == "en"
    assert parakeet.heard[0].data == wav(0.5)


def test_hear_writes_subtitles(run, folder):
    (folder / "a.wav").write_bytes(wav(0.5))

    assert run("hear", "a.wav", "--format", "srt").stdout.startswith("1\n00:00:00,100 --> ")


def test_hear_tells_when_each_word_was_said(run, folder):
    (folder / "a.wav").write_bytes(wav(0.5))

    assert run("hear", "a.wav", "--words").stdout == "     0.10      0.40  heard\n"
    assert json.loads(run("hear", "a.wav", "--words", "--json").stdout)["words"] == [
        {"word": "heard", "start": 0.1, "end": 0.4}
    ]
    assert "words" not in json.loads(run("hear", "a.wav", "--json").stdout)
    assert "words" in json.loads(run("hear", "a.wav", "--words", "--format", "verbose_json").stdout)


def test_an_engine_that_tells_no_words_is_told_from_silence(gateway_with, nim, nim_settings, folder):
    (folder / "a.wav").write_bytes(wav(0.5))
    with gateway_with(upstreams={"ear": nim_settings}) as gateway:
        ended = typed_to(str(gateway.base_url))("hear", "a.wav", "--words")

    assert (ended.exit_code, ended.stdout) == (1, "")
    assert "does not tell when a word was said" in ended.stderr


@pytest.mark.parametrize("format_", ["text", "srt", "vtt", "json"])
def test_formats_without_times_of_words_are_refused_with_them(run, folder, format_):
    (folder / "a.wav").write_bytes(wav(0.5))
    ended = run("hear", "a.wav", "--words", "--format", format_)

    assert ended.exit_code == 2
    assert f"{format_} has no times of words" in ended.stderr


def test_what_is_no_sound_is_refused_in_a_sentence(run, folder):
    (folder / "a.wav").write_bytes(b"this is no sound")
    for more in ([], ["--json"], ["--format", "srt"]):
        ended = run("hear", "a.wav", *more)
        assert (ended.exit_code, ended.stdout) == (1, "")
        assert ended.stderr.startswith("spark-control: ")


def test_voices_are_listed_a_line_each(run, gateway):
    eventually(lambda: gateway.get("/v1/audio/voices").json()["voices"])
    lines = run("voices").stdout.splitlines()

    assert [line.split() for line in lines[:2]] == [
        [VOICES[0], "en-US", "magpie"],
        [VOICES[1], "en-US", "magpie"],
    ]
    assert json.loads(run("voices", "--json").stdout)["voices"][0]["id"] == VOICES[0]


def test_no_voices_are_no_success(upstreams, gateway_with):
    with gateway_with(upstreams={"p": upstreams["parakeet"]}) as gateway:
        ended = typed_to(str(gateway.base_url))("voices")

    assert (ended.exit_code, ended.stdout) == (1, "")
    assert "knows no voices yet" in ended.stderr


def test_without_a_gateway_the_cure_is_told(folder):
    (folder / "a.wav").write_bytes(wav(0.5))
    player(folder, "paplay")
    for words in (("voices",), ("say", "Hello"), ("hear", "a.wav"), ("hear", "a.wav", "--json")):
        ended = CliRunner().invoke(main, words, env={"SPARK_CONTROL_PORT": str(unused_port())})
        assert ended.exit_code == 1
        assert "start one with `spark-control serve`" in ended.stderr


def test_an_address_that_is_none_is_told():
    assert "is not an address such as" in typed_to("notaurl")("voices").stderr


def test_something_else_at_that_address_is_told(upstreams):
    ended = typed_to(upstreams["magpie"]["url"])("voices")

    assert ended.exit_code == 1
    assert "not as a gateway does" in ended.stderr
