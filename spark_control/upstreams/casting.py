"""Pure: which engines may speak in the voice that a client names, and in which of their voices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from spark_control.errors import InvalidRequest
from spark_control.upstreams.base import Voice
from spark_control.upstreams.voices import find_voice, missing_target

_SAME, _NAMESAKE, _SUBSTITUTE = 0, 1, 2
"""Ranks: the voice that was asked for; another engine's of that name; one that comes near."""


@dataclass(frozen=True, slots=True)
class Speaker:
    """An engine that speaks. Those of one `kin` have the same voices: two Sparks with the same model."""

    name: str
    kin: str
    voices: tuple[Voice, ...]
    openai: Mapping[str, str]
    """OpenAI's names, and the voice that answers to each."""


@dataclass(frozen=True, slots=True)
class Cast:
    """Who may speak: for each engine its voice, and its rank, of which 0 is best. The best engine comes first."""

    voices: Mapping[str, Voice]
    ranks: Mapping[str, int]

    @property
    def engine(self) -> str:
        return next(iter(self.voices))

    @property
    def voice(self) -> Voice:
        return self.voices[self.engine]

    def only(self, engines: Sequence[str]) -> Cast:
        """The same without the other engines."""
        return Cast(
            {name: voice for name, voice in self.voices.items() if name in engines},
            {name: rank for name, rank in self.ranks.items() if name in engines},
        )

    def with_voices(self, voices: Mapping[str, Voice]) -> Cast:
        return replace(self, voices={**self.voices, **voices})


def cast(asked: str, speakers: Sequence[Speaker], configured: Mapping[str, str]) -> Cast:
    """Who speaks as `asked`: a configured name, an engine's own, `engine/voice`, or OpenAI's; case does not matter.

    Where another engine has a voice of the same language, that is who speaks
    when the right one cannot. Raises InvalidRequest for a name that nobody has.
    """
    mine = {key.casefold(): target for key, target in configured.items()}
    target = mine.get(asked.casefold())
    wanted = asked if target is None else target
    exact = dict(_exactly(wanted, speakers))
    if not exact and target is None:
        exact = dict(_as_openai(wanted, speakers))
    if not exact:
        raise missing_target(asked, target) if target is not None else _unknown(asked, speakers, configured)
    first = next(iter(exact))
    kin = {speaker.name: speaker.kin for speaker in speakers}
    ranks = {name: _SAME if kin[name] == kin[first] else _NAMESAKE for name in exact}
    voices = dict(exact)
    for speaker in speakers:
        if speaker.name not in exact and (near := _near(wanted, exact[first], speaker)):
            voices[speaker.name], ranks[speaker.name] = near, _SUBSTITUTE
    return Cast(dict(sorted(voices.items(), key=lambda each: ranks[each[0]])), ranks)


def _exactly(wanted: str, speakers: Sequence[Speaker]) -> Iterator[tuple[str, Voice]]:
    """Engines that have a voice of that name, or the one that is named before the slash, and its kin."""
    found = False
    for speaker in speakers:
        if voice := _own(wanted, speaker):
            found = True
            yield speaker.name, voice
    engine, slash, name = wanted.casefold().partition("/")
    named = [speaker for speaker in speakers if speaker.name.casefold() == engine]
    if found or not slash or not named:
        return
    for speaker in sorted(speakers, key=lambda each: each not in named):
        if speaker.kin == named[0].kin and (voice := _own(name, speaker)):
            yield speaker.name, voice


def _as_openai(wanted: str, speakers: Sequence[Speaker]) -> Iterator[tuple[str, Voice]]:
    """The first engine that answers to OpenAI's name, and its kin: another would sound different."""
    kin = None
    for speaker in speakers:
        if speaker.voices and wanted.casefold() in speaker.openai and kin in (None, speaker.kin):
            kin = speaker.kin
            yield speaker.name, find_voice(wanted, speaker.voices, {}, speaker.openai)


def _own(wanted: str, speaker: Speaker) -> Voice | None:
    name = wanted.casefold()
    return next((voice for voice in speaker.voices if voice.id.casefold() == name), None)


def _near(wanted: str, voice: Voice, speaker: Speaker) -> Voice | None:
    """A voice that may stand in: the one of the same OpenAI name, or any of the same language."""
    if not speaker.voices:
        return None
    if wanted.casefold() in speaker.openai:
        return find_voice(wanted, speaker.voices, {}, speaker.openai)
    language = _plain(voice)
    speaking = [each for each in speaker.voices if _plain(each) in (language, None)]
    return min(speaking, key=lambda each: (_plain(each) is None, each.emotion is not None), default=None)


def _plain(voice: Voice) -> str | None:
    """Its language without the region."""
    return voice.language.partition("-")[0].casefold() if voice.language else None


def _unknown(asked: str, speakers: Sequence[Speaker], configured: Mapping[str, str]) -> InvalidRequest:
    voices = [voice for speaker in speakers for voice in speaker.voices]
    openai = {name: voice for speaker in speakers for name, voice in speaker.openai.items()}
    try:
        find_voice(asked, voices, configured, openai if voices else {})
    except InvalidRequest as exc:
        return exc
    raise AssertionError("somebody has it")
