from __future__ import annotations

import subprocess
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from spark_control.machine import nvidia_smi, report
from tests.machine.gpus import LOADAVG, MEMINFO, PRESSURE, SPARK, STAT

FILE = Path(__file__).parents[2] / "deploy/machine/spark-machine.sh"

PRINTED = f"""Warning: Permanently added 'spark-2' to the list of known hosts.
=== meminfo
{MEMINFO}=== pressure
{PRESSURE}=== loadavg
{LOADAVG}=== stat
{STAT}=== uptime
1000.50 9000.00
=== df
Filesystem     1024-blocks       Used  Available Capacity Mounted on
/dev/nvme0n1p2  3844549616  900000000 2749155284      25% /
=== xids
[   12.500000] NVRM: Xid (PCI:000f:01:00): 31, pid=4711, name=python3, MMU Fault
=== gpus
{SPARK}
=== gpu-status
0
=== processes
4711, python3, 8704
=== end
"""


def test_the_file_for_a_key_that_may_do_nothing_else_is_the_program_that_is_sent():
    assert FILE.read_text() == report.SCRIPT
    assert FILE.stat().st_mode & 0o111


def test_it_fits_into_a_pipe_at_once():
    assert len(report.SCRIPT.encode()) < 4096


def test_what_a_machine_prints_is_read_whole():
    seen = report.read(report.sections(PRINTED), now=2000.0)
    assert seen.problem is None
    assert seen.memory
    assert seen.load == (1.25, 0.9, 0.7)
    assert seen.cpus == 20
    assert [disk.path for disk in seen.disks] == ["/"]
    assert [gpu.name for gpu in seen.graphics.gpus] == ["NVIDIA GB10"]
    assert [process.pid for process in seen.graphics.processes] == [4711]
    assert [(xid.number, xid.at) for xid in seen.xids] == [(31, 1012.0)]


def test_the_program_works_on_this_machine(nvidia_smi):
    done = subprocess.run(
        ["sh", "-s"], input=report.SCRIPT, capture_output=True, text=True, timeout=30, check=True
    )
    seen = report.read(report.sections(done.stdout), now=0.0)
    assert done.stderr == ""
    assert seen.problem is None
    assert seen.memory
    assert seen.cpus
    assert [disk.path for disk in seen.disks] == ["/"]
    assert [gpu.name for gpu in seen.graphics.gpus] == ["NVIDIA GB10"]
    assert len(seen.graphics.processes) == 2


def test_it_tells_how_a_nvidia_smi_ended_that_failed(nvidia_smi):
    nvidia_smi.says("Unable to determine the device handle", status=15)
    done = subprocess.run(
        ["sh", "-s"], input=report.SCRIPT, capture_output=True, text=True, timeout=30, check=True
    )
    seen = report.read(report.sections(done.stdout), now=0.0)
    assert "GPU is lost" in (seen.graphics.problem or "")
    assert seen.memory


def test_one_that_never_ended_is_told_too():
    cut = PRINTED[: PRINTED.index("=== gpu-status")]
    seen = report.read(report.sections(cut), now=0.0)
    assert seen.graphics.problem == nvidia_smi.HANGS
    assert seen.memory


def test_a_machine_that_makes_up_faults_without_number_is_believed_the_last():
    """Each would be a line in the log, and a step in the story of what is ill there, with every look."""
    flood = "".join(f"[{at}.000000] NVRM: Xid (PCI:000f:01:00): 31, made up\n" for at in range(1000))
    seen = report.read(report.sections(PRINTED.replace("=== gpus", f"{flood}=== gpus")), now=2000.0)
    assert len(seen.xids) == 20
    assert seen.xids[-1].mark == "999.000000"


@given(st.text())
def test_whatever_is_printed_nothing_breaks(text):
    report.read(report.sections(text), now=0.0)
    report.read(report.sections(PRINTED.replace("0", text)), now=0.0)
