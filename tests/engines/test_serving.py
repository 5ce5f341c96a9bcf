from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import espeakng_loader
import httpx
import pytest

from spark_control.engines import ENGINES, EngineUnavailable
from spark_control.engines.serving import run_engine

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"}
RUN = """
import sys
from spark_control.engines.serving import run_engine
kind, fd, lifeline = sys.argv[1], *(int(arg) if arg else None for arg in sys.argv[2:])
run_engine(kind, host="127.0.0.1", port=0, fd=fd, lifeline=lifeline)
"""
# A parent that starts an engine as the gateway does, and then does nothing more.
PARENT = f"""
import os, subprocess, sys, time
reading, writing = os.pipe()
command = [sys.executable, "-c", {RUN!r}, sys.argv[1], "", str(reading)]
engine = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, pass_fds=[reading])
print(engine.pid, engine.stdout.readline().split()[-1], flush=True)
time.sleep(600)
"""


@contextmanager
def started(program, *arguments, **options):
    command = [sys.executable, "-c", program, *arguments]
    with subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True, **options) as process:
        try:
            yield process
        finally:
            process.kill()


def status(pid):
    """The state and the parent of a process; None once it has ended, though nobody has waited for it yet."""
    try:
        state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if state in "ZX" else (state, int(parent))


def work_of(pid):
    """What a process has computed so far, in clock ticks."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11])


def children_of(pid):
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [child for child in pids if (found := status(child)) and found[1] == pid]


def wait_until_ended(*pids):
    deadline = time.monotonic() + 20
    while any(status(pid) for pid in pids):
        assert time.monotonic() < deadline, "a process outlived its parent"
        time.sleep(0.02)


@pytest.fixture(params=ENGINES)
def kind(request):
    return request.param


def test_an_engine_answers_on_a_socket_it_inherits_and_early_clients_wait(kind):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        early = socket.create_connection(listener.getsockname())
        with started(RUN, kind, str(listener.fileno()), "", pass_fds=[listener.fileno()]) as engine, early:
            path = "/health" if kind == "parakeet" else "/v1/health/ready"
            early.sendall(f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
            answer = early.recv(1000)
            assert answer.startswith(b"HTTP/1.1 200")
            engine.terminate()
            assert engine.communicate()[0] == ""


def test_a_signal_ends_it_at_once(kind):
    with started(RUN, kind, "", "") as engine:
        engine.stdout.readline()
        family = [engine.pid, *children_of(engine.pid)]
        engine.terminate()

        assert engine.wait(20) == -signal.SIGTERM
        wait_until_ended(*family)


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_kill_9_of_the_parent_takes_the_engine_with_it(kind):
    with started(PARENT, kind) as parent:
        pid = int(parent.stdout.readline().split()[0])
        family = [pid, *children_of(pid)]
        assert len(family) == {"magpie": 1, "parakeet": 2}[kind]
        parent.kill()

        wait_until_ended(*family)


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_kill_9_of_the_parent_ends_even_an_engine_that_is_listening(say):
    clip = say("A long story that nobody will hear the end of. " * 20)
    with started(PARENT, "parakeet") as parent:
        pid, url = parent.stdout.readline().split()
        family = [int(pid), *children_of(int(pid))]
        with pytest.raises(httpx.TimeoutException):
            httpx.post(f"{url}/v1/audio/transcriptions", files={"file": ("a.wav", clip)}, timeout=1)
        parent.kill()

        wait_until_ended(*family)


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_the_work_of_a_client_that_has_gone_is_not_done(say):
    clip = say("We will meet again tomorrow morning at half past nine. " * 3)
    with started(RUN, "parakeet", "", "") as engine, httpx.Client(timeout=60) as client:
        url = engine.stdout.readline().split()[-1]
        (listener,) = children_of(engine.pid)
        request = httpx.Request("POST", f"{url}/v1/audio/transcriptions", files={"file": ("a.wav", clip)})
        head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
        body = request.read()

        idle = work_of(listener)
        client.send(request)
        one = work_of(listener) - idle
        patient = threading.Thread(target=client.send, args=(request,))
        patient.start()
        for _ in range(6):
            with socket.create_connection((request.url.host, request.url.port)) as impatient:
                impatient.sendall(f"POST {request.url.path} HTTP/1.1\r\n{head}\r\n".encode() + body)
        patient.join()
        client.send(request)
        all_of_it = work_of(listener) - idle

    assert 2.5 * one < all_of_it < 5 * one  # of nine that were sent, three were waited for


def test_it_ends_when_its_lifeline_is_let_go(kind):
    reading, writing = os.pipe()
    with started(RUN, kind, "", str(reading), pass_fds=[reading]) as engine:
        os.close(reading)
        engine.stdout.readline()
        os.close(writing)

        engine.wait(20)


# Python keeps None for a module that is not there.
WITHOUT = """
import sys
from spark_control.engines import EngineUnavailable
from spark_control.engines.serving import run_engine
kind, library = sys.argv[1:]
sys.modules[library] = None
try:
    run_engine(kind, host="127.0.0.1", port=0, fd=None, lifeline=None)
except EngineUnavailable as refusal:
    print(refusal)
"""


@pytest.mark.parametrize(
    ("kind", "library"), [("magpie", "espeakng_loader"), ("parakeet", "pocketsphinx"), ("parakeet", "av")]
)
def test_a_missing_extra_is_one_sentence(kind, library):
    with started(WITHOUT, kind, library) as process:
        said = process.communicate(timeout=60)[0]

    assert said == """The embedded engines need the "engines" extra: pip install 'spark-control[engines]'\n"""


def test_an_unknown_engine_is_refused_by_name():
    with pytest.raises(EngineUnavailable, match="no engine 'kokoro'; there are magpie, parakeet"):
        run_engine("kokoro", host="127.0.0.1", port=0, fd=None, lifeline=None)


def test_asking_for_the_package_loads_no_library():
    program = """
import sys, spark_control.engines
print(sorted({"av", "espeakng_loader", "numpy", "pocketsphinx", "uvicorn", "fastapi"} & set(sys.modules)))
"""
    with started(program) as process:
        assert process.communicate()[0] == "[]\n"


def test_magpie_speaks_from_a_folder_whose_path_is_too_long_for_espeak(tmp_path):
    folder = tmp_path / ("a" * 100) / ("b" * 100)
    folder.mkdir(parents=True)
    (folder / "espeakng_loader").symlink_to(Path(espeakng_loader.__file__).parent)
    program = f"import sys; sys.path.insert(0, {str(folder)!r})\n{RUN}"
    with started(program, "magpie", "", "") as engine:
        url = engine.stdout.readline().split()[-1]
        spoken = httpx.post(f"{url}/v1/audio/synthesize", files={"text": (None, "Hello there.")})

        assert len(spoken.content) > 22050
