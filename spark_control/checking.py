"""`spark-control check`: the doctor's command."""

from __future__ import annotations

import logging
import os
import shutil
import sys
from pathlib import Path

import click

from spark_control.options import config_option, json_option, print_json

_NARROWEST, _WIDEST = 60, 100


@click.command()
@config_option
@json_option
def check(config: Path | None, *, as_json: bool) -> None:
    """Look at everything that the gateway needs, and say what to do about what is wrong.

    The settings, the port, keys, every engine at real work, the right to
    restart each, disks, clock and GPU. It starts and restarts nothing.
    Exit status 1 if anything is wrong.
    """
    from spark_control.check import examine
    from spark_control.check.screen import check_screen
    from spark_control.telemetry import configure_logging

    configure_logging(logging.CRITICAL)  # what there is to say stands in the report
    logging.disable()
    waiting = sys.stderr.isatty() and not as_json
    if waiting:
        click.echo("Looking ...", err=True, nl=False)
    report = examine(config, os.environ)
    if waiting:
        click.echo("\r\x1b[K", err=True, nl=False)
    if as_json:
        print_json(report.told())
    else:
        columns = max(_NARROWEST, min(_WIDEST, shutil.get_terminal_size().columns))
        for line in check_screen(report, columns):
            click.echo(line)
    sys.exit(0 if report.good else 1)
