"""The composition root: the one place where the parts of the gateway meet."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import httpx
from fastapi import FastAPI

from spark_control.api_description import describe
from spark_control.dashboard import Pages
from spark_control.doors import Lasting, build_doors
from spark_control.history import History
from spark_control.keys import KeyFileError, Keys
from spark_control.lifecycle import Lifecycle
from spark_control.machine import Machines
from spark_control.measuring import Measuring
from spark_control.rates import Rates
from spark_control.reloading import Reloading
from spark_control.remembering import Memory
from spark_control.sessions import Sessions
from spark_control.settings import Settings
from spark_control.settings_file import InvalidSettings
from spark_control.speech_cache import SpeechCache
from spark_control.store import Store
from spark_control.supervision.replay import Replay
from spark_control.supervision.restarters import Restarter
from spark_control.upstreams import listeners, speakers, thinkers
from spark_control.upstreams.catalog import Catalog
from spark_control.upstreams.client import CANARIES, open_client
from spark_control.watch import as_one, watch
from spark_control.wrong_keys import WrongKeys

_LISTS_EVERY = 60.0
"""Seconds between two looks at which models and voices an engine has."""

_DECODERS = 2


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
    reloading: Reloading | None = None,
    drills: bool = False,
) -> FastAPI:
    """Build the gateway.

    `transport` lets tests put fake engines in place of the network. `serve`
    brings its own `lifecycle`, which it drains; `engines_ready`, which returns
    once the engines that it started itself can work, and their `restarters`;
    a `store` on disk, without which what must outlive the gateway does not;
    a `speech_cache`, without which no speech is remembered; and `reloading`,
    without which the settings are always those that are given here. Without
    `keys` nobody needs one; without `sessions` whoever has logged in does so
    again after a restart. With `drills` the page offers to wedge an engine:
    those of a demonstration have a switch for it.
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
    decoders = ThreadPoolExecutor(_DECODERS, "decode")

    lifecycle.watcher = deep_health

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
            running.add_done_callback(lifecycle.has_ended)
            yield
            for task in (running, keeping):  # the last minute of what ran is kept, too
                task.cancel()
                await asyncio.wait([task])
            decoders.shutdown(wait=False, cancel_futures=True)
            if store is None:
                own_store.close()

    keys = keys or Keys(None, time.monotonic)
    reloading = reloading or Reloading(lambda: settings)
    lasting = Lasting(
        speech=speech,
        transcription=transcription,
        chat=chat,
        catalog=catalog,
        decoders=decoders,
        memory=Memory(speech_cache) if speech_cache else None,
        speech_cache=speech_cache,
        deep_health=deep_health,
        machines=machines,
        measuring=measuring,
        lifecycle=lifecycle,
        keys=keys,
        sessions=sessions or Sessions(None, keys, time.time),
        wrong_keys=WrongKeys(time.monotonic),
        rates=Rates(),
        pages=Pages(),
        reloading=reloading,
        drills=drills,
        started=int(time.time()),
    )
    app = build_doors(lasting, settings, lifespan)
    describe(app)
    reloading.serves(settings, lambda fresh: _move(app, lasting, fresh))
    return app


def _move(app: FastAPI, lasting: Lasting, settings: Settings) -> None:
    """Have new requests come through doors that go by `settings`. Those under way finish as they began.

    Raises InvalidSettings, and then all is as it was.
    """
    doors = build_doors(lasting, settings).build_middleware_stack()
    try:
        lasting.keys.look_now()
    except KeyFileError as exc:
        raise InvalidSettings(str(exc)) from None
    for replay in lasting.replays:
        for lane in replay.lanes:
            lane.most_waiting = settings.traffic.queue
    app.middleware_stack = doors
