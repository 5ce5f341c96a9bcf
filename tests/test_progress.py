"""How far long work has got."""

from __future__ import annotations

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_control import progress as module
from spark_control.progress import Progress, progress
from tests.live import eventually


class Terminal(io.TextIOWrapper):
    def __init__(self, encoding: str = "utf-8") -> None:
        super().__init__(io.BytesIO(), encoding=encoding)

    def isatty(self) -> bool:
        return True

    def shown(self) -> bytes:
        self.flush()
        assert isinstance(self.buffer, io.BytesIO)
        return self.buffer.getvalue()


@pytest.fixture(autouse=True)
def _terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")


@pytest.fixture
def at_once(monkeypatch):
    """Even the shortest work is long."""
    monkeypatch.setattr(module, "_PATIENCE", 0.0)
    monkeypatch.setattr(module, "_EVERY", 0.001)


def line(done: float, total: float | None, seconds: float = 0.0, columns: int = 79) -> str:
    clock = iter([0.0, seconds])
    going = Progress("Speaking", total, lambda: next(clock))
    going.done(done)
    return going.line(columns)


def test_work_whose_end_is_known_has_a_bar():
    assert line(25, 100, 3) == "Speaking  ██████░░░░░░░░░░░░░░░░░░   25%  3 s"
    assert line(250, 100, 3).endswith("  100%  3 s")


def test_other_work_has_a_clock():
    assert line(0, None, 12.4) == "Speaking  12 s"
    assert line(0, 0, 12.4) == "Speaking  12 s"


@given(st.floats(0, 1e12), st.floats(0, 1e12), st.integers(1, 200))
def test_no_line_is_wider_than_the_terminal(done, total, columns):
    assert len(line(done, total, 5, columns)) <= columns


def test_a_terminal_sees_it_and_afterwards_nothing_of_it(at_once):
    screen = Terminal()
    with progress("Sending", 10, screen) as going:
        going.done(5)
        eventually(lambda: b" 50%" in screen.shown())
        going.now_doing("Listening")
        eventually(lambda: b"Listening" in screen.shown())

    assert screen.shown().endswith(b"\r\x1b[K\x1b[?25h")


def test_a_terminal_of_another_alphabet_sees_it_too(at_once):
    screen = Terminal("ascii")
    with progress("Sending", 10, screen):
        eventually(lambda: re.search(rb"Sending  \?{24}", screen.shown()))


def test_short_work_is_not_shown():
    screen = Terminal()
    with progress("Sending", 10, screen):
        pass

    assert screen.shown() == b""


def test_nor_is_any_where_nobody_looks(at_once, monkeypatch):
    pipe = io.StringIO()
    with progress("Sending", 10, pipe):
        pass
    monkeypatch.setenv("TERM", "dumb")
    dumb = Terminal()
    with progress("Sending", 10, dumb):
        pass

    assert (pipe.getvalue(), dumb.shown()) == ("", b"")


def test_work_that_fails_leaves_the_terminal_in_order(at_once):
    screen = Terminal()
    with pytest.raises(KeyError), progress("Sending", 10, screen):
        _fail(screen)

    assert screen.shown().endswith(b"\x1b[?25h")


def _fail(screen: Terminal) -> None:
    eventually(lambda: b"Sending" in screen.shown())
    raise KeyError
