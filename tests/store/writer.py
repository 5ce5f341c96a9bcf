"""A gateway's store at work in a process of its own, which says what it has been promised to keep.

python -m tests.store.writer FOLDER
"""

from __future__ import annotations

import sys
from itertools import count
from pathlib import Path

from spark_control.store import Store, StoreError
from spark_control.store.records import Entry, Incident, Stamp


def incident(number: int) -> Incident:
    timeline = tuple(Entry(float(at), "canary failed", "x" * 200) for at in range(number % 50))
    counts = {"held": number, "replayed": 0, "degraded": 0, "failed": 0, "restarts": 1}
    return Incident(f"inc_{number}", "parakeet", 1.0, None, "sticky", "", **counts, timeline=timeline)


def say(what: str, number: int) -> None:
    sys.stdout.write(f"{what} {number}\n")
    sys.stdout.flush()


def work(store: Store) -> None:
    """Remember more and more, and say each time what has been remembered."""
    for number in count():
        row = store.restart_began("parakeet", Stamp("boot", number, 0), "sticky", "watcher")
        say("began", row)
        store.save_incident(incident(number % 500))  # the same ones over and over, as an incident goes on
        say("saved", number % 500)
        if number % 2:
            store.restart_ended(row, "healthy", float(number))
            say("ended", row)


if __name__ == "__main__":
    try:
        work(Store.open(Path(sys.argv[1])))
    except StoreError as exc:
        sys.exit(str(exc))
