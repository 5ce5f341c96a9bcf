"""What was said in an upload: made fit for the engine, heard in as many parts as that needs, and joined.

upload -> 16 kHz mono WAV -> parts, cut at quiet places -> the engine -> transcripts, times shifted
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Executor
from contextlib import aclosing
from dataclasses import replace

from spark_control import events
from spark_control.ahead import Begun, in_order
from spark_control.audio.decode import is_canonical, refuse_longer, to_canonical
from spark_control.audio.formats import ENOUGH_TO_SNIFF, WAV, sniff
from spark_control.audio.wav import read_header
from spark_control.errors import UpstreamError
from spark_control.patience import Errands
from spark_control.prepared import Part, Prepared, Stretch, in_parts, recording_of
from spark_control.settings import UploadsSettings
from spark_control.supervision.replay import Replay
from spark_control.supervision.work import Errand, Work
from spark_control.transcription_form import Wanted
from spark_control.transcripts import joined, shifted, with_segments
from spark_control.uploads import Spool, Upload
from spark_control.upstreams.base import Recording, Transcript, TranscriptionDialect
from spark_control.upstreams.catalog import Catalog
from spark_control.upstreams.client import Answer, Upstream

_WAV_HEAD = 4096
"""Bytes in which a WAV file's header is looked for."""

_TRANSCRIPT_BYTES = 64 * 1024 * 1024
_COMPRESSED = 16_000
"""Bytes of a compressed file that are about a second of sound."""

Heard = str | Transcript
"""A piece of text as the engine hears it, or all that it heard of one part."""


