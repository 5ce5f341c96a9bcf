"""The composition root: the one place where the parts of the gateway meet."""

from __future__ import annotations

import asyncio
import difflib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from spark_control import __version__
from spark_control.access import Access
from spark_control.admin_api import build_admin_router
from spark_control.api_description import describe
from spark_control.audio_proxy import build_audio_router
from spark_control.cache_api import build_cache_router
from spark_control.dashboard import Pages, build_dashboard_router, build_login_router
from spark_control.discovery import build_discovery_router
from spark_control.doorway import Doorway
from spark_control.errors import (
    GatewayError,
    MethodNotAllowed,
    NotFound,
    Unprocessable,
    answer_gateway_error,
    plain,
)
from spark_control.health import build_health_router
from spark_control.hearing import Hearing
from spark_control.history import History
from spark_control.keys import Keys
from spark_control.lifecycle import Lifecycle
from spark_control.llm_proxy import build_llm_router
from spark_control.machine import Machines
from spark_control.machine_api import build_machine_router
from spark_control.measuring import Measuring
from spark_control.metrics_api import Gauges, build_metrics_router
from spark_control.patience import Errands
from spark_control.remembering import Memory
from spark_control.sessions import Sessions
from spark_control.settings import Settings
from spark_control.speaking import Speaking
from spark_control.speech_cache import SpeechCache
from spark_control.store import Store
from spark_control.supervision.replay import Replay
from spark_control.supervision.restarters import Restarter
from spark_control.thinking import Thinking
from spark_control.upstreams import listeners, speakers, thinkers
from spark_control.upstreams.catalog import Catalog
from spark_control.upstreams.client import CANARIES, open_client
from spark_control.watch import as_one, watch
from spark_control.wrong_keys import WrongKeys

_LISTS_EVERY = 60.0
"""Seconds between two looks at which models and voices an engine has."""


