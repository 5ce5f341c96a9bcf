"""A wedge under load, and real systemd, real Docker or a real ssh to cure it: nobody notices."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import httpx
import pytest

from spark_control.server import create_app
from spark_control.settings import Settings
from spark_control.supervision.canaries import CLIP
from tests.live import eventually, serving
from tests.real.machines import Place
from tests.real.machines.docker import Container, dockerd
from tests.real.machines.ssh import spark
from tests.real.machines.systemd import Unit, booted
from tests.wedges import upstreams_of

CLIENTS = 4


@contextmanager
def under_systemd() -> Iterator[Place]:
    with booted() as machine, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", machine.path())
        yield Unit(machine)


@contextmanager
def under_docker() -> Iterator[Place]:
    with dockerd() as docker:
        yield Container(docker)


def serves(engine: str) -> bool:
    try:
        return httpx.get(f"{engine}/health").is_success
    except httpx.TransportError:
        return False


def heard(url: str) -> tuple[int, str]:
    """What a client is told that the clip says."""
    answer = httpx.post(f"{url}/v1/audio/transcriptions", files={"file": ("a.wav", CLIP)}, timeout=90)
    return answer.status_code, answer.text


def keep_asking(url: str, answers: list[tuple[int, str]], over: threading.Event) -> None:
    while not over.is_set():
        answers.append(heard(url))


def incidents(url: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = httpx.get(f"{url}/api/incidents").json()["incidents"]
    return found


def is_cured(url: str) -> bool:
    return any(each["closed"] for each in incidents(url))


@pytest.mark.parametrize("found", [under_systemd, under_docker, spark])
def test_a_wedge_under_load_is_one_restart_and_costs_nobody_a_request(
    found: Callable[[], AbstractContextManager[Place]],
) -> None:
    with found() as place:
        eventually(lambda: serves(place.url), within=30)  # or its start is an incident of its own
        upstream = {"kind": "parakeet", "url": place.url, "restart": place.restart}
        with serving(create_app(Settings(upstreams={"parakeet": upstream}))) as url:
            eventually(lambda: upstreams_of(url)[0]["state"] == "healthy", within=30)
            began, before = place.began(), heard(url)

            answers = wedged_under_load(url, place)

            assert answers == [before] * len(answers)
            assert (place.began() != began, place.starts()) == (True, 2)
            (incident,) = incidents(url)
            assert (incident["restarts"], incident["failed"], incident["verdict"]) == (1, 0, "sticky")
            assert 1 <= incident["replayed"] <= incident["held"]


def wedged_under_load(url: str, place: Place) -> list[tuple[int, str]]:
    """What clients are told who ask before, while and after the engine is wedged."""
    answers: list[tuple[int, str]] = []
    over = threading.Event()
    with ThreadPoolExecutor(CLIENTS) as people:
        asking = [people.submit(keep_asking, url, answers, over) for _ in range(CLIENTS)]
        try:
            eventually(lambda: len(answers) >= CLIENTS, within=60)
            httpx.post(f"{place.url}/control/fault", json={"fault": "w1"}).raise_for_status()
            eventually(lambda: is_cured(url), within=60)
            cured = len(answers)
            eventually(lambda: len(answers) >= cured + CLIENTS, within=60)
        finally:
            over.set()
        for each in asking:
            each.result()
    return answers
