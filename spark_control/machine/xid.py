"""Xids: faults of the GPU, which NVIDIA's driver writes to the kernel's log. Pure.

NVRM: Xid (PCI:000f:01:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.
"""

from __future__ import annotations

import re

from spark_control.machine.seen import Xid, harmless

MARK = "NVRM: Xid"

_SAID = r"NVRM: Xid \([^)]{0,64}\): (?P<number>\d{1,5})(?:, ?(?P<text>.*))?"
_KMSG = re.compile(rf"(?P<priority>\d{{1,9}}),\d+,(?P<mark>\d{{1,15}}),[^;]*;{_SAID}", re.ASCII)
_JOURNAL = re.compile(rf"(?P<mark>\d{{1,10}}\.\d{{1,6}}) \S+ kernel: {_SAID}", re.ASCII)
_DMESG = re.compile(rf"\[ *(?P<mark>\d{{1,9}}\.\d{{1,6}})\] (?:\S+ kernel: )?{_SAID}", re.ASCII)
_KERNEL = 8
"""Priorities below it are the kernel's own; a program that writes to its log cannot have one."""

_MEANINGS = {
    13: "a program on the GPU went wrong",
    31: "a program on the GPU used memory that is not its own",
    32: "the driver was sent a damaged command",
    43: "a program on the GPU stopped; others can go on",
    45: "work on the GPU was ended early, often because its program was",
    48: "the GPU's memory has an error that cannot be corrected",
    61: "the GPU's own controller halted; a reboot may be needed",
    62: "the GPU's own controller halted; a reboot may be needed",
    63: "a faulty part of the GPU's memory was put aside",
    64: "a faulty part of the GPU's memory could not be put aside",
    68: "the GPU's video unit went wrong",
    69: "a program on the GPU sent it what it does not understand",
    74: "the link between GPUs failed",
    79: "the GPU has fallen off the bus; a reboot brings it back, if anything does",
    92: "the GPU's memory has many errors that were corrected",
    94: "an error of the GPU's memory ended the program that met it",
    95: "an error of the GPU's memory hit more than one program; the GPU needs a reset",
    109: "the GPU could not change from one program to another in time",
    119: "the GPU's own processor (GSP) gave no answer; a reboot may be needed",
    120: "the GPU's own processor (GSP) failed; a reboot may be needed",
    121: "the link between CPU and GPU had an error",
    140: "the GPU's memory has an error that was not mended",
    143: "the GPU could not be started",
    154: "the driver says what the GPU needs next",
}


def meaning(number: int) -> str:
    """In words."""
    return _MEANINGS.get(number, "a fault of the GPU that NVIDIA's list of Xids explains")


def from_kmsg(record: str, booted: float) -> Xid | None:
    """A record of `/dev/kmsg`, whose times are microseconds since the boot at `booted`."""
    found = _KMSG.match(record)
    if found is None or int(found["priority"]) >= _KERNEL:
        return None
    return _xid(found, booted + int(found["mark"]) / 1e6)


def from_journal(line: str) -> Xid | None:
    """A line of `journalctl --output=short-unix`."""
    found = _JOURNAL.match(line)
    return _xid(found, float(found["mark"])) if found else None


def from_dmesg(line: str, booted: float) -> Xid | None:
    """A line of `dmesg`, or of `journalctl --output=short-monotonic`: seconds since the boot."""
    found = _DMESG.match(line)
    return _xid(found, booted + float(found["mark"])) if found else None


def _xid(found: re.Match[str], at: float) -> Xid:
    return Xid(int(found["number"]), harmless(found["text"] or "", 300), found["mark"], at)
