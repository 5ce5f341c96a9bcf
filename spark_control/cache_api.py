"""What speech is remembered, and how to have it forgotten: `/api/speech-cache`.

Forgetting is this machine's own, or takes an admin key (`local_only`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.responses import JSONResponse

from spark_control.errors import Unavailable, Unprocessable
from spark_control.local_only import local_only
from spark_control.speech_cache import Facts, SpeechCache


def build_cache_router(cache: SpeechCache | None, own_names: Mapping[str, str]) -> APIRouter:
    """`GET` and `DELETE`. Without a `cache` nothing is remembered. `own_names` are the owner's, for voices."""
    router = APIRouter(prefix="/api/speech-cache", tags=["admin"])
    meant = {name.casefold(): voice for name, voice in own_names.items()}

    @router.get("")
    async def remembered() -> JSONResponse:
        """How much is remembered, and of how much use that was since the gateway's start."""
        answered = cache.answered if cache else {}
        return _fresh(
            {
                "enabled": cache is not None,
                "entries": len(cache.files) if cache else 0,
                "bytes": cache.files.bytes if cache else 0,
                "max_bytes": cache.files.max_bytes if cache else 0,
                "hits": answered.get("hit", 0),
                "stale": answered.get("stale", 0),
                "misses": answered.get("miss", 0),
            }
        )

    @router.delete("", dependencies=[Depends(local_only)])
    async def forget(
        voice: Annotated[str | None, Query(min_length=1)] = None,
        all_: Annotated[bool, Query(alias="all")] = False,  # noqa: FBT002 (a query)
    ) -> JSONResponse:
        """Forget what a voice has said, or everything with `?all=true`."""
        if (voice is None) is not all_:
            message = "Say what is to be forgotten: ?voice=NAME, or ?all=true."
            raise Unprocessable(message, code="invalid_parameter", param="voice")
        unwanted = _everything if voice is None else _of_voice(meant.get(voice.casefold(), voice))
        try:
            entries, size = await cache.purge(unwanted) if cache else (0, 0)
        except OSError as exc:
            raise Unavailable(f"The remembered speech cannot be reached: {exc.strerror}.") from exc
        return _fresh({"entries": entries, "bytes": size})

    return router


def _everything(_: Facts) -> bool:
    return True


def _of_voice(name: str) -> Callable[[Facts], bool]:
    """Whether something was asked for, or said, in that voice; case does not matter."""
    voice = name.casefold()
    return lambda facts: voice in (facts.name.casefold(), facts.voice.casefold())


def _fresh(content: dict[str, object]) -> JSONResponse:
    return JSONResponse(content, headers={"cache-control": "no-store"})
