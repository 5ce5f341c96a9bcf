from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_control.machine import proc
from spark_control.machine.seen import Disk, Memory
from tests.machine.gpus import LOADAVG, MEMINFO, PRESSURE, STAT

DF = """Filesystem     1024-blocks       Used  Available Capacity Mounted on
/dev/nvme0n1p2  3844549616  900000000 2749155284      25% /
a disk of mine        1000        500        500      50% /media/my models
"""


def test_memory_that_the_kernel_can_take_back_is_available():
    assert proc.memory(MEMINFO, PRESSURE) == Memory(
        total=125494840 * 1024,
        available=79307760 * 1024,
        pressure=0.42,
        swap_total=16777212 * 1024,
        swap_free=16777212 * 1024,
    )


def test_a_kernel_that_tells_of_no_pressure_has_none_that_is_known():
    memory = proc.memory(MEMINFO, "")
    assert memory
    assert memory.pressure is None


@pytest.mark.parametrize(
    "meminfo", ["", "MemTotal: 1 kB\n", "MemTotal: 0 kB\nMemAvailable: 0 kB\n", "nonsense"]
)
def test_without_both_figures_nothing_is_known_of_the_memory(meminfo):
    assert proc.memory(meminfo, PRESSURE) is None


def test_load_and_cpus():
    assert proc.load(LOADAVG) == (1.25, 0.9, 0.7)
    assert proc.cpus(STAT) == 20
    assert proc.load("") is None
    assert proc.cpus("") is None


def test_a_disk_whose_path_has_blanks_is_one_disk():
    assert proc.disks(DF) == (
        Disk("/", 3844549616 * 1024, 2749155284 * 1024),
        Disk("/media/my models", 1000 * 1024, 500 * 1024),
    )


def test_a_path_that_is_told_twice_is_one_disk():
    """Prometheus takes no figure twice."""
    assert proc.disks(DF + "x 100 50 50 50% /\n")[0] == Disk("/", 100 * 1024, 50 * 1024)
    assert len(proc.disks(DF * 3)) == 2


@given(st.text())
def test_whatever_is_read_nothing_breaks(text):
    proc.memory(text, text)
    proc.load(text)
    proc.cpus(text)
    proc.disks(text)
