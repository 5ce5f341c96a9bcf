"""The page's addresses: `/`, `/live`, `/status` and `/assets/…`."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import PurePath
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from spark_control.caller import caller_of
from spark_control.dashboard.board import Board, Machinery
from spark_control.dashboard.live import Live
from spark_control.dashboard.now import house_view, out_of_service, second
from spark_control.dashboard.rendering import HEADERS, MEDIA_TYPES, Pages
from spark_control.dashboard.trying import trying_view
from spark_control.deep_health import DeepHealth
from spark_control.errors import NotFound
from spark_control.keys import Keys
from spark_control.lifecycle import Lifecycle
from spark_control.local_only import may_change
from spark_control.upstreams.catalog import Catalog


def build_dashboard_router(
    pages: Pages,
    deep_health: DeepHealth,
    lifecycle: Lifecycle,
    catalog: Catalog,
    machines: Machinery,
    *,
    hears: bool,
    drills: bool,
    keys: Keys,
) -> APIRouter:
    """What a person looks at. `drills`: the engines have a fault switch, and may be wedged for show."""
    router = APIRouter(tags=["page"])
    board = Board(pages, deep_health, machines, time.monotonic)

    @router.get("/", response_class=Response)
    async def page(request: Request) -> Response:
        """Everything, as it is now; the stream keeps it so."""
        origin = str(request.base_url).rstrip("/")
        status: Mapping[str, Any] = deep_health.snapshot()
        return pages.page(
            "page.html",
            **await board.values(),
            trying=trying_view(
                catalog.listed_voices(),
                origin,
                speaks=bool(catalog.speakers),
                hears=hears,
                key=keys.required,
            ),
            drills=_drillable(status["upstreams"]) if drills else [],
            refused=may_change(request),
            caller=caller_of(request.scope),
        )

    @router.get("/live", response_class=Response)
    async def live() -> Response:
        """The pieces of that page, whenever they change."""
        return Live(board, deep_health, lifecycle, pages.edition)

    @router.head("/status", include_in_schema=False)
    @router.get("/status", response_class=Response)
    async def status(request: Request) -> Response:
        """For a tablet on the wall and for uptime checkers: a sentence, and 503 while somebody is not served."""
        told, code = _standing(deep_health.snapshot(), lifecycle)
        if "application/json" in request.headers.get("accept", ""):
            return JSONResponse(told, code, {"cache-control": "no-store"})
        return pages.page("status.html", code, **told)

    @router.get("/assets/{name}", response_class=Response)
    async def asset(name: str, request: Request) -> Response:
        """A file of the page. Browsers keep it, and ask each time whether it is still the same."""
        if name not in pages.assets:
            raise NotFound(f"The page has no file {name[:64]!r}.")
        content = pages.assets[name]
        tag = f'"{sha256(content).hexdigest()[:20]}"'
        headers = {**HEADERS, "cache-control": "no-cache", "etag": tag}
        media_type = MEDIA_TYPES[PurePath(name).suffix]
        if tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(content, headers=headers, media_type=media_type)

    return router


def _standing(status: Mapping[str, Any], lifecycle: Lifecycle) -> tuple[dict[str, Any], int]:
    """What `/status` tells, and its HTTP status. A task that a second engine still serves is served."""
    at = second(time.time())
    if lifecycle.draining or not lifecycle.ready:
        sentence = "The gateway is shutting down." if lifecycle.draining else "The engines are starting."
        return {"ok": False, "tone": "busy", "sentence": sentence, "at": at}, 503
    ok = not out_of_service(status)
    tone = house_view(status, ()).tone
    return {"ok": ok, "tone": tone, "sentence": status["sentence"], "at": at}, 200 if ok else 503


def _drillable(engines: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """The engines that would be cured."""
    return [{"name": each["name"], "task": each["task"]} for each in engines if each["restart"]]
