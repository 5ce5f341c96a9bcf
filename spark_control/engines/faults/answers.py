"""What engines answer when something is wrong with them, as it was seen of real ones.

    w1 … w7       500: the GPU's error in each place where a server may put it, or no word of it
    w8            200, then the connection closes
    w9            200, and an error among the events
    w10           200, with no words, or next to no sound
    w11, hang     nothing, until the client leaves
    slow, drip    a good answer, late, or byte by byte
    half_body     half of what its Content-Length announces, then the connection closes
    partial_audio a good answer to a third of the request
    loading       503

`w12` is no answer at all: the process dies, see `switch.py`.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

from starlette.responses import JSONResponse, PlainTextResponse, Response

from spark_control.engines.faults.plan import Plan
from spark_control.engines.faults.shortened import shortened
from spark_control.engines.faults.work import Good, Work

_CUBLAS = "CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasGemmEx( handle, ...)`"
_LAUNCH = "CUDA error: unspecified launch failure"
_ADVICE = "\nCUDA kernel errors might be asynchronously reported at some other API call."
_ILLEGAL = "CUDA failure 700: an illegal memory access was encountered ; GPU=0"

_FAILED = {"speech": "Speech generation failed", "transcription": "Transcription failed"}

Answer = Callable[[Work, Plan], Awaitable[None]]


def loading(progress: float) -> Response:
    return JSONResponse({"status": "loading", "detail": "Model is loading", "progress": progress}, 503)


def _error(body: Callable[[str], object]) -> Answer:
    """A status 500 whose JSON is made from the words for what failed."""

    async def answer(work: Work, _: Plan) -> None:
        await work.answer(JSONResponse(body(_FAILED[work.kind]), 500))

    return answer


async def _internal_server_error(work: Work, _: Plan) -> None:
    await work.answer(PlainTextResponse("Internal Server Error", 500))


async def _nothing_but_500(work: Work, _: Plan) -> None:
    await work.answer(Response(b"", 500))


async def _cut_off(work: Work, plan: Plan) -> None:
    await _begin(work, good := await work.good(), [])
    if plan.after:
        await _piece(work, good.body[: plan.after])
    # The server closes the connection of an answer that was begun and not ended.


async def _error_event(work: Work, _: Plan) -> None:
    error = {"error": {"message": f"{_FAILED[work.kind]}: {_LAUNCH}", "type": "server_error"}}
    frames = f"event: error\ndata: {json.dumps(error)}\n\n"
    await work.answer(Response(frames, media_type="text/event-stream"))


async def _next_to_nothing(work: Work, _: Plan) -> None:
    await work.answer((good := await work.good()).response(shortened(good, 0)))


async def _a_third(work: Work, _: Plan) -> None:
    await work.answer((good := await work.good()).response(shortened(good, 1 / 3)))


async def _hang(work: Work, _: Plan) -> None:
    await work.stays(None)


async def _slow(work: Work, plan: Plan) -> None:
    if await work.stays(1.0 if plan.seconds is None else plan.seconds):
        await work.do(work.send)


async def _drip(work: Work, plan: Plan) -> None:
    good = await work.good()
    await _begin(work, good, [_length(good)])
    for byte in (good.body[at : at + 1] for at in range(len(good.body))):
        await _piece(work, byte)
        if not await work.stays(0.01 if plan.seconds is None else plan.seconds):
            return
    await work.send({"type": "http.response.body"})


async def _half_body(work: Work, _: Plan) -> None:
    good = await work.good()
    await _begin(work, good, [_length(good)])
    await _piece(work, good.body[: len(good.body) // 2])


async def _loading(work: Work, _: Plan) -> None:
    await work.answer(loading(0.5))


ANSWERS: dict[str, Answer] = {
    "w1": _error(lambda _: {"detail": _CUBLAS}),
    "w2": _error(
        lambda failed: {
            "detail": {
                "error": "processing_error",
                "message": f"{failed}: {_LAUNCH}{_ADVICE}",
                "type": "server_error",
            }
        }
    ),
    "w3": _error(lambda _: {"error": "Internal server error", "details": _LAUNCH + _ADVICE}),
    "w4": _error(lambda failed: {"error": {"message": f"{failed}: {_ILLEGAL}", "type": "server_error"}}),
    "w5": _error(lambda failed: {"detail": failed}),
    "w6": _internal_server_error,
    "w7": _nothing_but_500,
    "w8": _cut_off,
    "w9": _error_event,
    "w10": _next_to_nothing,
    "w11": _hang,
    "hang": _hang,
    "slow": _slow,
    "drip": _drip,
    "half_body": _half_body,
    "partial_audio": _a_third,
    "loading": _loading,
}


async def _begin(work: Work, good: Good, headers: list[tuple[bytes, bytes]]) -> None:
    if good.media_type:
        headers = [(b"content-type", good.media_type.encode()), *headers]
    await work.send({"type": "http.response.start", "status": good.status, "headers": headers})


async def _piece(work: Work, piece: bytes) -> None:
    await work.send({"type": "http.response.body", "body": piece, "more_body": True})


def _length(good: Good) -> tuple[bytes, bytes]:
    return b"content-length", str(len(good.body)).encode()
