"""What goes out as a release, and when none does."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from release.clean import Faulty, ran, speaks
from release.contents import sdist_faults, wheel_faults
from release.refusals import refusals
from spark_control import __version__
from tests.conftest import need

ROOT = Path(__file__).parents[1]
CHANGELOG = "# Changes\n\n## 0.2.0 — 2026-03-01\n\n- New.\n\n## 0.1.0 — 2026-01-31\n"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The wheel and the source distribution, as they would be now."""
    folder = tmp_path_factory.mktemp("built")
    made = [sys.executable, "-m", "hatchling", "build", "-d", str(folder)]
    subprocess.run(made, cwd=ROOT, check=True, capture_output=True, timeout=100)
    return next(folder.glob("*.whl")), next(folder.glob("*.tar.gz"))


@pytest.fixture(scope="module")
def sources():
    asked = [need("git", "git"), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(asked, cwd=ROOT, check=False, capture_output=True, text=True)
    if listed.returncode:
        sentence = f"only a repository knows what belongs to it: {listed.stderr}"
        if os.environ.get("CI"):
            pytest.fail(sentence)
        pytest.skip(sentence)
    return [name for name in listed.stdout.split("\0") if (ROOT / name).is_file()]


def test_the_wheel_is_the_package_and_nothing_else(built, sources):
    wheel, _ = built

    assert list(wheel_faults(wheel, sources)) == []
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    described = f"spark_control-{__version__}.dist-info"
    assert {"spark_control/py.typed", "spark_control/dashboard/templates/page.html"} <= names
    assert {
        f"{described}/METADATA",
        f"{described}/entry_points.txt",
        f"{described}/licenses/LICENSE",
    } <= names


def test_the_source_distribution_is_the_whole_repository(built, sources):
    _, sdist = built

    assert list(sdist_faults(sdist, sources)) == []


def test_what_lacks_or_is_too_much_is_named(built, tmp_path):
    wheel, sdist = built
    with zipfile.ZipFile(wheel) as archive:
        inside = [name for name in archive.namelist() if ".dist-info/" not in name]

    assert list(wheel_faults(wheel, [*inside, "spark_control/new.py", "tests/test_new.py"])) == [
        f"{wheel.name} lacks spark_control/new.py"
    ]
    assert f"{wheel.name} has {inside[0]}, which is not in the repository" in wheel_faults(wheel, inside[1:])
    with tarfile.open(sdist) as archive:
        whole = [name.partition("/")[2] for name in archive.getnames()]
    assert list(sdist_faults(sdist, [*whole, "docs/new.md"])) == [f"{sdist.name} lacks docs/new.md"]


def test_the_version_stands_in_one_place_and_the_changes_name_it():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())

    assert project["project"]["dynamic"] == ["version"]
    assert project["tool"]["hatch"]["version"]["path"] == "spark_control/__init__.py"
    reasons = list(refusals(__version__, (ROOT / "CHANGELOG.md").read_text(), [], []))
    assert [reason for reason in reasons if "has no date" not in reason] == []


@pytest.mark.parametrize(
    ("version", "changelog", "changed", "tags", "reason"),
    [
        ("0.2", CHANGELOG, [], [], "'0.2' is no version"),
        ("0.2.0", CHANGELOG, [], ["v0.1.0", "v0.2.0"], "0.2.0 is out already"),
        ("0.3.0", CHANGELOG, [], [], "CHANGELOG.md begins with 0.2.0. Say there what is new in 0.3.0."),
        ("0.2.0", "", [], [], "CHANGELOG.md begins with nothing."),
        ("0.2.0", "## 0.2.0 — not yet released\n", [], [], "CHANGELOG.md has no date for 0.2.0."),
        ("0.2.0", CHANGELOG, ["README.md"], [], "Not as they were committed: README.md."),
    ],
)
def test_a_release_is_refused_with_the_reason(version, changelog, changed, tags, reason):
    told = list(refusals(version, changelog, changed, tags))

    assert any(each.startswith(reason) for each in told), told


def test_what_is_new_dated_and_committed_is_released():
    assert list(refusals("0.2.0", CHANGELOG, [], ["v0.1.0"])) == []


VERSIONS = st.sampled_from(["0.1.0", "0.2.0", "0.2", "0.2.0rc1"])
LINES = st.builds(
    "{}{}{}".format, st.sampled_from(["## ", "# ", ""]), VERSIONS, st.sampled_from(["", " — 2026-03-01"])
)


@given(VERSIONS, st.lists(LINES, max_size=4), st.lists(VERSIONS.map("v{}".format), max_size=2))
def test_no_version_goes_out_that_the_changes_do_not_begin_with(version, changelog, tags):
    newest = next((line for line in changelog if line.startswith("## ")), "")
    fit = newest == f"## {version} — 2026-03-01" and f"v{version}" not in tags and version != "0.2"

    assert (not list(refusals(version, "\n".join(changelog), [], tags))) == fit


def program(folder, serves):
    """One that knows its version, and serves so."""
    made = folder / "spark-control"
    made.write_text(
        f'#!/bin/sh\n[ "$1" = serve ] || {{ echo spark-control, version 9.9.9; exit; }}\n{serves}\n'
    )
    made.chmod(0o755)
    return made


@pytest.mark.parametrize(
    ("serves", "fault"),
    [
        ("echo ready", "serve --demo does not say where it listens, but: ready"),
        ("echo it cannot >&2; exit 1", "it cannot"),
        ("echo http://127.0.0.1:1/v1; exec sleep 60", "serve --demo does not answer"),
    ],
)
def test_a_wheel_whose_demo_does_not_speak_is_not_fit(serves, fault, tmp_path):
    with pytest.raises(Faulty, match=fault):
        speaks(program(tmp_path, serves), "9.9.9", tmp_path)


def test_a_wheel_that_says_another_version_is_not_fit(tmp_path):
    with pytest.raises(Faulty, match="does not say that it is"):
        speaks(program(tmp_path, "exit"), "9.9.8", tmp_path)


def test_a_step_that_fails_tells_what_it_said(tmp_path):
    with pytest.raises(Faulty, match="no such thing"):
        ran("sh", "-c", "echo no such thing >&2; exit 3", folder=tmp_path)