def create_app(
    settings: Settings,
    *,
    transport: httpx.AsyncBaseTransport | None = None,
    lifecycle: Lifecycle | None = None,
    engines_ready: Callable[[], Awaitable[None]] | None = None,
    store: Store | None = None,
    restarters: Mapping[str, Restarter] | None = None,
    speech_cache: SpeechCache | None = None,
    keys: Keys | None = None,
    sessions: Sessions | None = None,
    drills: bool = False,
) -> FastAPI:
    """Build the gateway.

    `transport` lets tests put fake engines in place of the network. `serve`
    brings its own `lifecycle`, which it drains; `engines_ready`, which returns
    once the engines that it started itself can work, and their `restarters`;
    a `store` on disk, without which what must outlive the gateway does not; and
    a `speech_cache`, without which no speech is remembered. Without `keys`
    nobody needs one; without `sessions` whoever has logged in does so again after
    a restart. With `drills` the page offers to wedge an engine: those of
    a demonstration have a switch for it.
    """
    client, canaries = open_client(transport), open_client(transport, agent=CANARIES)
    lifecycle = lifecycle or Lifecycle()
    own_store = store or Store.open(None)
    speaking_engines = speakers(settings.upstreams, client)
    listening_engines = listeners(settings.upstreams, client)
    thinking_engines = thinkers(settings.upstreams, client)
    speech = as_one(speaking_engines, settings.traffic)
    transcription = as_one(listening_engines, settings.traffic)
    chat = as_one(thinking_engines, settings.traffic)
    catalog = Catalog(
        speaking_engines,
        listening_engines,
        thinking_engines,
        own_names=settings.voices,
        default_voice=settings.speech.default_voice,
        models=settings.models,
    )
    replays: list[Replay[Any]] = [replay for replay in (transcription, speech, chat) if replay]
    history = History(own_store, time.time)
    measuring = Measuring(time.monotonic)
    deep_health = watch(settings, replays, canaries, own_store, restarters or {}, history, measuring)

    def fault(machine: str, number: int, means: str) -> None:
        there = [
            name for name, each in settings.upstreams.items() if machines.of(each.machine or "") == machine
        ]
        deep_health.gpu_failed(machine, there, number, means)

    machines = Machines(settings.machine, settings.machines, history, fault)

    def errands(replay: Replay[Any]) -> Errands:
        return Errands(settings.care_of(replay.first.name), settings.traffic)

    memory = Memory(speech_cache) if speech_cache else None
    speaking = Speaking(speech, catalog, settings.speech, errands(speech), memory) if speech else None
    hearing = (
        Hearing(transcription, catalog, settings.uploads, errands(transcription)) if transcription else None
    )
    thinking = Thinking(chat, catalog, errands(chat)) if chat else None

    async def start() -> None:
        await asyncio.gather(work(), machines.look_forever())

    async def work() -> None:
        if engines_ready:
            await engines_ready()
        lifecycle.ready = True
        await asyncio.gather(catalog.keep_fresh(_LISTS_EVERY), deep_health.run_forever())

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with client, canaries:
            running, keeping = asyncio.create_task(start()), asyncio.create_task(history.keep())
            yield
            for task in (running, keeping):  # the last minute of what ran is kept, too
                task.cancel()
                await asyncio.wait([task])
            if hearing:
                hearing.close()
            if store is None:
                own_store.close()

    app = FastAPI(
        title="Spark Control",
        version=__version__,
        lifespan=lifespan,
        docs_url=None,  # FastAPI's page loads its scripts from another host
        redoc_url=None,
        redirect_slashes=False,
        # It would look for OpenTelemetry with every request.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.add_exception_handler(GatewayError, answer_gateway_error)
    app.add_exception_handler(HTTPException, _answer_http_error)
    app.add_exception_handler(RequestValidationError, _answer_invalid_parameter)
    # The last that is added is met first.
    keys = keys or Keys(None, time.monotonic)
    sessions = sessions or Sessions(None, keys, time.time)
    wrong_keys = WrongKeys(time.monotonic)
    app.add_middleware(Access, keys=keys, settings=settings.access, sessions=sessions, wrong_keys=wrong_keys)
    app.add_middleware(Doorway, lifecycle=lifecycle, measuring=measuring, content=settings.log.content)
    # Routes are tried in order, so the busiest come first.
    app.include_router(build_audio_router(catalog, speaking, hearing, settings.uploads))
    app.include_router(build_llm_router(thinking))
    app.include_router(
        build_discovery_router(catalog, list_voices=settings.models.list_voices, created=int(time.time()))
    )
    app.include_router(build_health_router(lifecycle))
    engines = {lane.name: lane.upstream for replay in replays for lane in replay.lanes}
    app.include_router(build_admin_router(deep_health, lifecycle, engines))
    app.include_router(build_cache_router(speech_cache, settings.voices))
    app.include_router(build_machine_router(machines))
    gauges = Gauges(deep_health, lifecycle, machines, speech_cache, settings.traffic.queue)
    app.include_router(build_metrics_router(measuring, gauges))
    pages = Pages()
    app.include_router(build_login_router(pages, sessions, keys, wrong_keys))
    app.include_router(
        build_dashboard_router(
            pages,
            deep_health,
            lifecycle,
            catalog,
            machines,
            hears=bool(hearing),
            drills=drills,
            keys=keys,
        )
    )
    describe(app)
    return app


async def _answer_http_error(request: Request, exc: Exception) -> JSONResponse:
    """Starlette's own errors: nothing at this address, or not with this verb."""
    assert isinstance(exc, HTTPException)  # noqa: S101 (what it is registered for)
    asked = f"{request.method} {request.url.path}"
    if exc.status_code == 404:
        return NotFound(f"There is nothing at {asked[:200]}. Did you mean {_meant(request)}?").response()
    if exc.status_code == 405:
        allowed = _verbs(request) or (exc.headers or {}).get("Allow", "")
        message = f"{asked[:200]} is not understood; use {allowed}."
        return MethodNotAllowed(message, headers={"allow": allowed}).response()
    return plain(exc.status_code, str(exc.detail)).response()


def _verbs(request: Request) -> str:
    """What may be done at an address without names in it: Starlette tells of the first route there alone."""
    paths: dict[str, dict[str, object]] = request.app.openapi()["paths"]
    return ", ".join(map(str.upper, paths.get(request.url.path, ())))


_ENDPOINTS = "/v1/audio/speech, /v1/audio/transcriptions or /v1/chat/completions"


def _meant(request: Request) -> str:
    """The address most like the one that was asked for, of those that take the same verb."""
    if request.url.path in ("/", "/v1") and request.method == "POST":
        return _ENDPOINTS
    paths: dict[str, dict[str, object]] = request.app.openapi()["paths"]
    fitting = [path for path, verbs in paths.items() if request.method.lower() in verbs] or list(paths)
    return difflib.get_close_matches(request.url.path[:200], fitting, n=1, cutoff=0.0)[0]


async def _answer_invalid_parameter(_: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, RequestValidationError)  # noqa: S101 (what it is registered for)
    first = exc.errors()[0]
    name = str(first["loc"][-1])
    return Unprocessable(f"{name}: {first['msg']}.", code="invalid_parameter", param=name).response()
