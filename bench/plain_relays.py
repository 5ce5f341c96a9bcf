"""The peers in Python: the relay that one writes in ten minutes, with nothing read, checked, logged or translated."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
from httpx_aiohttp import HttpxAiohttpClient
from starlette.background import BackgroundTask

UPSTREAM = "BENCH_UPSTREAM"
"""The environment variable that holds the engine's address."""


def on_httpx() -> FastAPI:
    """FastAPI and httpx with the connection pool it comes with."""
    return _relay(httpx.AsyncClient(timeout=60))


def on_httpx_aiohttp() -> FastAPI:
    """The same on aiohttp's connections, the gateway's own ground."""
    return _relay(HttpxAiohttpClient(timeout=60))


def _relay(client: httpx.AsyncClient) -> FastAPI:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with client:
            yield

    app = FastAPI(lifespan=lifespan)
    upstream = os.environ[UPSTREAM]

    @app.post("/v1/audio/{what}")
    async def relay(what: str, request: Request) -> StreamingResponse:
        asked = client.build_request(
            "POST",
            f"{upstream}/v1/audio/{what}",
            headers={"content-type": request.headers["content-type"]},
            content=await request.body(),
        )
        answer = await client.send(asked, stream=True)
        return StreamingResponse(
            answer.aiter_raw(),
            status_code=answer.status_code,
            headers={name: answer.headers[name] for name in ("content-type", "content-length")},
            background=BackgroundTask(answer.aclose),
        )

    return app
