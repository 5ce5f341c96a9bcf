"""The machines as the page shows them."""

from __future__ import annotations

from typing import Any

from spark_control.dashboard import Pages
from spark_control.dashboard.machine import machine_view

NOW = 1_777_896_000.0  # 2026-05-04T12:00:00Z
GB = 10**9

SPARK: dict[str, Any] = {
    "name": "spark-1",
    "local": True,
    "at": "2026-05-04T12:00:00.000Z",
    "problem": None,
    "memory": {
        "total": 128 * GB,
        "available": 81 * GB,
        "pressure": 0.42,
        "swap_total": 16 * GB,
        "swap_free": 15 * GB,
    },
    "load": [1.25, 0.9, 0.7],
    "cpus": 20,
    "disks": [{"path": "/", "total": 4000 * GB, "free": 1900 * GB}],
    "gpus": [
        {
            "name": "NVIDIA GB10",
            "utilisation": 37.0,
            "temperature": 61.0,
            "power": 34.2,
            "memory_used": None,
            "memory_total": None,
        }
    ],
    "gpu_problem": None,
    "processes": [
        {"pid": 4712, "name": "python3", "bytes": None},
        {"pid": 4711, "name": "/opt/nim/bin/tritonserver", "bytes": 9 * GB},
    ],
    "xids": [],
    "history": {
        "hours": 24,
        "memory_used": [None, 47.0 * GB],
        "gpu": [None, 37.0],
        "temperature": [45.0, 61.0],
        "power": [None, None],
        "load": [1.0, 1.25],
    },
}

XID = {
    "at": "2026-05-04T11:00:00.000Z",
    "number": 79,
    "meaning": "the GPU has fallen off the bus",
    "text": "pid=1234, name=python3, GPU has fallen off the bus.",
}

NOBODY = {name: [None] * 96 for name in ("memory_used", "gpu", "temperature", "power", "load")}


def view(**more: Any) -> Any:
    (machine,) = machine_view([SPARK | more], NOW)
    return machine


def html(*machines: dict[str, Any]) -> str:
    return Pages().part("machine.html", machines=machine_view(machines, NOW))


def gpu(**more: Any) -> list[dict[str, Any]]:
    return [SPARK["gpus"][0] | more]


def memory(available: int, **more: Any) -> dict[str, Any]:
    return {**SPARK["memory"], "available": available, **more}


def test_memory_in_use_is_what_cannot_be_had():
    shown = view().memory
    assert (shown.title, shown.figure, shown.tone) == ("Unified memory", "47 GB", "accent")
    assert shown.more == (
        "81 GB available; work waits for memory 0.4 % of the time; 1.0 GB of 16 GB swapped out"
    )
    assert shown.label == "Memory: 47 GB of 128 GB in use, 37%"


def test_what_nobody_told_is_never_a_zero():
    untold = gpu(utilisation=None, temperature=None, power=None)
    machine = view(gpus=untold, history={"hours": 24, **NOBODY}, memory=memory(81 * GB, pressure=None))
    assert [chart.figure for chart in machine.charts] == ["not told", "not told", "not told", "1.2"]
    assert machine.charts[0].label == "GPU utilisation over 24 hours: nothing is known yet"
    assert "pressure not told" in machine.memory.more
    assert [process.memory for process in view().processes] == ["9.0 GB", "not told"]


def test_a_chart_is_told_in_words():
    temperature = next(chart for chart in view().charts if chart.title == "GPU temperature")
    assert temperature.label == "GPU temperature over 24 hours: last 61 °C, lowest 45 °C, highest 61 °C"


def test_what_has_no_line_yet_is_not_drawn():
    assert [chart.drawn for chart in view().charts] == [False, True, False, True]
    assert "Charts of the last 24 hours appear here" in html(SPARK)


def test_nothing_waits_where_there_is_room():
    assert "nothing waits for memory" in view(memory=memory(81 * GB, pressure=0.0)).memory.more


def test_a_machine_is_as_well_as_its_worst():
    assert (view().tone, view().word) == ("ok", "well")
    assert view(memory=memory(5 * GB)).word == "short of memory"
    assert view(memory=memory(81 * GB, pressure=25.0)).word == "short of memory"
    assert view(gpus=gpu(temperature=91.0)).word == "hot"
    assert view(xids=[XID]).word == "GPU fault"
    assert view(xids=[XID | {"at": "2026-05-01T11:00:00.000Z"}]).word == "well"
    assert view(problem="No route to host", memory=None).word == "not seen"
    assert view(memory=None, load=None, gpus=[]).word == "nothing known"


def test_a_machine_without_a_gpu_shows_the_rest():
    sentence = "No GPU was found: nvidia-smi is not installed."
    page = html(SPARK | {"gpus": [], "processes": [], "gpu_problem": sentence})
    assert sentence in page
    assert "GPU temperature" not in page
    assert "<b>47 GB</b> of 128 GB in use" in page
    assert ">Memory<" in page


def test_a_machine_that_does_not_answer_says_why():
    empty: dict[str, Any] = {
        "memory": None,
        "load": None,
        "cpus": None,
        "disks": [],
        "gpus": [],
        "processes": [],
    }
    page = html(SPARK, SPARK | empty | {"name": "spark-2", "local": False, "problem": "No route to host"})
    assert "No route to host" in page
    assert "Another machine" in page


def test_several_gpus_are_each_told():
    charts = view(gpus=gpu() + gpu(utilisation=None)).charts
    assert charts[0].figure == "37 %, not told"
    assert "2 × NVIDIA GB10" in view(gpus=gpu() + gpu()).about


def test_xids_are_listed_with_their_meaning():
    page = html(SPARK | {"xids": [XID]})
    assert "Xid 79" in page
    assert "the GPU has fallen off the bus" in page


def test_what_a_machine_said_is_text_and_nothing_else():
    evil = '"><script>alert(1)</script>\x1b'
    page = html(
        SPARK
        | {
            "name": evil,
            "problem": evil,
            "gpu_problem": evil,
            "gpus": gpu(name=evil),
            "processes": [{"pid": 1, "name": evil, "bytes": None}],
            "disks": [{"path": evil, "total": 0, "free": 0}],
            "xids": [XID | {"meaning": evil, "text": evil}],
        }
    )
    assert "<script" not in page
    assert "\x1b" not in page
