"""A release in a clean environment: installed from nothing, and made to speak."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import venv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.request import Request, urlopen

_MOST_TOLD = 4000


class Faulty(Exception):
    """What was built is not fit to be released; the text says why."""


def ran(*command: str | Path, folder: Path, environ: Mapping[str, str] | None = None) -> str:
    """What a program prints, when it goes well. Raises Faulty with what it says when it does not."""
    done = subprocess.run(
        [str(each) for each in command], cwd=folder, env=environ, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Faulty(f"{' '.join(map(str, command))}:\n{(done.stdout + done.stderr)[-_MOST_TOLD:]}")
    return done.stdout


def installed(wheel: Path, folder: Path) -> Path:
    """The program, in an environment that has nothing but the wheel, its engines and what they require."""
    venv.create(folder / "venv", with_pip=True)
    pip = [str(folder / "venv/bin/python"), "-m", "pip", "-q", "--disable-pip-version-check"]
    ran(*pip, "install", f"{wheel}[engines]", folder=folder)
    ran(*pip, "check", folder=folder)
    return folder / "venv/bin/spark-control"


def speaks(program: Path, version: str, folder: Path) -> None:
    """See that it knows its version, and that a demo answers with sound and ends when it is told to."""
    if version not in ran(program, "--version", folder=folder):
        raise Faulty(f"the wheel's program does not say that it is {version}")
    with _demo(program, folder) as demo:
        said = demo.stdout.readline() if demo.stdout else ""
        address = re.search(r"http://\S+:\d+", said)
        if address is None:
            told = f"{said}{(folder / 'log').read_text()}"
            raise Faulty(f"serve --demo does not say where it listens, but: {told}")
        _sound(address.group())
        demo.send_signal(signal.SIGTERM)
        if demo.wait(30):
            raise Faulty(f"serve --demo ends with exit status {demo.returncode}")


@contextmanager
def _demo(program: Path, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """It, on a free port; its log is in `folder/log`."""
    command = [str(program), "serve", "--demo", "--port", "0"]
    with (folder / "log").open("w") as log:
        demo = subprocess.Popen(
            command, cwd=folder, env=_plain_environment(), stdout=subprocess.PIPE, stderr=log, text=True
        )
    with demo:
        try:
            yield demo
        finally:
            if demo.poll() is None:
                demo.kill()


def _sound(address: str) -> None:
    body = b'{"model": "tts-1", "input": "It speaks.", "voice": "alloy", "response_format": "wav"}'
    asked = Request(f"{address}/v1/audio/speech", body, {"Content-Type": "application/json"})  # noqa: S310 (http://)
    try:
        with urlopen(asked, timeout=120) as answer:  # noqa: S310
            sound = answer.read()
    except OSError as exc:
        raise Faulty(f"serve --demo does not answer: {exc}") from None
    if sound[:4] != b"RIFF" or len(sound) < 10_000:
        raise Faulty(f"serve --demo answers {len(sound)} bytes that are no speech")


def tests_collect(sdist: Path, folder: Path) -> int:
    """See that the tests of the source distribution import all that they need from it; how many there are."""
    ran("tar", "-xzf", sdist, "--strip-components=1", folder=folder)
    asked = [sys.executable, "-m", "pytest", "--collect-only", "-qq", "-p", "no:cacheprovider"]
    told = ran(*asked, folder=folder, environ=_plain_environment())
    return sum(int(number) for number in re.findall(r"(?m)^\S+: (\d+)$", told))


def _plain_environment() -> dict[str, str]:
    return {
        name: value for name, value in os.environ.items() if not name.startswith(("SPARK_CONTROL_", "PYTHON"))
    }
