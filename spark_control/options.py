"""What the commands have in common: where the gateway is, how they print, and how they end when something fails."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

if TYPE_CHECKING:
    from spark_control.settings import Settings

ClientT = TypeVar("ClientT")
Command = Callable[..., None]

config_option = click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Settings file. Default: spark-control.toml in this folder, or else the service's in /etc/spark-control.",
)
gateway_option = click.option(
    "--gateway",
    metavar="URL",
    help="The gateway to ask. Default: where the settings say it listens.",
)
hosts_argument = click.argument("hosts", metavar="[HOST]...", nargs=-1)
ports_option = click.option(
    "--port",
    "ports",
    type=click.IntRange(1, 65535),
    multiple=True,
    help="Look at this port too. May be given several times.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
speed_option = click.option(
    "--speed",
    type=click.FloatRange(0.25, 4.0),
    default=1.0,
    show_default=True,
    help="1 is the voice's own pace.",
)


def with_gateway(
    connected: Callable[[str], AbstractContextManager[ClientT]],
) -> Callable[[Command], Command]:
    """Give a command the gateway that its options name, `connected`, as its first argument."""

    def decorator(command: Command) -> Command:
        @gateway_option
        @config_option
        @wraps(command)
        def asking(gateway: str | None, config: Path | None, **arguments: Any) -> None:
            with connected(address(gateway, config)) as client:
                command(client, **arguments)

        return asking

    return decorator


def settle_output(context: click.Context) -> None:
    """Let no command print what its reader cannot take: colour under NO_COLOR, or letters of another alphabet."""
    if os.environ.get("NO_COLOR"):
        context.color = False
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # ? stands for a tick


def print_json(value: object) -> None:
    """It, in ASCII, so that it can play with no terminal."""
    click.echo(json.dumps(value, indent=2))


def settings_from(config: Path | None, usual: Sequence[Path] | None = None) -> Settings:
    """The settings, or the end of the program with what is wrong with them."""
    from spark_control.settings_file import USUAL, InvalidSettings, load_settings

    try:
        return load_settings(config, os.environ, USUAL if usual is None else usual)
    except InvalidSettings as exc:
        fail(f"the settings are not valid; `spark-control check` has a cure for each fault:\n{exc}")


def address(gateway: str | None, config: Path | None) -> str:
    """Where the gateway is: as given, or else as the settings have it."""
    from spark_control.gateway_client import address_of

    if gateway is not None:
        return gateway
    settings = settings_from(config)
    return address_of(settings.host, settings.port)


def fail(message: str) -> NoReturn:
    """End the program, with a sentence."""
    click.echo(f"spark-control: {message}", err=True)
    sys.exit(1)
