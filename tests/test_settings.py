"""The settings: where they come from, and what is said when they are wrong."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spark_control.settings import Kind, Settings, UpstreamSettings
from spark_control.settings_file import InvalidSettings, UnusableFile, file_of, load_settings
from spark_control.upstreams import DIALECTS
from tests.conftest import need_root, without_rights


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def load(text: str | None = None, **environ: str) -> Settings:
    path = None
    if text is not None:
        path = Path("settings.toml")
        path.write_text(text)
        path.chmod(0o640)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environ.items():
            patch.setenv(name, value)
        return load_settings(path, os.environ)


def complaint(text: str | None = None, **environ: str) -> str:
    with pytest.raises(InvalidSettings) as caught:
        load(text, **environ)
    return str(caught.value)


FILE = """
port = 9999

[upstreams.parakeet]
kind = "parakeet"
url = "http://spark-1:5092"
api_key = "hush"

[voices]
alloy = "Magpie-Multilingual.EN-US.Mia"
"""


def test_without_a_file_the_gateway_listens_on_loopback_and_has_no_upstreams():
    settings = load()

    assert (settings.host, settings.port, settings.upstreams) == ("127.0.0.1", 8090, {})


def test_the_file_in_this_folder_is_read_without_being_named():
    Path("spark-control.toml").write_text("port = 1234")

    assert load().port == 1234


def test_a_file_names_upstreams_and_voices():
    settings = load(FILE)

    assert settings.port == 9999
    assert str(settings.upstreams["parakeet"].url) == "http://spark-1:5092/"
    assert settings.voices == {"alloy": "Magpie-Multilingual.EN-US.Mia"}


def test_the_environment_wins_over_the_file_key_by_key():
    settings = load(
        FILE,
        SPARK_CONTROL_PORT="7777",
        SPARK_CONTROL_UPSTREAMS__PARAKEET__URL="http://spark-2:5092",
        SPARK_CONTROL_MODELS__LIST_VOICES="true",
    )

    assert settings.port == 7777
    assert str(settings.upstreams["parakeet"].url) == "http://spark-2:5092/"
    assert settings.upstreams["parakeet"].kind == "parakeet"
    assert settings.models.list_voices


def test_an_upstream_may_come_from_the_environment_alone():
    settings = load(
        SPARK_CONTROL_UPSTREAMS__MAGPIE__KIND="magpie",
        SPARK_CONTROL_UPSTREAMS__MAGPIE__URL="http://spark-1:9000",
        SPARK_CONTROL_VOICES__KITCHEN="Magpie-Multilingual.EN-US.Leo",
    )

    assert settings.upstreams["magpie"].kind == "magpie"
    assert settings.voices == {"kitchen": "Magpie-Multilingual.EN-US.Leo"}


def test_a_key_read_from_a_file_may_end_with_a_newline():
    key = load(FILE.replace('"hush"', '"hush\\n"')).upstreams["parakeet"].api_key

    assert key is not None
    assert key.get_secret_value() == "hush"


def test_keys_are_not_shown_when_settings_are_printed():
    assert "hush" not in repr(load(FILE))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("prot = 1", "prot is not a setting; did you mean port?"),
        ("_env_file = 'x'", "_env_file is not a setting"),
        ("[uploads]\nmaxbytes = 1", "uploads.maxbytes is not a setting; did you mean uploads.max_bytes?"),
        (
            "[upstreams.m]\nkind = 'magpie'\nurl = 'http://a:1'\nlangauge = 'en'",
            "upstreams.m.langauge is not a setting; did you mean upstreams.m.language?",
        ),
        ("zzzzzz = 1", "zzzzzz is not a setting"),
        ("[upstreams.m]\nkind = 'magpie'", "upstreams.m.url is missing"),
        ("[upstreams.m]\nkind = 'magpi'\nurl = 'http://a:1'", "upstreams.m.kind: Input should be 'magpie'"),
        (
            "[upstreams.m]\nkind = 'magpie'\nurl = 'spark-1:9000'",
            "upstreams.m.url: URL scheme should be 'http' or 'https'",
        ),
        ("[upstreams.m]\nkind = 'magpie'\nurl = 'http://a:1/v1'", "the service's address alone"),
        ("[upstreams.m]\nkind = 'magpie'\nurl = 'http://:secret@a:1'", "the service's address alone"),
        ("[upstreams.'a b']\nkind = 'magpie'\nurl = 'http://a:1'", "letters, digits, - and _"),
        ("port = 70000", "port: Input should be less than or equal to 65535"),
        ("port = 'many'", "port: Input should be a valid integer"),
        ("port = ", "is not TOML"),
        ("[upstreams.m]\nkind = 'magpie'\nurl = 'http://a:1'\napi_key = 'schlüssel'", "visible ASCII"),
        ("[upstreams.m]\nkind = 'magpie'\nurl = 'http://a:1'\nmodel = '日本語'", "visible ASCII"),
        ("[upstreams.m]\nkind = 'magpie'\nurl = 'http://a:1'\ntimeout = inf", "less than or equal to 86400"),
        ("drain = inf", "less than or equal to 3600"),
    ],
)
def test_a_wrong_file_is_explained(text, sentence):
    assert sentence in complaint(text)


def test_every_mistake_is_told_at_once():
    assert len(complaint("[uploads]\nmaxbytes = 1\nspool_bytes = -1").splitlines()) == 2


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("SPARK_CONTROL_PROT", "SPARK_CONTROL_PORT"),
        ("SPARK_CONTROL_UPLOADS__MAXBYTES", "SPARK_CONTROL_UPLOADS__MAX_BYTES"),
        ("SPARK_CONTROL_UPSTREAM__M__URL", "SPARK_CONTROL_UPSTREAMS__M__URL"),
        ("SPARK_CONTROL_UPSTREAMS__M__URRL", "SPARK_CONTROL_UPSTREAMS__M__URL"),
        ("SPARK_CONTROL_UPSTREAMS__M__URL__X", None),
        ("SPARK_CONTROL_QWERTZ", None),
    ],
)
def test_a_misspelt_variable_stops_the_start_with_the_nearest_right_name(name, nearest):
    expected = f"{name} is not a setting" + (f"; did you mean {nearest}?" if nearest else "")

    assert expected in complaint(**{name: "1"})


def test_a_wrong_variable_is_explained():
    assert "port: Input should be a valid integer" in complaint(SPARK_CONTROL_PORT="many")
    assert "cannot be read" in complaint(SPARK_CONTROL_UPSTREAMS="{")


def test_a_file_that_was_named_must_be_there(tmp_path):
    with pytest.raises(InvalidSettings, match=r"absent\.toml cannot be read: No such file"):
        load_settings(tmp_path / "absent.toml", {})


def test_every_kind_has_a_dialect_for_what_it_does():
    assert {kind for kinds in DIALECTS.values() for kind in kinds} == set(get_args(Kind))
    for kind in get_args(Kind):
        settings = UpstreamSettings(kind=kind, url="http://spark-1:9000")
        assert kind in DIALECTS[settings.task]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('kind = "magpie"\nserves = "chat"', "an engine of the kind magpie serves speech, and nothing else"),
        ('kind = "magpie"\nflavour = "vllm"', "the flavours of magpie are: none"),
        (
            'kind = "qwen3-tts"\nflavour = "vllm"',
            "the flavours of qwen3-tts are: groxaxo, icantc0de1, vllm-omni",
        ),
    ],
)
def test_an_engine_that_is_to_be_what_it_cannot_be_is_refused(line, reason):
    text = f'[upstreams.voice]\nurl = "http://spark-1:9000"\n{line}'

    assert complaint(text) == f"upstreams.voice: {reason}"


def test_two_engines_of_one_name_are_refused():
    text = '[upstreams.a]\nkind = "magpie"\nurl = "http://x"\n' * 2

    assert "not TOML" in complaint(text)


def test_the_page_of_settings_is_the_one_that_the_settings_make():
    docs = Path(__file__).parents[1] / "docs"
    made = subprocess.run([sys.executable, docs / "reference.py"], capture_output=True, text=True, check=True)

    assert (docs / "settings.md").read_text() == made.stdout, "run `make docs`"
    assert "|  |" not in made.stdout, "every setting has a description"


# A file that cannot be used, and which one is read.


def unusable(file: Path) -> str:
    with pytest.raises(UnusableFile) as caught:
        load_settings(file, {})
    sentence = str(caught.value)
    assert sentence.startswith(f"{file} ")
    assert caught.value.cure
    assert "\n" not in sentence
    return sentence


def written(content: bytes, mode: int = 0o600) -> Path:
    file = Path("settings.toml")
    file.write_bytes(content)
    file.chmod(mode)
    return file


def test_a_file_that_is_not_there_a_folder_or_unreadable_comes_with_the_cure(tmp_path):
    assert "`spark-control init` writes one" in unusable(Path("absent.toml"))
    assert f"--config {tmp_path}/spark-control.toml" in unusable(tmp_path)

    Path("dangling").symlink_to("nowhere")
    assert "No such file" in unusable(Path("dangling"))


def test_a_file_of_somebody_else_comes_with_the_cure():
    need_root("be somebody else for a moment")
    with tempfile.NamedTemporaryFile("w", dir="/tmp") as file:
        file.write("port = 1")
        file.flush()
        with without_rights():
            assert "cannot be read: Permission denied. Use sudo, or " in unusable(Path(file.name))


@pytest.mark.parametrize("content", [b"", b"\n\n", b" \t\n"])
def test_an_empty_file_is_one_that_was_cut_off_and_not_the_defaults(content):
    assert "is empty" in unusable(written(content))
    assert load_settings(written(b"# the defaults will do"), {}).port == 8090


def test_a_file_that_is_half_written_or_no_utf_8_is_told():
    assert "is not TOML" in unusable(written(b'[upstreams.magpie]\nkind = "mag'))
    assert "is not TOML" in unusable(written(b"\0" * 4096))
    assert "is not UTF-8: byte 8 is" in unusable(written(b"host = '\xfc'"))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200) | st.integers(0, len(FILE) - 1).map(lambda end: FILE[:end].encode()))
def test_whatever_is_in_the_file_it_holds_or_is_refused_in_a_sentence(content):
    file = written(content)
    try:
        load_settings(file, {})
    except InvalidSettings as exc:
        assert str(exc)
        assert "Traceback" not in str(exc)


@pytest.mark.parametrize(
    "secret",
    [
        'api_key = "hush"',
        'deep_health = { alerts = ["ntfy://my-topic"] }',
    ],
)
@pytest.mark.parametrize("mode", [0o644, 0o604, 0o664])
def test_a_file_with_secrets_that_everybody_may_read_is_refused(secret, mode):
    text = f'[upstreams.p]\nkind = "parakeet"\nurl = "http://spark-1:5092"\n{secret}\n'.encode()
    sentence = unusable(written(text, mode))

    assert "chmod 640 settings.toml" in sentence
    assert "upstreams.p." in sentence
    assert "hush" not in sentence
    assert "my-topic" not in sentence
    for private in (0o600, 0o640, 0o660):
        assert load_settings(written(text, private), {}).upstreams


def test_a_file_without_secrets_may_be_read_by_everybody_and_written_by_nobody_else():
    assert load_settings(written(b"port = 1", 0o644), {}).port == 1
    assert "chmod o-rwx settings.toml" in unusable(written(b"port = 1", 0o666))


def test_root_does_not_go_by_what_another_user_has_left_in_a_folder(tmp_path, monkeypatch):
    need_root("make files for others")
    monkeypatch.chdir(tmp_path)
    Path("spark-control.toml").write_text("port = 1")
    os.chown("spark-control.toml", 65534, 65534)

    with pytest.raises(UnusableFile, match="another user's"):
        load_settings(None, {})
    assert load_settings(Path.cwd() / "spark-control.toml", {}).port == 1
    monkeypatch.setenv("SUDO_UID", "65534")
    assert load_settings(None, {}).port == 1


def test_settings_from_a_pipe_are_nobody_else_s():
    reading, writing = os.pipe()
    os.write(writing, FILE.encode())
    os.close(writing)
    assert load_settings(Path(f"/dev/fd/{reading}"), {}).upstreams["parakeet"].api_key
    os.close(reading)


def test_a_pipe_that_says_nothing_holds_nobody_up(monkeypatch):
    monkeypatch.setattr("spark_control.settings_file._PIPE", 0.1)
    os.mkfifo("nobody-writes")
    assert "is empty" in unusable(Path("nobody-writes"))
    reading, writing = os.pipe()
    os.write(writing, b"port = 1")
    assert "a pipe that does not end" in unusable(Path(f"/dev/fd/{reading}"))
    os.close(reading)
    os.close(writing)


def test_what_has_no_end_fills_no_memory():
    assert "too large" in unusable(Path("/dev/zero"))


@pytest.mark.parametrize("content", ["port = " + "1" * 9999, "a = " + "[" * 9999, "[" + "a." * 9999 + "a]"])
def test_what_no_parser_takes_is_told_in_a_sentence_too(content):
    assert "thousands of digits, or is nested" in unusable(written(content.encode()))


def test_the_file_of_this_folder_comes_before_the_service_s(tmp_path):
    here, installed = tmp_path / "here.toml", tmp_path / "installed.toml"
    assert file_of(None, (here, installed)) is None
    installed.touch()
    assert file_of(None, (here, installed)) == installed
    here.symlink_to("nowhere")  # which is a mistake, and not a reason to take another one's
    assert file_of(None, (here, installed)) == here
    assert file_of(Path("named.toml"), (here, installed)) == Path("named.toml")


def test_who_looks_at_no_usual_file_has_the_defaults(tmp_path):
    installed = tmp_path / "installed.toml"
    installed.write_text("port = 1\n")

    assert load_settings(None, {}, (installed,)).port == 1
    assert load_settings(None, {}, ()).port == 8090
