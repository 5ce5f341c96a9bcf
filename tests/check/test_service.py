"""What follows from systemd's answer about the service."""

from __future__ import annotations

import pytest

from spark_control.check.findings import Finding, Level
from spark_control.check.service import judged

INSTALLED = "/etc/spark-control/spark-control.toml"
RUNS = {
    "LoadState": "loaded",
    "ActiveState": "active",
    "SubState": "running",
    "UnitFileState": "enabled",
    "Result": "success",
    "NRestarts": "0",
    "NeedDaemonReload": "no",
}
LISTENS = {**RUNS, "SubState": "listening"}
STOPPED = {**RUNS, "ActiveState": "inactive", "SubState": "dead"}


def found(
    service: dict[str, str],
    socket: dict[str, str],
    source: str = INSTALLED,
    *,
    at: tuple[str, int] = ("127.0.0.1", 8090),
) -> list[Finding]:
    blocks = ["\n".join(f"{name}={value}" for name, value in unit.items()) for unit in (service, socket)]
    return list(judged("\n\n".join(blocks) + "\n", source, *at))


def test_a_service_that_runs_is_well():
    assert [(each.level, each.text) for each in found(RUNS, LISTENS)] == [(Level.OK, "It runs.")]


def test_without_one_there_is_a_command_that_installs_it():
    (only,) = found({**STOPPED, "LoadState": "not-found"}, {**STOPPED, "LoadState": "not-found"})

    assert (only.level, only.cure) == (Level.NOTE, 'sudo "$(which spark-control)" install-service')


def test_other_settings_than_its_own_are_told():
    first, _ = found(RUNS, LISTENS, source="spark-control.toml")

    assert first.cure == f"sudo spark-control check --config {INSTALLED}"


@pytest.mark.parametrize(
    ("service", "socket", "cure"),
    [
        (RUNS, STOPPED, "sudo systemctl enable --now spark-control.socket"),
        (STOPPED, STOPPED, "sudo systemctl start spark-control.service"),
        (
            {**RUNS, "ActiveState": "activating", "SubState": "auto-restart"},
            LISTENS,
            "journalctl -u spark-control",
        ),
        ({**RUNS, "ActiveState": "failed", "Result": "exit-code"}, LISTENS, "journalctl -u spark-control"),
    ],
)
def test_one_that_does_not_run_is_wrong(service, socket, cure):
    wrong = [each for each in found(service, socket) if each.level is Level.WRONG]

    assert cure in " ".join(each.cure for each in wrong)


@pytest.mark.parametrize(
    ("changed", "cure"),
    [
        ({"UnitFileState": "disabled"}, "sudo systemctl enable spark-control.service"),
        ({"NeedDaemonReload": "yes"}, "sudo systemctl daemon-reload"),
        ({"NRestarts": "4"}, "journalctl -u spark-control"),
    ],
)
def test_what_may_go_wrong_later_is_doubtful(changed, cure):
    (doubt,) = [each for each in found({**RUNS, **changed}, LISTENS) if each.level is Level.WARN]

    assert cure in doubt.cure


def test_one_that_waits_for_a_request_is_no_fault():
    assert [each.level for each in found(STOPPED, LISTENS)] == [Level.NOTE]


@pytest.mark.parametrize("told", ["", "\n\n", "nonsense", "LoadState=loaded"])
def test_an_answer_that_says_little_is_no_surprise(told):
    assert list(judged(told, INSTALLED, "127.0.0.1", 8090))


EVERYWHERE = "0.0.0.0"  # noqa: S104 (nothing listens there)
LISTENS_TWICE = {**LISTENS, "Listen": "192.168.1.5:8090 (Stream)\nListen=[::1]:8090 (Stream)"}


@pytest.mark.parametrize("host", ["192.168.1.5", "::1", "0:0:0:0:0:0:0:1"])
def test_it_listens_where_the_settings_say(host):
    assert [each.level for each in found(RUNS, LISTENS_TWICE, at=(host, 8090))] == [Level.OK]


@pytest.mark.parametrize("at", [("192.168.1.5", 8091), (EVERYWHERE, 8090), ("localhost", 8090)])
def test_an_address_that_was_changed_and_is_not_yet_listened_on_is_told(at):
    first, *_ = found(RUNS, LISTENS_TWICE, at=at)

    assert (first.level, first.cure) == (Level.WARN, "sudo spark-control install-service")
    assert "192.168.1.5:8090 and [::1]:8090" in first.text
    assert f"{at[0]} port {at[1]}" in first.text


def test_the_address_of_other_settings_is_nothing_to_the_service():
    told = found(RUNS, LISTENS_TWICE, source="spark-control.toml", at=(EVERYWHERE, 8090))
    assert [each.level for each in told] == [Level.NOTE, Level.OK]
