"""The commands for whoever looks after a running gateway: how are the engines, and what is to be done about them."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from spark_control.completion import engines as engine_names
from spark_control.completion import incidents as incident_names
from spark_control.options import fail, json_option, print_json, with_gateway

if TYPE_CHECKING:
    from spark_control.gateway_client import AdminClient

_LOOK_EVERY = 0.2
_SHORTEST_LINE, _LONGEST_LINE = 60, 120


def _admin(url: str) -> AdminClient:
    from spark_control.gateway_client import AdminClient

    return AdminClient(url, fail)


_with_gateway = with_gateway(_admin)
_engine_argument = click.argument("name", shell_complete=engine_names)
_switch_argument = click.argument("switch", type=click.Choice(["on", "off"]))


@click.command()
@click.option("--watch", "watched", is_flag=True, help="Keep it up to date until Ctrl-C.")
@json_option
@_with_gateway
def status(admin: AdminClient, *, watched: bool, as_json: bool) -> None:
    """Show how the engines are.

    With --watch a pipe gets a line for each thing that happens; with --json
    too, each is a JSON object.
    """
    from spark_control.screens import status_screen

    if watched:
        _watch(admin.base, as_json=as_json)
        return
    shown = admin.status()
    if as_json:
        print_json(shown)
    else:
        _print(status_screen(shown, _columns()))


def _watch(gateway: str, *, as_json: bool) -> None:
    from spark_control.watching import CannotWatch, watch

    try:
        watch(gateway, as_json=as_json, colour=click.get_current_context().color is not False)
    except CannotWatch as exc:
        fail(str(exc))


@click.command()
@_engine_argument
@json_option
@_with_gateway
def probe(admin: AdminClient, name: str, *, as_json: bool) -> None:
    """Have the engine NAME do real work, now.

    Exit status 1 if it cannot.
    """
    from spark_control.wording import lasting, plain

    engine = admin.probe(name)
    found = engine["last_probe"]
    if as_json:
        print_json(engine)
        sys.exit(0 if found and found["passed"] else 1)
    if found is None or not found["passed"]:
        fail(
            plain(
                f"{name} failed its canary: {found['detail'] if found else 'no answer'}. {engine['sentence']}"
            )
        )
    click.echo(f"{name} did real work in {lasting(found['seconds'])}. {plain(engine['sentence'])}")


@click.command()
@_engine_argument
@click.option("--force", is_flag=True, help="Even if its restarts of the last half hour are spent.")
@json_option
@_with_gateway
def restart(admin: AdminClient, name: str, *, force: bool, as_json: bool) -> None:
    """Restart the engine NAME, and watch until it works again.

    Ctrl-C ends the watching and not the restart. Exit status 1 if it does
    not work again.
    """
    from spark_control.screens import timeline_lines
    from spark_control.wording import lasting, plain

    began = time.monotonic()
    engine = admin.restart(name, force=force)
    seen = None
    while True:
        if engine["state"] != seen:
            seen = engine["state"]
            why = "" if seen == "loading" else engine["reason"] or ""
            if not as_json:
                _print(timeline_lines(time.monotonic() - began, seen, why, _columns()))
        if seen in ("healthy", "given up"):
            break
        time.sleep(_LOOK_EVERY)
        engine = _engine(admin, name)
    if as_json:
        print_json(engine)
        sys.exit(0 if seen == "healthy" else 1)
    if seen != "healthy":
        fail(plain(engine["sentence"]))
    click.echo(f"{plain(engine['sentence'])} That took {lasting(time.monotonic() - began)}.")


@click.command()
@_engine_argument
@_switch_argument
@json_option
@_with_gateway
def maintenance(admin: AdminClient, name: str, switch: str, *, as_json: bool) -> None:
    """Have the engine NAME watched, but neither restarted nor complained about."""
    engine = admin.set_maintenance(name, on=switch == "on")
    if as_json:
        print_json(engine)
        return
    on = engine["maintenance"]
    said = "is in maintenance: it is watched, but not restarted" if on else "is looked after again"
    click.echo(f"{name} {said}.")


@click.command()
@_engine_argument
@_switch_argument
@json_option
@_with_gateway
def drain(admin: AdminClient, name: str, switch: str, *, as_json: bool) -> None:
    """Keep new requests away from the engine NAME; it finishes those it has."""
    engine = admin.set_drained(name, on=switch == "on")
    if as_json:
        print_json(engine)
        return
    left = engine["in_flight"]
    finishing = f", and finishes the {left} it has" if left else ", and has none left"
    said = f"gets no new requests{finishing}" if engine["drained"] else "gets requests again"
    click.echo(f"{name} {said}.")


@click.command()
@json_option
@_with_gateway
def reload(admin: AdminClient, *, as_json: bool) -> None:
    """Have the gateway read its settings again; requests do not notice.

    Exit status 1 if they do not hold, and then the old ones stay.
    """
    from spark_control.settings_changes import is_installed

    reloaded = admin.reload()
    if as_json:
        print_json(reloaded)
        return
    if names := ", ".join(reloaded["applied"]):
        click.echo(f"In force: {names}.")
    installed = [name for name in reloaded["needs_restart"] if is_installed(name)]
    if names := ", ".join(name for name in reloaded["needs_restart"] if name not in installed):
        restart = "`sudo systemctl restart spark-control`, which loses nothing"
        click.echo(f"In force once the gateway is restarted ({restart}): {names}.")
    if names := ", ".join(installed):
        again = (
            "a service has to be installed again (`sudo spark-control install-service`), which restarts it"
        )
        click.echo(f"For these {again}: {names}.")
    if not (reloaded["applied"] or reloaded["needs_restart"]):
        click.echo("The settings are as they were.")


@click.command()
@click.argument("identity", metavar="[ID]", required=False, shell_complete=incident_names)
@json_option
@_with_gateway
def incidents(admin: AdminClient, identity: str | None, *, as_json: bool) -> None:
    """List what went wrong; with ID, tell how that went."""
    from spark_control.screens import incident_screen, incidents_screen

    now = time.time()
    if identity:
        one = admin.incident(identity)
        print_json(one) if as_json else _print(incident_screen(one, now, _columns()))
    else:
        all_ = admin.incidents()
        print_json({"incidents": all_}) if as_json else _print(incidents_screen(all_, now))


@click.command()
@json_option
@_with_gateway
def machine(admin: AdminClient, *, as_json: bool) -> None:
    """Show the memory, GPU, disks and load of the machines."""
    from spark_control.machine_screen import machines_screen

    machines = admin.machines()
    if as_json:
        print_json({"machines": machines})
    else:
        _print(machines_screen(machines, time.time(), _columns()))


@click.group()
def drill() -> None:
    """Break something on purpose, and see that it heals."""


@drill.command()
@_engine_argument
@click.option(
    "--fault",
    default="w1",
    show_default=True,
    help="How it fails: w1 to w12, hang, half_body; a name that is none is answered with all of them.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(1, 900),
    default=60,
    show_default=True,
    help="Give up after so long.",
)
@json_option
@_with_gateway
def wedge(admin: AdminClient, name: str, fault: str, seconds: float, *, as_json: bool) -> None:
    """Wedge the engine NAME under load, and watch what becomes of the requests.

    It must be an engine that can be told to fail: those of `spark-control
    serve --demo` can. Exit status 0 only if it was cured, and every request
    got its answer.
    """
    from spark_control.drill import Drill, DrillRefused
    from spark_control.screens import timeline_lines

    timeline: list[dict[str, Any]] = []

    def tell(after: float, what: str, detail: str) -> None:
        timeline.append({"after": round(after, 3), "what": what, "detail": detail})
        if not as_json:
            _print(timeline_lines(after, what, detail, _columns()))

    try:
        outcome = Drill(admin.base, name, fault, seconds, tell).run()
    except DrillRefused as exc:
        fail(str(exc))
    if as_json:
        print_json({**outcome.told(), "timeline": timeline})
    else:
        _print(["", *outcome.lines()])
    sys.exit(0 if outcome.good else 1)


COMMANDS = (status, probe, restart, maintenance, drain, reload, incidents, machine, drill)


def _engine(admin: AdminClient, name: str) -> dict[str, Any]:
    found = [each for each in admin.status()["upstreams"] if each["name"] == name]
    if not found:
        fail(f"the gateway has no engine {name} any more")
    return dict(found[0])


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        click.echo(line)


def _columns() -> int:
    return max(_SHORTEST_LINE, min(_LONGEST_LINE, shutil.get_terminal_size().columns))
