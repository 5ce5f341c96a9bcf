"""A nvidia-smi that does as a test says, and a machine's `/proc`."""

from __future__ import annotations

from pathlib import Path

import pytest

SPARK = "NVIDIA GB10, 37, 61, 34.20, [N/A], [N/A]"
SERVERS = "4711, /opt/nim/bin/tritonserver, 8704\n4712, python3, [N/A]"

MEMINFO = """MemTotal:       125494840 kB
MemFree:         2011200 kB
MemAvailable:   79307760 kB
Buffers:          512344 kB
Cached:         70000000 kB
SwapTotal:      16777212 kB
SwapFree:       16777212 kB
"""
PRESSURE = """some avg10=0.42 avg60=0.10 avg300=0.01 total=123
full avg10=0.00 avg60=0.00 avg300=0.00 total=12
"""
STAT = "cpu  1 2 3\n" + "".join(f"cpu{number} 1 2 3\n" for number in range(20)) + "intr 1 2\n"
LOADAVG = "1.25 0.90 0.70 3/1234 5678\n"

_SAYS = """#!/bin/sh
echo "$@" >>{folder}/asked
case "$1" in
    --query-gpu=*) printf '%s\\n' '{gpus}'; exit {status} ;;
    --query-compute-apps=*) printf '%s\\n' '{processes}' ;;
esac
"""


class NvidiaSmi:
    """What is found on the PATH by that name."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def says(self, gpus: str = SPARK, processes: str = SERVERS, status: int = 0) -> None:
        script = _SAYS.format(folder=self._folder, gpus=gpus, processes=processes, status=status)
        self.does(script)

    def does(self, script: str) -> None:
        program = self._folder / "nvidia-smi"
        program.write_text(script)
        program.chmod(0o755)

    @property
    def asked(self) -> int:
        """How often it was asked for its GPUs."""
        file = self._folder / "asked"
        return file.read_text().count("--query-gpu") if file.exists() else 0


def make_proc(folder: Path) -> Path:
    """What Linux tells of a Spark."""
    proc = folder / "proc"
    (proc / "pressure").mkdir(parents=True)
    files = {"meminfo": MEMINFO, "pressure/memory": PRESSURE, "stat": STAT, "loadavg": LOADAVG}
    for name, text in files.items():
        (proc / name).write_text(text)
    return proc


def first_on_path(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(folder), prepend=":")
