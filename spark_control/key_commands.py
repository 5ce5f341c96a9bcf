"""`spark-control key`: makes, lists and revokes the keys with which people and devices come in."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from spark_control.options import config_option, fail, json_option, print_json, settings_from

if TYPE_CHECKING:
    from spark_control.keys import Key, KeyFile


@click.group()
def key() -> None:
    """Make, list and revoke keys.

    As soon as there is one, everybody needs one. A running gateway sees a
    change within a second.
    """


@key.command()
@click.argument("name")
@click.option("--admin", is_flag=True, help="It may also restart engines and the like, from anywhere.")
@click.option("--rate", metavar="N/TIME", help="The most that it may ask: 60/minute, 1000/day.")
@click.option(
    "--patience", type=float, metavar="SECONDS", help="How long it is held while an engine is cured."
)
@click.option(
    "--only",
    "uses",
    type=click.Choice(["speech", "transcription", "chat"]),
    multiple=True,
    help="What it may be used for; may be given several times. Default: everything.",
)
@click.option("--no-cache", is_flag=True, help="What is spoken for it is not remembered.")
@json_option
@config_option
def add(
    name: str,
    admin: bool,  # noqa: FBT001 (click's way)
    rate: str | None,
    patience: float | None,
    uses: tuple[str, ...],
    no_cache: bool,  # noqa: FBT001
    config: Path | None,
    *,
    as_json: bool,
) -> None:
    """Make a key for NAME, and print it, once."""
    from pydantic import ValidationError

    from spark_control.keys import Key, KeyFileError, digest_of, hint_of, new_text

    text = new_text()
    known = {
        "name": name,
        "digest": digest_of(text),
        "hint": hint_of(text),
        "created": time.time(),
        "admin": admin,
        "rate": rate,
        "patience": patience,
        "uses": uses or None,
        "remembers": not no_cache,
    }
    try:
        made = Key.model_validate(known)
    except ValidationError as exc:
        fail(_sentence(exc.errors()[0]["loc"][0], exc.errors()[0]["msg"]))
    file = _file(config)
    try:
        file.add(made)
    except KeyFileError as exc:
        fail(str(exc))
    if as_json:
        print_json({"key": text, **_told(made)})
        return
    click.echo(f"The key of {name}, which is shown only now:", err=True)
    click.echo(text)
    click.echo(f"It is for the gateway whose state folder is {file.path.parent}.", err=True)
    if len(_read(file)) == 1:
        click.echo("It is the first: from now on everybody needs one.", err=True)


@key.command("list")
@json_option
@config_option
def list_(config: Path | None, *, as_json: bool) -> None:
    """List the keys, without their texts."""
    file = _file(config)
    keys = _read(file)
    if as_json:
        print_json([_told(each) for each in keys])
        return
    for each in keys:
        click.echo(_line(each))
    if keys:
        return
    if file.path.exists():
        click.echo(f"There are no keys any more. {_only_this_machine(file)}", err=True)
    else:
        click.echo(
            "There are no keys, so nobody needs one. `spark-control key add NAME` makes one.", err=True
        )


@key.command()
@click.argument("name")
@json_option
@config_option
def revoke(name: str, config: Path | None, *, as_json: bool) -> None:
    """Have the key of NAME open nothing any more."""
    from spark_control.keys import KeyFileError

    file = _file(config)
    try:
        file.revoke(name)
    except KeyFileError as exc:
        fail(str(exc))
    if as_json:
        print_json({"revoked": name, "left": len(_read(file))})
        return
    click.echo(f"The key of {name} opens nothing any more.")
    if not _read(file):
        click.echo(f"It was the last. {_only_this_machine(file)}", err=True)


def _only_this_machine(file: KeyFile) -> str:
    return (
        "Until there is another nobody has the engines work; to let everybody in again, stop the gateway and "
        f"remove {file.path}."
    )


def _file(config: Path | None) -> KeyFile:
    from spark_control.keys import KeyFile
    from spark_control.state_folder import state_folder

    return KeyFile(state_folder(settings_from(config), os.environ))


def _read(file: KeyFile) -> tuple[Key, ...]:
    from spark_control.keys import KeyFileError

    try:
        return file.read()
    except KeyFileError as exc:
        fail(str(exc))


def _told(each: Key) -> dict[str, Any]:
    """What a program may know of it."""
    return each.model_dump(exclude={"digest"})


def _line(each: Key) -> str:
    made = datetime.fromtimestamp(each.created, UTC).strftime("%Y-%m-%d")
    rights = [
        "admin" if each.admin else "",
        f"only {', '.join(each.uses)}" if each.uses else "",
        each.rate or "",
        f"{each.patience:g} s of patience" if each.patience is not None else "",
        "" if each.remembers else "not remembered",
    ]
    return f"{each.name:<20} {each.hint:<15} {made}  {', '.join(filter(None, rights))}".rstrip()


def _sentence(field: object, message: str) -> str:
    if field == "name":
        return (
            "a key's name is made of up to 64 letters, digits, blanks, dots, - and _, "
            "and begins with a letter or digit"
        )
    return f"{field}: {message.removeprefix('Value error, ')}"
