"""Whether the gateway lives and takes work. A sick engine turns neither red: that is the gateway's job to mend."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import JSONResponse, PlainTextResponse

from spark_control.errors import Unavailable
from spark_control.lifecycle import Lifecycle


def build_health_router(lifecycle: Lifecycle) -> APIRouter:
    """`/health`, `/healthz` and `/readyz`, at the root: `/v1/readyz` would make a bridge take us for LocalAI."""
    router = APIRouter(tags=["health"])

    @router.head("/health", include_in_schema=False)
    @router.get("/health", response_class=PlainTextResponse)
    async def health() -> str:
        """The bare text `OK`, which tells wyoming_openai to look for voices on the model's page."""
        return "OK"

    @router.head("/healthz", include_in_schema=False)
    @router.get("/healthz")
    async def healthz() -> JSONResponse:
        """200 while the process lives, and what looks after the engines lives in it."""
        if not lifecycle.lives():
            raise Unavailable(
                "What looks after the engines has stopped; restart the gateway.", code="not_alive"
            )
        return JSONResponse({"status": "ok"})

    @router.head("/readyz", include_in_schema=False)
    @router.get("/readyz")
    async def readyz() -> JSONResponse:
        """200 while new work is welcome."""
        if lifecycle.draining:
            raise Unavailable("The gateway is shutting down.", code="draining", retry_after=5)
        if not lifecycle.ready:
            raise Unavailable("The gateway is starting its engines.", code="starting", retry_after=1)
        return JSONResponse({"status": "ready"})

    return router
