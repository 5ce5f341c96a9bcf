"""How the machines are: `/api/machine`."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import JSONResponse

from spark_control.machine import Machines


def build_machine_router(machines: Machines) -> APIRouter:
    """One `GET`; nothing can be done about them here."""
    router = APIRouter(prefix="/api/machine", tags=["admin"])

    @router.get("")
    async def machine() -> JSONResponse:
        """As each was last seen, and how its figures went in the last day."""
        return JSONResponse({"machines": machines.snapshot()}, headers={"cache-control": "no-store"})

    return router
