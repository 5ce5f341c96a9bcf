"""The command line. Every command imports what it needs when it runs, so that `--help` and the engines start fast."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from spark_control import __version__
from spark_control.cache_commands import COMMANDS as CACHE
from spark_control.checking import check
from spark_control.completion import completion
from spark_control.finding import discover
from spark_control.init_command import init
from spark_control.key_commands import key
from spark_control.operating import COMMANDS as OPERATING
from spark_control.options import config_option, fail, settings_from, settle_output
from spark_control.service_commands import install_service, uninstall_service
from spark_control.talking import COMMANDS as TALKING

if TYPE_CHECKING:
    from spark_control.settings import Settings


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="spark-control")
@click.pass_context
def main(context: click.Context) -> None:
    """One OpenAI-compatible address for the speech engines of a DGX Spark.

    Start with `spark-control serve`. With no engine configured it brings its
    own, which run on any CPU.
    """
    settle_output(context)


@main.command()
@config_option
@click.option("--host", help="Address to listen on, over the settings'. Default: 127.0.0.1.")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Port to listen on, over the settings'. Default: 8090."
)
@click.option(
    "--demo", is_flag=True, help="Embedded engines, whatever the settings say; prints what to try next."
)
def serve(config: Path | None, host: str | None, port: int | None, demo: bool) -> None:  # noqa: FBT001 (click's way)
    """Run the gateway until Ctrl-C or SIGTERM.

    SIGHUP has it read its settings again.
    """
    from spark_control.hang_ups import HangUps

    hang_ups = HangUps()
    hang_ups.watch()

    from spark_control.serving import CannotServe, run
    from spark_control.settings_file import HERE, USUAL, file_of, load_settings
    from spark_control.telemetry import configure_logging

    usual = (HERE,) if demo else USUAL  # a demonstration has nothing to do with the service of this machine
    file = file_of(config, usual)
    chosen: dict[str, object] = {"host": host, "port": port, "upstreams": {} if demo else None}
    over = {name: value for name, value in chosen.items() if value is not None}

    def reread() -> Settings:
        return load_settings(file, os.environ, usual).model_copy(update=over)

    configure_logging()
    settings = settings_from(file, usual).model_copy(update=over)
    try:
        run(settings, click.echo, reread=reread, hang_ups=hang_ups, hints=demo)
    except CannotServe as exc:
        fail(str(exc))


@main.command()
@click.argument("kind", type=click.Choice(["magpie", "parakeet"]))
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="Port to listen on. Default: 9000 for magpie, 5092 for parakeet.",
)
@click.option("--fd", type=int, hidden=True, help="A listening socket to inherit instead.")
@click.option("--lifeline", type=int, hidden=True, help="A pipe whose closing ends the engine.")
@click.option(
    "--faults", is_flag=True, help="Let it be made to fail, at /control/fault. For tests and drills."
)
@click.option(
    "--fault-file",
    type=click.Path(dir_okay=False, path_type=Path),
    hidden=True,
    help="Where faults are kept that outlive a restart.",
)
def engine(
    kind: str,
    host: str,
    port: int | None,
    fd: int | None,
    lifeline: int | None,
    faults: bool,  # noqa: FBT001 (click's way)
    fault_file: Path | None,
) -> None:
    """Run one embedded CPU engine alone, speaking KIND's wire format."""
    from spark_control.engines import EngineUnavailable
    from spark_control.engines.serving import run_engine

    default = {"magpie": 9000, "parakeet": 5092}[kind]
    try:
        run_engine(
            kind,
            host=host,
            port=default if port is None and fd is None else port,
            fd=fd,
            lifeline=lifeline,
            faults=faults or fault_file is not None,
            fault_file=fault_file,
        )
    except EngineUnavailable as exc:
        fail(str(exc))


for _command in (
    *TALKING,
    *OPERATING,
    *CACHE,
    init,
    check,
    discover,
    key,
    install_service,
    uninstall_service,
    completion,
):
    main.add_command(_command)
