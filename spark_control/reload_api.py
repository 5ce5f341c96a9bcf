"""To other settings without a restart: `POST /api/reload`, for this machine itself or with an admin key."""

from __future__ import annotations

from fastapi import APIRouter, Depends
from starlette.responses import JSONResponse

from spark_control.errors import Conflict
from spark_control.local_only import local_only
from spark_control.reloading import Reloading
from spark_control.settings_file import InvalidSettings


def build_reload_router(reloading: Reloading) -> APIRouter:
    """One `POST`."""
    router = APIRouter(prefix="/api", tags=["admin"], dependencies=[Depends(local_only)])

    @router.post("/reload")
    async def reload() -> JSONResponse:
        """Read the settings again; the answer names those that have changed."""
        try:
            reloaded = await reloading.now()
        except InvalidSettings as exc:
            message = f"The settings do not hold, so the old ones stay:\n{exc}"
            raise Conflict(message, code="invalid_settings") from None
        told = {"applied": reloaded.applied, "needs_restart": reloaded.needs_restart}
        return JSONResponse(told, headers={"cache-control": "no-store"})

    return router
