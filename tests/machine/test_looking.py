"""A look at this machine and at another, with programs that answer, lie, fail and hang."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
import uvloop

from spark_control.machine import looking
from spark_control.machine.looking import Elsewhere, Here
from spark_control.machine.report import SCRIPT
from spark_control.supervision.restarters.running import Ran
from tests.machine.test_report import PRINTED
from tests.processes import lives

both_loops = pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


def here(proc: Path, clock: Clock, *, gpu: bool = True, disks: tuple[str, ...] = ("/",)) -> Here:
    return Here([Path(disk) for disk in disks], clock, gpu=gpu, proc=proc)


def elsewhere(clock: Clock, *command: str) -> Elsewhere:
    return Elsewhere(command, 10.0, clock, clock)


@both_loops
def test_this_machine(nvidia_smi, proc, clock, run):
    seen = run(here(proc, clock).look())
    assert seen.problem is None
    assert seen.memory
    assert (seen.memory.available, seen.memory.pressure) == (79307760 * 1024, 0.42)
    assert seen.load == (1.25, 0.9, 0.7)
    assert seen.cpus == 20
    assert [disk.path for disk in seen.disks] == ["/"]
    assert [gpu.power for gpu in seen.graphics.gpus] == [34.2]
    assert [process.pid for process in seen.graphics.processes] == [4711, 4712]


def test_a_disk_that_is_named_twice_is_one(proc, clock):
    seen = asyncio.run(here(proc, clock, gpu=False, disks=("/", "/")).look())
    assert [disk.path for disk in seen.disks] == ["/"]


def test_a_real_machine_tells_of_itself(clock):
    seen = uvloop.run(here(Path("/proc"), clock, gpu=False).look())
    assert seen.memory
    assert seen.memory.available <= seen.memory.total
    assert seen.load
    assert seen.cpus == os.cpu_count()


def test_where_linux_tells_nothing_that_is_said(tmp_path, clock):
    seen = uvloop.run(here(tmp_path, clock, gpu=False).look())
    assert seen.problem == "It does not tell of its memory."


def test_a_disk_that_is_not_there_is_left_out(proc, clock):
    seen = uvloop.run(here(proc, clock, gpu=False, disks=("/nowhere", "/")).look())
    assert [disk.path for disk in seen.disks] == ["/"]


def test_without_nvidia_smi_there_is_no_gpu(proc, clock, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    seen = uvloop.run(here(proc, clock).look())
    assert seen.graphics.problem == "No GPU was found: nvidia-smi is not installed."
    assert seen.memory


def test_who_does_not_want_it_asked_is_obeyed(nvidia_smi, proc, clock):
    seen = uvloop.run(here(proc, clock, gpu=False).look())
    assert nvidia_smi.asked == 0
    assert "`gpu` is off" in (seen.graphics.problem or "")


@pytest.mark.parametrize("status", [9, 15, 255])
def test_a_nvidia_smi_that_fails_costs_only_the_gpu(nvidia_smi, proc, clock, status):
    nvidia_smi.says("Failed to initialize NVML", status=status)
    seen = uvloop.run(here(proc, clock).look())
    assert seen.graphics.problem
    assert not seen.graphics.gpus
    assert seen.memory


def test_a_nvidia_smi_that_cannot_be_run_is_told(nvidia_smi, proc, clock):
    nvidia_smi.does("#!/nowhere/sh\n")
    seen = uvloop.run(here(proc, clock).look())
    assert seen.graphics.problem == "There is no program 'nvidia-smi' on this machine."


@both_loops
def test_a_nvidia_smi_that_hangs_is_ended_and_asked_less_often(
    nvidia_smi, proc, clock, tmp_path, monkeypatch, run
):
    monkeypatch.setattr(looking, "_NVIDIA_SMI", 0.2)
    nvidia_smi.does(
        f'#!/bin/sh\necho "$@" >>{tmp_path}/bin/asked\necho $$ >{tmp_path}/pid\nexec sleep 1000\n'
    )
    at_home = here(proc, clock)

    async def looks() -> list[int]:
        asked = []
        for wait in (0, 10, 49, 1, 119, 1):
            clock.now += wait
            seen = await at_home.look()
            assert "gave no answer" in (seen.graphics.problem or "")
            assert seen.memory
            asked.append(nvidia_smi.asked)
        nvidia_smi.says()
        clock.now += 600
        assert (await at_home.look()).graphics.gpus
        return asked

    assert run(looks()) == [1, 1, 1, 2, 2, 3]
    assert not lives(int((tmp_path / "pid").read_text()))


def test_another_machine_is_a_shell_that_takes_the_program(nvidia_smi, clock):
    seen = uvloop.run(elsewhere(clock, "sh", "-s").look())
    assert seen.problem is None
    assert seen.memory
    assert [gpu.name for gpu in seen.graphics.gpus] == ["NVIDIA GB10"]


def test_a_key_that_may_do_nothing_else_needs_no_input(clock, tmp_path):
    only = tmp_path / "only"
    only.write_text(SCRIPT)
    seen = uvloop.run(elsewhere(clock, "sh", str(only)).look())
    assert seen.problem is None
    assert seen.memory


def test_a_machine_that_hangs_halfway_has_told_the_rest(clock, tmp_path, monkeypatch):
    monkeypatch.setattr(looking, "_ELSEWHERE", 0.3)
    printed = tmp_path / "printed"
    printed.write_text(PRINTED[: PRINTED.index("=== gpu-status")])
    seen = uvloop.run(elsewhere(clock, "sh", "-c", f"cat {printed}; exec sleep 1000").look())
    assert seen.problem is None
    assert seen.memory
    assert "gave no answer" in (seen.graphics.problem or "")


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (
            ["sh", "-c", "echo ssh: connect to host spark-2 port 22: Connection refused >&2; exit 255"],
            "The command 'sh' ended with status 255: ssh: connect to host spark-2 port 22: Connection refused.",
        ),
        (["true"], "The command 'true' told nothing of the machine."),
        (["false"], "The command 'false' ended with status 1."),
        (["sh", "-c", "kill -9 $$"], "The command 'sh' ended with signal 9."),
        (["no-such-program"], "There is no program 'no-such-program' on this machine."),
        (["sh", "-c", "yes nonsense | head -n 100000"], "The command 'sh' told nothing of the machine."),
    ],
)
def test_a_machine_that_does_not_answer_is_told_of_in_a_sentence(clock, command, sentence):
    seen = uvloop.run(elsewhere(clock, *command).look())
    assert seen.problem == sentence
    assert seen.memory is None


def test_one_that_never_answers_is_left(clock, monkeypatch):
    monkeypatch.setattr(looking, "_ELSEWHERE", 0.2)
    seen = uvloop.run(elsewhere(clock, "sleep", "1000").look())
    assert seen.problem == "'sleep' took longer than 0.2 s and was ended."


def test_one_that_is_down_is_asked_less_often_until_it_is_back(clock, tmp_path):
    file = tmp_path / "asked"
    down = elsewhere(clock, "sh", "-c", f"echo >>{file}; [ $(wc -l <{file}) -gt 3 ] && exec sh -s; exit 255")

    async def looks() -> list[bool]:
        answered = []
        for _ in range(14):
            answered.append((await down.look()).problem is None)
            clock.now += 10
        return answered

    assert uvloop.run(looks()) == [False] * 12 + [True, True]


def test_one_that_hangs_halfway_is_asked_less_often_too(clock, tmp_path, monkeypatch):
    monkeypatch.setattr(looking, "_ELSEWHERE", 0.3)
    printed, file = tmp_path / "printed", tmp_path / "asked"
    printed.write_text(PRINTED[: PRINTED.index("=== gpu-status")])
    halfway = elsewhere(clock, "sh", "-c", f"echo >>{file}; cat {printed}; exec sleep 1000")

    async def looks() -> None:
        for _ in range(5):
            assert (await halfway.look()).memory
            clock.now += 10

    uvloop.run(looks())
    assert len(file.read_text().splitlines()) == 2


def test_one_that_has_been_down_for_weeks_is_asked_once_a_minute(clock, monkeypatch):
    async def refused(*_: object, **__: object) -> Ran:
        return Ran(255, "")

    monkeypatch.setattr(looking, "run", refused)
    down = elsewhere(clock, "ssh", "spark-2")

    async def looks() -> None:
        for _ in range(2000):
            clock.now += 60
            assert (await down.look()).problem

    uvloop.run(looks())
