"""The engines: do they answer, are they what the settings say, and do they do real work?"""

from __future__ import annotations

import asyncio
import difflib
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import httpx

from spark_control.check.findings import Finding, joined, note, ok, warn, wrong
from spark_control.check.strangers import Stranger, stranger_at
from spark_control.errors import GatewayError, Loading, Unreachable
from spark_control.settings import Settings, Task, UpstreamSettings
from spark_control.supervision.probes import Probed, probe
from spark_control.supervision.recovery import Failed, Passed
from spark_control.upstreams import listeners, speakers, thinkers
from spark_control.upstreams.catalog import Catalog
from spark_control.upstreams.client import CANARIES as AGENT
from spark_control.upstreams.client import Upstream, open_client
from spark_control.watch import CANARIES

_ENOUGH = 1024 * 1024
_PATIENCE = 5.0
"""Seconds for an engine to say that it is there."""

_CANARY = 45.0
"""Seconds for real work: an engine that has slept may take most of it."""

_DID: dict[Task, str] = {
    "speech": "spoke a sentence",
    "transcription": "understood a recording",
    "chat": "answered",
}


async def check_engines(
    settings: Settings, transport: httpx.AsyncBaseTransport | None = None
) -> list[Finding]:
    """A finding for each engine at least, in the order of the file, then one for each name that nobody knows."""
    if not settings.upstreams:
        return []
    async with open_client(transport, AGENT) as client:
        pools: tuple[list[Upstream[Any]], ...] = (
            [*speakers(settings.upstreams, client)],
            [*listeners(settings.upstreams, client)],
            [*thinkers(settings.upstreams, client)],
        )
        catalog = Catalog(
            *pools,
            own_names=settings.voices,
            default_voice=settings.speech.default_voice,
            models=settings.models,
        )
        upstreams = {upstream.name: upstream for pool in pools for upstream in pool}
        examined = [_Examination(upstreams[name], each, catalog) for name, each in settings.upstreams.items()]
        findings = await asyncio.gather(*(each.findings() for each in examined))
        names = _names(settings, catalog) if all(each.told for each in examined) else []
        return [*(finding for found in findings for finding in found), *names]


