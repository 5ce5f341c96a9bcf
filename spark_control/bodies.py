"""What a client sends, as it comes: never more than there may be of it."""

from __future__ import annotations

from collections.abc import AsyncIterator

from starlette.requests import ClientDisconnect, Request

from spark_control.errors import ClientGone, TooLarge
from spark_control.trip import trip_of
from spark_control.uploads import megabytes


async def whole(request: Request, most: int) -> bytes:
    """All of a body. Raises TooLarge, or ClientGone."""
    body = bytearray()  # pieces of a few bytes each would take many times their size
    async for piece in arriving(request, most, "request_too_large"):
        body += piece
    return bytes(body)


async def arriving(request: Request, most: int, code: str) -> AsyncIterator[bytes]:
    """The body as it comes, if it does come: at most `most` bytes, which are refused by their declared length too."""
    declared = request.headers.get("content-length", "")
    came = int(declared) if declared.isdigit() else 0
    if came <= most:
        came, trip = 0, trip_of(request.scope)
        try:
            async for piece in request.stream():
                came += len(piece)
                trip.bytes_in = came
                if came > most:
                    break
                yield piece
        except ClientDisconnect:
            raise ClientGone("The client left in the middle of its request.") from None
    if came > most:
        raise TooLarge(f"This is larger than the {megabytes(most)} that a request may have here.", code=code)
