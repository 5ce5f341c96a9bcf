"""Speech as it is answered: what is remembered where that will do, and else what an engine says, to be remembered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Protocol

from spark_control.audio.formats import SPOKEN
from spark_control.errors import Unavailable, UpstreamError
from spark_control.sound import Sound
from spark_control.speech_cache import Asked, Damaged, Draft, Facts, Kept, Outcome, SpeechCache, Use
from spark_control.upstreams.base import Voice

HEADER = "x-spark-cache"


class Performance(Protocol):
    """How something would be spoken now. What is said of it here comes from memory: no engine is asked."""

    def revision(self) -> str | None:
        """Which engine, model and voice would speak it; None while that is not known."""

    def possible(self) -> bool:
        """Whether an engine is there that can."""

    async def speak(self) -> Sound:
        """Have it spoken: the sound, once it has begun. Raises a GatewayError."""

    def good(self) -> bool:
        """Whether the best engine spoke it and nothing was odd about it, once it has ended."""


class Memory:
    """The way from what was asked to its sound, by the cache."""

    def __init__(self, cache: SpeechCache) -> None:
        self._cache = cache

    async def answer(self, asked: Asked, use: Use, performance: Performance) -> Sound:
        """The sound of it, begun. Whoever gets it closes it.

        What another revision has made counts for nothing, until no engine can
        make it anew. Raises what `speak` raises.
        """
        if use is Use.NONE:
            return await performance.speak()
        revision = performance.revision()
        kept = await self._cache.find(asked.key) if use is Use.FULL else None
        if kept and revision is not None and kept.facts.revision == revision:
            return self._told(kept, "hit")
        if kept and not performance.possible():
            return self._told(kept, "stale")
        try:
            sound = await performance.speak()
        except (Unavailable, UpstreamError):
            if kept is None:
                raise
            return self._told(kept, "stale")
        except BaseException:
            if kept:
                kept.close()
            raise
        if kept:
            kept.close()
        self._cache.answered["miss"] += 1
        return Remembering(sound, self._cache, lambda: _facts(sound, asked, revision, performance))

    def _told(self, kept: Kept, outcome: Outcome) -> Sound:
        self._cache.answered[outcome] += 1
        return Remembered(kept, outcome)


class Remembering(Sound):
    """An engine's sound, collected while it is sent. `facts` tells what it is in the end; None if it is no good."""

    def __init__(self, sound: Sound, cache: SpeechCache, facts: Callable[[], Facts | None]) -> None:
        self.format = sound.format
        self.headers = {**sound.headers, HEADER: "miss"}
        self._sound = sound
        self._cache = cache
        self._draft = Draft(cache)
        self._facts = facts

    @property
    def rate(self) -> int:
        return self._sound.rate

    @property
    def seconds(self) -> float:
        return self._sound.seconds

    async def begin(self) -> None:
        await self._sound.begin()

    async def pieces(self) -> AsyncIterator[bytes]:
        async for piece in self._sound.pieces():
            self._draft.add(piece)
            yield piece
        # What broke off, or was left by its client, does not come here.
        if facts := self._facts():
            self._cache.keep(facts, self._draft)

    async def aclose(self) -> None:
        if not self._draft.facts:
            self._draft.drop()
        await self._sound.aclose()


class Remembered(Sound):
    """Sound that was spoken before."""

    def __init__(self, kept: Kept, outcome: Outcome) -> None:
        facts = kept.facts
        super().__init__(SPOKEN[facts.format], Voice(facts.voice))
        self.headers |= {"content-length": str(kept.size), "x-model": facts.model, HEADER: outcome}
        self._kept = kept

    @property
    def rate(self) -> int:
        return self._kept.facts.rate

    @property
    def seconds(self) -> float:
        return self._kept.facts.seconds

    async def begin(self) -> None:
        """It has begun."""

    async def pieces(self) -> AsyncIterator[bytes]:
        yield self._kept.head
        while self._kept.left:
            try:
                piece = await asyncio.to_thread(self._kept.more)
            except (OSError, Damaged) as exc:
                raise Unavailable(f"Remembered speech broke off: {exc}.") from exc
            yield piece

    async def aclose(self) -> None:
        if self._kept.left:  # a thread may still be reading it, and closing waits for that
            await asyncio.to_thread(self._kept.close)


def _facts(sound: Sound, asked: Asked, revision: str | None, performance: Performance) -> Facts | None:
    """What there is to remember of sound that is whole; None if nobody should hear it again."""
    now = performance.revision()
    if now is None or revision not in (None, now) or not performance.good():
        return None
    return Facts(
        key=asked.key,
        revision=now,
        name=asked.voice,
        voice=sound.headers["x-voice"],
        model=sound.headers.get("x-model", ""),
        format=asked.format,
        rate=sound.rate,
        seconds=sound.seconds,
    )
