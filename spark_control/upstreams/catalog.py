"""Which models and voices there are, kept in memory so that the lists answer at once even when every engine is down."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import structlog

from spark_control.errors import GatewayError, InvalidRequest, NotFound, TimedOut, Unavailable
from spark_control.upstreams.base import SpeechDialect, TranscriptionDialect, Voice
from spark_control.upstreams.client import Upstream
from spark_control.upstreams.voices import find_voice

log = structlog.get_logger()

_LIST_BYTES = 4 * 1024 * 1024
_LIST_SECONDS = 5.0


class Catalog:
    """The speaker's voices and both engines' models."""

    def __init__(
        self,
        speaker: Upstream[SpeechDialect] | None,
        listener: Upstream[TranscriptionDialect] | None,
        *,
        own_names: Mapping[str, str],
        default_voice: str,
    ) -> None:
        self.speaker = speaker
        self.listener = listener
        self.own_names = own_names
        self.voices: tuple[Voice, ...] = ()
        self._refreshing: asyncio.Task[None] | None = None
        self._default_voice = default_voice

    async def voice(self, asked: str | None) -> Voice:
        """The voice a client means; the default one if it names none. Raises InvalidRequest for an unknown name."""
        if not self.voices:
            await self.refresh()
        return self.known_voice(asked)

    def listed_voice(self, name: str) -> Voice:
        """The voice at an address, from what is in memory. Raises NotFound, or Unavailable while nobody can tell."""
        if self.speaker and not self.voices:
            message = "The voices are not known yet: the text-to-speech engine has not told them."
            raise Unavailable(message, retry_after=5)
        try:
            return self.known_voice(name)
        except InvalidRequest as exc:
            raise NotFound(exc.message, code="voice_not_found", param="voice_id") from None

    def known_voice(self, asked: str | None) -> Voice:
        """The same as `voice`, from what is in memory."""
        openai = self.speaker.dialect.openai_voices if self.speaker else {}
        name = self._default_voice if asked is None or asked.casefold() == "default" else asked
        return find_voice(name, self.voices, self.own_names, openai)

    async def refresh(self) -> None:
        """Ask the speaker for its voices. On failure the old ones stay, and the GatewayError is the caller's.

        Whoever comes second joins the asking that is under way.
        """
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.create_task(self._refresh())
            # Looked at even if all who waited have gone; else asyncio complains of an error nobody saw.
            self._refreshing.add_done_callback(lambda done: done.cancelled() or done.exception())
        await asyncio.shield(self._refreshing)

    async def _refresh(self) -> None:
        if self.speaker is None:
            return
        try:
            async with asyncio.timeout(_LIST_SECONDS):
                body = await self.speaker.fetch(self.speaker.dialect.voices_request, _LIST_BYTES)
            voices = self.speaker.dialect.read_voices(body)
        except TimeoutError:
            raise TimedOut("The text-to-speech engine did not tell its voices in time.") from None
        except (ValueError, RecursionError):
            raise self.speaker.garbage() from None
        if not voices:
            raise self.speaker.garbage()
        self.voices = voices

    async def keep_fresh(self, interval: float) -> None:
        """Refresh now, then every `interval` seconds (sooner while there is nothing yet), until cancelled."""
        while True:
            try:
                await self.refresh()
            except GatewayError as exc:
                log.warning("voices not refreshed", reason=exc.message)
            except Exception:  # a surprise today must not mean that nobody asks again
                log.exception("voices not refreshed")
            await asyncio.sleep(interval if self.voices else min(interval, 2.0))
