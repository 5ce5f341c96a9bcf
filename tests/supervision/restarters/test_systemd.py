"""What a real systemd seldom says. The rest is tested with one, in tests/real."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from spark_control.settings import RestartSettings
from spark_control.supervision.restarters import RestartFailed, build_restarter
from spark_control.supervision.restarters.systemd import SystemdRestarter

SHOW = 'echo "LoadState=${load:-loaded}"; echo "Result=${result:-success}"; cat "$0.began"; exit 0'
MOVE = 'echo ExecMainStartTimestampMonotonic=2 >"$0.began"'


class Systemctl:
    """A program of that name, which notes what it is asked."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._program = folder / "systemctl"
        (folder / "systemctl.began").write_text("ExecMainStartTimestampMonotonic=1\n")
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def on(self, *, restart: str, show: str = SHOW, reset_failed: str = "exit 0") -> None:
        """What it does, as lines of a shell."""
        lines = ["#!/bin/sh", 'echo "$*" >>"$0.asked"', 'env >>"$0.env"', 'case "$*" in']
        lines += [f"*reset-failed*) {reset_failed};;", f"*show*) {show};;", f"*restart*) {restart};;", "esac"]
        self._program.write_text("\n".join(lines))
        self._program.chmod(0o755)

    def asked(self) -> list[str]:
        return self._program.with_suffix(".asked").read_text().splitlines()

    def environ(self) -> list[str]:
        return self._program.with_suffix(".env").read_text().splitlines()


@pytest.fixture
def systemctl(tmp_path, monkeypatch):
    return Systemctl(tmp_path, monkeypatch)


def restart(**settings) -> None:
    asyncio.run(build_restarter(RestartSettings(**{"systemd": "parakeet.service", **settings})).restart())


def why_not(**settings) -> str:
    with pytest.raises(RestartFailed) as caught:
        restart(**settings)
    return str(caught.value)


def test_the_unit_is_never_taken_for_an_option_and_no_password_asked_for(systemctl):
    systemctl.on(restart=MOVE)
    restart()

    assert all(line.startswith("--no-ask-password ") for line in systemctl.asked())
    assert all(line.endswith(" -- parakeet.service") for line in systemctl.asked())
    assert "LC_ALL=C" in systemctl.environ()


@pytest.mark.parametrize("unit", ["-Hroot@elsewhere", "a b.service", "a;b", "*.service", "../x", ""])
def test_settings_refuse_what_is_no_unit_s_name(unit):
    with pytest.raises(ValueError, match="systemd"):
        RestartSettings(systemd=unit)


def test_a_user_s_unit_is_the_user_s_systemd_s(systemctl, monkeypatch):
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    systemctl.on(restart=MOVE)
    restart(user=True)

    assert "--no-ask-password --user restart -- parakeet.service" in systemctl.asked()
    assert f"XDG_RUNTIME_DIR=/run/user/{os.getuid()}" in systemctl.environ()


def test_a_restart_that_was_only_said_to_be_done_is_none(systemctl):
    systemctl.on(restart="exit 0")

    assert why_not() == "systemd says that parakeet.service was restarted, but its process is the old one"


def test_a_unit_without_a_process_is_no_engine_s(systemctl):
    systemctl.on(restart='echo >"$0.began"')

    assert why_not() == "parakeet.service has no process of its own; name the unit that runs the engine"


def test_one_that_hangs_is_given_up(systemctl):
    systemctl.on(restart="sleep 600")

    assert why_not(timeout=0.5) == (
        "systemd did not restart parakeet.service in 0.5 s; it may hang in the driver"
    )


def test_one_that_began_anew_and_is_slow_to_be_ready_has_been_restarted(systemctl):
    systemctl.on(restart=f"{MOVE}; sleep 600")
    restart(timeout=0.5)


def test_one_that_was_ended_and_not_yet_begun_has_not_been_restarted(systemctl):
    systemctl.on(restart='echo ExecMainStartTimestampMonotonic=0 >"$0.began"; sleep 600')

    assert "did not restart" in why_not(timeout=0.5)


@pytest.mark.parametrize(
    ("user", "said", "sentence"),
    [
        (
            False,
            "System has not been booted with systemd as init system (PID 1). Can't operate.",
            "systemd cannot be reached from here; docs/restarts.md has the ways to it",
        ),
        (
            True,
            "Failed to connect to bus: No medium found",
            "the systemd of this user cannot be reached from here; docs/restarts.md has the ways to it",
        ),
        (
            False,
            "Failed to get properties: Access denied",
            "systemd does not let this user restart parakeet.service; docs/restarts.md has the rule that does",
        ),
        (False, "Failed: /run/x is odd", "systemd could not restart parakeet.service: Failed: … is odd"),
    ],
)
def test_why_systemd_did_not_even_answer_is_told(systemctl, user, said, sentence):
    systemctl.on(restart=MOVE, show=f'echo "{said}" >&2; exit 1')

    assert why_not(user=user) == sentence


def test_a_refusal_to_forget_failed_starts_is_the_reason(systemctl):
    systemctl.on(
        restart="exit 1",
        show=f"result=start-limit-hit; {SHOW}",
        reset_failed="echo Interactive authentication required. >&2; exit 1",
    )

    assert why_not() == (
        "systemd does not let this user restart parakeet.service; docs/restarts.md has the rule that does"
    )
    assert sum(" restart " in line for line in systemctl.asked()) == 1


@pytest.mark.parametrize("load", ["masked", "bad-setting", "error"])
def test_a_unit_that_cannot_be_used_is_not_tried(systemctl, load):
    systemctl.on(restart=MOVE, show=f"load={load}; {SHOW}")

    assert why_not() == f"systemd cannot use the unit parakeet.service: it is {load}"
    assert not any(" restart " in line for line in systemctl.asked())


def test_a_machine_without_systemd_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))

    assert why_not() == "there is no program 'systemctl' on this machine"


def test_it_is_named_by_its_unit():
    made = SystemdRestarter("parakeet.service", 120)

    assert (made.kind, made.what) == ("systemd", "parakeet.service")
