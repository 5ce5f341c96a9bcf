from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_control.machine import nvidia_smi
from spark_control.machine.seen import Gpu, Process
from tests.machine.gpus import SERVERS, SPARK

MIB = 1024 * 1024


def test_a_gb10_has_no_memory_of_its_own():
    seen = nvidia_smi.read(0, SPARK + "\n", SERVERS)
    assert seen.problem is None
    assert seen.gpus == (Gpu("NVIDIA GB10", 37.0, 61.0, 34.2, None, None),)
    assert seen.processes == (
        Process(4711, "/opt/nim/bin/tritonserver", 8704 * MIB),
        Process(4712, "python3", None),
    )


def test_a_card_has():
    [gpu] = nvidia_smi.read(0, "NVIDIA RTX 6000 Ada, 0, 40, 20.51 W, 1024 MiB, 49140", "").gpus
    assert gpu == Gpu("NVIDIA RTX 6000 Ada", 0.0, 40.0, 20.51, 1024 * MIB, 49140 * MIB)


@pytest.mark.parametrize(
    "figure",
    [
        "[N/A]",
        "N/A",
        "[Not Supported]",
        "[Unknown Error]",
        "[GPU requires reset]",
        "ERR!",
        "",
        "-5",
        "nan",
        "inf",
        "0x1F",
    ],
)
def test_what_is_no_figure_is_not_known_and_never_0(figure):
    [gpu] = nvidia_smi.read(0, f"NVIDIA GB10, {figure}, 61, {figure}, {figure}, {figure}", "").gpus
    assert (gpu.utilisation, gpu.power, gpu.memory_used, gpu.memory_total) == (None,) * 4
    assert gpu.temperature == 61.0


def test_more_than_all_of_a_gpu_is_a_lie():
    [gpu] = nvidia_smi.read(0, "NVIDIA GB10, 4294967, 61, 34, [N/A], [N/A]", "").gpus
    assert gpu.utilisation is None


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (9, "driver is not loaded"),
        (12, "NVML is missing"),
        (15, "GPU is lost"),
        (124, "gave no answer"),
        (127, "not installed"),
        (137, "gave no answer"),
        (255, "ended with status 255: Unable to determine the device handle"),
        (-9, "ended with signal 9"),
    ],
)
def test_a_failure_is_told_in_words(status, words):
    seen = nvidia_smi.read(status, "Unable to determine the device handle\x1b[31m", SERVERS)
    assert words in (seen.problem or "")
    assert "\x1b" not in (seen.problem or "")
    assert (seen.gpus, seen.processes) == ((), ())


def test_a_success_without_a_gpu_is_told():
    assert (
        nvidia_smi.read(0, "No devices were found\n", "").problem
        == "No GPU was found: nvidia-smi tells of none."
    )


def test_a_process_may_have_a_comma_in_its_name_and_no_control_over_a_terminal():
    seen = nvidia_smi.read(0, SPARK, "7, /opt/a, b/\x1b[2Jserver, 12\nnot a process\n8, , 1")
    assert seen.processes == (Process(7, "/opt/a, b/ [2Jserver", 12 * MIB), Process(8, "", MIB))


def test_the_largest_processes_come_first_and_not_without_end():
    told = "\n".join(f"{pid}, python3, {pid}" for pid in range(1, 1000))
    seen = nvidia_smi.read(0, SPARK, told)
    assert len(seen.processes) == 64
    assert seen.processes[0].pid == 999


@given(st.integers(-64, 255), st.text(), st.text())
def test_whatever_is_printed_is_read_as_figures_or_as_nothing(status, gpus, processes):
    seen = nvidia_smi.read(status, gpus, processes)
    for gpu in seen.gpus:
        for figure in (gpu.utilisation, gpu.temperature, gpu.power, gpu.memory_used, gpu.memory_total):
            assert figure is None or math.isfinite(figure)
    assert bool(seen.problem) is not bool(seen.gpus)
