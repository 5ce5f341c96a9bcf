"""Every fault of the settings, and what of them still holds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_control.check.configuration import read_configuration
from spark_control.check.findings import Level
from spark_control.check.lines import line_of


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def read(tmp_path):
    def reading(text: str, **environ: str):
        file = tmp_path / "settings.toml"
        file.write_text(text)
        file.chmod(0o640)
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environ.items():
                patch.setenv(name, value)
            return read_configuration(file, environ)

    return reading


def test_without_a_file_the_defaults_hold():
    found = read_configuration(None, {})

    assert found.settings
    assert [each.level for each in found.findings] == [Level.OK]


def test_what_is_wrong_is_taken_out_and_the_rest_stays(read):
    found = read('port = "x"\nhost = "127.0.0.9"\n[uploads]\nmax_bytes = -1\nspool_bytes = 7\n')

    assert found.settings
    assert (found.settings.port, found.settings.host) == (8090, "127.0.0.9")
    assert found.settings.uploads.spool_bytes == 7
    assert [each.subject for each in found.findings] == ["port", "uploads.max_bytes"]


def test_an_engine_without_what_it_needs_is_told_of_once(read):
    found = read('[upstreams.a]\nkind = "nonsense"\n[upstreams.b]\nkind = "magpie"\n')

    assert found.settings
    assert found.settings.upstreams == {}
    assert sorted(each.subject for each in found.findings) == [
        "upstreams.a.kind",
        "upstreams.a.url",
        "upstreams.b.url",
    ]
    assert {each.cure for each in found.findings if each.subject.endswith("url")} == {
        'Add a line to it: url = "http://127.0.0.1:5092"'
    }


@pytest.mark.parametrize(
    "given", ["http://spark-1:9000/v1", "spark-1:9000", "http://me:secret@spark-1:9000", "spark-1:9000/v1?a"]
)
def test_an_address_with_too_much_or_too_little_is_answered_with_a_right_one(read, given):
    (fault,) = read(f'[upstreams.a]\nkind = "magpie"\nurl = "{given}"\n').findings

    assert fault.cure == 'Write it as url = "http://spark-1:9000".'


def test_a_name_that_cannot_be_one_is_answered_with_one_that_can(read):
    (fault,) = read('[upstreams."my tts"]\nkind = "magpie"\nurl = "http://spark-1:9000"\n').findings

    assert fault.cure == "Call it my-tts."


def test_a_file_that_is_no_toml_shows_the_line_without_its_secret(read):
    (fault, rest) = read('port = 8090\napi_key = "hush" x\n').findings

    assert "Line 2 is: api_key = ..." in fault.cure
    assert "hush" not in fault.text + fault.cure
    assert rest.level is Level.NOTE


def test_a_file_that_is_not_there_is_a_fault(tmp_path):
    found = read_configuration(tmp_path / "none.toml", {})

    assert found.settings is None
    assert found.findings[0].text == "It cannot be read: No such file or directory."


def test_a_variable_is_named_for_what_it_is(read):
    found = read("# nothing", SPARK_CONTROL_PORT="abc", SPARK_CONTROL_HSOT="x")

    hsot, port, _ = found.findings
    assert hsot.cure == "Rename it: SPARK_CONTROL_HOST."
    assert port.text.startswith("From SPARK_CONTROL_PORT. ")


def test_secrets_are_not_repeated(read):
    found = read('[upstreams.a]\nkind = "magpie"\nurl = "http://h:1"\napi_key = "schlüssel"\n')

    assert found.findings[0].subject == "upstreams.a.api_key"
    assert "schlüssel" not in found.findings[0].text


def test_the_same_engine_twice_is_doubtful(read):
    engine = 'kind = "magpie"\nurl = "http://spark-1:9000"\n'
    findings = read(f"[upstreams.a]\n{engine}[upstreams.b]\n{engine}").findings

    assert [each.level for each in findings] == [Level.OK, Level.WARN]


FILE = """\
port = 1
[upstreams.a]          # the first
kind = "magpie"
restart = { docker = "x" }

[ upstreams . "b c" ]
deep_health.interval = 3
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (["port"], 1),
        (["upstreams", "a"], 2),
        (["upstreams", "a", "restart", "docker"], 4),
        (["upstreams", "a", "url"], 2),
        (["upstreams", "b c", "deep_health", "interval"], 7),
        (["upstreams", "d"], None),
        (["host"], None),
    ],
)
def test_a_setting_stands_on_its_line(path, line):
    assert line_of(FILE, path) == line or (line is None and path == ["upstreams", "d"])


@given(st.text(max_size=200))
def test_no_file_makes_the_search_fail(text):
    line_of(text, ["upstreams", "a", "url"])
