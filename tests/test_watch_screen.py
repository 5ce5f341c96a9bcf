"""`status --watch`, on terminals and on pipes."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, contextmanager

import click
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_control.screens import cut, news_line, watch_screen
from spark_control.watching import CannotWatch, Lines, Screen, Watch
from tests.live import unused_port
from tests.processes import COMMAND
from tests.test_screens import AT, engine

STATUS = {"at": AT, "sentence": "All is well.", "upstreams": [engine()], "closed_loop": None}


def event(what: str, **more):
    return {"at": AT, "upstream": "parakeet", "what": what, "detail": "", "state": "", **more}


def screen(news=(), trouble="", size=(80, 24), status=STATUS):
    return [click.unstyle(line) for line in watch_screen(status, news, trouble, "footer", size)]


def test_what_happened_last_stands_below_the_table_the_newest_first():
    lines = screen([event("restarting"), event("healthy", detail="a canary passed")])

    assert lines[0] == "All is well."
    assert lines[3].startswith("● parakeet")
    assert lines[5] == "LATELY"
    assert re.fullmatch(r"\d\d:00:00  parakeet        healthy           a canary passed", lines[6])
    assert "restarting" in lines[7]
    assert (len(lines), lines[-1]) == (24, "footer")


def test_a_lost_gateway_is_told_above_what_was():
    lines = screen(trouble="The gateway has gone.")

    assert lines[:3] == ["The gateway has gone.", "", "All is well."]
    assert screen(trouble="The gateway has gone.", status=None)[0] == "The gateway has gone."


@given(st.integers(1, 200), st.integers(8, 60), st.text(max_size=300), st.integers(0, 200))
def test_it_never_has_more_rows_than_the_screen(columns, rows, text, count):
    lines = screen([event(text, detail=text, upstream=text, times=count)] * count, text, (columns, rows))

    assert len(lines) == rows
    assert all(len(line) <= max(80, columns) for line in lines)
    assert all(line.isprintable() for line in lines)


@given(st.text(alphabet="ab \u2588", max_size=40), st.integers(0, 50))
def test_a_cut_line_keeps_its_colours(text, columns):
    styled = click.style(text, fg="red") + click.style(text, bold=True)

    assert click.unstyle(cut(styled, columns)) == (text + text)[:columns]
    assert cut(styled, 200) == styled
    assert cut(styled, columns).endswith("\x1b[0m")


def drawn(colour: bool = True, size=(80, 24)) -> tuple[Screen, list[str]]:
    written: list[str] = []
    return Screen(written.append, lambda: size, colour=colour), written


def test_a_terminal_is_left_as_it_was_found():
    shown, written = drawn()
    with shown:
        shown.status(STATUS)

    assert written[0].startswith("\x1b[?1049h")
    assert written[-1].endswith("\x1b[?1049l")
    assert "\x1b[?25h" in written[-1]


def test_no_colour_is_no_colour():
    (colourful, with_colour), (grey, without) = drawn(), drawn(colour=False)
    for each in (colourful, grey):
        each.status(STATUS)

    assert "\x1b[32m" in with_colour[0]
    assert not re.search(r"\x1b\[[0-9;]*m", without[0])


def test_a_small_terminal_shows_the_left_of_it():
    shown, written = drawn(size=(30, 4))
    shown.status(STATUS)
    rows = [re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", row) for row in written[0].split("\r\n")]

    assert max(map(len, rows)) <= 30


def test_what_happens_to_each_request_is_counted():
    shown, written = drawn()
    for what in ("held", "held", "held", "healthy", "replayed", "replayed"):
        shown.announced(event(what))
    shown.status(STATUS)

    assert "held ×3" in written[0]
    assert "replayed ×2" in written[0]
    assert "×" not in news_line(event("held"))


def test_a_fault_of_a_gpu_is_its_machine_s():
    xid = {"at": AT, "machine": "spark-1", "what": "xid", "detail": "The GPU has fallen off the bus."}
    told = click.unstyle(news_line(xid, 100))

    assert told[10:] == "spark-1         xid               The GPU has fallen off the bus."


def test_a_pipe_gets_a_line_for_each_change():
    written: list[str] = []
    lines = Lines(written.append, as_json=False)
    for _ in range(3):
        lines.status(STATUS)
    lines.announced(event("ejected", detail="sticky: \x1b[31mstatus 500"))
    lines.lost("it broke off")
    lines.lost("it broke off")
    lines.status(STATUS)

    assert [line[21:] for line in written] == [
        "All is well.",
        "parakeet        ejected           sticky:  [31mstatus 500",
        "The gateway has gone: it broke off.",
        "All is well.",
    ]
    assert all(re.match(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d  ", line) for line in written)


def test_a_program_gets_json_lines():
    written: list[str] = []
    lines = Lines(written.append, as_json=True)
    lines.status(STATUS)
    lines.announced(event("ejected"))
    lines.lost("it broke off")
    lines.status(STATUS)

    assert [json.loads(line) for line in written] == [STATUS, event("ejected"), STATUS]


class Notes:
    """A viewer that keeps what it saw, and leaves when it has seen enough."""

    def __init__(self, enough: Callable[[list[str]], bool]) -> None:
        self.seen: list[str] = []
        self._enough = enough
        self.over = asyncio.Event()

    def status(self, status):
        self._note(status["sentence"])

    def announced(self, event):
        self._note(event["what"])

    def lost(self, why):
        self._note("lost")

    def _note(self, what: str) -> None:
        if self.seen[-1:] != [what]:
            self.seen.append(what)
        if self._enough(self.seen):
            self.over.set()


async def followed(url: str, notes: Notes, meanwhile: Callable[[], object]) -> None:
    watching = asyncio.create_task(Watch(url, notes).run())
    await asyncio.sleep(0.3)
    await asyncio.to_thread(meanwhile)
    async with asyncio.timeout(20):
        await notes.over.wait()
    watching.cancel()
    await asyncio.wait([watching])


def test_what_is_announced_is_seen(gateway_with):
    with gateway_with() as gateway:
        notes = Notes(lambda seen: "drained" in seen)
        url = str(gateway.base_url)
        path = f"{url}/api/upstreams/magpie/drain"
        asyncio.run(followed(url, notes, lambda: httpx.post(path, json={"on": True})))

    assert notes.seen[0] == "Both engines are working."
    assert "lost" not in notes.seen


@contextmanager
def stand_in(port: int):
    """A gateway that tells nothing but that all is well."""
    body = json.dumps(STATUS).encode()
    answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    over = threading.Event()

    def serve(listening: socket.socket) -> None:
        listening.settimeout(0.05)
        while not over.is_set():
            try:
                client, _ = listening.accept()
            except TimeoutError:
                continue
            with client:
                client.recv(65536)
                client.sendall(answer)

    with socket.create_server(("127.0.0.1", port)) as listening:
        thread = threading.Thread(target=serve, args=(listening,))
        thread.start()
        yield
        over.set()
        thread.join()


def test_a_gateway_that_goes_is_asked_again_until_it_is_back():
    port = unused_port()
    first, second = ExitStack(), ExitStack()
    notes = Notes(lambda seen: seen == ["All is well.", "lost", "All is well."])

    def restart() -> None:
        first.close()
        end = time.monotonic() + 10
        while "lost" not in notes.seen and time.monotonic() < end:
            time.sleep(0.01)
        second.enter_context(stand_in(port))

    with second:
        first.enter_context(stand_in(port))
        asyncio.run(followed(f"http://127.0.0.1:{port}", notes, restart))


@pytest.mark.parametrize("url", ["notaurl", "nobody", "stranger"])
def test_what_cannot_be_watched_is_told(url, upstreams):
    addresses = {"nobody": f"http://127.0.0.1:{unused_port()}", "stranger": upstreams["magpie"]["url"]}
    sentences = {"notaurl": "is not an address", "nobody": "start one with", "stranger": "not as a gateway"}

    notes = Notes(lambda seen: False)
    with pytest.raises(CannotWatch, match=sentences[url]):
        asyncio.run(Watch(addresses.get(url, url), notes).run())
    assert notes.seen == []


def test_on_a_real_terminal_it_lives_until_ctrl_c(gateway, tmp_path):
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "status", "--watch", "--gateway", str(gateway.base_url)],
        cwd=tmp_path,
        env={**os.environ, "TERM": "xterm", "NO_COLOR": ""},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    try:
        shown = read_until(ours, b"Ctrl-C leaves")
        shown += read_until(ours, b"Ctrl-C leaves")
        process.send_signal(signal.SIGINT)
        shown += read_until(ours, b"\x1b[?1049l")
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
        os.close(ours)

    assert shown.startswith(b"\x1b[?1049h")
    assert shown.count(b"Both engines are working.") >= 2
    assert b"\x1b[32m" in shown


def test_a_real_pipe_gets_lines_at_once(gateway, tmp_path):
    with subprocess.Popen(
        [*COMMAND, "status", "--watch", "--gateway", str(gateway.base_url)],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        first = process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert process.stderr.read() == b""

    assert first.endswith(b"  Both engines are working.\n")


def read_until(terminal: int, what: bytes) -> bytes:
    shown = b""
    end = time.monotonic() + 30
    while what not in shown:
        assert time.monotonic() < end, shown
        if select.select([terminal], [], [], 0.1)[0]:
            shown += os.read(terminal, 65536)
    return shown
