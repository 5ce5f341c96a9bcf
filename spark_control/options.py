"""What the commands that speak to a running gateway have in common: where it is, and how they end when it fails."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

if TYPE_CHECKING:
    from spark_control.settings import Settings

config_option = click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Settings file. Default: spark-control.toml in this folder, if there is one.",
)
gateway_option = click.option(
    "--gateway",
    metavar="URL",
    help="The gateway to ask. Default: where this folder's settings say it listens.",
)


def settings_from(config: Path | None) -> Settings:
    """The settings, or the end of the program with what is wrong with them."""
    from spark_control.settings_file import InvalidSettings, load_settings

    try:
        return load_settings(config, os.environ)
    except InvalidSettings as exc:
        fail(f"the settings are not valid:\n{exc}")


def address(gateway: str | None, config: Path | None) -> str:
    """Where the gateway is: as given, or else as the settings have it."""
    if gateway is not None:
        return gateway
    settings = settings_from(config)
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104 (a comparison)
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"


def fail(message: str) -> NoReturn:
    """End the program, with a sentence."""
    click.echo(f"spark-control: {message}", err=True)
    sys.exit(1)
