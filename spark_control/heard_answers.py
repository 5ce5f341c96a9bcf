"""A transcript as a stream of events, told while it is heard."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import ExitStack, aclosing

from spark_control import events
from spark_control.ahead import Begun
from spark_control.hearing import Hearing
from spark_control.prepared import Prepared
from spark_control.supervision.work import Errand
from spark_control.transcription_form import Wanted
from spark_control.transcripts import joined
from spark_control.upstreams.base import Transcript


class TranscriptEvents:
    """`transcript.text.delta` events, then `transcript.text.done`. `held` is what to let go of at the end."""

    def __init__(
        self, hearing: Hearing, prepared: Prepared, wanted: Wanted, errand: Errand, held: ExitStack
    ) -> None:
        self._events = Begun(_events(hearing, prepared, wanted, errand))
        self._held = held

    async def begin(self) -> None:
        """Wait for the first event; until then a failure can still be told as an error."""
        await self._events.begin()

    def pieces(self) -> AsyncIterator[bytes]:
        return self._events.pieces()

    async def aclose(self) -> None:
        try:
            await self._events.aclose()
        finally:
            self._held.close()


async def _events(
    hearing: Hearing, prepared: Prepared, wanted: Wanted, errand: Errand
) -> AsyncGenerator[bytes, None]:
    """The deltas joined are the text at the end: a blank stands between two parts, and nowhere else."""
    parts: list[Transcript] = []
    told = live = False
    async with aclosing(hearing.hear(prepared, wanted, errand)) as heard:
        async for each in heard:
            if isinstance(each, Transcript):
                parts.append(each)
                delta = "" if live else each.text
            else:
                delta = each if live else each.lstrip()
            if delta:
                blank = " " if told and not live else ""
                yield events.written({"type": "transcript.text.delta", "delta": blank + delta})
                told = True
            live = isinstance(each, str) and (live or bool(delta))
    text = joined(parts).text
    errand.trip.content("transcript", text)
    yield events.written({"type": "transcript.text.done", "text": text})
    if not text and await prepared.audible():
        hearing.doubt(errand)
