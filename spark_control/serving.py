"""Runs the gateway as a process: its socket, its signals, its embedded engines, and a calm end."""

from __future__ import annotations

import asyncio
import errno
import faulthandler
import gc
import os
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, closing, suppress
from contextvars import Context
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from spark_control.announcing import base_url, what_runs_where, what_to_try
from spark_control.draining import DrainingServer
from spark_control.engines.embedded import EmbeddedEngines, missing_extra
from spark_control.guarded_http import GuardedHttp
from spark_control.hang_ups import HangUps
from spark_control.keys import KeyFile, KeyFileError, Keys
from spark_control.lifecycle import Lifecycle
from spark_control.local_only import is_loopback
from spark_control.port_holders import holder_of
from spark_control.reloading import Reloading
from spark_control.server import create_app
from spark_control.service_manager import ServiceManager, UnusableSocket, inherited_sockets
from spark_control.sessions import Sessions
from spark_control.settings import Settings, UpstreamSettings
from spark_control.settings_file import InvalidSettings
from spark_control.speech_cache import SpeechCache
from spark_control.state_folder import state_folder
from spark_control.store import Store, StoreError
from spark_control.supervision.alerts import missing_extra as missing_alerts
from spark_control.supervision.restarters import Restarter
from spark_control.supervision.restarters.process import ProcessRestarter

Announce = Callable[[str], None]

EMBEDDED_MODELS = {"magpie": "espeak-ng", "parakeet": "pocketsphinx"}
"""Which wire format each embedded engine speaks, and what it truly is."""


_EMBEDDED_GRACE = 60
"""Seconds: they load in one or two, whatever the kind of engine that they stand in for."""


class CannotServe(Exception):
    """Why the gateway does not start, in a sentence."""


@dataclass(frozen=True)
class Process:
    """What the gateway has of the process that it runs in."""

    listening: Sequence[socket.socket]
    reread: Callable[[], Settings]
    """The settings as they are now. Raises InvalidSettings."""
    inherited: bool = False
    """Whether `listening` are the service manager's, which goes on listening when the gateway ends."""
    manager: ServiceManager = field(default_factory=ServiceManager)
    hang_ups: HangUps = field(default_factory=HangUps)


def listen(host: str, port: int) -> socket.socket:
    """The gateway's socket, or CannotServe with a sentence."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as exc:
        why = os.strerror(exc.errno or 0)
        if exc.errno == errno.EADDRINUSE:
            holder = holder_of(port)
            who = f"taken by {holder}" if holder else "taken by a program of another user"
            cure = holder.cure if holder else f"`sudo ss -ltnp sport = :{port}` shows which; end it"
            why = f"it is {who}; {cure}, or name another port with --port"
        raise CannotServe(f"cannot listen on {host} port {port}: {why}") from None


async def serve(
    settings: Settings,
    process: Process,
    announce: Announce,
    store: Store,
    *,
    keys: Keys,
    state: Path | None,
    hints: bool,
) -> None:
    """Serve until a signal. `announce` gets lines about what runs where; `state` is the folder that `store` is in."""
    lifecycle = Lifecycle(inherited=process.inherited)
    listens = hosts_of(process.listening)  # a socket that was closed in the drain tells no more
    async with AsyncExitStack() as house:
        engines = None
        if not settings.upstreams:
            engines = await house.enter_async_context(EmbeddedEngines(list(EMBEDDED_MODELS), faults=hints))

        def completed(settings: Settings) -> Settings:
            if settings.upstreams or not engines:
                return settings
            return settings.model_copy(update={"upstreams": upstreams_of(engines)})

        def reread() -> Settings:
            fresh = process.reread()
            with suppress(KeyFileError):  # of which the reload tells by itself
                keys.look_now()
            hosts = [*listens, *([] if process.inherited else [fresh.host])]
            if reason := missing_for(fresh) or too_public(fresh, keys, hosts):
                raise InvalidSettings(reason)
            return completed(fresh)

        settings = completed(settings)
        reloading = Reloading(reread)
        speech_cache = None
        if settings.speech_cache.enabled and settings.speech_cache.max_bytes:
            folder = state / "speech" if state else None
            cached = SpeechCache.opened(folder, settings.speech_cache.max_bytes)
            speech_cache = await house.enter_async_context(cached)
        app = create_app(
            settings,
            lifecycle=lifecycle,
            engines_ready=engines.ready if engines else None,
            store=store,
            restarters=restarters_of(engines) if engines else None,
            speech_cache=speech_cache,
            keys=keys,
            sessions=Sessions(state, keys, time.time),
            drills=engines is not None and hints,
            reloading=reloading,
        )
        announce(what_runs_where(settings, process.listening, embedded=engines is not None))
        if hints:
            announce(what_to_try(base_url(process.listening[0])))
        await _run(app, lifecycle, process, reloading, settings.drain)


def upstreams_of(engines: EmbeddedEngines) -> dict[str, UpstreamSettings]:
    """The settings under which the gateway finds its own engines."""
    return {
        engine.kind: UpstreamSettings.model_validate(
            {
                "kind": engine.kind,
                "url": engine.url,
                "model": EMBEDDED_MODELS[engine.kind],
                "deep_health": {"startup_grace": _EMBEDDED_GRACE},
            }
        )
        for engine in engines.engines
    }


def restarters_of(engines: EmbeddedEngines) -> dict[str, Restarter]:
    """The way to restart each of the gateway's own engines."""
    return {engine.kind: ProcessRestarter(engine) for engine in engines.engines}


async def _run(
    app: FastAPI, lifecycle: Lifecycle, process: Process, reloading: Reloading, drain: float
) -> None:
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # nobody is believed about where a request came from
        timeout_graceful_shutdown=1,  # what is left after the drain
        http=GuardedHttp,
        ws="none",
    )
    # What start-up made lives as long as the process: the collector need not walk through it again and again.
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
    server = DrainingServer(config, lifecycle, drain, process.manager)
    posting = asyncio.create_task(process.manager.keep_posted(lifecycle.lives, lifecycle.sentence))
    try:
        with process.hang_ups.leading_to(_reloader(reloading)):
            await server.serve(sockets=list(process.listening))
    finally:
        posting.cancel()


def _reloader(reloading: Reloading) -> Callable[[], None]:
    """What a signal's handler may call at any time."""
    loop, under_way = asyncio.get_running_loop(), set[asyncio.Task[None]]()

    async def reload() -> None:
        with suppress(InvalidSettings):  # it has been logged
            await reloading.now()

    def begin() -> None:
        task = asyncio.create_task(reload())
        under_way.add(task)
        task.add_done_callback(under_way.discard)

    def ask() -> None:
        loop.call_soon_threadsafe(begin, context=Context())

    return ask


def hosts_of(listening: Sequence[socket.socket]) -> list[str]:
    """The addresses of this machine that they listen on."""
    return [each.getsockname()[0] for each in listening]


def run(
    settings: Settings,
    announce: Announce,
    *,
    reread: Callable[[], Settings],
    hang_ups: HangUps,
    hints: bool = False,
) -> None:
    """`spark-control serve`: listen, then serve on the fastest event loop there is. Raises CannotServe."""
    manager = ServiceManager.taken_from(os.environ, os.getpid())
    if manager.watched:
        faulthandler.enable()  # what a gateway hangs in is told in the log before it is ended
    if missing := missing_for(settings):
        raise CannotServe(missing)
    # A demonstration leaves nothing behind, and is in nobody's way.
    state = None if hints else state_folder(settings, os.environ)
    keys = _keys(state)
    inherited = _inherited()
    if reason := too_public(settings, keys, hosts_of(inherited)):
        raise CannotServe(reason)
    with closing(_store(state)) as store:
        listening = inherited or [listen(settings.host, settings.port)]
        process = Process(listening, reread, bool(inherited), manager, hang_ups)
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(serve(settings, process, announce, store, keys=keys, state=state, hints=hints))


def missing_for(settings: Settings) -> str | None:
    """What has to be installed for these settings; None if nothing is missing."""
    if not settings.upstreams and (missing := missing_extra()):
        return f"no upstream is configured, and the embedded engines are not installed. {missing}"
    alerts = [url for name in settings.upstreams for url in settings.care_of(name).alerts]
    return missing_alerts([*alerts, *settings.deep_health.alerts])


def _inherited() -> Sequence[socket.socket]:
    try:
        return inherited_sockets(os.environ, os.getpid())
    except UnusableSocket as exc:
        raise CannotServe(str(exc)) from None


def too_public(settings: Settings, keys: Keys, hosts: Sequence[str] = ()) -> str | None:
    """Why the gateway may not listen on `hosts`, or where the settings say; None if it may."""
    public = [each for each in hosts or [settings.host] if each != "localhost" and not is_loopback(each)]
    if settings.access.open or keys.any or not public:
        return None
    cure = "Make one with `spark-control key add NAME`, or set" if keys.kept else "Set"
    return (
        f"{public[0]} is open to the network, and there are no keys, so anybody there could use the engines. "
        f"{cure} access.open = true if that is what you want."
    )


def _keys(folder: Path | None) -> Keys:
    try:
        return Keys(KeyFile(folder) if folder else None, time.monotonic)
    except KeyFileError as exc:
        raise CannotServe(str(exc)) from None


def _store(folder: Path | None) -> Store:
    try:
        return Store.open(folder)
    except StoreError as exc:
        raise CannotServe(str(exc)) from None


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # Windows has none
        return None
    return uvloop.new_event_loop
