"""Reads what nvidia-smi prints. Pure.

A figure that the GPU does not have is printed as `[N/A]`, and is None here,
never 0: a GB10 has no memory of its own and says so in that way.
"""

from __future__ import annotations

import re

from spark_control.machine.seen import Gpu, Gpus, Process, harmless

GPU_QUERY = (
    "--query-gpu=name,utilization.gpu,temperature.gpu,power.draw,memory.used,memory.total",
    "--format=csv,noheader,nounits",
)
PROCESS_QUERY = ("--query-compute-apps=pid,process_name,used_memory", "--format=csv,noheader,nounits")

NOT_INSTALLED = "No GPU was found: nvidia-smi is not installed."
HANGS = "nvidia-smi gave no answer and was ended. The GPU's driver may hang."

_MIB = 1024 * 1024
_GPUS = 16
_PROCESSES = 64
_NUMBER = re.compile(r"(-?\d{1,9}(?:\.\d{1,6})?)(?: (?:%|C|W|MiB))?", re.ASCII)

_MEANS = {
    8: "A power cable of the GPU is not connected.",
    9: "The NVIDIA driver is not loaded.",
    12: "NVIDIA's library NVML is missing.",
    13: "NVIDIA's library NVML does not fit its driver.",
    15: "The GPU is lost: the driver no longer reaches it. A reboot brings it back, if anything does.",
    124: HANGS,  # what `timeout` ends with, and what it ends with when it has to kill
    127: NOT_INSTALLED,
    137: HANGS,
}


def read(status: int, gpus: str, processes: str) -> Gpus:
    """What both queries printed, and how the first of them ended."""
    if status:
        return Gpus(problem=_MEANS.get(status) or _failed(status, gpus))
    found = tuple(gpu for gpu in map(_gpu, gpus.splitlines()) if gpu)[:_GPUS]
    if not found:
        return Gpus(problem="No GPU was found: nvidia-smi tells of none.")
    running = sorted(filter(None, map(_process, processes.splitlines())), key=lambda each: -(each.bytes or 0))
    return Gpus(found, tuple(running[:_PROCESSES]))


def _failed(status: int, said: str) -> str:
    how = f"status {status}" if status > 0 else f"signal {-status}"
    words = harmless(said)
    return f"nvidia-smi ended with {how}" + (f": {words}" if words else ".")


def _gpu(line: str) -> Gpu | None:
    name, *figures = (each.strip() for each in line.rsplit(",", 5))
    if len(figures) != 5:
        return None
    utilisation, temperature, power, used, total = map(_number, figures)
    return Gpu(
        name=harmless(name),
        utilisation=utilisation if utilisation is not None and 0 <= utilisation <= 100 else None,
        temperature=temperature,
        power=power if power is not None and power >= 0 else None,
        memory_used=_bytes(used),
        memory_total=_bytes(total),
    )


def _process(line: str) -> Process | None:
    pid, _, rest = line.partition(",")
    name, comma, used = rest.rpartition(",")
    number = _number(pid.strip())
    if number is None or number < 0 or not comma:
        return None
    return Process(int(number), harmless(name), _bytes(_number(used.strip())))


def _number(figure: str) -> float | None:
    """None for `[N/A]`, `[Not Supported]`, `[GPU requires reset]`, `ERR!` and whatever else is no number."""
    found = _NUMBER.fullmatch(figure)
    return float(found[1]) if found else None


def _bytes(mib: float | None) -> int | None:
    return None if mib is None or mib < 0 else int(mib * _MIB)
