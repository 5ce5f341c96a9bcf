"""How a machine is told on a terminal."""

from __future__ import annotations

from typing import Any

import click
from hypothesis import given
from hypothesis import strategies as st

from spark_control.machine_screen import machines_screen
from spark_control.screens import moment

AT = "2026-05-04T12:00:00.000Z"
GB = 1000**3
GPU = {
    "name": "NVIDIA GB10",
    "utilisation": 43,
    "temperature": 61,
    "power": 38.4,
    "memory_used": None,
    "memory_total": None,
}


def machine(**what: Any) -> dict[str, Any]:
    return {
        "name": "spark-1",
        "local": True,
        "at": AT,
        "problem": None,
        "memory": {
            "total": 128 * GB,
            "available": 32 * GB,
            "pressure": 0.25,
            "swap_total": 0,
            "swap_free": 0,
        },
        "load": [1.5, 0.8, 0.44],
        "cpus": 20,
        "disks": [{"path": "/", "total": 916 * GB, "free": 229 * GB}],
        "gpus": [GPU],
        "gpu_problem": None,
        "processes": [],
        "xids": [],
        "history": {},
        **what,
    }


def screen(*machines: dict[str, Any]) -> list[str]:
    return [click.unstyle(line) for line in machines_screen(machines, moment(AT) + 5)]


def test_a_machine_is_told_on_a_few_lines():
    assert screen(machine()) == [
        "spark-1  this machine, seen 5 s ago",
        "  memory     ███████████████░░░░░  75%  96 GB of 128 GB       pressure 0.2 %",
        "  load       1.50, 0.80, 0.44 on 20 CPUs",
        "  disk       ███████████████░░░░░  75%  687 GB of 916 GB      /",
        "  GPU        NVIDIA GB10: busy 43 %, at 61 °C, draws 38 W",
    ]


def test_what_nobody_told_is_not_zero():
    unknown = {"utilisation": None, "temperature": None, "power": None}
    memory = machine()["memory"] | {"pressure": None}
    told = screen(machine(gpus=[GPU | unknown], memory=memory))

    assert told[1].endswith("pressure not told")
    assert told[-1] == "  GPU        NVIDIA GB10: busy not told, at not told, draws not told"


def test_a_gpu_with_memory_of_its_own_has_a_meter():
    told = screen(machine(gpus=[GPU | {"memory_used": 12 * GB, "memory_total": 16 * GB}]))

    assert told[-1].startswith("  GPU memory ███████████████░░░░░  75%  12 GB of 16 GB")


def test_a_machine_without_a_gpu_says_so_and_tells_the_rest():
    no_gpu = "No GPU was found: nvidia-smi is not installed."

    assert screen(machine(gpus=[], gpu_problem=no_gpu))[-1] == f"  GPU        {no_gpu}"


def test_one_that_cannot_be_seen_says_why():
    nothing: dict[str, Any] = {
        "memory": None,
        "load": None,
        "cpus": None,
        "disks": [],
        "gpus": [],
        "local": False,
        "at": None,
    }
    told = screen(machine(**nothing, problem="It does not answer."))

    assert told == ["spark-1  another machine", "  It does not answer."]


def test_those_with_the_most_memory_come_first_and_the_rest_is_counted():
    processes = [{"pid": pid, "name": f"p{pid}", "bytes": pid * GB} for pid in range(1, 12)]
    told = screen(machine(processes=[*processes, {"pid": 99, "name": "p99", "bytes": None}]))

    assert told[6].split() == ["PID", "GPU", "MEMORY", "PROCESS"]
    assert told[7].split() == ["11", "11", "GB", "p11"]
    assert told[-1].strip() == "and 4 more"
    assert "not told" in screen(machine(processes=[{"pid": 99, "name": "a", "bytes": None}]))[-1]


def test_what_the_kernel_said_is_told_in_words():
    xid = {"at": AT, "number": 79, "meaning": "The GPU has fallen off the bus.", "text": "NVRM: Xid 79"}

    assert screen(machine(xids=[xid]))[-1] == "  Xid 79, 5 s ago: The GPU has fallen off the bus."
    assert screen(machine(xids=[xid | {"meaning": None}]))[-1].endswith("NVRM: Xid 79")


def test_several_stand_apart():
    assert screen(machine(), machine()).count("") == 1
    assert screen() == ["The gateway watches no machine."]


TEXT = st.text(max_size=120)


@given(TEXT, st.floats(0, 1e16), st.floats(0, 1e16), st.one_of(st.none(), st.floats(0, 1e6)))
def test_no_line_is_wider_than_the_terminal_or_can_play_with_it(text, used, total, number):
    """Names of processes and of machines are anybody's."""
    told = screen(
        machine(
            name=text,
            problem=text,
            disks=[{"path": text, "total": total, "free": used}],
            gpus=[GPU | {"name": text, "power": number, "memory_used": number, "memory_total": total}],
            gpu_problem=text,
            processes=[{"pid": 4194304, "name": text, "bytes": number}],
            xids=[{"at": AT, "number": 79, "meaning": text, "text": text}],
        )
    )

    assert all(len(line) <= 80 for line in told)
    assert all(line.isprintable() for line in told)
