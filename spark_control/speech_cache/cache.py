"""The cache as the event loop sees it: it never waits long for the disk, and nothing that fails there reaches a client.

Sound is collected in memory while a client hears it, and written in one go
when it is whole; until that is done it is answered from memory. So the disk
has no part in an answer that is not remembered yet.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import structlog

from spark_control.speech_cache.files import Kept, SpeechFiles
from spark_control.speech_cache.record import Facts

log = structlog.get_logger()

Outcome = Literal["hit", "stale", "miss"]

_MOST_COLLECTED = 64 * 1024 * 1024
"""Bytes of sound in memory, of all answers under way. What comes beyond that is not kept."""

_READERS = 4
_LONGEST_READ = 0.5
"""Seconds; a disk that takes longer is no help."""
_LONGEST_CLOSE = 5.0
_REST = 30.0
"""Seconds for which the disk is left alone after it has failed."""


class SpeechCache:
    """Finished speech on disk. `opened` makes one."""

    def __init__(self, files: SpeechFiles, clock: Callable[[], float] = time.monotonic) -> None:
        self.files = files
        self.answered: Counter[Outcome] = Counter()
        self.collected = 0
        """Bytes of sound in memory."""
        self._reading = _Disk("reading", clock)
        self._writing = _Disk("writing", clock)
        # Threads of its own: a disk that hangs must not hold up the encoders.
        self._readers = ThreadPoolExecutor(_READERS, "speech-cache-reader")
        self._writer = ThreadPoolExecutor(1, "speech-cache-writer")
        self._unwritten: dict[str, Draft] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @classmethod
    @asynccontextmanager
    async def opened(cls, folder: Path | None, max_bytes: int) -> AsyncIterator[SpeechCache]:
        """The speech in `folder`; for None in one that goes when the block ends."""
        temporary = None
        if folder is None:
            folder = temporary = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="spark-control-"))
        cache = cls(SpeechFiles(folder, max_bytes))
        cache._begin(cache._scan())
        try:
            yield cache
        finally:
            await cache.aclose()
            if temporary:
                await asyncio.to_thread(shutil.rmtree, temporary, ignore_errors=True)

    async def find(self, key: str) -> Kept | None:
        """What is remembered under that address. Whoever gets it closes it."""
        if draft := self._unwritten.get(key):
            return draft.kept()
        if not self.files.may_have(key) or self._reading.rests():
            return None
        looking = asyncio.get_running_loop().run_in_executor(self._readers, self.files.read, key)
        try:
            async with asyncio.timeout(_LONGEST_READ):
                kept = await asyncio.shield(looking)
        except OSError as exc:  # a TimeoutError is one as well
            self._reading.failed(exc.strerror or "it takes too long")
            looking.add_done_callback(_close)
            return None
        except asyncio.CancelledError:
            looking.add_done_callback(_close)
            raise
        self._reading.worked()
        return kept

    def keep(self, facts: Facts, draft: Draft) -> None:
        """Remember sound that is whole, from now on. Returns at once, and the draft is the cache's."""
        if not draft.size or self._writing.rests():
            draft.drop()
            return
        draft.facts = facts
        self._unwritten[facts.key] = draft
        # Given to the thread now, so that nothing that is asked of it later comes first.
        loop = asyncio.get_running_loop()
        writing = loop.run_in_executor(self._writer, self.files.write, facts, draft.sound)
        self._begin(self._written(writing, facts, draft))

    async def purge(self, unwanted: Callable[[Facts], bool]) -> tuple[int, int]:
        """Forget what is `unwanted`: how many, and how many bytes. Raises OSError."""
        return await asyncio.get_running_loop().run_in_executor(self._writer, self.files.purge, unwanted)

    async def written(self) -> None:
        """Wait until all that is remembered is on disk, or cannot be."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def aclose(self) -> None:
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_LONGEST_CLOSE)
        self._readers.shutdown(wait=False, cancel_futures=True)
        self._writer.shutdown(wait=False, cancel_futures=True)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _scan(self) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(self._writer, self.files.scan)
        except OSError as exc:
            self._writing.failed(exc.strerror or str(exc))

    async def _written(self, writing: asyncio.Future[bool], facts: Facts, draft: Draft) -> None:
        try:
            await writing
        except OSError as exc:
            self._writing.failed(exc.strerror or str(exc))
        else:
            self._writing.worked()
        finally:
            if self._unwritten.get(facts.key) is draft:
                del self._unwritten[facts.key]
            draft.drop()


class Draft:
    """Sound that is being collected until it is whole, or too much."""

    def __init__(self, cache: SpeechCache) -> None:
        self._cache = cache
        self._most = cache.files.most
        self._dropped = False
        self.sound = bytearray()
        self.facts: Facts | None = None
        """What it is, once it is whole."""

    @property
    def size(self) -> int:
        return len(self.sound)

    def add(self, piece: bytes) -> None:
        if self._dropped:
            return
        self.sound += piece
        self._cache.collected += len(piece)
        if self.size > self._most or self._cache.collected > _MOST_COLLECTED:
            self.drop()

    def kept(self) -> Kept | None:
        """It, as if it were on disk."""
        return Kept.in_memory(self.facts, bytes(self.sound)) if self.facts else None

    def drop(self) -> None:
        """Let go of it."""
        self._dropped = True
        self._cache.collected -= self.size
        self.sound = bytearray()


class _Disk:
    """One way in which the disk is used. After a failure it is left alone for a while; the log has that once."""

    def __init__(self, what: str, clock: Callable[[], float]) -> None:
        self._what = what
        self._clock = clock
        self._failed_at: float | None = None

    def rests(self) -> bool:
        return self._failed_at is not None and self._clock() < self._failed_at + _REST

    def failed(self, reason: str) -> None:
        if self._failed_at is None:
            log.warning("speech cache fails", what=self._what, reason=reason)
        self._failed_at = self._clock()

    def worked(self) -> None:
        if self._failed_at is not None:
            log.info("speech cache works again", what=self._what)
        self._failed_at = None


def _close(looking: asyncio.Future[Kept | None]) -> None:
    """Close what nobody waits for any more."""
    if not looking.cancelled() and not looking.exception() and (kept := looking.result()):
        kept.close()