class _Examination:
    """Of one engine."""

    def __init__(self, upstream: Upstream[Any], settings: UpstreamSettings, catalog: Catalog) -> None:
        self._upstream = upstream
        self._settings = settings
        self._catalog = catalog
        self._at = upstream.dialect.url
        self.told = False
        """Whether it has told its voices and models."""

    async def findings(self) -> list[Finding]:
        problem = await self._readiness()
        if problem:
            return [problem]
        stranger = await stranger_at(self._upstream, self._settings)
        if stranger and stranger.is_no_engine:
            return [wrong(self._upstream.name, f"{self._at}: {stranger.what}.", stranger.cure)]
        with suppress(GatewayError):
            await self._catalog.refresh(self._upstream.name)
            self.told = True
        return [await self._work(stranger), *(await self._model())]

    async def _readiness(self) -> Finding | None:
        """Why there is no use in asking it more."""
        name = self._upstream.name
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._upstream.fetch(self._upstream.dialect.ready_request, _ENOUGH)
        except TimeoutError:
            said = f"{self._at}: it gave no answer in {_PATIENCE:g} s, as a wedged engine does."
            return wrong(name, said, self._restarted_by_hand())
        except Unreachable:
            return await self._unreachable()
        except Loading:
            said = f"{self._at}: it is still loading its model."
            return warn(name, said, "Ask again in a few minutes; a NIM may take ten.")
        except GatewayError as exc:
            return await self._refused(exc)
        return None

    async def _refused(self, exc: GatewayError) -> Finding:
        name = self._upstream.name
        if getattr(exc, "code", "") == "upstream_refused_key":
            given = "the api_key that is set" if self._settings.api_key else "a request without a key"
            cure = f'Put the engine\'s own key in: upstreams.{name}.api_key = "..."'
            return wrong(name, f"{self._at}: it refuses {given}.", cure)
        stranger = await stranger_at(self._upstream, self._settings)
        if stranger:
            return wrong(name, f"{self._at}: {stranger.what}.", stranger.cure)
        return wrong(name, f"{self._at}: {exc.message}", self._look())

    async def _unreachable(self) -> Finding:
        host, port = self._settings.url.host or "", self._settings.url.port
        name = self._upstream.name
        if not await asyncio.to_thread(_is_known, host):
            cure = f"Correct upstreams.{name}.url, or give the address in numbers, such as 192.168.1.20."
            return wrong(name, f"{self._at}: no host {host} is known here.", cure)
        start = _by_hand(self._settings, "start")
        started = f"Start it: `{start}`. " if start else "Start it. "
        cure = f"{started}`spark-control discover {host}` shows what runs there."
        return wrong(name, f"{self._at}: nothing answers at port {port}.", cure)

    async def _work(self, stranger: Stranger | None) -> Finding:
        name, task = self._upstream.name, self._settings.task
        if self._upstream.probe_when == "after_use" and task != "chat":
            said = f"{self._at}: it answers. It may sleep, and no real work was asked of it."
            return note(name, said, f"`spark-control probe {name}` asks for some, once the gateway runs.")
        probed = await probe(CANARIES[task](self._upstream), _CANARY, time.monotonic)
        if isinstance(probed.outcome, Passed):
            return self._passed(probed, stranger)
        if stranger:
            return wrong(name, f"{self._at}: {stranger.what}.", stranger.cure)
        if isinstance(probed.outcome, Failed):
            said = f"{self._at}: it is up, and fails at real work: {probed.detail.rstrip('.')}."
            return wrong(name, said, self._restarted_by_hand())
        said = f"{self._at}: it is up. {probed.detail.rstrip('.')}."
        return note(name, said) if task == "chat" else warn(name, said, self._look())

    def _passed(self, probed: Probed, stranger: Stranger | None) -> Finding:
        name, did = self._upstream.name, _DID[self._settings.task]
        said = f"{self._at}: it {did} in {_lasting(probed.seconds)}."
        if stranger and stranger.is_of_another_flavour:
            return warn(name, f"{said} But {stranger.what}.", stranger.cure)
        return ok(name, said)

    async def _model(self) -> list[Finding]:
        """What is wrong with the model that the settings name."""
        asked, dialect = self._settings.model, self._upstream.dialect
        if not asked or self._settings.kind != "openai" or not dialect.models_request():
            return []
        try:
            async with asyncio.timeout(_PATIENCE):
                body = await self._upstream.fetch(dialect.models_request, _ENOUGH)
            has: tuple[str, ...] = dialect.read_models(body)
        except (TimeoutError, GatewayError, ValueError, RecursionError):
            return []  # it lists nothing
        if not has or asked in has:
            return []
        near = difflib.get_close_matches(asked, has, n=1) or list(has[:1])
        where = f"upstreams.{self._upstream.name}.model"
        return [wrong(where, f"It has no model {asked}; it has {joined(has)}.", f'{where} = "{near[0]}"')]

    def _restarted_by_hand(self) -> str:
        restart = _by_hand(self._settings, "restart")
        return f"{f'`{restart}`' if restart else 'Restart it'}, and read its log; then check again."

    def _look(self) -> str:
        host = self._settings.url.host
        return f"`spark-control discover {host}:{self._settings.url.port}` shows what answers there."


def _by_hand(settings: UpstreamSettings, verb: str) -> str | None:
    """What its owner types, if the settings tell enough."""
    restart = settings.restart
    if restart and restart.docker:
        return f"docker {verb} {restart.docker}"
    if restart and restart.systemd:
        return f"systemctl{' --user' if restart.user else ''} {verb} {restart.systemd}"
    return None


def _names(settings: Settings, catalog: Catalog) -> Iterator[Finding]:
    """What is wrong with the names of voices and models in the settings."""
    asked: dict[str, str | None] = {f"voices.{name}": name for name in settings.voices}
    asked["speech.default_voice"] = None
    for setting, name in asked.items() if catalog.speakers else ():
        try:
            catalog.known_cast(name)
        except GatewayError as exc:
            cure = "`spark-control voices` lists those that there are, once the gateway runs."
            yield wrong(setting, exc.message, cure)
    known = [model.name for model in catalog.models()]
    targets = [name for name in known if name not in settings.models.aliases]
    for alias, target in settings.models.aliases.items():
        if alias not in known:
            yield _dangling(alias, target, targets)


def _dangling(alias: str, target: str, known: Sequence[str]) -> Finding:
    near = difflib.get_close_matches(target, known, n=1)
    cure = f'"{alias}" = "{near[0]}"' if near else f"Those that there are: {joined(known) or 'none'}."
    return wrong("models.aliases", f"{alias} is to mean {target}, and no engine has a model {target}.", cure)


def _is_known(host: str) -> bool:
    try:
        return bool(socket.getaddrinfo(host.strip("[]"), None, type=socket.SOCK_STREAM))
    except (OSError, UnicodeError):
        return False


def _lasting(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"
