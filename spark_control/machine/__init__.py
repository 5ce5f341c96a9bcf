"""The machines that engines run on: memory, GPU, load, disks, and faults of the GPU. What cannot be known is None."""

from __future__ import annotations

from spark_control.machine.machines import Machines

__all__ = ["Machines"]