class Hearing:
    """The one way from an upload to its words."""

    def __init__(
        self,
        listeners: Replay[TranscriptionDialect],
        catalog: Catalog,
        uploads: UploadsSettings,
        errands: Errands,
        decoders: Executor,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`decoders` are few, so that a burst of large files leaves the gateway's other threads alone."""
        self.errand = errands
        self._listeners = listeners
        self._listener = listeners.first
        self._catalog = catalog
        self._uploads = uploads
        self._clock = clock
        self._decoders = decoders

    @property
    def _longest(self) -> float:
        """Seconds that any of the engines takes: a part may go to each."""
        return min(lane.upstream.longest for lane in self._listeners.lanes)

    async def prepare(self, upload: Upload, wanted: Wanted) -> Prepared:
        """Decode it, unless it is as the engine wants it. Raises InvalidRequest, NotFound or TooLarge."""
        self._catalog.listener_ranks(wanted.model)  # before the work, if there is no such model
        head = await upload.head(_WAV_HEAD)
        format_ = sniff(head[:ENOUGH_TO_SNIFF])
        header = read_header(head) if format_ is WAV else None
        duration = header.duration(upload.size) if header else None
        if header and is_canonical(header) and (held := header.held(upload.size) & ~1):
            refuse_longer(header.duration(upload.size), self._uploads.max_seconds)
            start = header.data_starts
            return await in_parts(upload, start, held, wanted, longest=self._longest, whole=upload)
        if format_ and format_.name in self._listener.accepts:
            refuse_longer(duration or 0.0, self._uploads.max_seconds)
            return self._untouched(upload, recording_of(upload, format_, duration, wanted))
        spool = await self._decoded(upload)
        try:
            prepared = await in_parts(spool, 0, spool.size, wanted, longest=self._longest, whole=None)
        except BaseException:
            spool.close()
            raise
        return prepared.owning(spool)

    def _untouched(self, upload: Upload, recording: Recording) -> Prepared:
        """As it came, since the engine takes that; decoded only if it turns out not to bear it."""
        known: list[Stretch] = []

        async def decoded() -> Stretch:
            if not known:
                spool = await self._decoded(upload)
                prepared.owning(spool)
                known.append(Stretch(spool, 0, spool.size))
            return known[0]

        prepared = Prepared([Part(0.0, recording, decoded, raw=True)], recording.duration)
        return prepared

    async def hear(self, prepared: Prepared, wanted: Wanted, errand: Errand) -> AsyncGenerator[Heard, None]:
        """Text as it is heard (where the engine streams), and a transcript of each part in turn."""

        def one(part: Part) -> AsyncGenerator[Heard, None]:
            return self._hear_part(part, wanted, errand)

        async with aclosing(in_order(prepared.parts, one, self._listener.pieces)) as heard:
            async for each in heard:
                yield each

    async def transcript(self, prepared: Prepared, wanted: Wanted, errand: Errand) -> Transcript:
        """All of it. No words in audible sound is passed on, and is reason for doubt."""
        if len(prepared.parts) == 1:  # as nearly always, and quicker so
            whole = await self._hear_whole(prepared.parts[0], wanted, errand)
        else:
            heard = self.hear(prepared, wanted, errand)
            whole = joined([each async for each in heard if isinstance(each, Transcript)])
        if not whole.text and await prepared.audible():
            self.doubt(errand)
        return replace(
            whole,
            duration=whole.duration if prepared.seconds is None else prepared.seconds,
            language=whole.language or wanted.language,
        )

    def doubt(self, errand: Errand) -> None:
        """No words in audible sound: the engine may be sick, or it is music."""
        self._listeners.doubted("no words in audible sound", errand.engine)

    async def _hear_part(self, part: Part, wanted: Wanted, errand: Errand) -> AsyncGenerator[Heard, None]:
        taken = await self._listeners.take(
            self._work_of(part, wanted, errand),
            lambda listener, suspect: _begin(listener, part, wanted, decoded=suspect),
        )
        try:
            async for heard in taken.value.pieces():
                yield heard
            taken.complete()
        except UpstreamError as exc:
            taken.broke(exc)
            raise
        finally:
            taken.leave()
            await taken.value.aclose()

    async def _hear_whole(self, part: Part, wanted: Wanted, errand: Errand) -> Transcript:
        taken = await self._listeners.take(
            self._work_of(part, wanted, errand),
            lambda listener, suspect: _whole(listener, part, wanted, decoded=suspect),
        )
        taken.complete()
        return taken.value

    def _work_of(self, part: Part, wanted: Wanted, errand: Errand) -> Work:
        async def fingerprint() -> str:
            return await (await part.decoded()).fingerprint()

        seconds = part.recording.duration
        if seconds is None:
            seconds = part.recording.source.size / _COMPRESSED
        among = self._catalog.listener_ranks(wanted.model)
        return Work(seconds, errand, fingerprint, raw=part.raw, among=among)

    async def _decoded(self, upload: Upload) -> Spool:
        spool = Spool(self._uploads.spool_bytes)
        try:
            await self._decode(upload, spool)
        except BaseException:
            spool.close()
            raise
        return spool

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


async def _whole(
    listener: Upstream[TranscriptionDialect], part: Part, wanted: Wanted, *, decoded: bool
) -> Transcript:
    answer = await _ask(listener, part, wanted, decoded=decoded)
    try:
        return await _read(listener, answer, part)
    finally:
        await answer.aclose()


async def _begin(
    listener: Upstream[TranscriptionDialect], part: Part, wanted: Wanted, *, decoded: bool
) -> Begun[Heard]:
    """What it hears, once it has heard the first of it."""
    begun = Begun(_heard(listener, await _ask(listener, part, wanted, decoded=decoded), part))
    try:
        await begun.begin()
    except StopAsyncIteration:
        raise listener.garbage() from None
    return begun


async def _ask(
    listener: Upstream[TranscriptionDialect], part: Part, wanted: Wanted, *, decoded: bool
) -> Answer:
    recording = part.recording
    if part.raw and (decoded or recording.format.name not in listener.accepts):
        recording = await part.plainly()
    return await listener.send(
        lambda: listener.dialect.transcription_request(
            recording, times=wanted.times, words=wanted.words, stream=wanted.stream
        )
    )


async def _heard(
    listener: Upstream[TranscriptionDialect], answer: Answer, part: Part
) -> AsyncGenerator[Heard, None]:
    try:
        if answer.headers.get("content-type", "").startswith(events.MEDIA_TYPE):
            async for heard in _streamed(listener, answer):
                yield heard
        else:
            yield await _read(listener, answer, part)
    finally:
        await answer.aclose()


async def _read(listener: Upstream[TranscriptionDialect], answer: Answer, part: Part) -> Transcript:
    body = await answer.begin(_TRANSCRIPT_BYTES + 1)
    try:
        if len(body) > _TRANSCRIPT_BYTES:
            raise ValueError("too large")
        transcript = listener.dialect.read_transcript(body)
    except (ValueError, RecursionError):
        raise listener.garbage() from None
    return shifted(with_segments(transcript, part.recording.duration), part.start)


async def _streamed(listener: Upstream[TranscriptionDialect], answer: Answer) -> AsyncGenerator[Heard, None]:
    """OpenAI's transcription events; an error among them is the engine's failure."""
    deltas: list[str] = []
    try:
        async for event in events.read(answer.pieces()):
            delta, text = event.get("delta"), event.get("text")
            if "error" in event:
                raise listener.failed(json.dumps(event["error"]))
            if isinstance(delta, str):
                deltas.append(delta)
                yield delta
            elif event.get("type") == "transcript.text.done" and isinstance(text, str):
                yield Transcript(text.strip() or "".join(deltas).strip())
                return
    except (ValueError, RecursionError):
        raise listener.garbage() from None
    raise listener.garbage()
