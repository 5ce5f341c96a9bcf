"""Ten minutes with more clients than an engine can bear: how many false restarts?

python -m bench.saturation [SECONDS]
"""

from __future__ import annotations

import logging
import sys
import tempfile
from pathlib import Path

from spark_control.telemetry import configure_logging
from tests.stories.test_busy_is_not_dead import saturated


def main(seconds: float) -> None:
    for kind in ("parakeet", "magpie"):
        with tempfile.TemporaryDirectory() as folder:
            statuses, restarts = saturated(Path(folder), kind, seconds)
        print(f"{kind}: {seconds:g} s, answers {dict(statuses)}, restarts {restarts}")


if __name__ == "__main__":
    configure_logging(logging.ERROR)
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 600)
