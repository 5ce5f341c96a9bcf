"""The commands for whoever looks after a running gateway: how are the engines, and what is to be done about them."""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from spark_control.options import address, config_option, fail, gateway_option

if TYPE_CHECKING:
    from spark_control.gateway_client import AdminClient

_LOOK_EVERY = 0.2
_SHORTEST_LINE, _LONGEST_LINE = 60, 120


def _with_gateway(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the gateway that its options name, as its first argument."""

    @gateway_option
    @config_option
    @wraps(command)
    def asking(gateway: str | None, config: Path | None, **arguments: Any) -> None:
        from spark_control.gateway_client import AdminClient

        if os.environ.get("NO_COLOR"):
            click.get_current_context().color = False
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="replace")  # a terminal of another alphabet gets ? for a tick
        with AdminClient(address(gateway, config), fail) as admin:
            command(admin, **arguments)

    return asking


@click.command()
@click.option("--json", "as_json", is_flag=True, help="As the gateway tells it, for programs.")
@_with_gateway
def status(admin: AdminClient, *, as_json: bool) -> None:
    """Show how the engines are."""
    from spark_control.screens import status_screen

    shown = admin.status()
    _print([json.dumps(shown, indent=2)] if as_json else status_screen(shown, _columns()))


@click.command()
@click.argument("name")
@_with_gateway
def probe(admin: AdminClient, name: str) -> None:
    """Have the engine NAME do real work, now.

    Exit status 1 if it cannot.
    """
    from spark_control.screens import lasting, plain

    engine = admin.probe(name)
    found = engine["last_probe"]
    if found is None or not found["passed"]:
        fail(
            plain(
                f"{name} failed its canary: {found['detail'] if found else 'no answer'}. {engine['sentence']}"
            )
        )
    click.echo(f"{name} did real work in {lasting(found['seconds'])}. {plain(engine['sentence'])}")


@click.command()
@click.argument("name")
@click.option("--force", is_flag=True, help="Even if its restarts of the last half hour are spent.")
@_with_gateway
def restart(admin: AdminClient, name: str, *, force: bool) -> None:
    """Restart the engine NAME, and watch until it works again.

    Ctrl-C ends the watching and not the restart. Exit status 1 if it does
    not work again.
    """
    from spark_control.screens import lasting, plain, timeline_lines

    began = time.monotonic()
    engine = admin.restart(name, force=force)
    seen = None
    while True:
        if engine["state"] != seen:
            seen = engine["state"]
            why = "" if seen == "loading" else engine["reason"] or ""
            _print(timeline_lines(time.monotonic() - began, seen, why, _columns()))
        if seen in ("healthy", "given up"):
            break
        time.sleep(_LOOK_EVERY)
        engine = _engine(admin, name)
    if seen != "healthy":
        fail(plain(engine["sentence"]))
    click.echo(f"{plain(engine['sentence'])} That took {lasting(time.monotonic() - began)}.")


@click.command()
@click.argument("name")
@click.argument("switch", type=click.Choice(["on", "off"]))
@_with_gateway
def maintenance(admin: AdminClient, name: str, switch: str) -> None:
    """Have the engine NAME watched, but neither restarted nor complained about."""
    on = admin.set_maintenance(name, on=switch == "on")["maintenance"]
    said = "is in maintenance: it is watched, but not restarted" if on else "is looked after again"
    click.echo(f"{name} {said}.")


@click.command()
@click.argument("name")
@click.argument("switch", type=click.Choice(["on", "off"]))
@_with_gateway
def drain(admin: AdminClient, name: str, switch: str) -> None:
    """Keep new requests away from the engine NAME; it finishes those it has."""
    engine = admin.set_drained(name, on=switch == "on")
    left = engine["in_flight"]
    finishing = f", and finishes the {left} it has" if left else ", and has none left"
    said = f"gets no new requests{finishing}" if engine["drained"] else "gets requests again"
    click.echo(f"{name} {said}.")


@click.command()
@click.argument("identity", metavar="[ID]", required=False)
@_with_gateway
def incidents(admin: AdminClient, identity: str | None) -> None:
    """List what went wrong; with ID, tell how that went."""
    from spark_control.screens import incident_screen, incidents_screen

    now = time.time()
    if identity:
        _print(incident_screen(admin.incident(identity), now, _columns()))
    else:
        _print(incidents_screen(admin.incidents(), now))


@click.group()
def drill() -> None:
    """Break something on purpose, and see that it heals."""


@drill.command()
@click.argument("name")
@click.option("--fault", default="w1", show_default=True, help="Which of the known ways to wedge.")
@click.option(
    "--seconds",
    type=click.FloatRange(1, 900),
    default=60,
    show_default=True,
    help="Give up after so long.",
)
@_with_gateway
def wedge(admin: AdminClient, name: str, fault: str, seconds: float) -> None:
    """Wedge the engine NAME under load, and watch what becomes of the requests.

    It must be an engine that can be told to fail: those of `spark-control
    serve --demo` can. Exit status 0 only if it was cured, and every request
    got its answer.
    """
    from spark_control.drill import Drill, DrillRefused
    from spark_control.screens import timeline_lines

    def tell(after: float, what: str, detail: str) -> None:
        _print(timeline_lines(after, what, detail, _columns()))

    try:
        outcome = Drill(admin.base, name, fault, seconds, tell).run()
    except DrillRefused as exc:
        fail(str(exc))
    _print(["", *outcome.lines()])
    sys.exit(0 if outcome.good else 1)


COMMANDS = (status, probe, restart, maintenance, drain, incidents, drill)


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
