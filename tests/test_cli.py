"""The command line, as a person types it."""

from __future__ import annotations

import subprocess

import pytest

from spark_control import __version__
from spark_control.audio.formats import FLAC, MP3, WAV, sniff
from tests.fakes.magpie import VOICES, speech_of
from tests.fakes.parakeet import words_of
from tests.live import eventually, unused_port
from tests.processes import COMMAND, spark_control
from tests.sounds import wav


@pytest.fixture
def run(tmp_path):
    return lambda *arguments, **environ: spark_control(*arguments, folder=tmp_path, **environ)


@pytest.fixture
def at(gateway):
    return ("--gateway", str(gateway.base_url))


def test_help_lists_every_command(run):
    said = run("--help").stdout

    for command in ("serve", "say", "hear", "voices", "check", "engine"):
        assert f"\n  {command} " in said
    assert run("--version").stdout == f"spark-control, version {__version__}\n"


def test_say_speaks_into_a_file(run, at, magpie, tmp_path):
    ended = run("say", "Good morning, kettle.", "-o", "out.wav", "--voice", "nova", *at)

    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "out.wav").read_bytes() == speech_of(magpie.asked[0])
    assert magpie.asked[0]["voice"] == "Magpie-Multilingual.EN-US.Isabela"


@pytest.mark.parametrize(
    ("name", "format_"), [("a.mp3", MP3), ("a.FLAC", FLAC), ("a.sound", WAV), ("a", WAV)]
)
def test_a_file_s_ending_chooses_its_format(run, at, tmp_path, name, format_):
    assert run("say", "Good morning.", "-o", name, *at).returncode == 0
    assert sniff((tmp_path / name).read_bytes()) is format_


def test_text_may_come_from_stdin_and_sound_go_to_stdout(at, magpie, tmp_path):
    ended = subprocess.run(
        [*COMMAND, "say", "-", "-o", "-", *at],
        input=b"From a pipe.",
        capture_output=True,
        cwd=tmp_path,
        check=True,
    )

    assert ended.stdout == speech_of(magpie.asked[0])
    assert magpie.asked[0]["text"] == "From a pipe."


def test_a_refusal_leaves_no_file_behind(run, at, tmp_path):
    ended = run("say", "Good morning.", "--voice", "Nobody", *at)

    assert ended.returncode == 1
    assert ended.stderr.startswith("spark-control: There is no voice 'Nobody'.")
    assert not (tmp_path / "speech.wav").exists()


def test_hear_prints_the_words(run, at, tmp_path, parakeet):
    (tmp_path / "a.wav").write_bytes(wav(0.5))
    ended = run("hear", "a.wav", "--language", "en", *at)

    assert ended.stdout == words_of(wav(0.5)) + "\n"
    assert parakeet.heard[0].fields["language"] == "en"


def test_hear_writes_subtitles(run, at, tmp_path):
    (tmp_path / "a.wav").write_bytes(wav(0.5))

    assert run("hear", "a.wav", "--format", "srt", *at).stdout.startswith("1\n00:00:00,100 --> ")


def test_voices_are_listed_a_line_each(run, at, gateway):
    eventually(lambda: gateway.get("/v1/audio/voices").json()["voices"])
    lines = run("voices", *at).stdout.splitlines()

    assert [line.split() for line in lines[:2]] == [
        [VOICES[0], "en-US", "magpie"],
        [VOICES[1], "en-US", "magpie"],
    ]


def test_without_a_gateway_the_cure_is_told(run):
    ended = run("voices", SPARK_CONTROL_PORT=str(unused_port()))

    assert ended.returncode == 1
    assert "start one with `spark-control serve`" in ended.stderr


def test_an_address_that_is_none_is_told(run):
    assert "is not an address such as" in run("voices", "--gateway", "notaurl").stderr


def test_no_voices_are_no_success(run, upstreams, gateway_with):
    with gateway_with(upstreams={"p": upstreams["parakeet"]}) as gateway:
        ended = run("voices", "--gateway", str(gateway.base_url))

    assert (ended.returncode, ended.stdout) == (1, "")
    assert "knows no voices yet" in ended.stderr


def test_something_else_at_that_address_is_told(run, upstreams):
    ended = run("voices", "--gateway", upstreams["magpie"]["url"])

    assert ended.returncode == 1
    assert "not as a gateway does" in ended.stderr


def config(folder, **upstreams):
    tables = [f"[upstreams.{name}]\nkind = 'magpie'\nurl = '{url}'\n" for name, url in upstreams.items()]
    (folder / "spark-control.toml").write_text("\n".join(tables))


def test_check_has_a_line_for_each_engine(run, tmp_path, upstreams):
    gone = f"http://127.0.0.1:{unused_port()}"
    config(tmp_path, here=upstreams["magpie"]["url"], gone=gone)
    ended = run("check")

    assert ended.stdout.splitlines() == [
        "ok    settings are valid",
        f"ok    here at {upstreams['magpie']['url']}: the text-to-speech engine answers",
        f"WRONG gone at {gone}: The text-to-speech engine cannot be reached: nothing answers at its address.",
    ]
    assert ended.returncode == 1


def test_check_finds_names_of_voices_that_are_not_there(run, tmp_path, upstreams):
    config(tmp_path, here=upstreams["magpie"]["url"])
    with (tmp_path / "spark-control.toml").open("a") as file:
        file.write(f'[voices]\nkitchen = "{VOICES[0]}"\nbath = "Nobody"\n[speech]\ndefault_voice = "noone"\n')
    ended = run("check")

    assert ended.returncode == 1
    wrong = [line for line in ended.stdout.splitlines() if line.startswith("WRONG")]
    assert wrong[0].startswith("WRONG voices.bath: The settings give 'bath' the voice 'Nobody'")
    assert wrong[1].startswith("WRONG speech.default_voice: There is no voice 'noone'.")
    assert len(wrong) == 2


def test_check_is_content_when_all_is_well(run, tmp_path, upstreams):
    config(tmp_path, here=upstreams["magpie"]["url"])

    assert run("check").returncode == 0


@pytest.mark.parametrize("command", ["check", "serve"])
def test_wrong_settings_stop_every_command(run, command):
    ended = run(command, SPARK_CONTROL_PROT="1")

    assert ended.returncode == 1
    assert "SPARK_CONTROL_PROT is not a setting; did you mean SPARK_CONTROL_PORT?" in ended.stderr
