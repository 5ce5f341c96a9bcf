"""Keeps what a client sends: small things in memory, large ones on disk, too large ones not at all."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator
from typing import IO

from spark_control.errors import TooLarge

_PIECE = 256 * 1024
"""Bytes read from disk at a time."""


class Upload:
    """One uploaded file. It can be read again from its start as often as needed."""

    def __init__(self, spool_bytes: int, max_bytes: int) -> None:
        self.size = 0
        self._spool_bytes = spool_bytes
        self._max_bytes = max_bytes
        self._memory: list[bytes] = []
        self._disk: IO[bytes] | None = None

    @property
    def in_memory(self) -> bytes | None:
        """All of it, unless it lies on disk."""
        if self._disk:
            return None
        if len(self._memory) != 1:
            self._memory = [b"".join(self._memory)]
        return self._memory[0]

    async def write(self, piece: bytes) -> None:
        self.size += len(piece)
        if self.size > self._max_bytes:
            raise TooLarge(
                f"The file is larger than the {megabytes(self._max_bytes)} this gateway takes.", param="file"
            )
        if self._disk:
            await asyncio.to_thread(self._disk.write, piece)
        else:
            self._memory.append(piece)
            if self.size > self._spool_bytes:
                await asyncio.to_thread(self._move_to_disk)

    def _move_to_disk(self) -> None:
        # Unbuffered, so that what was written can be read back by position at once.
        disk = tempfile.TemporaryFile(prefix="spark-control-", buffering=0)  # noqa: SIM115 (close() closes it)
        disk.write(b"".join(self._memory))
        self._disk = disk
        self._memory.clear()

    async def head(self, count: int) -> bytes:
        """The first `count` bytes, fewer if there are no more."""
        async for piece in self.pieces(count):
            return piece
        return b""

    async def pieces(self, size: int = _PIECE) -> AsyncIterator[bytes]:
        """The bytes from the start, at most `size` at a time."""
        data = self.in_memory
        if data is not None:
            for start in range(0, len(data), size):
                yield data[start : start + size]
            return
        offset = 0
        assert self._disk is not None  # noqa: S101 (not in memory)
        while piece := await asyncio.to_thread(os.pread, self._disk.fileno(), size, offset):
            offset += len(piece)
            yield piece

    def close(self) -> None:
        self._memory.clear()
        if self._disk:
            self._disk.close()


def megabytes(count: int) -> str:
    return f"{count / 1024 / 1024:.3g} MiB"
