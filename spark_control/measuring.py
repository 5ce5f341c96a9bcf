"""What is counted and timed for Prometheus.

Labels are the templates of routes and the names of engines: nothing that a
client sends becomes one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram, Info, ProcessCollector
from prometheus_client.metrics_core import Metric

from spark_control import __version__
from spark_control.figures import Figures
from spark_control.trip import Trip

NO_UPSTREAM = "-"
"""The label of what no engine had a part in; no engine can have that name."""

_CUT = "cut"
"""The class of an answer that began and did not end."""

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)

AFFECTED = ("held", "replayed", "degraded", "failed")
"""What may befall a request on account of an engine."""


class _Registry(CollectorRegistry):
    """Without a time of creation for every series, which would double their number."""

    def collect(self) -> Iterable[Metric]:
        for metric in super().collect():
            metric.samples = [each for each in metric.samples if not each.name.endswith("_created")]
            yield metric


class Measuring:
    """The instruments. `figures` has the same of the last minutes, for people."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.figures = Figures(clock)
        self.registry = _Registry()
        self._paths: dict[tuple[str, str], _Path] = {}
        self._engines: dict[str, _Engine] = {}

        def counter(name: str, meaning: str, *labels: str) -> Counter:
            return Counter(f"spark_control_{name}", meaning, labels, registry=self.registry)

        def histogram(name: str, meaning: str, *labels: str) -> Histogram:
            return Histogram(
                f"spark_control_{name}", meaning, labels, registry=self.registry, buckets=_SECONDS
            )

        self._requests = counter(
            "requests",
            "Requests, by the class of their status; cut: the answer began and did not end.",
            "route",
            "upstream",
            "status",
        )
        self._first_byte = histogram(
            "first_byte_seconds", "From a request's head to its answer's first byte.", "route", "upstream"
        )
        self._total = histogram(
            "request_seconds", "From a request's head to its answer's end.", "route", "upstream"
        )
        self._received = counter("received_bytes", "Bytes of requests' bodies.", "route")
        self._sent = counter("sent_bytes", "Bytes of answers' bodies.", "route")
        self._queue = histogram("queue_seconds", "How long requests waited for their turn.", "upstream")
        self._engine = histogram(
            "engine_first_byte_seconds", "What engines took for the first of an answer.", "upstream"
        )
        self._probes = histogram("probe_seconds", "Canaries, by what came of them.", "upstream", "outcome")
        self._affected = counter(
            "affected_requests", "Requests that an engine's illness befell.", "upstream", "what"
        )
        self._restarts = counter("restarts", "Restarts that were begun.", "upstream")
        Info("spark_control_build", "Which gateway this is.", registry=self.registry).info(
            {"version": __version__}
        )
        ProcessCollector(registry=self.registry)

    def knows(self, upstreams: Iterable[str]) -> None:
        """Have these engines counted from zero: what has no first value has no increase either."""
        for upstream in upstreams:
            self._restarts.labels(upstream)
            for what in AFFECTED:
                self._affected.labels(upstream, what)

    def answered(self, route: str, trip: Trip) -> None:
        """A request is over."""
        upstream = trip.upstream or NO_UPSTREAM
        path = self._paths.get((route, upstream)) or self._path(route, upstream)
        path.count(trip)
        if trip.upstream is not None:
            engine = self._engines.get(upstream) or self._reached(upstream)
            if trip.queued or trip.engine is not None:  # who was turned away at once did not wait for 0 s
                engine.queue.observe(trip.queued)
            if trip.engine is not None:
                engine.engine.observe(trip.engine)
            if trip.good and trip.first_byte is not None:
                self.figures.answered(upstream, trip.first_byte)

    def probed(self, upstream: str, outcome: str, seconds: float) -> None:
        """A canary has come back."""
        self._probes.labels(upstream, outcome).observe(seconds)

    def announced(self, announcement: Mapping[str, object]) -> None:
        """Something has happened to an engine, or to a request on its account."""
        what, upstream = str(announcement["what"]), str(announcement.get("upstream"))
        if what in AFFECTED:
            self._affected.labels(upstream, what).inc()
        elif what == "restarting":
            self._restarts.labels(upstream).inc()

    def _path(self, route: str, upstream: str) -> _Path:
        path = self._paths[route, upstream] = _Path(
            lambda status: self._requests.labels(route, upstream, status),
            self._first_byte.labels(route, upstream),
            self._total.labels(route, upstream),
            self._received.labels(route),
            self._sent.labels(route),
        )
        return path

    def _reached(self, upstream: str) -> _Engine:
        engine = _Engine(self._queue.labels(upstream), self._engine.labels(upstream))
        self._engines[upstream] = engine
        return engine


class _Path:
    """The instruments of one route and one engine, looked up once: by labels that takes as long as all the rest."""

    def __init__(
        self,
        requests: Callable[[str], Counter],
        first_byte: Histogram,
        total: Histogram,
        received: Counter,
        sent: Counter,
    ) -> None:
        self._requests = requests
        self._by_status: dict[str, Counter] = {}
        self._first_byte = first_byte
        self._total = total
        self._received = received
        self._sent = sent

    def count(self, trip: Trip) -> None:
        status = f"{trip.status // 100}xx" if trip.whole else _CUT
        requests = self._by_status.get(status)
        if requests is None:
            requests = self._by_status[status] = self._requests(status)
        requests.inc()
        self._total.observe(trip.took)
        if trip.first_byte is not None:
            self._first_byte.observe(trip.first_byte)
        if trip.bytes_in:
            self._received.inc(trip.bytes_in)
        if trip.bytes_out:
            self._sent.inc(trip.bytes_out)


class _Engine:
    """The instruments of one engine, likewise."""

    def __init__(self, queue: Histogram, engine: Histogram) -> None:
        self.queue = queue
        self.engine = engine
