"""Which models and voices there are, kept in memory so that the lists answer at once even when every engine is down."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from typing import Any

import structlog

from spark_control.errors import GatewayError, InvalidRequest, NotFound, TimedOut, Unavailable, UpstreamError
from spark_control.settings import ModelsSettings
from spark_control.upstreams.base import ChatDialect, SpeechDialect, TranscriptionDialect, Voice
from spark_control.upstreams.casting import Cast, Speaker, cast
from spark_control.upstreams.client import NOT_UNDERSTOOD, Upstream
from spark_control.upstreams.fingerprints import flavour_of, questions
from spark_control.upstreams.interview import interview
from spark_control.upstreams.models import ChatModel, Model, ModelNames
from spark_control.upstreams.told import told_voices

log = structlog.get_logger()

_LIST_BYTES = 4 * 1024 * 1024
_LIST_SECONDS = 5.0
_SOON = 2.0
_UNSURE = 10.0
"""Seconds until an engine is asked again that has not answered all that would tell which server it is."""

"""Seconds between two looks at an engine that has told nothing yet."""


class Catalog:
    """What the engines have told of themselves, and what a client means by a name."""

    def __init__(
        self,
        speakers: Sequence[Upstream[SpeechDialect]],
        listeners: Sequence[Upstream[TranscriptionDialect]] = (),
        thinkers: Sequence[Upstream[ChatDialect]] = (),
        *,
        own_names: Mapping[str, str],
        default_voice: str,
        models: ModelsSettings,
    ) -> None:
        self.speakers = sorted(speakers, key=lambda each: each.priority)
        self.own_names = own_names
        self._default_voice = default_voice
        self._voices: dict[str, tuple[Voice, ...]] = {}
        self._strangers: set[str] = set()
        """Engines that have answered every question, and were not recognised."""
        self._refreshing: dict[str, asyncio.Task[None]] = {}
        self._engines: list[Upstream[Any]] = [*speakers, *listeners, *thinkers]
        self._names = ModelNames(listeners, self.speakers, thinkers, models)

    def renamed(self, *, own_names: Mapping[str, str], default_voice: str, models: ModelsSettings) -> Catalog:
        """The same engines under other names. What an engine tells either of them, both know."""
        other = copy(self)
        other.own_names = own_names
        other._default_voice = default_voice  # noqa: SLF001 (one of its kind)
        other._names = self._names.renamed(models)  # noqa: SLF001
        return other

    # Models.

    def models(self) -> list[Model]:
        """Every model there is, and every alias of one."""
        return self._names.listed()

    def model(self, asked: str) -> Model:
        """The one of that name, or that OpenAI's name means. Raises NotFound."""
        return self._names.known(asked)

    def listener_ranks(self, asked: str | None) -> Mapping[str, int] | None:
        """The engines that may transcribe for who asks for that model; None if all alike. Raises NotFound."""
        return self._names.ranks("transcription", asked)

    def chat_model(self, asked: str | None) -> ChatModel:
        """The language model that is meant. Raises NotFound if names are strict, and there is none."""
        return self._names.chat_model(asked)

    # Voices.

    async def cast(self, asked: str | None, model: str | None = None) -> Cast:
        """Who speaks in that voice; in the default one for None. Raises InvalidRequest for a name nobody has."""
        unknown = [each for each in self.speakers if each.name not in self._voices]
        if len(unknown) == len(self.speakers):
            await self._ask(unknown)
            unknown = [each for each in self.speakers if each.name not in self._voices]
        try:
            return self.known_cast(asked, model)
        except InvalidRequest:
            if not unknown:
                raise
        await self._ask(unknown)  # it may be the voice of one that has told nothing yet
        return self.known_cast(asked, model)

    def known_cast(self, asked: str | None, model: str | None = None) -> Cast:
        """The same, from what is in memory."""
        ranks = self._names.ranks("speech", model)
        name = self._named(asked)
        speakers = [self._speaker(each) for each in self.speakers]
        if ranks is None:
            return cast(name, speakers, self.own_names)
        found = cast(name, sorted(speakers, key=lambda each: ranks[each.name]), self.own_names)
        # The voice counts for more than the model: it is what one hears.
        return Cast(found.voices, {each: 2 * rank + ranks[each] for each, rank in found.ranks.items()})

    def meant(self, asked: str | None) -> str:
        """The name of a voice without the owner's names for it, whether or not anybody has that voice."""
        name = self._named(asked)
        mine = {own.casefold(): target for own, target in self.own_names.items()}
        return mine.get(name.casefold(), name)

    def _named(self, asked: str | None) -> str:
        return self._default_voice if asked is None or asked.casefold() == "default" else asked

    def voices_of(self, engine: str) -> tuple[Voice, ...]:
        """The voices that an engine has told."""
        return self._voices.get(engine, ())

    def listed_voice(self, name: str) -> tuple[Voice, str]:
        """The voice at an address, and its engine, from what is in memory.

        Raises NotFound, or Unavailable while nobody can tell.
        """
        if self.speakers and not self._voices:
            message = "The voices are not known yet: the text-to-speech engine has not told them."
            raise Unavailable(message, retry_after=5)
        try:
            found = self.known_cast(name)
        except InvalidRequest as exc:
            raise NotFound(exc.message, code="voice_not_found", param="voice_id") from None
        return found.voice, found.engine

    def listed_voices(self) -> Iterator[tuple[str, Voice, str]]:
        """(name, voice, engine) of every voice: the owner's own names first, each voice once.

        Where engines of different kinds have voices of one name, the second is `engine/voice`.
        """
        for name in self.own_names:
            try:
                found = self.known_cast(name)
            except InvalidRequest:
                continue  # a name for a voice that no engine has
            yield name, found.voice, found.engine
        told: dict[str, str] = {}
        for speaker in map(self._speaker, self.speakers):
            for voice in speaker.voices:
                kin = told.setdefault(voice.id.casefold(), speaker.kin)
                if kin != speaker.kin:
                    yield f"{speaker.name}/{voice.id}", voice, speaker.name
                elif told.setdefault(f"{speaker.kin}\0{voice.id}", speaker.name) == speaker.name:
                    yield voice.id, voice, speaker.name

    def openai_voices(self) -> list[str]:
        """OpenAI's names for voices, which always work."""
        return list(dict.fromkeys(name for each in self.speakers for name in each.dialect.openai_voices))

    def _speaker(self, upstream: Upstream[SpeechDialect]) -> Speaker:
        dialect = upstream.dialect
        kin = f"{type(dialect).__name__} {dialect.model}"
        return Speaker(upstream.name, kin, self.voices_of(upstream.name), dialect.openai_voices)

    # Refreshing.

    async def refresh(self, engine: str) -> None:
        """Ask an engine for what it has. On failure the old stays, and the GatewayError is the caller's.

        Whoever comes second joins the asking that is under way. Raises KeyError for an unknown name.
        """
        upstream = {each.name: each for each in self._engines}[engine]
        asking = self._refreshing.get(engine)
        if asking is None or asking.done():
            asking = self._refreshing[engine] = asyncio.create_task(self._refresh(upstream))
            # Looked at even if all who waited have gone; else asyncio complains of an error nobody saw.
            asking.add_done_callback(lambda done: done.cancelled() or done.exception())
        await asyncio.shield(asking)

    async def keep_fresh(self, interval: float) -> None:
        """Refresh now, then every `interval` seconds (sooner while there is nothing yet), until cancelled."""
        await asyncio.gather(*(self._keep_fresh(each, interval) for each in self._engines))

    async def _keep_fresh(self, upstream: Upstream[Any], interval: float) -> None:
        while True:
            try:
                await self.refresh(upstream.name)
                seconds = min(interval, _UNSURE) if self._may_be_recognised(upstream) else interval
            except GatewayError as exc:
                log.warning("catalogue not refreshed", upstream=upstream.name, reason=exc.message)
                seconds = self._until_next(upstream, interval)
            except Exception:  # a surprise today must not mean that nobody asks again
                log.exception("catalogue not refreshed", upstream=upstream.name)
                seconds = self._until_next(upstream, interval)
            await asyncio.sleep(seconds)

    def _until_next(self, upstream: Upstream[Any], interval: float) -> float:
        """Seconds until an engine is asked again that has failed to answer: sooner while nothing is known of it."""
        told = upstream.name in self._voices or self._names.has_told(upstream.name)
        return interval if told else min(interval, _SOON)

    async def _ask(self, speakers: Sequence[Upstream[SpeechDialect]]) -> None:
        """Ask those that have told nothing yet. Raises the first one's error if that does not change."""
        asked = [self.refresh(each.name) for each in speakers]
        for outcome in await asyncio.gather(*asked, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome

    async def _refresh(self, upstream: Upstream[Any]) -> None:
        if self._may_be_recognised(upstream):
            await self._recognise(upstream)
        dialect = upstream.dialect
        if dialect.models_request():
            self._names.told(upstream, await self._models(upstream))
        if upstream in self.speakers:
            with self._in_time(upstream):
                async with asyncio.timeout(_LIST_SECONDS):
                    self._voices[upstream.name] = await told_voices(upstream)

    def _may_be_recognised(self, upstream: Upstream[Any]) -> bool:
        """Whether it is not known which server of its kind it is, and to ask may help: it was too busy to answer."""
        dialect = upstream.dialect
        return dialect.flavour is None and bool(dialect.flavours) and upstream.name not in self._strangers

    async def _recognise(self, upstream: Upstream[Any]) -> None:
        """Find out which server of its kind it is."""
        answers = await interview(upstream)
        flavour = flavour_of(upstream.kind, self._names.task_of(upstream.name), answers)
        if flavour is None:
            if len(answers) == len(questions(upstream.kind)):
                self._strangers.add(upstream.name)  # to ask again would not help
            return
        log.info("engine recognised", upstream=upstream.name, flavour=flavour)
        upstream.learn(upstream.dialect.of_flavour(flavour))

    async def _models(self, upstream: Upstream[Any]) -> tuple[str, ...]:
        dialect = upstream.dialect
        try:
            with self._in_time(upstream):
                async with asyncio.timeout(_LIST_SECONDS):
                    body = await upstream.fetch(dialect.models_request, _LIST_BYTES)
            models: tuple[str, ...] = dialect.read_models(body)
        except UpstreamError as exc:
            if exc.code != NOT_UNDERSTOOD or self._names.task_of(upstream.name) == "chat":
                raise
            return ()  # it speaks, or listens, and lists nothing
        except (ValueError, RecursionError):
            raise upstream.garbage() from None
        return models

    @contextmanager
    def _in_time(self, upstream: Upstream[Any]) -> Iterator[None]:
        try:
            yield
        except TimeoutError:
            message = f"The {upstream.dialect.title} engine did not tell in time what it has."
            raise TimedOut(message) from None
