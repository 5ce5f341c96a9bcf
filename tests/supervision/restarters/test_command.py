from __future__ import annotations

import asyncio
import os
import signal
import sys
import time

import pytest
import uvloop

from spark_control.settings import RestartSettings
from spark_control.supervision.restarters import RestartFailed, build_restarter
from spark_control.supervision.restarters.quoted import quoted
from tests.live import eventually
from tests.processes import lives


def restarter(*argv: str, within: float = 30):
    return build_restarter(RestartSettings(command=list(argv), timeout=within))


both_loops = pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
"""The gateway runs on uvloop where there is one, whose processes and pipes are not asyncio's."""


def restart(*argv: str, within: float = 30, run=uvloop.run) -> None:
    run(restarter(*argv, within=within).restart())


def why_not(*argv: str, within: float = 30, run=uvloop.run) -> str:
    """The sentence it fails with."""
    with pytest.raises(RestartFailed) as caught:
        restart(*argv, within=within, run=run)
    return str(caught.value)


def sh(script: str) -> list[str]:
    return ["sh", "-c", script]


def pids_in(file) -> list[int]:
    return [int(pid) for pid in file.read_text().split()] if file.exists() else []


@pytest.fixture
def ssh(tmp_path):
    """Makes a program of that name, which is what the sentence about ssh goes by."""

    def make(script: str) -> str:
        program = tmp_path / "ssh"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        return str(program)

    return make


def test_exit_status_0_is_success(tmp_path):
    restart("touch", str(tmp_path / "restarted"))

    assert (tmp_path / "restarted").exists()


def test_it_is_named_by_its_program():
    made = restarter("/usr/bin/env", "TOKEN=hush", "restart-parakeet")

    assert (made.kind, made.what) == ("command", "env")


def test_another_status_is_told_with_its_words():
    assert (
        why_not(*sh("echo no such engine >&2; exit 3"))
        == "the command 'sh' ended with status 3: no such engine"
    )


def test_no_shell_reads_the_arguments(tmp_path):
    restart("touch", f"{tmp_path}/a; b $(c) *")

    assert [file.name for file in tmp_path.iterdir()] == ["a; b $(c) *"]


def test_it_has_no_input():
    restart(*sh("! read -r line"))


def test_a_program_that_is_missing_is_named():
    assert why_not("/usr/bin/no-such-program") == "there is no program 'no-such-program' on this machine"


def test_a_program_that_cannot_be_run_is_named(tmp_path):
    (tmp_path / "restart").write_text("#!/bin/sh\n")

    assert why_not(str(tmp_path / "restart")) == "'restart' cannot be run: Permission denied"


def test_status_255_of_ssh_says_that_ssh_failed(ssh):
    assert why_not(ssh("echo no route to host >&2; exit 255")) == (
        "ssh itself failed, and nothing was restarted: no route to host"
    )


def test_another_status_through_ssh_is_the_far_command_s(ssh):
    assert why_not(ssh("exit 4")) == "the command 'ssh' ended with status 4"


def test_a_command_that_is_killed_says_by_what():
    assert why_not(*sh("kill -9 $$")) == f"the command 'sh' ended with signal {signal.SIGKILL:d}"


@both_loops
@pytest.mark.parametrize("trap", ["", "trap '' TERM;"], ids=["polite", "stubborn"])
def test_one_that_takes_too_long_is_ended_with_all_that_it_started(tmp_path, trap, run):
    pids = tmp_path / "pids"
    grandchild = f"{trap} echo $$ >>{pids}; while :; do sleep 0.1; done"
    script = f'{trap} echo $$ >>{pids}; sh -c "$0" & sh -c "$0" & while :; do sleep 0.1; done'

    assert why_not("sh", "-c", script, grandchild, within=1, run=run) == (
        "'sh' took longer than 1 s and was ended"
    )
    assert len(pids_in(pids)) == 3
    eventually(lambda: not any(lives(pid) for pid in pids_in(pids)))


@both_loops
def test_one_that_is_cancelled_is_ended_with_all_that_it_started(tmp_path, run):
    pids = tmp_path / "pids"

    async def cancel():
        running = asyncio.create_task(
            restarter(*sh(f"echo $$ >>{pids}; sleep 600 & echo $! >>{pids}; wait")).restart()
        )
        while len(pids_in(pids)) < 2:
            await asyncio.sleep(0.01)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    run(cancel())

    assert len(pids_in(pids)) == 2
    eventually(lambda: not any(lives(pid) for pid in pids_in(pids)))


@both_loops
def test_one_that_is_cancelled_while_it_is_started_is_ended_too(tmp_path, run):
    pids = tmp_path / "pids"

    async def cancel(turns: int):
        running = asyncio.create_task(restarter(*sh(f"echo $$ >>{pids}; exec sleep 600")).restart())
        for _ in range(turns):
            await asyncio.sleep(0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    for turns in range(6):
        run(cancel(turns))

    assert not any(lives(pid) for pid in pids_in(pids))


@both_loops
def test_what_a_successful_command_left_running_goes_on(tmp_path, run):
    """A restart by a script of three lines leaves the engine behind, with the output that it inherited."""
    pid = tmp_path / "pid"
    restart(*sh(f"sleep 600 & echo $! >{pid}"), run=run)

    (engine,) = pids_in(pid)
    assert lives(engine)
    os.kill(engine, signal.SIGKILL)


def test_what_a_failed_command_left_running_is_ended(tmp_path):
    pid = tmp_path / "pid"
    why_not(*sh(f"sleep 600 & echo $! >{pid}; exit 1"))

    (left,) = pids_in(pid)
    eventually(lambda: not lives(left))


def test_a_flood_is_read_and_the_end_of_it_told():
    flood = "import sys; sys.stdout.write('blah ' * 2_000_000 + 'the end'); sys.exit(1)"
    said = why_not(sys.executable, "-c", flood)

    assert said.endswith("blah the end")
    assert len(said) < 400


@pytest.mark.parametrize("word", ["a", "a:1", "1", "1.", "/", "\x1b[0", "0x"])
def test_a_word_without_an_end_takes_no_time(word):
    """The event loop waits meanwhile; 64 KB of one letter once kept it for more than a minute."""
    began = time.perf_counter()
    quoted(word * (64 * 1024 // len(word)))

    assert time.perf_counter() - began < 1


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (r"\033[31mno engine\033[0m\a here\n", "no engine here"),
        ("cannot open /home/ann/.ssh/id_ed25519 today", "cannot open … today"),
        ("connect to 192.168.1.17 port 22: refused", "connect to … port 22: refused"),
        ("see http://ann:secret@spark-2:9000/x", "see …"),
        (r"\377\376 it broke", "�� it broke"),
        ("sent Authorization: Bearer abcdef", ""),
        ("password=hunter2", ""),
        ("", ""),
    ],
)
def test_its_words_are_made_fit_to_show(said, shown):
    expected = f"the command 'sh' ended with status 1: {shown}".removesuffix(": ")

    assert why_not("sh", "-c", 'printf "$0"; exit 1', said) == expected
