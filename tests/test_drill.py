"""The fire drill, on engines that truly wedge and are truly restarted."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager

import click
import httpx
import pytest

from spark_control.drill import Drill, DrillRefused, Outcome
from spark_control.server import create_app
from spark_control.settings import Settings
from tests.fakes.supervised import SupervisedEngine
from tests.live import serving, unused_port
from tests.processes import serve, spark_control


class Nurse:
    """Restarts a fake engine's process, or only says so."""

    kind = "process"
    what = "the fake"

    def __init__(self, engine: SupervisedEngine, *, helps: bool = True) -> None:
        self._engine = engine
        self._helps = helps

    async def restart(self) -> None:
        if self._helps:
            await asyncio.to_thread(self._engine.restart, 0.2)


@pytest.fixture
def engines(tmp_path):
    with (
        SupervisedEngine("parakeet", tmp_path) as parakeet,
        SupervisedEngine("magpie", tmp_path) as magpie,
    ):
        yield {"parakeet": parakeet, "magpie": magpie}


@pytest.fixture
def house(engines):
    """Runs gateways over two engines that can be restarted; each gives its address."""

    @contextmanager
    def build(*, helps: bool = True, cured: bool = True, only: tuple[str, ...] = (), **care):
        chosen = {name: engine for name, engine in engines.items() if not only or name in only}
        settings = Settings(
            upstreams={name: {"kind": name, "url": engine.url} for name, engine in chosen.items()},
            deep_health=care,
        )
        nurses = {name: Nurse(engine, helps=helps) for name, engine in chosen.items()}
        with serving(create_app(settings, restarters=nurses if cured else {})) as url:
            yield url

    return build


def drill(url: str, name: str, *, fault: str = "w1", seconds: float = 60) -> tuple[Outcome, list[str]]:
    told: list[str] = []
    drill = Drill(url, name, fault, seconds, lambda after, what, detail: told.append(what))
    return drill.run(), told


def refusal(url: str, name: str, **what) -> str:
    with pytest.raises(DrillRefused) as refused:
        drill(url, name, **what)
    return str(refused.value)


@pytest.mark.parametrize("name", ["parakeet", "magpie"])
def test_an_engine_wedges_and_heals_and_nobody_notices(house, engines, name):
    with house() as url:
        outcome, told = drill(url, name)

    assert outcome.good, outcome.failures
    assert outcome.answered
    assert outcome.counts["held"]
    assert told[0] == "wedged"
    assert told[-1] == "healthy"
    noticed = min(told.index(how) for how in ("ejected", "canary failed") if how in told)
    assert noticed < told.index("restarting") < told.index("restarted")
    assert engines[name].restarts == 1


def test_a_cure_that_does_not_come_is_no_success_and_the_fault_is_taken_back(house, engines):
    with house(helps=False) as url:
        outcome, told = drill(url, "parakeet", seconds=2)

    assert outcome.cured_after is None
    assert not outcome.good
    assert "no answer in time" in outcome.failures
    assert "healthy" not in told
    switch = httpx.get(f"{engines['parakeet'].url}/control/fault").json()
    assert switch["fault"] == "ok"


def test_an_engine_that_nobody_would_cure_is_left_alone(house, engines):
    with house(cured=False) as url:
        assert "no way to restart it is configured" in refusal(url, "parakeet")
    with house(restart_limit=1) as url:
        httpx.post(f"{url}/api/upstreams/magpie/maintenance", json={"on": True})
        assert "in maintenance" in refusal(url, "magpie")
        drill(url, "parakeet")
        assert "has had its restarts" in refusal(url, "parakeet")
    assert engines["magpie"].restarts == 0


def test_a_sick_engine_is_not_made_sicker(house, engines):
    with house(helps=False) as url:
        engines["parakeet"].wedge()
        assert "Only an engine that works can be wedged." in refusal(url, "parakeet")


def test_what_cannot_be_drilled_is_told(house, gateway):
    assert "There is no engine 'nobody'" in refusal(str(gateway.base_url), "nobody")
    assert "start one with" in refusal(f"http://127.0.0.1:{unused_port()}", "parakeet")
    assert "is not an address" in refusal("notaurl", "parakeet")
    with house() as url:
        assert "fault: Input should be 'w1'" in refusal(url, "parakeet", fault="w99")


def test_without_a_voice_there_is_nothing_to_transcribe(house):
    with house(only=("parakeet",)) as url:
        assert "there is nothing to transcribe" in refusal(url, "parakeet")


def test_the_outcome_is_told_in_numbers():
    counts = {"held": 3, "replayed": 2, "degraded": 1}
    good = Outcome(cured_after=2.9, answered=40, slowest=3.1, counts=counts)

    assert [click.unstyle(line) for line in good.lines()] == [
        "The engine was cured, and every request got its answer.",
        "  requests        40 answered, 3 held, 2 replayed, 1 degraded, 0 failed",
        "  slowest answer  3.1 s",
        "  cured after     2.9 s",
    ]
    assert good.told() == {
        "good": True,
        "cured_after": 2.9,
        "answered": 40,
        **counts,
        "failed": 0,
        "failures": [],
        "slowest": 3.1,
    }
    failed = Outcome(cured_after=2.9, failures=["503: \x1b[2Jno", "503: \x1b[2Jno"]).lines()
    assert "not every request" in failed[0]
    assert click.unstyle(failed[-1]) == "  failed          503:  [2Jno"
    assert "not cured in time" in Outcome().lines()[0]


def test_the_demonstration_is_one_command_away(tmp_path):
    """With the embedded engines: a wedged recogniser, restarted while four clients wait for it."""
    with serve(tmp_path, "--demo") as gateway:
        gateway.wait_until_ready()
        ended = spark_control("drill", "wedge", "parakeet", "--gateway", gateway.url, folder=tmp_path)

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "every request got its answer" in ended.stdout
    assert "\x1b[" not in ended.stdout
