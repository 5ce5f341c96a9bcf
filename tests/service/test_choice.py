from __future__ import annotations

import pwd
import shlex
import subprocess
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from spark_control.cli import main
from spark_control.initial_settings import toml_text
from spark_control.service.chosen import choose, with_state
from spark_control.service.units import CannotInstall
from spark_control.service_commands import still_to_do

LINES = st.sampled_from(
    [
        '# state = "..."',
        "#state = 5",
        "# mine",
        "",
        "port = 8123",
        'voices = { alloy = "state = 1" }',
        '[upstreams.parakeet]\nkind = "parakeet"\nurl = "http://127.0.0.1:5092"',
        '[upstreams.state]\nstate = "x"\nkind = "parakeet"',
        'note = """\nstate = "inside"\n"""',
        "[machines.state]\nstate = 1",
    ]
)
OWN = st.sampled_from(
    ["", 'state = "/srv/x"', "state='/var/lib/spark-control'", 'state   =   "./here"  # why']
)


@given(OWN, st.lists(LINES, unique=True))
def test_the_state_folder_becomes_the_service_s_and_all_else_stays(own: str, lines: list[str]) -> None:
    tables = [line for line in lines if line.startswith("[")]
    text = "\n".join([*(line for line in lines if line not in tables), own, *tables])
    changed = with_state(text)
    assert tomllib.loads(changed) == {**tomllib.loads(text), "state": "/var/lib/spark-control"}
    assert with_state(changed) == changed


def test_in_a_new_settings_file_it_takes_the_place_that_is_kept_for_it() -> None:
    changed, written = with_state(toml_text()), toml_text(state="/var/lib/spark-control")
    assert changed == written


def installed(*arguments: str, **environ: str) -> tuple[int, str]:
    ran = CliRunner().invoke(main, ["install-service", "--dry-run", *arguments], env=dict(environ))
    return ran.exit_code, ran.output


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "mine.toml"
    file.touch(0o600)
    file.write_text('port = 8123\n[upstreams.a]\nkind = "parakeet"\nurl = "http://127.0.0.1:5092"\n')
    return file


def test_a_dry_run_tells_every_file_and_command_and_does_nothing(settings: Path) -> None:
    status, output = installed("--config", str(settings))
    assert status == 0
    for told in (
        "file /etc/spark-control/spark-control.toml (root:root, 0644)",
        '    state = "/var/lib/spark-control"',
        "    ListenStream=127.0.0.1:8123",
        "file /etc/systemd/system/spark-control.service (root:root, 0644)",
        "run systemctl restart spark-control.service",
    ):
        assert told in output.splitlines()


def test_the_settings_of_this_folder_make_way_for_the_service_s_and_older_ones_stay(settings: Path) -> None:
    for number in range(3):
        Path("spark-control.toml").write_text(f"{settings.read_text()}# {number}\n")
        told = installed("--config", "spark-control.toml")[1].splitlines()
        (command,) = [line.removeprefix("run ") for line in told if line.startswith("run mv")]
        subprocess.run(shlex.split(command), check=True)
    ended = [Path(f"spark-control.toml.installed{end}").read_text()[-2] for end in (".~1~", ".~2~", "")]
    assert ended == ["0", "1", "2"]


def test_keys_that_were_made_before_can_be_taken_along(
    settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = settings.parent / "spark-control"
    before.mkdir()
    chosen = choose(settings, {"XDG_STATE_HOME": str(before.parent)})
    assert chosen.old_state == before
    assert list(still_to_do(chosen)) == [
        f"Keys and incidents of before stay in {before}; the service begins anew in /var/lib/spark-control."
    ]
    (before / "keys.json").write_text("{}")
    assert list(still_to_do(chosen))[1] == (
        f"To take the keys along: sudo install -o spark-control -g spark-control -m 600 {before}/keys.json "
        "/var/lib/spark-control/keys.json"
    )


def test_by_sudo_they_are_looked_for_where_that_user_kept_them(
    settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = pwd.struct_passwd(("mia", "x", 4242, 4242, "", str(settings.parent), "/bin/sh"))
    monkeypatch.setattr(pwd, "getpwuid", {4242: user}.__getitem__)
    kept = settings.parent / ".local" / "state" / "spark-control"
    kept.mkdir(parents=True)
    assert choose(settings, {"SUDO_UID": "4242"}).old_state == kept
    monkeypatch.setenv("HOME", "/nonexistent")
    assert choose(settings, {"SUDO_UID": "4243"}).old_state is None


def test_settings_with_a_secret_are_for_root_and_the_service_alone(settings: Path) -> None:
    settings.write_text(settings.read_text() + 'api_key = "sk-1"\n')
    told = installed("--config", str(settings))[1]
    assert "file /etc/spark-control/spark-control.toml (root:spark-control, 0640)" in told
    assert "sk-1" not in told


def test_who_is_open_to_the_network_without_keys_is_not_started(settings: Path) -> None:
    settings.write_text('host = "0.0.0.0"\n' + settings.read_text())
    status, output = installed("--config", str(settings))
    assert status == 0
    assert "systemctl --quiet enable" in output
    assert "systemctl restart" not in output


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("nonsense = 1", "nonsense is not a setting"),
        ('host = "spark.local"', 'write host = "0.0.0.0"'),
        ("port = 0", "clients of a service need one that stays"),
        ("", "is empty"),
    ],
)
def test_settings_that_no_service_can_run_with_are_refused(settings: Path, text: str, sentence: str) -> None:
    settings.write_text(text)
    status, output = installed("--config", str(settings))
    assert status == 1
    assert sentence in output
    assert "Traceback" not in output


def test_a_setting_of_this_shell_is_not_lost_silently(settings: Path) -> None:
    status, output = installed("--config", str(settings), SPARK_CONTROL_PORT="9")
    assert status == 1
    assert "env -u SPARK_CONTROL_PORT" in output
    assert installed("--config", str(settings), SPARK_CONTROL_KEY="sk-spark-1")[0] == 0


def test_without_settings_it_says_how_to_make_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("spark_control.service.chosen.SETTINGS", tmp_path / "none")
    with pytest.raises(CannotInstall, match="`spark-control init`"):
        choose(None, {})


def test_only_root_installs(settings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    ran = CliRunner().invoke(main, ["install-service", "--config", str(settings)])
    assert ran.exit_code == 1
    assert "only root may do that: sudo " in ran.output
