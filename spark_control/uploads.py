"""Keeps what a client sends: small things in memory, large ones on disk, too large ones not at all."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator
from io import BytesIO
from typing import IO, Protocol

from spark_control.errors import TooLarge, Unavailable

_PIECE = 256 * 1024
"""Bytes read from disk at a time."""


class Source(Protocol):
    """Bytes that can be read again from their start as often as needed."""

    @property
    def size(self) -> int: ...

    @property
    def in_memory(self) -> bytes | None:
        """All of them, unless they lie on disk."""

    def pieces(self) -> AsyncIterator[bytes]: ...


class Spool:
    """Bytes as they come, in memory up to `in_memory_bytes` and on disk from there."""

    def __init__(self, in_memory_bytes: int) -> None:
        self.size = 0
        self._in_memory_bytes = in_memory_bytes
        self._memory: list[bytes] = []
        self._disk: IO[bytes] | None = None

    @property
    def in_memory(self) -> bytes | None:
        if self._disk:
            return None
        if len(self._memory) != 1:
            self._memory = [b"".join(self._memory)]
        return self._memory[0]

    async def write(self, piece: bytes) -> None:
        """Add to the end, off the event loop where that means the disk."""
        if self._disk or self.size + len(piece) > self._in_memory_bytes:
            await asyncio.to_thread(self.write_now, piece)
        else:
            self._memory.append(piece)
            self.size += len(piece)

    def write_now(self, piece: bytes) -> None:
        """The same, for a thread that may wait for the disk."""
        self._memory.append(piece)
        self.size += len(piece)
        if self._disk or self.size > self._in_memory_bytes:
            self._to_disk()

    def _to_disk(self) -> None:
        try:
            # Unbuffered, so that what was written can be read back by position at once.
            if self._disk is None:
                self._disk = tempfile.TemporaryFile(prefix="spark-control-", buffering=0)  # noqa: SIM115 (see close)
            left = memoryview(b"".join(self._memory))
            while left:
                left = left[self._disk.write(left) :]
        except OSError as exc:
            message = "The gateway has no room left for this upload; its owner can free some disk space."
            raise Unavailable(message, code="out_of_space", retry_after=60) from exc
        self._memory.clear()

    async def head(self, count: int) -> bytes:
        """The first `count` bytes, fewer if there are no more."""
        held = self.in_memory
        if held is not None:
            return held[:count]
        async for piece in self.pieces(0, count):
            return piece[:count]
        return b""

    async def pieces(self, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes from `start` to `end`."""
        end = self.size if end is None else min(end, self.size)
        held = self.in_memory
        while start < end:
            count = min(_PIECE, end - start)
            if held is not None:
                piece = held[start : start + count]
            else:
                assert self._disk is not None  # noqa: S101 (it is in memory or there)
                piece = await asyncio.to_thread(os.pread, self._disk.fileno(), count, start)
            yield piece
            start += len(piece)

    def reader(self) -> IO[bytes]:
        """A file to read it by, for a thread. Each has a place of its own; the caller closes it."""
        if self._disk is None:
            return BytesIO(self.in_memory or b"")
        return _Reader(self._disk.fileno(), self.size)

    def close(self) -> None:
        self._memory.clear()
        if self._disk:
            self._disk.close()


class _Reader(BytesIO):
    """Reads a file by position, so that it shares no place with other readers."""

    def __init__(self, descriptor: int, size: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._size = size
        self._at = 0

    def read(self, count: int | None = -1, /) -> bytes:
        count = self._size - self._at if count is None or count < 0 else count
        piece = os.pread(self._descriptor, count, self._at)
        self._at += len(piece)
        return piece

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def tell(self) -> int:
        return self._at


class Upload(Spool):
    """One uploaded file, of at most `max_bytes`."""

    def __init__(self, in_memory_bytes: int, max_bytes: int) -> None:
        super().__init__(in_memory_bytes)
        self._max_bytes = max_bytes

    async def write(self, piece: bytes) -> None:
        if self.size + len(piece) > self._max_bytes:
            message = f"The file is larger than the {megabytes(self._max_bytes)} this gateway takes."
            raise TooLarge(message, param="file")
        await super().write(piece)


class Clip:
    """A stretch of a spool's bytes behind a header of its own: a part of a recording as a file."""

    def __init__(self, header: bytes, spool: Spool, start: int, end: int) -> None:
        self._header = header
        self._spool = spool
        self._start = start
        self._end = end

    @property
    def size(self) -> int:
        return len(self._header) + self._end - self._start

    @property
    def in_memory(self) -> bytes | None:
        held = self._spool.in_memory
        return None if held is None else self._header + held[self._start : self._end]

    async def pieces(self) -> AsyncIterator[bytes]:
        yield self._header
        async for piece in self._spool.pieces(self._start, self._end):
            yield piece


def megabytes(count: int) -> str:
    return f"{count / 1024 / 1024:.3g} MiB"
