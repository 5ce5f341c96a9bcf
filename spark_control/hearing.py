"""What was said in an upload: made fit for the engine, heard in as many parts as that needs, and joined.

upload -> 16 kHz mono WAV -> parts, cut at quiet places -> the engine -> transcripts, times shifted
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import replace

import structlog

from spark_control import events
from spark_control.ahead import in_order
from spark_control.audio.decode import is_canonical, refuse_longer, to_canonical
from spark_control.audio.formats import ENOUGH_TO_SNIFF, WAV, sniff
from spark_control.audio.wav import read_header
from spark_control.errors import UpstreamError
from spark_control.prepared import Part, Prepared, in_parts, recording_of
from spark_control.settings import UploadsSettings
from spark_control.transcription_form import Wanted
from spark_control.transcripts import joined, shifted, with_segments
from spark_control.uploads import Spool, Upload
from spark_control.upstreams.base import Transcript, TranscriptionDialect
from spark_control.upstreams.client import Answer, Upstream

log = structlog.get_logger()

_WAV_HEAD = 4096
"""Bytes in which a WAV file's header is looked for."""

_TRANSCRIPT_BYTES = 64 * 1024 * 1024
Heard = str | Transcript
"""A piece of text as the engine hears it, or all that it heard of one part."""


class Hearing:
    """The one way from an upload to its words."""

    def __init__(
        self,
        listener: Upstream[TranscriptionDialect],
        uploads: UploadsSettings,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.model = listener.model
        self._listener = listener
        self._uploads = uploads
        self._clock = clock
        # Few, so that a burst of large files leaves the gateway's other threads alone.
        self._decoders = ThreadPoolExecutor(2, "decode")

    async def prepare(self, upload: Upload, wanted: Wanted) -> Prepared:
        """Decode it, unless it is as the engine wants it. Raises InvalidRequest or TooLarge."""
        head = await upload.head(_WAV_HEAD)
        format_ = sniff(head[:ENOUGH_TO_SNIFF])
        header = read_header(head) if format_ is WAV else None
        duration = header.duration(upload.size) if header else None
        if header and is_canonical(header) and (held := header.held(upload.size) & ~1):
            refuse_longer(header.duration(upload.size), self._uploads.max_seconds)
            longest = self._listener.longest
            return await in_parts(upload, header.data_starts, held, wanted, longest=longest, whole=upload)
        if format_ and format_.name in self._listener.accepts:
            refuse_longer(duration or 0.0, self._uploads.max_seconds)
            return Prepared([Part(0.0, recording_of(upload, format_, duration, wanted))], duration, None, 0)
        spool = Spool(self._uploads.spool_bytes)
        try:
            await self._decode(upload, spool)
            prepared = await in_parts(
                spool, 0, spool.size, wanted, longest=self._listener.longest, whole=None
            )
        except BaseException:
            spool.close()
            raise
        return prepared.owning(spool)

    async def hear(self, prepared: Prepared, wanted: Wanted) -> AsyncGenerator[Heard, None]:
        """Text as it is heard (where the engine streams), and a transcript of each part in turn."""

        def one(part: Part) -> AsyncGenerator[Heard, None]:
            return self._hear_part(part, wanted)

        async with aclosing(in_order(prepared.parts, one, self._listener.concurrency)) as heard:
            async for each in heard:
                yield each

    async def transcript(self, prepared: Prepared, wanted: Wanted) -> Transcript:
        """All of it. No words in audible sound is passed on, and noted."""
        if len(prepared.parts) == 1:  # as nearly always, and quicker so
            whole = await self._hear_whole(prepared.parts[0], wanted)
        else:
            whole = joined(
                [each async for each in self.hear(prepared, wanted) if isinstance(each, Transcript)]
            )
        if not whole.text and await prepared.audible():
            log.warning("no words in audible sound", upstream=self._listener.name)
        return replace(
            whole,
            duration=whole.duration if prepared.seconds is None else prepared.seconds,
            language=whole.language or wanted.language,
        )

    def close(self) -> None:
        self._decoders.shutdown(wait=False, cancel_futures=True)

    async def _hear_part(self, part: Part, wanted: Wanted) -> AsyncGenerator[Heard, None]:
        answer = await self._ask(part, wanted)
        try:
            if answer.headers.get("content-type", "").startswith(events.MEDIA_TYPE):
                async for heard in self._streamed(answer):
                    yield heard
            else:
                yield await self._read(answer, part)
        finally:
            await answer.aclose()

    async def _hear_whole(self, part: Part, wanted: Wanted) -> Transcript:
        answer = await self._ask(part, wanted)
        try:
            return await self._read(answer, part)
        finally:
            await answer.aclose()

    async def _ask(self, part: Part, wanted: Wanted) -> Answer:
        dialect = self._listener.dialect
        return await self._listener.send(
            lambda: dialect.transcription_request(
                part.recording, times=wanted.times, words=wanted.words, stream=wanted.stream
            )
        )

    async def _read(self, answer: Answer, part: Part) -> Transcript:
        body = await answer.begin(_TRANSCRIPT_BYTES + 1)
        try:
            if len(body) > _TRANSCRIPT_BYTES:
                raise ValueError("too large")
            transcript = self._listener.dialect.read_transcript(body)
        except (ValueError, RecursionError):
            raise self._listener.garbage() from None
        return shifted(with_segments(transcript, part.recording.duration), part.start)

    async def _streamed(self, answer: Answer) -> AsyncGenerator[Heard, None]:
        """OpenAI's transcription events; an error among them is the engine's failure."""
        deltas: list[str] = []
        try:
            async for event in events.read(answer.pieces()):
                delta, text = event.get("delta"), event.get("text")
                if "error" in event:
                    raise UpstreamError(f"The {self._listener.dialect.title} engine failed.")
                if isinstance(delta, str):
                    deltas.append(delta)
                    yield delta
                elif event.get("type") == "transcript.text.done" and isinstance(text, str):
                    yield Transcript(text.strip() or "".join(deltas).strip())
                    return
        except (ValueError, RecursionError):
            raise self._listener.garbage() from None
        raise self._listener.garbage()

    async def _decode(self, upload: Upload, spool: Spool) -> None:
        """Write the upload's samples into `spool`, off the event loop, until done, too long, or unwanted."""
        unwanted = threading.Event()

        def decode() -> None:
            # From here and not from before: others may be decoded first.
            end = self._clock() + self._uploads.decode_timeout
            with upload.reader() as source:
                to_canonical(
                    source,
                    spool.write_now,
                    longest=self._uploads.max_seconds,
                    deadline=lambda: unwanted.is_set() or self._clock() > end,
                )

        decoding = asyncio.get_running_loop().run_in_executor(self._decoders, decode)
        try:
            await asyncio.shield(decoding)
        except asyncio.CancelledError:
            unwanted.set()
            # The thread reads the upload until it notices, so nobody may close it before.
            await asyncio.wait([decoding])
            raise
