from __future__ import annotations

import json
import re
import runpy
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_control.service.program import this_program
from spark_control.service.rights import polkit_rule, rights_to_give, units_to_restart
from spark_control.service.units import CannotInstall, Program, addresses, service_unit, socket_unit, units
from spark_control.settings import Settings
from tests.conftest import need

ROOT = Path(__file__).parents[2]
HIDING = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")  # noqa: S108 (no file is made there)


def upstreams(**restarts: object) -> Settings:
    return Settings.model_validate(
        {
            "upstreams": {
                name: {"kind": "parakeet", "url": "http://127.0.0.1:5092", "restart": restart}
                for name, restart in restarts.items()
            }
        }
    )


def test_the_files_in_deploy_are_those_that_are_installed() -> None:
    files = runpy.run_path(str(ROOT / "docs" / "service_files.py"))["service_files"](Settings())
    assert {name: (ROOT / "deploy" / name).read_text() for name in files} == files, "`make docs` writes them"


def test_systemd_understands_the_units_and_finds_little_exposed(tmp_path: Path) -> None:
    analyze = need("systemd-analyze", "systemd")
    for name, text in units(Settings(host="192.168.7.7", drain=60), this_program()).items():
        (tmp_path / name).write_text(text)
    files = sorted(str(each) for each in tmp_path.iterdir())
    verified = subprocess.run(
        [analyze, "verify", "--man=no", *files], capture_output=True, text=True, check=False
    )
    assert (verified.returncode, verified.stderr) == (0, "")
    rated = subprocess.run(
        [analyze, "security", "--offline=true", "--threshold=20", "--no-pager", files[0]],
        capture_output=True,
        text=True,
        check=False,
    )
    assert rated.returncode == 0, rated.stdout


@pytest.mark.parametrize(
    ("host", "port", "listens"),
    [
        ("127.0.0.1", 8090, ["127.0.0.1:8090"]),
        ("localhost", 80, ["127.0.0.1:80"]),
        ("0.0.0.0", 8090, ["0.0.0.0:8090"]),  # noqa: S104 (nothing listens)
        ("::", 8090, ["[::]:8090"]),
        ("::1", 8090, ["[::1]:8090"]),
        ("192.168.1.5", 8090, ["192.168.1.5:8090", "127.0.0.1:8090"]),
        ("fd00::5", 8090, ["[fd00::5]:8090", "127.0.0.1:8090"]),
    ],
)
def test_the_socket_is_what_the_settings_say_and_this_machine_reaches_it(
    host: str, port: int, listens: list[str]
) -> None:
    settings = Settings(host=host, port=port)
    assert addresses(settings) == listens
    assert re.findall("^ListenStream=(.*)$", socket_unit(settings), re.MULTILINE) == listens


@pytest.mark.parametrize(
    ("host", "port"), [("spark.local", 8090), ("cafe", 8090), ("fe80::1%eth0", 8090), ("127.0.0.1", 0)]
)
def test_what_systemd_cannot_listen_on_is_refused_in_a_sentence(host: str, port: int) -> None:
    with pytest.raises(CannotInstall, match=r"clients|host = "):
        addresses(Settings(host=host, port=port))


def test_reload_asks_by_loopback_where_it_needs_no_key() -> None:
    def asked(host: str) -> str:
        (found,) = re.findall(
            "^ExecReload=.* reload (.*)$", service_unit(Settings(host=host), Program()), re.MULTILINE
        )
        return str(found)

    everywhere = "0.0.0.0"  # noqa: S104 (nothing listens)
    assert asked("127.0.0.1") == asked(everywhere) == "--config /etc/spark-control/spark-control.toml"
    assert asked("192.168.1.5") == "--gateway http://127.0.0.1:8090"


def test_root_runs_nothing_that_lies_in_the_folder_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "spark_control").mkdir()
    (tmp_path / "spark_control" / "__main__.py").write_text("print('another')")
    monkeypatch.setattr("sys.prefix", str(tmp_path))  # where no script lies
    command = [*this_program().command, "--version"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ran.stdout.startswith("spark-control, version ")


def test_the_drain_ends_before_systemd_s_patience() -> None:
    text = service_unit(Settings(drain=119.5), Program())
    assert "TimeoutStopSec=135\n" in text


@pytest.mark.parametrize(
    "strange", ["/opt/a%h/b", "/opt/$HOME/b", '/opt/"/b', "/opt/a;b", "/opt/a\nb", "/opt/a:b"]
)
def test_a_path_that_means_something_to_systemd_is_refused(strange: str) -> None:
    for program in (Program((strange,)), Program(folders=(Path("/home") / strange[1:],))):
        with pytest.raises(CannotInstall, match="simple name"):
            service_unit(Settings(), program)


PATHS = st.lists(
    st.lists(st.sampled_from(["home", "root", "tmp", "opt", "var", "a", "venv"]), min_size=1, max_size=5).map(
        lambda parts: Path("/", *parts)
    ),
    max_size=5,
)


@given(PATHS)
def test_what_the_sandbox_hides_of_the_program_is_put_back_once(folders: list[Path]) -> None:
    shown = Program(folders=tuple(folders)).hidden
    for folder in folders:
        hidden = any(folder.is_relative_to(place) for place in HIDING)
        assert hidden == any(folder.is_relative_to(each) for each in shown)
    assert not any(one in other.parents for one in shown for other in shown)


UNIT = st.from_regex(r"[A-Za-z0-9:_.@\\][A-Za-z0-9:_.@\\-]{0,20}", fullmatch=True)


@given(st.lists(UNIT, max_size=5), st.lists(UNIT, max_size=3))
def test_the_rule_is_for_just_the_units_of_the_system_that_are_named(
    system: list[str], own: list[str]
) -> None:
    named = {f"s{number}": {"systemd": unit} for number, unit in enumerate(system)}
    of_its_own = {f"u{number}": {"systemd": unit, "user": True} for number, unit in enumerate(own)}
    rule = polkit_rule(units_to_restart(upstreams(**named, **of_its_own, d={"docker": "parakeet"})))
    if not system:
        assert rule is None
        return
    (allowed,) = re.findall(r"^ *(\[.*\])\.indexOf\(action\.lookup\(\"unit\"\)\)", rule or "", re.MULTILINE)
    whole = {
        unit
        if re.search(r"\.(service|socket|target|timer|mount|path|slice|scope)$", unit)
        else f"{unit}.service"
        for unit in system
    }
    assert set(json.loads(allowed)) == whole


def test_a_right_that_no_rule_gives_is_told() -> None:
    settings = upstreams(
        unit={"systemd": "a.service"},
        own={"systemd": "a.service", "user": True},
        container={"docker": "parakeet"},
        proxied={"docker": "parakeet", "host": "tcp://127.0.0.1:2375"},
        remote={"command": ["ssh", "spark-2", "restart"]},
    )
    told = [sentence.partition(":")[0] for sentence in rights_to_give(settings)]
    assert told == ["own", "container", "remote"]
