"""Nothing that a gateway writes is damage to the next: all it knew would be set aside, and every restart be spent."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from spark_control.store import Store
from spark_control.store.records import Incident, Sample, Stamp
from tests.store.opening import opened

TEXT = st.text(max_size=20)
SECONDS = st.floats(-1e9, 2e11)
COUNT = st.integers(0, 2**40)
INCIDENT = st.builds(
    Incident,
    *(TEXT, TEXT, SECONDS, st.none() | SECONDS, TEXT, TEXT),
    *(COUNT, COUNT, COUNT, COUNT, COUNT),
    timeline=st.just(()),
)
SAMPLE = st.builds(
    Sample, TEXT, st.integers(0, 1000), st.floats(allow_nan=False, allow_infinity=False), COUNT
)

A_SPARK = Sample("here/memory_used", 100, 12 * 120e9, 12)
"""A minute of a machine that has 120 GB in use, and is looked at every five seconds."""

Write = Callable[[Store], object]


def writes(method: str, *values: st.SearchStrategy[object]) -> st.SearchStrategy[Write]:
    return st.tuples(*values).map(lambda given: lambda store: getattr(store, method)(*given))


WRITES = st.one_of(
    writes("restart_began", TEXT, st.builds(Stamp, TEXT, SECONDS, SECONDS), TEXT, TEXT),
    writes("save_incident", INCIDENT),
    writes("strike", TEXT, TEXT, SECONDS),
    writes("quarantine", TEXT, TEXT, SECONDS),
    writes("absolve", TEXT, TEXT),
    writes("set_maintenance", TEXT, st.booleans()),
    writes("set_drained", TEXT, st.booleans()),
    writes("save_samples", st.lists(SAMPLE, max_size=3), st.just(0), st.just(1000)),
)


@given(st.lists(WRITES, max_size=10))
@example([lambda store: store.save_samples([A_SPARK], 0, 1000)])
def test_whatever_is_written_is_sound(all_of_it: list[Write]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        with opened(Path(folder)) as store:
            for write in all_of_it:
                write(store)
        with opened(Path(folder)) as store:
            assert store.gap() is None
