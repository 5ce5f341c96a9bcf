"""The command line. Every command imports what it needs when it runs, so that `--help` and the engines start fast."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from spark_control import __version__
from spark_control.cache_commands import COMMANDS as CACHE_COMMANDS
from spark_control.finding import discover
from spark_control.key_commands import key
from spark_control.operating import COMMANDS
from spark_control.options import address, config_option, fail, gateway_option, settings_from

if TYPE_CHECKING:
    from spark_control.gateway_client import GatewayClient


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="spark-control")
def main() -> None:
    """One OpenAI-compatible address for the speech engines of a DGX Spark.

    Start with `spark-control serve`. With no engine configured it brings its
    own, which run on any CPU.
    """


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
    """Run the gateway until Ctrl-C or SIGTERM."""
    from spark_control.serving import CannotServe, run
    from spark_control.telemetry import configure_logging

    configure_logging()
    settings = settings_from(config)
    chosen: dict[str, object] = {"host": host, "port": port, "upstreams": {} if demo else None}
    settings = settings.model_copy(
        update={name: value for name, value in chosen.items() if value is not None}
    )
    try:
        run(settings, click.echo, hints=demo)
    except CannotServe as exc:
        fail(str(exc))


@main.command()
@click.argument("text")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, writable=True),
    default="speech.wav",
    show_default=True,
    help="Where to put the sound, in the format of its ending; - is stdout, as WAV.",
)
@click.option("--voice", help="One of OpenAI's names, your own, or those that `spark-control voices` lists.")
@click.option(
    "--speed",
    type=click.FloatRange(0.25, 4.0),
    default=1.0,
    show_default=True,
    help="1 is the voice's own pace.",
)
@gateway_option
@config_option
def say(
    text: str, output: str, voice: str | None, speed: float, gateway: str | None, config: Path | None
) -> None:
    """Speak TEXT into a file; - reads the text from stdin."""
    from spark_control.audio.formats import SPOKEN

    text = sys.stdin.read() if text == "-" else text
    ending = Path(output).suffix.removeprefix(".").lower()
    format_ = ending if ending in SPOKEN else "wav"
    with _gateway(gateway, config) as client, click.open_file(output, "wb", lazy=True) as file:
        spoken = client.say(text, voice=voice, speed=speed, format_=format_)
        file.write(spoken)
    if output != "-":
        click.echo(f"{output}: {len(spoken):,} bytes", err=True)


@main.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--language", help="Such as en or en-US. Default: the engine's own choice.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "srt", "vtt", "json", "verbose_json"]),
    default="text",
    show_default=True,
    help="How the words are written.",
)
@gateway_option
@config_option
def hear(file: Path, language: str | None, format_: str, gateway: str | None, config: Path | None) -> None:
    """Print the words spoken in FILE."""
    with _gateway(gateway, config) as client:
        click.echo(client.hear(file, language=language, format_=format_))


@main.command()
@gateway_option
@config_option
def voices(gateway: str | None, config: Path | None) -> None:
    """List the voices, a line each: name, language, engine."""
    with _gateway(gateway, config) as client:
        for name, language, engine in client.voices():
            click.echo(f"{name:<44} {language:<8} {engine}")


@main.command()
@config_option
def check(config: Path | None) -> None:
    """See whether the settings hold and every engine answers.

    A line for each; exit status 1 if anything is wrong.
    """
    from spark_control.check import check_upstreams

    settings = settings_from(config)
    click.echo("ok    settings are valid")
    findings = check_upstreams(settings)
    for finding in findings:
        click.echo(f"{'ok   ' if finding.good else 'WRONG'} {finding.text}")
    sys.exit(0 if all(finding.good for finding in findings) else 1)


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


def _gateway(gateway: str | None, config: Path | None) -> GatewayClient:
    from spark_control.gateway_client import GatewayClient

    return GatewayClient(address(gateway, config), fail)


for _command in (*COMMANDS, *CACHE_COMMANDS, discover, key):
    main.add_command(_command)
