"""What Prometheus reads: `/metrics`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from fastapi import APIRouter
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.responses import Response

from spark_control.deep_health import DeepHealth
from spark_control.lifecycle import Lifecycle
from spark_control.machine import Machines
from spark_control.measuring import Measuring
from spark_control.speech_cache import Outcome, SpeechCache
from spark_control.supervision.recovery import State

Json = Mapping[str, Any]

_OUTCOMES: tuple[Outcome, ...] = ("hit", "stale", "miss")


def build_metrics_router(measuring: Measuring, gauges: Gauges) -> APIRouter:
    """One `GET`. What has been counted is written in a thread: with many routes it is a long page."""
    router = APIRouter(tags=["health"])

    @router.get("/metrics", response_class=Response)
    async def metrics() -> Response:
        """Everything that is counted, timed and seen, in Prometheus's text format."""
        seen = CollectorRegistry()
        seen.register(_Seen(list(gauges.seen())))
        page = generate_latest(seen) + await asyncio.to_thread(generate_latest, measuring.registry)
        headers = {"content-type": CONTENT_TYPE_LATEST, "cache-control": "no-store"}
        return Response(page, headers=headers)

    return router


class _Seen(Collector):
    """Metrics that are known already."""

    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


class _Gauge:
    """One gauge with labels; what is not known has no sample."""

    def __init__(self, name: str, meaning: str, *labels: str) -> None:
        self.family = GaugeMetricFamily(f"spark_control_{name}", meaning, labels=labels)

    def set(self, value: object, *labels: str) -> None:
        if isinstance(value, int | float):
            self.family.add_metric(labels, float(value))


class Gauges:
    """How things are at the moment of a scrape. `queue` is how many requests may wait for one engine."""

    def __init__(
        self,
        deep_health: DeepHealth,
        lifecycle: Lifecycle,
        machines: Machines,
        cache: SpeechCache | None,
        queue: int,
    ) -> None:
        self._deep_health = deep_health
        self._lifecycle = lifecycle
        self._machines = machines
        self._cache = cache
        self._queue = queue

    def seen(self) -> Iterator[Metric]:
        yield from self._gateway()
        status: Any = self._deep_health.snapshot()
        yield from _engines(status["upstreams"])
        yield from _machines(self._machines.snapshot())
        if self._cache:
            yield from _cached(self._cache)

    def _gateway(self) -> Iterator[Metric]:
        facts = {
            "ready": ("Whether it takes work.", self._lifecycle.ready and not self._lifecycle.draining),
            "in_flight": ("Requests under way.", self._lifecycle.in_flight),
            "queue_limit": ("Requests that may wait for one engine.", self._queue),
        }
        for name, (meaning, value) in facts.items():
            yield GaugeMetricFamily(f"spark_control_{name}", meaning, float(value))


_ENGINE = {
    "in_flight": "Requests that the engine works on.",
    "queued": "Requests that wait for their turn there.",
    "held": "Requests that wait for its cure.",
    "concurrency": "Requests that it works on at once, at most.",
    "maintenance": "Whether it is watched only.",
    "drained": "Whether new requests are kept away from it.",
}


def _engines(engines: Iterable[Json]) -> Iterator[Metric]:
    gauges = {name: _Gauge(f"upstream_{name}", meaning, "upstream") for name, meaning in _ENGINE.items()}
    state = _Gauge("upstream_state", "1 for the state that the engine is in.", "upstream", "state")
    limit = _Gauge("restart_budget", "Restarts that it may have in its window of time.", "upstream")
    left = _Gauge("restart_budget_left", "Those that are left.", "upstream")
    for engine in engines:
        name = engine["name"]
        for field, gauge in gauges.items():
            gauge.set(engine[field], name)
        for each in State:
            state.set(engine["state"] == each, name, each.value)
        limit.set(engine["budget"]["limit"], name)
        left.set(engine["budget"]["left"], name)
    yield from (gauge.family for gauge in (*gauges.values(), state, limit, left))


_MEMORY = {
    "total": ("memory_total_bytes", "Memory that CPU and GPU share."),
    "available": ("memory_available_bytes", "Memory that can be had without swapping."),
    "pressure": ("memory_pressure_percent", "Share of the last 10 s in which work waited for memory."),
    "swap_total": ("swap_total_bytes", "Swap."),
    "swap_free": ("swap_free_bytes", "Swap that is free."),
}
_GPU = {
    "utilisation": ("gpu_utilisation_percent", "How busy the GPU is."),
    "temperature": ("gpu_temperature_celsius", "How hot it is."),
    "power": ("gpu_power_watts", "What it draws."),
    "memory_used": ("gpu_memory_used_bytes", "Memory of its own in use, if it tells."),
    "memory_total": ("gpu_memory_total_bytes", "Memory of its own, if it tells."),
}
_DISK = {
    "free": ("disk_free_bytes", "Room on the disk."),
    "total": ("disk_total_bytes", "Size of the disk."),
}


def _machines(machines: Iterable[Json]) -> Iterator[Metric]:
    def gauges(which: Mapping[str, tuple[str, str]], *labels: str) -> dict[str, _Gauge]:
        return {
            field: _Gauge(f"machine_{name}", meaning, "machine", *labels)
            for field, (name, meaning) in which.items()
        }

    seen = _Gauge("machine_seen", "Whether the last look at the machine succeeded.", "machine")
    load = _Gauge("machine_load", "Load of the last minute.", "machine")
    cpus = _Gauge("machine_cpus", "CPUs.", "machine")
    xid = _Gauge("machine_last_xid_seconds", "When the driver last wrote an Xid, in Unix time.", "machine")
    memory, gpus, disks = gauges(_MEMORY), gauges(_GPU, "gpu"), gauges(_DISK, "path")
    for machine in machines:
        name = machine["name"]
        seen.set(machine["problem"] is None, name)
        load.set(machine["load"][0] if machine["load"] else None, name)
        cpus.set(machine["cpus"], name)
        xid.set(max((_unix(each["at"]) for each in machine["xids"]), default=None), name)
        _fill(memory, machine["memory"] or {}, name)
        for number, gpu in enumerate(machine["gpus"]):
            _fill(gpus, gpu, name, str(number))
        for disk in machine["disks"]:
            _fill(disks, disk, name, disk["path"])
    single = (seen, load, cpus, xid)
    for gauge in (*single, *memory.values(), *gpus.values(), *disks.values()):
        yield gauge.family


def _fill(gauges: Mapping[str, _Gauge], facts: Json, *labels: str) -> None:
    for field, gauge in gauges.items():
        gauge.set(facts.get(field), *labels)


def _unix(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


def _cached(cache: SpeechCache) -> Iterator[Metric]:
    answers = CounterMetricFamily(
        "spark_control_speech_cache_answers",
        "Speech by what the cache had to do with it.",
        labels=["outcome"],
    )
    for outcome in _OUTCOMES:
        answers.add_metric([outcome], cache.answered[outcome])
    yield answers
    yield GaugeMetricFamily(
        "spark_control_speech_cache_entries", "Sentences that are remembered.", len(cache.files)
    )
    yield GaugeMetricFamily("spark_control_speech_cache_bytes", "Bytes of them.", cache.files.bytes)
