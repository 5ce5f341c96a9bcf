"""What a shell completes: commands, and the names that the gateway knows. Without a gateway there are none, at once."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

import click
from click.shell_completion import CompletionItem, get_completion_class

if TYPE_CHECKING:
    from spark_control.gateway_client import AdminClient

_PATIENCE = 1.0
"""Seconds that somebody who has pressed Tab waits."""

_HARMLESS = re.compile(r"[\w/][\w./@+-]*")
"""Names that a shell takes as they are: engines tell them, and nobody reads what Tab inserts. (Bash cuts at colons.)"""

_LONGEST_HELP = 60

Names = list[tuple[str, str]]
Choices = list[CompletionItem[str]]


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print what makes SHELL complete these commands, and the names in them.

    \b
    bash  eval "$(spark-control completion bash)"     in ~/.bashrc
    zsh   eval "$(spark-control completion zsh)"      in ~/.zshrc, after compinit
    fish  spark-control completion fish > ~/.config/fish/completions/spark-control.fish
    """  # noqa: D301 (click knows \b as: leave these lines as they are)
    program = "spark-control"
    if found := get_completion_class(shell):
        script = found(context.find_root().command, {}, program, "_SPARK_CONTROL_COMPLETE")
        click.echo(script.source())


def engines(context: click.Context, _: click.Parameter, begun: str) -> Choices:
    """The engines, each with how it is."""

    def told(gateway: AdminClient) -> Names:
        return [(each["name"], each["sentence"]) for each in gateway.status()["upstreams"]]

    return _offered(context, told, begun)


def incidents(context: click.Context, _: click.Parameter, begun: str) -> Choices:
    """The incidents, each with whose it was, and what."""

    def told(gateway: AdminClient) -> Names:
        return [(each["id"], f"{each['service']} {each['verdict'] or ''}") for each in gateway.incidents()]

    return _offered(context, told, begun)


def voices(context: click.Context, _: click.Parameter, begun: str) -> Choices:
    """The voices, each with its language."""

    def told(gateway: AdminClient) -> Names:
        return [(each["id"], each["language"] or "") for each in gateway.voices()]

    return _offered(context, told, begun)


class _NoNames(Exception):
    """Why there is nothing to offer."""


def _offered(context: click.Context, told: Callable[[AdminClient], Names], begun: str) -> Choices:
    from spark_control.gateway_client import AdminClient
    from spark_control.settings_file import InvalidSettings

    try:
        with AdminClient(_address(context), _give_up, _PATIENCE) as gateway:
            names = told(gateway)
    except (_NoNames, InvalidSettings, LookupError, TypeError, ValueError):
        return []
    return [
        CompletionItem(name, help=_one_line(about))
        for name, about in names
        if name.startswith(begun) and _HARMLESS.fullmatch(name)
    ]


def _address(context: click.Context) -> str:
    """The gateway that the line names so far, or the settings' own."""
    from spark_control.gateway_client import address_of
    from spark_control.settings_file import load_settings

    if given := context.params.get("gateway"):
        return str(given)
    settings = load_settings(context.params.get("config"), os.environ)
    return address_of(settings.host, settings.port)


def _give_up(reason: str) -> NoReturn:
    raise _NoNames(reason)


def _one_line(text: str) -> str | None:
    """What the shell shows beside a name."""
    return "".join(each if each.isprintable() else " " for each in text)[:_LONGEST_HELP].strip() or None
