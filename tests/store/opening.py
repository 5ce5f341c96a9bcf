"""A store at a time of the test's own choosing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from spark_control.store import Store
from spark_control.store.records import Stamp


def at(seconds: float) -> Stamp:
    return Stamp("boot", seconds, seconds)


@contextmanager
def opened(folder: Path, now: float = 1000.0) -> Iterator[Store]:
    with closing(Store.open(folder, lambda: at(now))) as store:
        yield store
