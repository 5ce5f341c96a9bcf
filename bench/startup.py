"""How long `spark-control serve` with its embedded engines takes to its first answers: `python -m bench.startup`."""

from __future__ import annotations

import argparse
import http.client
import os
import statistics
import subprocess
import tempfile
import time

from bench.bodies import speak
from bench.machine import free_port, python

GOAL = 3.0


def one_start(folder: str) -> tuple[float, float]:
    """Seconds from the command to the first answer of /healthz, and to the first sound."""
    port = free_port()
    # An empty folder, and none of the caller's settings: nothing but the defaults.
    env = {name: value for name, value in os.environ.items() if not name.startswith("SPARK_CONTROL_")}
    began = time.perf_counter()
    process = subprocess.Popen(
        python("spark_control", "serve", "--port", str(port)),
        cwd=folder,
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while not _healthy(port):
            if process.poll() is not None or time.perf_counter() - began > 30:
                raise SystemExit("spark-control serve did not start; run it by hand to see why.")
            time.sleep(0.005)
        healthy = time.perf_counter() - began
        _speak(port)
        return healthy, time.perf_counter() - began
    finally:
        process.terminate()
        process.wait(20)


def _healthy(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def _speak(port: int) -> None:
    post = speak()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("POST", post.path, post.body, post.headers)
    answer = connection.getresponse()
    sound = answer.read()
    connection.close()
    if answer.status != 200 or not sound.startswith(b"RIFF"):
        raise SystemExit(f"The gateway answered {answer.status}: {sound[:300]!r}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one start instead of five")
    starts = 1 if parser.parse_args().quick else 5
    with tempfile.TemporaryDirectory() as folder:
        one_start(folder)  # reads the files into the system's cache, and compiles Python's
        measured = [one_start(folder) for _ in range(starts)]
    good = True
    for what, seconds in zip(("/healthz answers", "first sound"), zip(*measured, strict=True), strict=True):
        median = statistics.median(seconds)
        good = good and median < GOAL
        word = "reached" if median < GOAL else "MISSED"
        print(f"{what:<17} {median:5.2f} s  (slowest {max(seconds):.2f}; goal < {GOAL:g} s: {word})")
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
