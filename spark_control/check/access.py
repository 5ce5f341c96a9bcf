"""Who would get in: keys, and a gateway that is open to the network."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

from spark_control.check.findings import Finding, note, ok, warn, wrong
from spark_control.keys import KeyFile, KeyFileError, Keys
from spark_control.local_only import is_loopback
from spark_control.serving import too_public
from spark_control.settings import Settings
from spark_control.settings_file import INSTALLED, SERVICE_USER
from spark_control.supervision.alerts import missing_extra


def check_access(settings: Settings, state: Path) -> Iterator[Finding]:
    """What `serve` would refuse, and what it would let in."""
    try:
        keys = Keys(KeyFile(state), time.monotonic)
        known = KeyFile(state).read()
    except KeyFileError as exc:
        yield _damaged(exc, state)
        return
    if too_public(settings, keys):
        said = f"{settings.host} is open to the network, and there are no keys: `serve` will not start."
        cure = (
            "Make a key: `spark-control key add NAME`, or if it is to be a service, `sudo spark-control key add NAME` "
            'once that is installed. Or set host = "127.0.0.1".'
        )
        yield wrong("access", said, cure)
        return
    if keys.any:
        admins = sum(key.admin for key in known)
        count = f"{len(known)} key{'s' if len(known) != 1 else ''}, {admins or 'none'} of them admin"
        yield ok("access", f"{count}: everybody needs one.")
    elif settings.host == "localhost" or is_loopback(settings.host):
        yield ok("access", "No keys, and only this machine can ask.")
    else:
        said = f"{settings.host} is open to the network, and anybody there may use the engines."
        yield warn("access", said, "Make a key (`spark-control key add NAME`), then remove access.open.")


def _damaged(exc: KeyFileError, state: Path) -> Finding:
    said = str(exc)
    if "; close it with: " in said:
        said, _, command = said.partition("; close it with: ")
        return wrong("keys", f"{said}.", command)
    text, _, cure = said.partition(". ")
    default = f"`ls -l {state}` shows whose it is; it has to be the gateway's user's, with mode 600."
    return wrong("keys", f"{text.rstrip('.')}.", cure or default)


def check_alerts(settings: Settings) -> Iterator[Finding]:
    """Whether the people who are to be called can be, as far as their addresses tell."""
    asked = {"deep_health.alerts": settings.deep_health.alerts}
    for name, upstream in settings.upstreams.items():
        asked[f"upstreams.{name}.deep_health.alerts"] = upstream.deep_health.alerts
    asked = {name: urls for name, urls in asked.items() if urls}
    if not asked:
        cure = 'Put an Apprise URL into deep_health.alerts, such as "ntfy://your-topic".'
        yield note("alerts", "Nobody is called when an engine is given up on.", cure)
        return
    if missing_extra([url for urls in asked.values() for url in urls]):
        yield wrong("alerts", "The package that sends them is not installed.", _pip("alerts"))
        return
    for name, urls in asked.items():
        yield from _understood(name, urls)


def _understood(name: str, urls: list[str]) -> Iterator[Finding]:
    import apprise

    strange = [number for number, url in enumerate(urls, 1) if not apprise.Apprise().add(url)]
    for number in strange:
        # The address itself is a secret: it has the token in it.
        said = f"Apprise does not understand address {number}, which begins with {_scheme(urls[number - 1])}."
        yield wrong(name, said, 'Write it as Apprise does: "ntfy://your-topic", "mailto://…", "tgram://…".')
    if not strange:
        count = f"{len(urls)} address{'es' if len(urls) != 1 else ''}"
        yield ok(name, f"{count} that Apprise understands; nothing was sent.")


def _scheme(url: str) -> str:
    scheme, separator, _ = url.partition("://")
    plain = "".join(each if each.isalnum() or each in "+-" else "?" for each in scheme[:16])
    return f"{plain}://" if separator else "no scheme"


def _pip(extra: str) -> str:
    return f"pip install 'spark-control[{extra}]'"


def service_user(source: str) -> str | None:
    """Whom root tries the rights of, when it looks at the settings of the service."""
    import pwd

    if os.geteuid() != 0 or source != str(INSTALLED):
        return None
    try:
        return pwd.getpwnam(SERVICE_USER).pw_name
    except KeyError:
        return None


def who_asks() -> str:
    """The user who looks."""
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return f"user {os.geteuid()}"


def check_extras(settings: Settings, lost: Sequence[str]) -> Iterator[Finding]:
    """What is installed beside the gateway, and is of use to it."""
    from spark_control.engines.embedded import missing_extra as missing_engines
    from spark_control.playing import installed

    if not settings.upstreams and not lost:
        if missing_engines():
            cure = f"{_pip('engines')}, or name an engine: `spark-control discover` finds those that run."
            yield wrong(
                "engines", "No upstream is configured, and the embedded engines are not installed.", cure
            )
        else:
            yield ok("engines", "No upstream is configured: `serve` starts the embedded engines.")
    players = installed()
    if players:
        yield ok("player", f"{players[0].name} plays what `spark-control say` has spoken.")
    else:
        said = "No player is installed: `spark-control say` writes a file instead."
        yield note("player", said)
    if find_spec("uvloop") is None:
        yield note("uvloop", "The faster event loop is not installed.", "pip install uvloop")
