"""Sound in the shapes that are not sound itself: events, JSON with base64, and lines of a batch."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing

from spark_control import events
from spark_control.errors import GatewayError
from spark_control.sound import Sound

_TRIPLES = 3
"""Bytes that make a whole group of base64."""

NO_TOKENS = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
"""OpenAI's events end with a count of tokens; these engines count none."""


class EventStream:
    """`speech.audio.delta` events with the sound, then `speech.audio.done`."""

    def __init__(self, sound: Sound) -> None:
        self._sound = sound
        self.headers = {
            **sound.headers,
            "content-type": events.MEDIA_TYPE,
            "cache-control": "no-cache",
        }
        for name in ("content-length", "content-disposition"):
            self.headers.pop(name, None)

    async def pieces(self) -> AsyncIterator[bytes]:
        async for piece in self._sound.pieces():
            audio = base64.b64encode(piece).decode("ascii")
            yield events.written({"type": "speech.audio.delta", "audio": audio})
        yield events.written({"type": "speech.audio.done", "usage": NO_TOKENS})

    async def aclose(self) -> None:
        await self._sound.aclose()


class Base64Json:
    """`{"audio", "format", "sample_rate", "duration_ms"}`, never held whole."""

    def __init__(self, sound: Sound) -> None:
        self._sound = sound
        self.headers = {"content-type": "application/json"}
        self.headers |= {name: value for name, value in sound.headers.items() if name.startswith("x-")}

    async def pieces(self) -> AsyncIterator[bytes]:
        yield b'{"audio":"'
        async with aclosing(_base64(self._sound)) as encoded:
            async for piece in encoded:
                yield piece
        yield b'",' + json.dumps(facts(self._sound)).encode()[1:]

    async def aclose(self) -> None:
        await self._sound.aclose()


def facts(sound: Sound) -> dict[str, object]:
    """What there is to say of sound that is complete."""
    return {
        "format": sound.format.name,
        "sample_rate": sound.rate,
        "duration_ms": round(sound.seconds * 1000),
    }


async def _base64(sound: Sound) -> AsyncGenerator[bytes, None]:
    rest = b""
    async for piece in sound.pieces():
        piece = rest + piece
        whole = len(piece) // _TRIPLES * _TRIPLES
        rest = piece[whole:]
        if whole:
            yield base64.b64encode(piece[:whole])
    if rest:
        yield base64.b64encode(rest)


class BatchLines:
    """A line of JSON for each item as it finishes: its sound, or its own error."""

    def __init__(
        self,
        items: list[dict[str, object]],
        speak: Callable[[dict[str, object]], Awaitable[Sound]],
        concurrency: int,
    ) -> None:
        self.headers = {"content-type": "application/x-ndjson"}
        self._speak = speak
        self._at_once = asyncio.Semaphore(concurrency)
        # A client that reads slowly holds the engine back, instead of filling the memory with lines for it.
        self._unsent = asyncio.Semaphore(concurrency + 1)
        self._lines: asyncio.Queue[bytes | Exception] = asyncio.Queue()
        self._working = [asyncio.create_task(self._work(*each)) for each in enumerate(items)]

    async def pieces(self) -> AsyncIterator[bytes]:
        for _ in self._working:
            line = await self._lines.get()
            if isinstance(line, Exception):
                raise line
            yield line
            self._unsent.release()

    async def aclose(self) -> None:
        for task in self._working:
            task.cancel()
        await asyncio.gather(*self._working, return_exceptions=True)

    async def _work(self, index: int, item: dict[str, object]) -> None:
        await self._unsent.acquire()
        try:
            async with self._at_once:
                self._lines.put_nowait(await self._line(index, item))
        except Exception as exc:  # noqa: BLE001 (raised where the lines are read)
            self._lines.put_nowait(exc)

    async def _line(self, index: int, item: dict[str, object]) -> bytes:
        try:
            result = await self._spoken(item)
        except GatewayError as exc:
            result = exc.envelope()
        return json.dumps({"index": index, **result}, ensure_ascii=False).encode() + b"\n"

    async def _spoken(self, item: dict[str, object]) -> dict[str, object]:
        sound = await self._speak(item)
        try:
            audio = b"".join([piece async for piece in sound.pieces()])
        finally:
            await sound.aclose()
        return {
            "audio": base64.b64encode(audio).decode("ascii"),
            **facts(sound),
            "model": sound.headers["x-model"],
            "voice": sound.headers["x-voice"],
        }
