"""Crowds of clients, and engines that wedge five times in each shape: is one request lost? `python -m bench.crowds`."""

from __future__ import annotations

import logging
import tempfile
import time
from pathlib import Path

from spark_control.telemetry import configure_logging
from tests.stories.test_zero_failures import SHAPES, nobody_loses_a_request

WEDGES = 5


def main() -> None:
    for name, fault in SHAPES.items():
        for engines, patience in ((1, 60.0), (2, 1.0)):
            began = time.monotonic()
            with tempfile.TemporaryDirectory() as folder:
                nobody_loses_a_request(Path(folder), [fault] * WEDGES, patience=patience, each=engines)
            took = time.monotonic() - began
            print(
                f"{name}, {engines} of each, {patience:g} s of patience: none lost, in {took:.0f} s",
                flush=True,
            )


if __name__ == "__main__":
    configure_logging(logging.ERROR)
    main()
