"""Pure: the right to restart the units that the settings name, and no other."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from spark_control.service.names import USER
from spark_control.settings import RestartSettings, Settings

_SUFFIXES = (".service", ".socket", ".target", ".timer", ".mount", ".path", ".slice", ".scope")

_RULE = """\
// Lets the gateway restart these units, and do nothing else. Written by `spark-control install-service`.
polkit.addRule(function (action, subject) {{
    if (action.id == "org.freedesktop.systemd1.manage-units" &&
        subject.user == "{user}" &&
        [{units}].indexOf(action.lookup("unit")) >= 0 &&
        ["restart", "reset-failed"].indexOf(action.lookup("verb")) >= 0) {{
        return polkit.Result.YES;
    }}
}});
"""


def units_to_restart(settings: Settings) -> list[str]:
    """The units of the system that the settings name."""
    ways = [each.restart for each in settings.upstreams.values() if each.restart]
    return sorted({_whole(way.systemd) for way in ways if way.systemd and not way.user})


def _whole(unit: str) -> str:
    """With its suffix, as polkit is asked about it; of an alias it is asked about the unit behind that."""
    return unit if unit.endswith(_SUFFIXES) else f"{unit}.service"


def polkit_rule(units: Sequence[str]) -> str | None:
    """The rule for these; with none, nothing needs allowing."""
    if not units:
        return None
    return _RULE.format(user=USER, units=", ".join(json.dumps(each) for each in units))


def rights_to_give(settings: Settings) -> Iterator[str]:
    """A sentence for each engine whose restart needs a right that no polkit rule gives."""
    for name, upstream in settings.upstreams.items():
        if upstream.restart and (sentence := _missing(upstream.restart)):
            yield f"{name}: {sentence}"


def _missing(way: RestartSettings) -> str | None:
    if way.docker and way.host.startswith("unix:"):
        return (
            "Docker's own socket is root's. A proxy that passes this one restart: docs/restarts.md, or the one in "
            "deploy/docker/compose.yaml."
        )
    if way.command:
        return (
            f"its command runs as {USER}, without sudo and with no home but /var/lib/spark-control: docs/service.md "
            "says what it can use."
        )
    if way.systemd and way.user:
        return (
            "a service reaches no user's systemd; make its unit one of the system, and take out user = true."
        )
    return None
