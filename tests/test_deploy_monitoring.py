"""The dashboard and the alerts in `deploy/` name metrics that there are."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from spark_control.metrics_api import _machines
from spark_control.supervision.recovery import State
from tests.test_metrics_api import MACHINE

DEPLOY = Path(__file__).parents[1] / "deploy"
GRAFANA = json.loads((DEPLOY / "grafana" / "spark-control.json").read_text())
ALERTS = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yaml").read_text())
SCRAPE = yaml.safe_load((DEPLOY / "prometheus" / "scrape.yaml").read_text())
RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]
DOCUMENTED = (DEPLOY.parent / "docs" / "metrics.md").read_text()


def expressions(of: Any) -> Iterator[str]:
    """Every query in a dashboard or in rules."""
    if isinstance(of, dict):
        yield from (of[name] for name in ("expr", "query") if isinstance(of.get(name), str))
    for inner in of.values() if isinstance(of, dict) else of if isinstance(of, list) else ():
        yield from expressions(inner)


def names_in(text: str) -> set[str]:
    return set(re.findall(r"spark_control_\w+", text))


@pytest.fixture
def known(gateway) -> set[str]:
    """The names of all metrics, with those that take a request, a GPU or a speech cache first."""
    page = gateway.get("/metrics").text
    kinds = dict(re.findall(r"^# TYPE (\S+) (\w+)$", page, re.MULTILINE))
    bare = {name for name, kind in kinds.items() if kind != "histogram"}
    timed = {
        f"{name}_{part}"
        for name, kind in kinds.items()
        for part in ("bucket", "sum", "count")
        if kind == "histogram"
    }
    machines = {family.name for family in _machines([MACHINE])}
    cached = {f"spark_control_speech_cache_{name}" for name in ("answers_total", "entries", "bytes")}
    assert len(timed) > 10
    return bare | timed | machines | cached


def test_every_metric_that_the_dashboard_names_exists(known):
    asked = set().union(*map(names_in, expressions(GRAFANA)))
    assert len(asked) > 20
    assert asked <= known


def test_every_metric_that_an_alert_names_exists(known):
    asked = set().union(*map(names_in, expressions(ALERTS)))
    assert len(asked) > 10
    assert asked <= known


def test_every_metric_that_the_documentation_names_exists(known):
    histograms = {name.removesuffix("_bucket") for name in known if name.endswith("_bucket")}
    assert names_in(DOCUMENTED)
    assert names_in(DOCUMENTED) <= known | histograms


def test_every_state_that_is_asked_for_exists():
    for expression in (*expressions(GRAFANA), *expressions(ALERTS)):
        for states in re.findall(r'state=~?"([^"]+)"', expression):
            assert set(states.split("|")) <= set(State)


def test_every_alert_has_a_name_a_severity_and_a_sentence():
    assert len({rule["alert"] for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert rule["annotations"]["summary"].endswith(".")


def test_prometheus_asks_where_the_gateway_listens_by_default():
    (job,) = SCRAPE["scrape_configs"]
    assert job["static_configs"] == [{"targets": ["127.0.0.1:8090"]}]
    assert f'job="{job["job_name"]}"' in str(RULES)
    assert SCRAPE["rule_files"] == ["alerts.yaml"]


def test_no_two_panels_lie_over_each_other():
    taken: set[tuple[int, int]] = set()
    for panel in GRAFANA["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells
