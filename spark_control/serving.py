"""Runs the gateway as a process: its socket, its signals, its embedded engines, and a calm end."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import os
import shutil
import socket
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, closing
from pathlib import Path
from types import FrameType

import uvicorn
from fastapi import FastAPI

from spark_control.engines.embedded import EmbeddedEngines, missing_extra
from spark_control.guarded_http import GuardedHttp
from spark_control.keys import KeyFile, KeyFileError, Keys
from spark_control.lifecycle import Lifecycle
from spark_control.local_only import is_loopback
from spark_control.server import create_app
from spark_control.sessions import Sessions
from spark_control.settings import Settings, UpstreamSettings
from spark_control.speech_cache import SpeechCache
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


class DrainingServer(uvicorn.Server):
    """uvicorn, but on the first signal it finishes what it has in hand while `/readyz` says that it is leaving."""

    def __init__(self, config: uvicorn.Config, lifecycle: Lifecycle, drain: float) -> None:
        super().__init__(config)
        self._lifecycle = lifecycle
        self._drain = drain
        self._loop = asyncio.get_running_loop()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """First signal: drain. Second: stop now."""
        if self._lifecycle.draining:
            super().handle_exit(sig, frame)
            return
        self._lifecycle.draining = True
        self._loop.call_soon_threadsafe(self._start_draining)

    def _start_draining(self) -> None:
        self._draining = asyncio.create_task(self._finish())

    async def _finish(self) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._lifecycle.idle(), self._drain)
        self.should_exit = True


def listen(host: str, port: int) -> socket.socket:
    """The gateway's socket, or CannotServe with a sentence."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as exc:
        why = os.strerror(exc.errno or 0)
        cure = "; --port names another" if exc.errno == errno.EADDRINUSE else ""
        raise CannotServe(f"cannot listen on {host} port {port}: {why}{cure}") from None


async def serve(
    settings: Settings,
    listening: socket.socket,
    announce: Announce,
    store: Store,
    *,
    keys: Keys,
    state: Path | None,
    hints: bool,
) -> None:
    """Serve until a signal. `announce` gets lines about what runs where; `state` is the folder that `store` is in."""
    lifecycle = Lifecycle()
    async with AsyncExitStack() as house:
        engines = None
        if not settings.upstreams:
            engines = await house.enter_async_context(EmbeddedEngines(list(EMBEDDED_MODELS), faults=hints))
            settings = settings.model_copy(update={"upstreams": upstreams_of(engines)})
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
        )
        announce(what_runs_where(settings, listening, embedded=engines is not None))
        if hints:
            announce(what_to_try(base_url(listening)))
        await _run(app, lifecycle, listening, settings.drain)


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


async def _run(app: FastAPI, lifecycle: Lifecycle, listening: socket.socket, drain: float) -> None:
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
    await DrainingServer(config, lifecycle, drain).serve(sockets=[listening])


def base_url(listening: socket.socket) -> str:
    """The address to give to clients."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}/v1" if ":" in host else f"http://{host}:{port}/v1"


def what_runs_where(settings: Settings, listening: socket.socket, *, embedded: bool) -> str:
    lines = [f"Spark Control listens on {base_url(listening)}"]
    if embedded:
        lines.append("No upstream is configured, so the embedded CPU engines are starting:")
    lines += [f"  {name}: {upstream.kind} at {upstream.url}" for name, upstream in settings.upstreams.items()]
    return "\n".join(lines)


def what_to_try(base: str) -> str:
    """Where the page is, lines to copy into another terminal, and the settings of a client."""
    page = base.removesuffix("/v1")
    program = "spark-control" if shutil.which("spark-control") else sys.argv[0]
    where = "" if page == "http://127.0.0.1:8090" else f" --gateway {page}"
    return f"""
Open {page}/ in a browser.

In another terminal, speak:

  curl {base}/audio/speech -H 'Content-Type: application/json' \\
    -d '{{"model": "tts-1", "voice": "alloy", "input": "Please turn on the lights in the kitchen."}}' \\
    -o speech.mp3

and be heard:

  curl {base}/audio/transcriptions -F model=whisper-1 -F file=@speech.mp3

Open WebUI, Admin Panel > Settings > Audio:

  Speech-to-Text   Engine: OpenAI   API Base URL: {base}   API Key: anything   Model: whisper-1
  Text-to-Speech   Engine: OpenAI   API Base URL: {base}   API Key: anything   Model: tts-1   Voice: alloy

(From a container, this machine is not 127.0.0.1: docs/clients/open-webui.md.)

See a wedge healed under your eyes: press "Wedge it" on the page, or

  {program} drill wedge parakeet{where}

The embedded engines are small and mishear a word in ten or so; a Spark's own do better.
Ctrl-C ends it."""


def run(settings: Settings, announce: Announce, *, hints: bool = False) -> None:
    """`spark-control serve`: listen, then serve on the fastest event loop there is. Raises CannotServe."""
    if not settings.upstreams and (missing := missing_extra()):
        raise CannotServe(f"no upstream is configured, and the embedded engines are not installed. {missing}")
    alerts = [url for name in settings.upstreams for url in settings.care_of(name).alerts]
    if missing := missing_alerts([*alerts, *settings.deep_health.alerts]):
        raise CannotServe(missing)
    # A demonstration leaves nothing behind, and is in nobody's way.
    state = None if hints else state_folder(settings, os.environ)
    keys = _keys(state)
    if reason := too_public(settings, keys):
        raise CannotServe(reason)
    with closing(_store(state)) as store:
        listening = listen(settings.host, settings.port)
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(serve(settings, listening, announce, store, keys=keys, state=state, hints=hints))


def state_folder(settings: Settings, environ: Mapping[str, str]) -> Path:
    """Where what must outlive the gateway is kept."""
    if settings.state:
        return settings.state
    if given := environ.get("STATE_DIRECTORY"):  # by systemd
        return Path(given.partition(":")[0])
    home = environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(home) / "spark-control"


def too_public(settings: Settings, keys: Keys) -> str | None:
    """Why the gateway may not listen where the settings say; None if it may."""
    if settings.access.open or keys.any or settings.host == "localhost" or is_loopback(settings.host):
        return None
    cure = "Make one with `spark-control key add NAME`, or set" if keys.kept else "Set"
    return (
        f"{settings.host} is open to the network, and there are no keys, so anybody there could use the engines. "
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
