"""The doors of the gateway: all that goes by settings which can change while it runs, built anew when they do.

What is behind them, and stays, is `Lasting`.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from spark_control import __version__
from spark_control.access import Access
from spark_control.admin_api import build_admin_router
from spark_control.audio_proxy import build_audio_router
from spark_control.cache_api import build_cache_router
from spark_control.dashboard import Pages, build_dashboard_router, build_login_router
from spark_control.deep_health import DeepHealth
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
from spark_control.keys import Keys
from spark_control.lifecycle import Lifecycle
from spark_control.llm_proxy import build_llm_router
from spark_control.machine import Machines
from spark_control.machine_api import build_machine_router
from spark_control.measuring import Measuring
from spark_control.metrics_api import Gauges, build_metrics_router
from spark_control.patience import Errands
from spark_control.rates import Rates
from spark_control.reload_api import build_reload_router
from spark_control.reloading import Reloading
from spark_control.remembering import Memory
from spark_control.sessions import Sessions
from spark_control.settings import Settings
from spark_control.speaking import Speaking
from spark_control.speech_cache import SpeechCache
from spark_control.supervision.replay import Replay
from spark_control.thinking import Thinking
from spark_control.upstreams.base import ChatDialect, SpeechDialect, TranscriptionDialect
from spark_control.upstreams.catalog import Catalog
from spark_control.wrong_keys import WrongKeys

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


@dataclass(frozen=True)
class Lasting:
    """What lives as long as the process: the engines, the watcher, and all that is remembered of who came."""

    speech: Replay[SpeechDialect] | None
    transcription: Replay[TranscriptionDialect] | None
    chat: Replay[ChatDialect] | None
    catalog: Catalog
    decoders: Executor
    memory: Memory | None
    speech_cache: SpeechCache | None
    deep_health: DeepHealth
    machines: Machines
    measuring: Measuring
    lifecycle: Lifecycle
    keys: Keys
    sessions: Sessions
    wrong_keys: WrongKeys
    rates: Rates
    pages: Pages
    reloading: Reloading
    drills: bool
    started: int
    """Unix time."""

    @property
    def replays(self) -> list[Replay[Any]]:
        """Of each task that some engine is there for."""
        return [replay for replay in (self.transcription, self.speech, self.chat) if replay]


def build_doors(lasting: Lasting, settings: Settings, lifespan: Lifespan | None = None) -> FastAPI:
    """The application that requests meet."""
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
    app.add_middleware(
        Access,
        keys=lasting.keys,
        settings=settings.access,
        sessions=lasting.sessions,
        wrong_keys=lasting.wrong_keys,
        rates=lasting.rates,
        open_now=lambda: _is_open(lasting.reloading),
    )
    app.add_middleware(
        Doorway,
        lifecycle=lasting.lifecycle,
        measuring=lasting.measuring,
        content=settings.log.content,
    )
    _add_routes(app, lasting, settings)
    return app


def _is_open(reloading: Reloading) -> bool:
    """Whether whoever comes now needs no key."""
    return reloading.running is not None and reloading.running.access.open


def _add_routes(app: FastAPI, lasting: Lasting, settings: Settings) -> None:
    """They are tried in order, so the busiest come first."""
    catalog = lasting.catalog.renamed(
        own_names=settings.voices, default_voice=settings.speech.default_voice, models=settings.models
    )
    hearing = _hearing(lasting, settings, catalog)
    app.include_router(
        build_audio_router(catalog, _speaking(lasting, settings, catalog), hearing, settings.uploads)
    )
    app.include_router(build_llm_router(_thinking(lasting, settings, catalog)))
    app.include_router(
        build_discovery_router(catalog, list_voices=settings.models.list_voices, created=lasting.started)
    )
    app.include_router(build_health_router(lasting.lifecycle))
    engines = {lane.name: lane.upstream for replay in lasting.replays for lane in replay.lanes}
    app.include_router(build_admin_router(lasting.deep_health, lasting.lifecycle, engines))
    app.include_router(build_reload_router(lasting.reloading))
    app.include_router(build_cache_router(lasting.speech_cache, settings.voices))
    app.include_router(build_machine_router(lasting.machines))
    gauges = Gauges(
        lasting.deep_health,
        lasting.lifecycle,
        lasting.machines,
        lasting.speech_cache,
        settings.traffic.queue,
    )
    app.include_router(build_metrics_router(lasting.measuring, gauges))
    app.include_router(build_login_router(lasting.pages, lasting.sessions, lasting.keys, lasting.wrong_keys))
    app.include_router(
        build_dashboard_router(
            lasting.pages,
            lasting.deep_health,
            lasting.lifecycle,
            catalog,
            lasting.machines,
            hears=bool(hearing),
            drills=lasting.drills,
            keys=lasting.keys,
        )
    )


def _speaking(lasting: Lasting, settings: Settings, catalog: Catalog) -> Speaking | None:
    engines = lasting.speech
    if engines is None:
        return None
    return Speaking(engines, catalog, settings.speech, _errands(engines, settings), lasting.memory)


def _hearing(lasting: Lasting, settings: Settings, catalog: Catalog) -> Hearing | None:
    engines = lasting.transcription
    if engines is None:
        return None
    return Hearing(engines, catalog, settings.uploads, _errands(engines, settings), lasting.decoders)


def _thinking(lasting: Lasting, settings: Settings, catalog: Catalog) -> Thinking | None:
    engines = lasting.chat
    return Thinking(engines, catalog, _errands(engines, settings)) if engines else None


def _errands(engines: Replay[Any], settings: Settings) -> Errands:
    return Errands(settings.care_of(engines.first.name), settings.traffic)


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
