from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from spark_control.machine import xid

LOST = "NVRM: Xid (PCI:000f:01:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus."
FAULT = "NVRM: Xid (PCI:000f:01:00): 31, pid=4711, name=python3, Ch 00000008, intr 00000000. MMU Fault"


def test_a_record_of_the_kernels_log():
    found = xid.from_kmsg(f"3,1234,5000000,-;{LOST}", booted=1000.0)
    assert found
    assert (found.number, found.at) == (79, 1005.0)
    assert found.text == "pid='<unknown>', name=<unknown>, GPU has fallen off the bus."


def test_a_program_cannot_write_one():
    assert xid.from_kmsg(f"11,1234,5000000,-;{LOST}", booted=1000.0) is None


def test_a_line_of_the_journal():
    found = xid.from_journal(f"1716213600.250000 spark-1 kernel: {FAULT}")
    assert found
    assert (found.number, found.at) == (31, 1716213600.25)


def test_a_line_of_dmesg_and_of_a_journal_with_the_same_times():
    lines = [f"[   12.500000] {FAULT}", f"[   12.500000] spark-2 kernel: {FAULT}"]
    first, second = (xid.from_dmesg(line, booted=100.0) for line in lines)
    assert first
    assert first == second
    assert first.at == 112.5


def test_the_same_line_is_the_same_xid_though_the_time_of_the_boot_is_known_less_well():
    assert xid.from_dmesg(f"[1.0] {LOST}", 100.0) == xid.from_dmesg(f"[1.0] {LOST}", 100.3)


def test_other_lines_are_none():
    assert xid.from_kmsg("6,1,1,-;NVRM: loading NVIDIA UNIX Open Kernel Module", 0.0) is None
    assert xid.from_kmsg(f"6,1,1,-;usb: my name is {LOST}", 0.0) is None
    assert xid.from_journal(f"1716213600.250000 spark-1 sshd[7]: kernel: {LOST}") is None


def test_it_is_told_in_words():
    assert "fallen off the bus" in xid.meaning(79)
    assert xid.meaning(31) != xid.meaning(99999)


def test_its_text_cannot_play_with_a_terminal_and_has_an_end():
    found = xid.from_kmsg("3,1,1,-;NVRM: Xid (PCI:0): 13, name=\x1b[2J\u202e" + "x" * 9000, 0.0)
    assert found
    assert found.text.isprintable()
    assert len(found.text) <= 300


@given(st.text(), st.integers(0, 10**20))
def test_whatever_is_written_nothing_breaks(text, number):
    xid.from_kmsg(text, 0.0)
    xid.from_kmsg(f"3,{number},{number},-;{text}", 0.0)
    xid.from_kmsg(f"{number},1,1,-;NVRM: Xid ({text}): {number}, {text}", 0.0)
    xid.from_journal(f"{number}.5 {text} kernel: {LOST}")
    xid.from_dmesg(f"[{number}.5] {text}{LOST}", 0.0)
