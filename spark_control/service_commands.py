"""`spark-control install-service` and `uninstall-service`: the gateway as a service of this machine."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from shlex import join
from typing import TYPE_CHECKING, NoReturn

import click

from spark_control.options import fail

if TYPE_CHECKING:
    from spark_control.service import Chosen, Program, Step

_dry_run_option = click.option(
    "--dry-run",
    is_flag=True,
    help="Only print every file and command; it changes nothing, and needs no root.",
)


@click.command()
@click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The settings to install. Default: those that are installed, or spark-control.toml in this folder.",
)
@_dry_run_option
def install_service(config: Path | None, *, dry_run: bool) -> None:
    """Have the gateway started at each boot, as a service of its own user.

    It puts the settings into /etc/spark-control, the units into
    /etc/systemd/system, the right to restart just the units that the settings
    name into polkit, and starts it. Again after a change of host, port, drain
    or a `restart`: what is right already stays as it is.
    """
    from spark_control.service import CannotInstall, choose, this_program, to_install, to_start

    if not dry_run:
        _demand_root("install-service")
        _demand_systemd()
    program = this_program()
    try:
        chosen = choose(config, os.environ)
        steps = list(to_install(chosen, program))
    except CannotInstall as exc:
        fail(str(exc))
    # Who is to be let in from the network needs a key first, and that a place to be kept in.
    closed = _why_it_would_not_listen(chosen)
    start = [] if closed else list(to_start(chosen.settings))
    if dry_run:
        _tell([*steps, *start])
        return
    _do(steps)
    for line in still_to_do(chosen):
        click.echo(line)
    if closed:
        _start_later(closed, program)
        return
    _do(start, starting=True)
    _greet(chosen, program)


@click.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--keep", is_flag=True, help="Leave the settings, and the state with its keys.")
@_dry_run_option
def uninstall_service(*, yes: bool, keep: bool, dry_run: bool) -> None:
    """Stop the service, and remove it with all that it has written.

    The settings and the keys go too, unless `--keep` is given. The program
    itself stays: `pipx uninstall spark-control`.
    """
    from spark_control.service import to_remove

    if not dry_run:
        _demand_root("uninstall-service")
    steps = list(to_remove(keep=keep))
    if not steps:
        click.echo("There is no service of Spark Control here.")
        return
    if dry_run:
        _tell(steps)
        return
    if not yes:
        _tell(steps)
        click.confirm("Do all this?", abort=True)
    _do(steps)
    click.echo("The service is gone." + (" Settings and state are still there." if keep else ""))


def _tell(steps: Iterable[Step]) -> None:
    for step in steps:
        for line in step.told():
            click.echo(line)


def _do(steps: Iterable[Step], *, starting: bool = False) -> None:
    from spark_control.service import StepFailed, do

    for step in steps:
        click.echo(next(step.told()))
        try:
            do(step)
        except StepFailed as exc:
            if starting:
                _fail_with_the_journal(str(exc))
            fail(str(exc))


def _fail_with_the_journal(sentence: str) -> NoReturn:
    from spark_control.service import last_words

    for line in last_words():
        click.echo(f"    {line}", err=True)
    fail(f"{sentence}\nWhen the cause is gone: sudo systemctl restart spark-control")


def _demand_root(command: str) -> None:
    from spark_control.service import this_program, with_sudo

    if os.geteuid() != 0:
        fail(
            f"only root may do that: {with_sudo(this_program())} {command}; --dry-run shows what it would do"
        )


def _demand_systemd() -> None:
    if not Path("/run/systemd/system").is_dir():
        fail(
            "systemd does not run here, so there can be no service of it; for containers: docs/containers.md"
        )


def _why_it_would_not_listen(chosen: Chosen) -> str | None:
    from spark_control.keys import KeyFile, KeyFileError, Keys
    from spark_control.service.names import STATE
    from spark_control.serving import too_public

    try:
        return too_public(chosen.settings, Keys(KeyFile(STATE), time.monotonic))
    except KeyFileError:  # the gateway itself will say so
        return None


def still_to_do(chosen: Chosen) -> Iterator[str]:
    """What nobody but the owner of the machine can do."""
    from spark_control.service import rights_to_give
    from spark_control.service.names import SETTINGS, STATE
    from spark_control.settings_file import HERE

    if chosen.source == SETTINGS and HERE.exists() and not HERE.samefile(SETTINGS):
        yield f"The settings in {SETTINGS} stay as they are; --config {HERE} would take those of this folder."
        yield f"In this folder commands go by {HERE}, and not by the service's settings."
    if chosen.old_state:
        yield f"Keys and incidents of before stay in {chosen.old_state}; the service begins anew in {STATE}."
        yield from _to_take_the_keys_along(chosen.old_state)
    for sentence in rights_to_give(chosen.settings):
        yield f"Still to do for {sentence}"


def _to_take_the_keys_along(before: Path) -> Iterator[str]:
    from spark_control.keys import KeyFile
    from spark_control.service.names import STATE, USER

    old, new = KeyFile(before).path, KeyFile(STATE).path
    if old.exists() and not new.exists():
        command = ("sudo", "install", "-o", USER, "-g", USER, "-m", "600", str(old), str(new))
        yield f"To take the keys along: {join(command)}"


def _start_later(closed: str, program: Program) -> None:
    from spark_control.service import with_sudo

    click.echo("Everything is in place, but it is not started yet.", err=True)
    click.echo(closed.replace("`spark-control", f"`{with_sudo(program)}"), err=True)
    click.echo("Then: sudo systemctl start spark-control", err=True)


def _greet(chosen: Chosen, program: Program) -> None:
    from spark_control.gateway_client import address_of
    from spark_control.service import no_good_answer, with_sudo
    from spark_control.service.names import SETTINGS

    base = address_of(chosen.settings.host, chosen.settings.port)
    if why := no_good_answer(base):
        _fail_with_the_journal(why)
    click.echo(f"The gateway runs at {base}/v1, and will after each boot. Its settings: {SETTINGS}")
    click.echo("Next:")
    for command, what in (
        (f"{with_sudo(program)} check", "whether all engines work, and may be restarted"),
        (f"{with_sudo(program)} key add NAME", "for each device that is to come in"),
        (f"{with_sudo(program)} reload", "after you have changed its settings"),
        ("journalctl -u spark-control -f", "what it does"),
    ):
        click.echo(f"  {command}   # {what}")
