"""The doctor, as its patient's owner meets it."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

import click
import pytest

from spark_control.check import Level, examine
from spark_control.check.screen import check_screen
from tests.live import unused_port
from tests.processes import spark_control

BROKEN = """\
prot = 8090
port = {taken}
drain = "soon"
state = "{state}"

[upstreams.parakeet]
kind = "parakete"
url = "http://127.0.0.1:5092"

[upstreams.magpie]
kind = "magpie"
url = "{magpie}"
restart = {{ systemd = "magpie.service", docker = "magpie" }}

[upstreams.gone]
kind = "parakeet"
url = "http://127.0.0.1:{nobody}"
restart = {{ command = ["restart-nobody"] }}

[upstreams.swapped]
kind = "magpie"
url = "{parakeet}"
restart = {{ docker = "swapped", host = "unix:///nowhere/docker.sock" }}

[voices]
kitchen = "Nobody"

[deep_health]
intervall = 5
alerts = ["nonsense://a-secret-token"]
"""

EXPECTED = {
    ("Settings", "{file}"): "Close it, with the gateway in its group: chmod 640 ",
    ("Settings", "prot"): "Write port instead of prot.",
    ("Settings", "drain"): "Seconds that answers under way may take",
    ("Settings", "upstreams.parakeet.kind"): 'Write kind = "parakeet".',
    ("Settings", "upstreams.magpie.restart"): "docs/restarts.md",
    ("Settings", "deep_health.intervall"): "Write interval instead of intervall.",
    ("Port and", "port"): "set another port: port = ",
    ("Port and", "keys"): "chmod 600 ",
    ("Port and", "deep_health.alerts"): "Write it as Apprise does",
    ("Engines", "gone"): "`spark-control discover 127.0.0.1`",
    ("Engines", "swapped"): 'Write kind = "parakeet"',
    ("Restarts", "gone"): "Install restart-nobody, or write its whole path",
    ("Restarts", "swapped"): "`systemctl start docker`, or correct host",
}


@pytest.fixture(scope="module")
def report(tmp_path_factory, upstreams, _magpie, _parakeet):
    """Of a configuration with more than ten faults."""
    folder = tmp_path_factory.mktemp("broken")
    for fake, _ in (_magpie, _parakeet):
        fake.reset()
    state = folder / "state"
    state.mkdir(mode=0o700)
    (state / "keys.json").write_text('{"keys": []}')
    (state / "keys.json").chmod(0o644)
    places = {
        "state": state,
        "taken": urlsplit(upstreams["magpie"]["url"]).port,
        "nobody": unused_port(),
        "magpie": upstreams["magpie"]["url"],
        "parakeet": upstreams["parakeet"]["url"],
    }
    file = folder / "broken.toml"
    file.write_text(BROKEN.format(**places))
    file.chmod(0o644)
    return examine(file, {})


def test_it_names_every_fault_of_a_broken_configuration_with_its_cure(report):
    cures = {
        (section.title[:8], each.subject.replace(report.source, "{file}")): each.cure
        for section in report.sections
        for each in section.findings
        if each.level is Level.WRONG
    }

    assert not report.good
    for where, cure in EXPECTED.items():
        assert cure in cures.pop(where)
    assert not cures, "nothing else is wrong"


def test_whatever_is_not_well_comes_with_what_to_do(report):
    for each in report.findings:
        assert each.cure or each.level in (Level.OK, Level.NOTE), each


def test_it_tells_the_line_of_the_file_and_no_secret(report):
    (kind,) = [each for each in report.findings if each.subject == "upstreams.parakeet.kind"]

    assert kind.text.startswith("Line 7. ")
    assert "a-secret-token" not in json.dumps(report.told())


def test_the_parts_that_hold_are_still_looked_at(report):
    said = {each.subject: each for each in report.findings}

    assert said["magpie"].level is Level.OK
    assert "spoke a sentence" in said["magpie"].text
    assert said["parakeet"].text == "It was not asked: its settings have to be mended first."


def test_its_screen_fits_80_columns_and_ends_with_the_sum(report):
    lines = [click.unstyle(line) for line in check_screen(report)]

    assert max(map(len, lines)) <= 80
    assert "things are wrong" in lines[-2] + lines[-1]
    assert any(line.startswith("  WRONG  port  ") for line in lines)
    assert any(line.startswith("         → ") for line in lines)


def test_as_json_it_has_the_same_findings(tmp_path):
    (tmp_path / "spark-control.toml").write_text(
        f'prot = 1\nport = 0\nstate = "{tmp_path}"\n[deep_health]\nalerts = ["x://y"]\n'
    )
    ended = spark_control("check", "--json", folder=tmp_path)
    told = json.loads(ended.stdout)

    assert ended.returncode == 1
    assert ended.stderr == ""
    assert told["good"] is False
    assert told["counts"]["wrong"] == len(
        [each for part in told["sections"] for each in part["findings"] if each["level"] == "wrong"]
    )


def test_it_starts_and_writes_nothing(tmp_path, upstreams, magpie):
    file = tmp_path / "settings.toml"
    mark = tmp_path / "mark"
    file.write_text(
        f'state = "{tmp_path / "state"}"\nport = 0\n[upstreams.magpie]\nkind = "magpie"\n'
        f'url = "{upstreams["magpie"]["url"]}"\nrestart = {{ command = ["touch", "{mark}"] }}\n'
    )
    ended = spark_control("check", "--config", str(file), folder=tmp_path)

    assert ended.returncode == 0, ended.stdout
    assert sorted(tmp_path.iterdir()) == [file]
    assert "the program is there, and was not run" in " ".join(ended.stdout.split())
    assert len(magpie.canaries) == 1, "real work was asked of it, once"
    assert magpie.asked == []
