"""How the engines are, and what a person may have done to them: `/api/…`, for the dashboard and the command line.

Reading is open to whoever reaches the gateway. Writing is this machine's own (`local_only`).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any, cast

import httpx
import structlog
from fastapi import APIRouter, Depends, Query
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from spark_control.deep_health import DeepHealth
from spark_control.engines.faults.plan import BadOrder, Plan
from spark_control.errors import (
    ClientGone,
    Conflict,
    InvalidRequest,
    NotFound,
    TimedOut,
    TooLarge,
    Unavailable,
    Unprocessable,
    Unreachable,
    UpstreamError,
)
from spark_control.lifecycle import Lifecycle
from spark_control.local_only import local_only
from spark_control.news import News
from spark_control.store import StoreError
from spark_control.store.records import Incident
from spark_control.supervision.chronicle import iso
from spark_control.upstreams.client import Upstream
from spark_control.upstreams.relay import leaving_cancels

log = structlog.get_logger()

_BODY_BYTES = 16 * 1024
_SWITCH_BYTES = 64 * 1024
_SWITCH_SECONDS = 10.0
_PROBE_SECONDS = 100.0
"""Longer than the longest canary, that of an engine which has to load its model first."""

Json = dict[str, Any]


def build_admin_router(
    deep_health: DeepHealth, lifecycle: Lifecycle, drills: Mapping[str, Upstream[Any]]
) -> APIRouter:
    """`/api/status`, `/api/events`, `/api/incidents` and `/api/upstreams/…`. `drills` are the engines, by name."""
    router = APIRouter(prefix="/api", tags=["admin"])
    _route_reading(router, deep_health, lifecycle)
    writing = APIRouter(prefix="/upstreams/{name}", dependencies=[Depends(local_only)])
    _route_cures(writing, deep_health)
    _route_drills(writing, deep_health, drills)
    router.include_router(writing)
    return router


def _route_reading(router: APIRouter, deep_health: DeepHealth, lifecycle: Lifecycle) -> None:
    @router.get("/status")
    async def status() -> JSONResponse:
        """How everything is: a sentence, and each engine."""
        return _fresh(deep_health.snapshot())

    @router.get("/events", response_class=Response)
    async def events() -> Response:
        """The same as an event, then what happens, as it happens."""
        return News(deep_health, lifecycle)

    @router.get("/incidents")
    async def incidents(limit: Annotated[int, Query(ge=1, le=200)] = 50) -> JSONResponse:
        """What went wrong lately, the newest first."""
        try:
            return _fresh({"incidents": [_told(each) for each in await deep_health.incidents(limit)]})
        except StoreError as exc:
            raise _unreadable(exc) from exc

    @router.get("/incidents/{identity}")
    async def incident(identity: str) -> JSONResponse:
        try:
            found = await deep_health.incident(identity)
        except StoreError as exc:
            raise _unreadable(exc) from exc
        if found is None:
            raise NotFound(f"There is no incident {identity[:40]!r}; GET /api/incidents lists them.")
        return _fresh(_told(found))


def _route_cures(router: APIRouter, deep_health: DeepHealth) -> None:
    @router.post("/probe")
    async def probe(name: str, request: Request) -> JSONResponse:
        """Have it do real work now; the answer is how it is then."""
        _entry(deep_health, name)
        try:
            async with leaving_cancels(request.receive), asyncio.timeout(_PROBE_SECONDS):
                await deep_health.run_one(name)
        except TimeoutError:
            message = f"The canary has not come back from {name} yet; GET /api/status tells when it has."
            raise TimedOut(message, code="probe_timeout") from None
        return _fresh(_entry(deep_health, name))

    @router.post("/restart")
    async def restart(name: str, request: Request, force: bool = False) -> JSONResponse:  # noqa: FBT001, FBT002 (a query)
        """Begin to restart it; `force` spends more than the budget has."""
        _entry(deep_health, name)
        force = _flag(await _json(request), "force", default=force)
        await deep_health.restart(name, force=force)
        return _fresh(_entry(deep_health, name), 202)

    @router.post("/maintenance")
    async def maintenance(name: str, request: Request) -> JSONResponse:
        """`{"on": true}`: watch it, but neither restart it nor call anybody."""
        _entry(deep_health, name)
        on = _flag(await _json(request), "on")
        try:
            await deep_health.set_maintenance(name, on=on)
        except StoreError as exc:
            raise _unwritable(exc) from exc
        return _fresh(_entry(deep_health, name))

    @router.post("/drain")
    async def drain(name: str, request: Request) -> JSONResponse:
        """`{"on": true}`: keep new requests away from it, and let it finish those it has."""
        _entry(deep_health, name)
        on = _flag(await _json(request), "on")
        try:
            await deep_health.set_drained(name, on=on)
        except StoreError as exc:
            raise _unwritable(exc) from exc
        return _fresh(_entry(deep_health, name))


def _route_drills(router: APIRouter, deep_health: DeepHealth, drills: Mapping[str, Upstream[Any]]) -> None:
    @router.post("/fault")
    async def fault(name: str, request: Request) -> JSONResponse:
        """Have it fail on purpose, if it is an engine that can: `{"fault": "w1"}`."""
        _entry(deep_health, name)
        order = await _json(request)
        try:
            Plan().changed(order)
        except BadOrder as exc:
            raise Unprocessable(str(exc), code="invalid_parameter") from None
        log.warning("fault ordered", upstream=name, fault=order.get("fault"))
        return _fresh({"upstream": name, "switch": await _switched(name, drills[name], order)})


async def _switched(name: str, upstream: Upstream[Any], order: Json) -> Json:
    """How an engine's fault switch is set after `order`; Conflict if it has none, as real engines have not."""
    none = Conflict(
        f"{name} has no fault switch; the engines of `spark-control serve --demo` have one.",
        code="no_fault_switch",
    )
    address = f"{upstream.dialect.url}/control/fault"
    try:
        async with asyncio.timeout(_SWITCH_SECONDS):
            answer = json.loads(
                await upstream.fetch(lambda: httpx.Request("POST", address, json=order), _SWITCH_BYTES)
            )
    except TimeoutError:
        raise TimedOut(f"The fault switch of {name} does not answer.") from None
    except (Unreachable, TimedOut):
        raise
    except (UpstreamError, ValueError, RecursionError):
        raise none from None
    if not isinstance(answer, dict) or "fault" not in answer:
        raise none
    known = [field.alias or plain for plain, field in Plan.model_fields.items()]
    return {field: answer[field] for field in known if field in answer}


