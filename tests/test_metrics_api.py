"""What Prometheus reads, by its own parser."""

from __future__ import annotations

from typing import Any

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from spark_control.doorway import OTHER, route_of
from spark_control.measuring import NO_UPSTREAM, Measuring
from spark_control.metrics_api import _machines
from spark_control.trip import Trip
from tests.fakes.faults import Fault
from tests.live import eventually
from tests.sounds import wav
from tests.test_access import ELSEWHERE, guarded, with_key

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples_of(page: str) -> Samples:
    return {
        (each.name, frozenset(each.labels.items())): each.value
        for family in text_string_to_metric_families(page)
        for each in family.samples
    }


def scraped(client: httpx.Client) -> Samples:
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    return samples_of(answer.text)


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples.get((f"spark_control_{name}", frozenset(labels.items())), 0.0)


def test_a_request_is_counted_with_its_route_engine_status_times_and_bytes(gateway):
    before = scraped(gateway)
    answer = gateway.post("/v1//audio/speech/", json={"input": "Hello.", "response_format": "pcm"})
    labels = {"route": "/v1/audio/speech", "upstream": "magpie"}

    def more(name: str, **which: str) -> float:
        return value(scraped(gateway), name, **which) - value(before, name, **which)

    eventually(lambda: more("requests_total", **labels, status="2xx") == 1)
    assert more("first_byte_seconds_count", **labels) == 1
    assert more("request_seconds_count", **labels) == 1
    assert 0 < more("first_byte_seconds_sum", **labels) <= more("request_seconds_sum", **labels)
    assert more("queue_seconds_count", upstream="magpie") == 1
    assert more("engine_first_byte_seconds_count", upstream="magpie") == 1
    assert more("sent_bytes_total", route="/v1/audio/speech") == len(answer.content)
    assert more("received_bytes_total", route="/v1/audio/speech") == len(answer.request.content)


def test_what_is_seen_of_the_engines_is_there(gateway):
    eventually(lambda: value(scraped(gateway), "probe_seconds_count", upstream="magpie", outcome="passed"))
    samples = scraped(gateway)
    for upstream in ("magpie", "parakeet"):
        states = {
            dict(labels)["state"]: each
            for (name, labels), each in samples.items()
            if name == "spark_control_upstream_state" and ("upstream", upstream) in labels
        }
        assert states.pop("healthy") == 1
        assert set(states.values()) == {0}
        assert value(samples, "restart_budget_left", upstream=upstream) == 3
        assert ("spark_control_restarts_total", frozenset({("upstream", upstream)})) in samples
    assert value(samples, "ready") == 1
    assert value(samples, "in_flight") == 1  # the scrape itself
    assert value(samples, "queue_limit") == 256
    assert any(name == "spark_control_build_info" for name, _ in samples)
    assert not any(name.endswith("_created") for name, _ in samples)


def test_an_engine_tells_its_rate_and_how_soon_it_begins(gateway):
    gateway.post("/v1/audio/transcriptions", files={"file": ("a.wav", wav(0.2), "audio/wav")})

    def shown() -> dict[str, Any]:
        engines = gateway.get("/api/status").json()["upstreams"]
        (one,) = (each for each in engines if each["name"] == "parakeet")
        return dict(one)

    eventually(lambda: shown()["per_minute"] > 0)
    assert 0 < shown()["first_byte"]["p50"] <= shown()["first_byte"]["p95"]


def test_a_failed_request_is_counted_as_such(gateway_with, magpie):
    with gateway_with() as client:
        magpie.fault = Fault(500, b"CUDA error: unspecified launch failure")
        client.post("/v1/audio/speech", json={"input": "Hello."})

        def failed() -> float:
            return value(scraped(client), "affected_requests_total", upstream="magpie", what="failed")

        eventually(failed)
        eventually(
            lambda: value(
                scraped(client),
                "requests_total",
                route="/v1/audio/speech",
                upstream="magpie",
                status="5xx",
            )
        )


def test_metrics_take_any_key_or_this_machine(tmp_path, upstreams, magpie, parakeet):
    with guarded(tmp_path, upstreams) as client:
        assert client.get("/metrics").status_code == 200
        assert client.get("/metrics", headers=with_key(**ELSEWHERE)).status_code == 200
        assert client.get("/metrics", headers=ELSEWHERE).status_code == 401


def test_who_is_turned_away_at_once_makes_the_wait_for_a_turn_no_shorter():
    measuring = Measuring(lambda: 0.0)
    served, refused = Trip(), Trip()
    served.waited(4.0)
    served.answered("magpie", 0.1)
    refused.came_to("magpie")
    for trip, status in ((served, 200), (refused, 429)):
        trip.status, trip.whole = status, True
        measuring.answered("/v1/audio/speech", trip)
    samples = samples_of(generate_latest(measuring.registry).decode())
    assert value(samples, "queue_seconds_count", upstream="magpie") == 1
    assert value(samples, "queue_seconds_sum", upstream="magpie") == 4


