"""Which settings take effect while the gateway runs, and which with its next start: each is one or the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any, get_args, get_origin

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from spark_control.settings import Settings
from spark_control.settings_changes import changes, grafted, is_installed, is_live
from spark_control.settings_file import section_of

BASE: dict[str, Any] = {
    "upstreams": {
        "ear": {
            "kind": "parakeet",
            "url": "http://127.0.0.1:5092",
            "restart": {"systemd": "ear.service"},
        },
        "mouth": {"kind": "magpie", "url": "http://127.0.0.1:9000"},
    },
    "machines": {"spark-2": {"command": ["ssh", "spark-2"]}},
}
CARE: dict[str, Any] = {
    "interval": 7,
    "restart_limit": 1,
    "restart_window": 70,
    "startup_grace": 7,
    "patience": 7,
    "patience_max": 70,
    "patience_for": [{"user_agent": "Assist", "seconds": 7}],
    "alerts": ["json://127.0.0.1"],
}
NOW: dict[str, Any] = {
    "voices": {"alloy": "Mia"},
    "models.list_voices": True,
    "models.strict": True,
    "models.aliases": {"gpt-4o": "qwen3"},
    "speech.default_voice": "nova",
    "speech.max_characters": 7,
    "speech.clean": False,
    "uploads.max_bytes": 7,
    "uploads.spool_bytes": 7,
    "uploads.max_seconds": 7,
    "uploads.decode_timeout": 7,
    "traffic.queue": 7,
    "traffic.wait": 7,
    "access.open": True,
    "access.cors_origins": ["*"],
    "log.content": True,
    **{f"deep_health.{name}": CARE[name] for name in ("patience", "patience_max", "patience_for")},
    **{
        f"upstreams.ear.deep_health.{name}": value
        for name, value in {"patience": 8, "patience_max": 80, "patience_for": []}.items()
    },
}
"""A value for each setting that takes effect at once, other than the one it has."""

LATER: dict[str, Any] = {
    "host": "127.0.0.2",
    "port": 8091,
    "drain": 7,
    "state": "/srv/elsewhere",
    "speech_cache.enabled": False,
    "speech_cache.max_bytes": 7,
    "machine.every": 7,
    "machine.gpu": False,
    "machine.disks": ["/srv"],
    "machines.spark-2.command": ["ssh", "spark-3"],
    "machines.spark-4": {"command": ["ssh", "spark-4"]},
    "upstreams.spare": {"kind": "magpie", "url": "http://127.0.0.1:9001"},
    "upstreams.mouth.kind": "qwen3-tts",
    "upstreams.mouth.serves": "speech",
    "upstreams.mouth.restart": {"docker": "mouth"},
    "upstreams.ear.flavour": "groxaxo",
    "upstreams.ear.url": "http://127.0.0.1:5093",
    "upstreams.ear.model": "parakeet-2",
    "upstreams.ear.language": "de-DE",
    "upstreams.ear.api_key": "hush",
    "upstreams.ear.longest": 7,
    "upstreams.ear.priority": 7,
    "upstreams.ear.concurrency": 7,
    "upstreams.ear.pieces": 7,
    "upstreams.ear.accepts": ["mp3"],
    "upstreams.ear.timeout": 7,
    "upstreams.ear.machine": "spark-2",
    "upstreams.ear.probe_when": "after_use",
    "upstreams.ear.restart.systemd": "other.service",
    "upstreams.ear.restart.user": True,
    "upstreams.ear.restart.host": "tcp://127.0.0.1:2375",
    "upstreams.ear.restart.timeout": 7,
    **{f"deep_health.{name}": value for name, value in CARE.items() if not name.startswith("patience")},
    **{
        f"upstreams.ear.deep_health.{name}": value
        for name, value in {
            "interval": 8,
            "restart_limit": 2,
            "restart_window": 80,
            "startup_grace": 8,
            "alerts": ["json://127.0.0.2"],
        }.items()
    },
}
"""The same for those that take effect with the next start."""

ALL = NOW | LATER


def with_these(*names: str) -> Settings:
    """The settings, in which those have their other value."""
    values = deepcopy(BASE)
    for name in names:
        *tables, last = name.split(".")
        table = values
        for each in tables:
            table = table.setdefault(each, {})
        table[last] = ALL[name]
    return Settings(**values)


OLD = with_these()
SUBSETS = st.sets(st.sampled_from(sorted(ALL)))


@given(SUBSETS)
def test_each_setting_that_has_changed_is_in_force_at_once_or_named_for_the_next_start(names):
    new = with_these(*names)

    assert changes(OLD, new) == sorted(names)
    assert {name for name in names if is_live(name)} == names & NOW.keys()


@given(SUBSETS, SUBSETS)
def test_what_is_in_force_then_is_all_of_the_new_that_can_be_and_nothing_else(before, after):
    old, new = with_these(*before), with_these(*after)
    changed = changes(old, new)
    running = grafted(old, new)

    assert changes(old, running) == [name for name in changed if is_live(name)]
    assert changes(running, new) == [name for name in changed if not is_live(name)]
    assert changes(grafted(running, new), running) == []


@given(SUBSETS)
def test_there_and_back_is_no_change(names):
    new = with_these(*names)

    assert changes(grafted(grafted(OLD, new), OLD), OLD) == []


def leaves(model: type[BaseModel], path: str = "") -> Iterator[str]:
    """Every setting; engines and machines by the names that they have here."""
    for name, field in model.model_fields.items():
        inner, one = section_of(field.annotation), {"upstreams": ".ear", "machines": ".spark-2"}.get(name, "")
        if get_origin(inner) is dict:
            inner = get_args(inner)[1]
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from leaves(inner, f"{path}{name}{one}.")
        else:
            yield path + name


def test_no_setting_has_been_forgotten_here():
    on_the_other = {"upstreams.ear.kind", "upstreams.ear.serves"}
    excluded_by_systemd = {"upstreams.ear.restart.docker", "upstreams.ear.restart.command"}

    assert set(leaves(Settings)) - on_the_other - excluded_by_systemd <= ALL.keys()


def turned_round(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {**values, name: dict(reversed(values[name].items()))}


def test_the_order_of_engines_counts_since_the_first_of_two_that_are_alike_is_preferred():
    assert changes(OLD, Settings(**turned_round(BASE, "upstreams"))) == ["upstreams"]


def test_the_order_of_names_counts_since_they_are_listed_so():
    values = {**BASE, "voices": {"kitchen": "Mia", "hall": "Ray"}}

    assert changes(Settings(**values), Settings(**turned_round(values, "voices"))) == ["voices"]


def test_to_say_what_holds_anyway_changes_nothing():
    assert changes(OLD, Settings(**BASE, port=8090, deep_health={"interval": 300})) == []


def test_to_say_what_holds_anyway_counts_where_an_engine_had_more_than_others():
    """Magpie, a NIM, may load for 600 seconds unless anything is said."""
    assert changes(OLD, Settings(**BASE, deep_health={"startup_grace": 60})) == ["deep_health.startup_grace"]


@pytest.mark.parametrize("own", [{"patience": 60}, {"startup_grace": 600}])
def test_an_engine_that_says_what_holds_for_it_anyway_changes_nothing(own):
    values = deepcopy(BASE)
    values["upstreams"]["mouth"]["deep_health"] = own

    assert changes(OLD, Settings(**values)) == []


def test_an_engine_for_which_nothing_is_said_any_more_waits_as_all_do():
    values = deepcopy(BASE)
    values["upstreams"]["ear"]["deep_health"] = {"patience": 7}
    old = Settings(**values)

    running = grafted(old, OLD)

    assert changes(old, OLD) == ["upstreams.ear.deep_health.patience"]
    assert running.care_of("ear").patience == OLD.care_of("ear").patience


@pytest.mark.parametrize(
    ("name", "so"),
    [
        ("host", True),
        ("port", True),
        ("drain", True),
        ("upstreams.ear", True),
        ("upstreams.ear.restart", True),
        ("upstreams.ear.restart.systemd", True),
        ("upstreams.ear.url", False),
        ("upstreams", False),
        ("state", False),
        ("machines.spark-2.command", False),
    ],
)
def test_what_a_service_has_in_its_units_or_its_rights_wants_it_installed_again(name, so):
    assert is_installed(name) == so