def _entry(deep_health: DeepHealth, name: str) -> Json:
    """How one engine is."""
    shown = cast("list[Json]", deep_health.snapshot()["upstreams"])
    for each in shown:
        if each["name"] == name:
            return each
    known = ", ".join(each["name"] for each in shown) or "none"
    message = f"There is no engine {name[:64]!r}; those of this gateway: {known}."
    raise NotFound(message, code="upstream_not_found", param="name")


def _told(incident: Incident) -> Json:
    return {
        **asdict(incident),
        "opened": iso(incident.opened),
        "closed": None if incident.closed is None else iso(incident.closed),
        "timeline": [{**asdict(entry), "at": iso(entry.at)} for entry in incident.timeline],
    }


def _unreadable(exc: StoreError) -> Unavailable:
    log.error("incidents cannot be read", reason=str(exc))
    return Unavailable("The incidents cannot be read just now; the gateway's log tells why.")


def _unwritable(exc: StoreError) -> Unavailable:
    log.error("order not kept", reason=str(exc))
    return Unavailable(
        "That cannot be kept just now, so it was not done; the gateway's log tells why.", retry_after=5
    )


def _fresh(content: Json, status: int = 200) -> JSONResponse:
    return JSONResponse(content, status, {"cache-control": "no-store"})


async def _json(request: Request) -> Json:
    """The body's JSON object; an empty one for no body."""
    body = bytearray()
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > _BODY_BYTES:
                raise TooLarge("No order is as long as this.", code="request_too_large")
    except ClientDisconnect:
        raise ClientGone("The client left in the middle of its request.") from None
    try:
        read = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        raise InvalidRequest("The body is not JSON.", code="invalid_json") from None
    if not isinstance(read, dict):
        raise InvalidRequest("The body must be a JSON object.", code="invalid_type")
    return read


def _flag(body: Json, name: str, *, default: bool | None = None) -> bool:
    """The one field that a body may have."""
    if unknown := sorted(body.keys() - {name}):
        message = f"{unknown[0][:40]!r} is not known here; {name!r} is."
        raise Unprocessable(message, code="unknown_parameter", param=unknown[0][:40])
    value = body.get(name, default)
    if not isinstance(value, bool):
        message = f'{name} must be true or false, as in {{"{name}": true}}.'
        raise Unprocessable(message, code="invalid_parameter", param=name)
    return value