ROUTES = st.sampled_from(["/v1/audio/speech", OTHER])
TRIPS = st.tuples(
    ROUTES, st.sampled_from([None, "magpie"]), st.integers(0, 599), st.booleans(), st.floats(0, 1e6)
)


@given(st.lists(TRIPS, max_size=60))
def test_whatever_requests_meet_there_are_only_so_many_series(trips):
    measuring = Measuring(lambda: 0.0)
    for route, upstream, status, whole, seconds in trips:
        trip = Trip()
        trip.upstream, trip.status, trip.whole, trip.took = upstream, status, whole, seconds
        measuring.answered(route, trip)
    samples = samples_of(generate_latest(measuring.registry).decode())
    counted = [labels for name, labels in samples if name == "spark_control_requests_total"]
    assert len(counted) <= 2 * 2 * 7
    assert sum(each for (name, _), each in samples.items() if name == "spark_control_requests_total") == len(
        trips
    )
    assert {dict(labels)["upstream"] for labels in counted} <= {NO_UPSTREAM, "magpie"}


def routes_in(samples: Samples) -> set[str]:
    return {dict(labels)["route"] for _, labels in samples if "route" in dict(labels)}


STEPS = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="?#%\\"), max_size=12)
ADDRESSES = st.tuples(
    st.sampled_from(["GET", "POST", "DELETE", "PROPFIND"]),
    st.sampled_from(["", "/v1/models/", "/v1/audio/voices/", "/api/upstreams/", "/api/incidents/"]),
    STEPS,
)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(ADDRESSES, max_size=20))
def test_no_address_that_a_client_makes_up_becomes_a_label(gateway, addresses):
    for verb, begun, step in addresses:
        gateway.request(verb, f"{begun}/x{step}", headers={"x-request-id": f"x{step}"})
    templates = {route for route in routes_in(scraped(gateway)) if "/x" in route}
    assert not templates


def test_a_route_that_was_not_come_to_is_known_by_its_address_alone():
    class App:
        def openapi(self) -> dict[str, Any]:
            return {"paths": {"/v1/audio/speech": {}}}

    assert route_of({"path": "/v1/audio/speech", "app": App()}) == "/v1/audio/speech"
    assert route_of({"path": "/v1/audio/speech/x", "app": App()}) == OTHER
    assert route_of({"path": "/v1/audio/speech"}) == OTHER


def test_what_happens_to_an_engine_is_counted_and_to_a_machine_is_not():
    measuring = Measuring(lambda: 0.0)
    measuring.knows(["magpie"])
    for what in ("ejected", "restarting", "held", "held", "restarted"):
        measuring.announced({"what": what, "upstream": "magpie"})
    measuring.announced({"what": "xid", "machine": "spark-1", "number": 79})
    samples = samples_of(generate_latest(measuring.registry).decode())
    assert value(samples, "restarts_total", upstream="magpie") == 1
    assert value(samples, "affected_requests_total", upstream="magpie", what="held") == 2


MACHINE: dict[str, Any] = {
    "name": "spark-1",
    "problem": None,
    "memory": {"total": 128, "available": 32, "pressure": None, "swap_total": 0, "swap_free": 0},
    "load": [1.5, 1.0, 0.5],
    "cpus": 20,
    "disks": [{"path": "/", "total": 4000, "free": 1000}],
    "gpus": [
        {
            "name": "NVIDIA GB10",
            "utilisation": 96,
            "temperature": 71,
            "power": 58.5,
            "memory_used": None,
            "memory_total": None,
        }
    ],
    "xids": [{"at": "2026-01-02T00:00:00.000Z"}, {"at": "2026-01-01T00:00:00.000Z"}],
}


def test_what_a_machine_does_not_tell_is_no_zero():
    blind = {**MACHINE, "name": "spark-2", "problem": "no answer", "memory": None, "load": None}
    blind |= {"cpus": None, "disks": [], "gpus": [], "xids": []}
    told = {
        (each.name.removeprefix("spark_control_machine_"), each.labels["machine"]): each.value
        for family in _machines([MACHINE, blind])
        for each in family.samples
    }
    assert {name for name, machine in told if machine == "spark-2"} == {"seen"}
    assert told["seen", "spark-2"] == 0
    assert told["memory_available_bytes", "spark-1"] == 32
    assert told["gpu_temperature_celsius", "spark-1"] == 71
    assert told["last_xid_seconds", "spark-1"] == 1_767_312_000
    assert not {"memory_pressure_percent", "gpu_memory_used_bytes"} & {name for name, _ in told}
