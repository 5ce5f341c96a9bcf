"""What is answered from the cache, what is spoken, and what of that is remembered."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from spark_control.audio.formats import SPOKEN
from spark_control.errors import (
    EngineDown,
    GatewayError,
    InvalidRequest,
    QueueFull,
    Unavailable,
    UpstreamError,
)
from spark_control.remembering import Memory
from spark_control.sound import Sound
from spark_control.speech_cache import Asked, SpeechCache, Use
from spark_control.speech_cache.files import SpeechFiles
from spark_control.spoken_answers import Base64Json, EventStream
from spark_control.upstreams.base import Voice

HELLO = Asked("Hello there, kettle.", "alloy", None, 1.0, "mp3", clean=True)
SPOKEN_NOW = [b"Hel", b"lo there", b", kettle" * 9000]


class Spoken(Sound):
    """An engine's, which may break off."""

    def __init__(self, pieces: list[bytes], breaks: Exception | None) -> None:
        super().__init__(SPOKEN["mp3"], Voice("Mia"))
        self.headers["x-model"] = "magpie"
        self.closed = False
        self._pieces = pieces
        self._breaks = breaks

    @property
    def rate(self) -> int:
        return 22_050

    @property
    def seconds(self) -> float:
        return 1.5

    async def pieces(self):
        for piece in self._pieces:
            yield piece
        if self._breaks:
            raise self._breaks

    async def aclose(self) -> None:
        self.closed = True


@dataclass
class Engine:
    """How it would be spoken now."""

    made_by: str | None = "magpie 1"
    able: bool = True
    fine: bool = True
    fails: Exception | None = None
    breaks: Exception | None = None
    pieces: list[bytes] = field(default_factory=lambda: SPOKEN_NOW)
    spoken: list[Spoken] = field(default_factory=list)

    def revision(self) -> str | None:
        return self.made_by

    def possible(self) -> bool:
        return self.able

    async def speak(self) -> Sound:
        if self.fails:
            raise self.fails
        self.spoken.append(Spoken(self.pieces, self.breaks))
        return self.spoken[-1]

    def good(self) -> bool:
        return self.fine


class Client:
    """Asks for speech, and hears it."""

    def __init__(self, cache: SpeechCache) -> None:
        self.cache = cache
        self._memory = Memory(cache)

    async def start(self, engine: Engine, asked: Asked = HELLO, use: Use = Use.FULL) -> Sound:
        return await self._memory.answer(asked, use, engine)

    async def ask(
        self, engine: Engine, asked: Asked = HELLO, use: Use = Use.FULL
    ) -> tuple[str | None, bytes]:
        """What the cache had to do with it, and the sound."""
        sound = await self.start(engine, asked, use)
        return sound.headers.get("x-spark-cache"), await self.hear(sound)

    async def hear(self, sound: Sound) -> bytes:
        """All of it, and what is remembered of it is written then."""
        try:
            heard = b"".join([piece async for piece in sound.pieces()])
        finally:
            await sound.aclose()
        await self.cache.written()
        return heard


@pytest.fixture
def told(tmp_path):
    """Runs a coroutine function with a client."""

    def run(story: Callable[[Client], Awaitable[Any]]) -> Any:
        async def with_client():
            async with SpeechCache.opened(tmp_path / "speech", 1 << 20) as cache:
                result = await story(Client(cache))
                await cache.written()
                assert cache.collected == 0
                return result

        return asyncio.run(with_client())

    return run


WHOLE = b"".join(SPOKEN_NOW)


def test_the_second_time_it_comes_without_an_engine(told):
    engine = Engine()

    async def story(client):
        return [await client.ask(engine), await client.ask(Engine(able=False, fails=EngineDown("gone")))]

    assert told(story) == [("miss", WHOLE), ("hit", WHOLE)]
    assert engine.spoken[0].closed


def test_what_is_told_of_it_is_what_was_told_when_it_was_made(told):
    async def story(client):
        sounds = []
        for _ in range(2):
            sounds.append(await client.start(Engine()))
            async for _ in sounds[-1].pieces():
                pass
            await sounds[-1].aclose()
        return sounds

    made, remembered = told(story)
    assert remembered.headers == {
        "content-type": "audio/mpeg",
        "content-disposition": 'inline; filename="speech.mp3"',
        "content-length": str(len(WHOLE)),
        "x-voice": "Mia",
        "x-model": "magpie",
        "x-spark-cache": "hit",
    }
    assert made.headers == {
        name: value for name, value in remembered.headers.items() if name != "content-length"
    } | {"x-spark-cache": "miss"}
    assert [(each.rate, each.seconds, each.format) for each in (made, remembered)] == [
        (22_050, 1.5, SPOKEN["mp3"])
    ] * 2


@pytest.mark.parametrize("shape", [EventStream, Base64Json])
def test_every_shape_of_it_comes_from_the_same_bytes(told, shape):
    async def story(client):
        answers = []
        for _ in range(2):
            shaped = shape(await client.start(Engine(pieces=[b"abc", b"def"])))
            answers.append(b"".join([piece async for piece in shaped.pieces()]))
            await shaped.aclose()
            assert "content-length" not in shaped.headers
        return answers

    made, remembered = told(story)
    assert heard_in(made) == heard_in(remembered) == b"abcdef"
    if shape is Base64Json:
        assert made == remembered


def heard_in(answer: bytes) -> bytes:
    events = [line[6:] for line in answer.splitlines() if line.startswith(b"data: ")] or [answer]
    return b"".join(base64.b64decode(json.loads(each).get("audio", "")) for each in events)


@pytest.mark.parametrize(
    "other",
    [
        replace(HELLO, text="Goodbye."),
        replace(HELLO, voice="verse"),
        replace(HELLO, instructions="calm"),
        replace(HELLO, speed=1.5),
        replace(HELLO, format="opus"),
        replace(HELLO, clean=False),
    ],
)
def test_what_differs_in_anything_is_spoken(told, other):
    async def story(client):
        await client.ask(Engine())
        return (await client.ask(Engine(), other))[0]

    assert told(story) == "miss"


def test_a_voice_has_its_name_in_any_case(told):
    async def story(client):
        await client.ask(Engine())
        return (await client.ask(Engine(), replace(HELLO, voice="ALLOY")))[0]

    assert told(story) == "hit"


# Another revision.


def test_what_another_model_has_made_is_made_anew_and_replaced(told):
    async def story(client):
        await client.ask(Engine())
        changed = Engine(made_by="magpie 2", pieces=[b"better"])
        return [await client.ask(changed) for _ in range(2)]

    assert told(story) == [("miss", b"better"), ("hit", b"better")]


@pytest.mark.parametrize(
    "engine",
    [
        Engine(made_by="magpie 2", able=False),
        Engine(made_by=None, able=False),
        Engine(made_by="magpie 2", fails=EngineDown("It is restarting.")),
        Engine(made_by=None, fails=UpstreamError("It does not tell its voices.")),
        Engine(made_by="magpie 2", fails=Unavailable("Not now.")),
    ],
)
def test_it_will_do_while_no_engine_can_make_it_anew(told, engine):
    async def story(client):
        await client.ask(Engine())
        answers = [await client.ask(engine), await client.ask(Engine())]
        return answers, client.cache.answered

    answers, counted = told(story)
    assert answers == [("stale", WHOLE), ("hit", WHOLE)]
    assert counted == {"miss": 1, "stale": 1, "hit": 1}


@pytest.mark.parametrize("exc", [InvalidRequest("No such voice."), QueueFull("Later.", retry_after=5)])
def test_it_is_no_answer_to_a_request_that_is_wrong_or_has_to_wait(told, exc):
    async def story(client):
        await client.ask(Engine())
        with pytest.raises(type(exc)):
            await client.ask(Engine(made_by="magpie 2", fails=exc))

    told(story)


def test_with_nothing_remembered_the_error_is_the_engines(told):
    async def story(client):
        with pytest.raises(EngineDown):
            await client.ask(Engine(fails=EngineDown("gone")))

    told(story)


def test_whose_voices_are_known_only_once_it_has_spoken_is_remembered_by_what_it_then_is(told):
    engine = Engine(made_by=None)

    async def story(client):
        sound = await client.start(engine)
        engine.made_by = "magpie 1"
        async for _ in sound.pieces():
            pass
        await sound.aclose()
        await client.cache.written()
        return (await client.ask(Engine()))[0]

    assert told(story) == "hit"


# What is not remembered.


@pytest.mark.parametrize(
    "engine",
    [
        Engine(breaks=UpstreamError("It broke off.")),
        Engine(fine=False),
        Engine(made_by=None),
        Engine(pieces=[]),
        Engine(pieces=[bytes(1 << 18)]),
    ],
    ids=["broke off", "odd, or another engine's", "whose is it", "nothing", "too long"],
)
def test_what_is_not_whole_and_good_is_not_remembered(told, engine):
    async def story(client):
        with suppress(GatewayError):
            await client.ask(engine)
        return (await client.ask(Engine()))[0], len(client.cache.files)

    assert told(story) == ("miss", 1)


def test_what_changes_its_maker_in_the_middle_is_not_remembered(told):
    engine = Engine()

    async def story(client):
        sound = await client.start(engine)
        engine.made_by = "magpie 2"
        async for _ in sound.pieces():
            pass
        await sound.aclose()
        return (await client.ask(Engine(made_by="magpie 2")))[0]

    assert told(story) == "miss"


def test_nor_is_what_its_client_did_not_stay_for(told):
    engine = Engine()

    async def story(client):
        sound = await client.start(engine)
        heard = sound.pieces()
        await anext(heard)
        await anext(heard)
        assert client.cache.collected
        await sound.aclose()
        assert client.cache.collected == 0
        await heard.aclose()
        return (await client.ask(Engine()))[0]

    assert told(story) == "miss"
    assert engine.spoken[0].closed


def test_who_wants_nothing_stored_is_neither_answered_from_it_nor_remembered(told):
    async def story(client):
        first = await client.ask(Engine(), use=Use.NONE)
        empty = len(client.cache.files)
        await client.ask(Engine())
        return first, empty, await client.ask(Engine(pieces=[b"anew"]), use=Use.NONE)

    assert told(story) == ((None, WHOLE), 0, (None, b"anew"))


def test_who_wants_it_anew_gets_it_anew_and_so_does_everybody_after(told):
    async def story(client):
        await client.ask(Engine())
        return [
            await client.ask(Engine(pieces=[b"anew"]), use=Use.ANEW),
            await client.ask(Engine()),
        ]

    assert told(story) == [("miss", b"anew"), ("hit", b"anew")]


# Trouble.


def test_the_same_asked_twice_at_once_is_heard_whole_by_both(told):
    async def story(client):
        engines = [Engine(pieces=[letter.encode() * 50_000]) for letter in "ab"]
        sounds = [await client.start(each) for each in engines]
        heard = await asyncio.gather(*(client.hear(each) for each in sounds))
        return heard, (await client.ask(Engine()))[1]

    heard, kept = told(story)
    assert heard == [b"a" * 50_000, b"b" * 50_000]
    assert kept in (b"a" * 50_000, b"b" * 50_000)


def test_a_file_that_is_cut_off_while_it_is_sent_breaks_the_answer(told, tmp_path: Path):
    async def story(client):
        await client.ask(Engine(pieces=[bytes(range(256)) * 400]))
        sound = await client.start(Engine())
        pieces = sound.pieces()
        await anext(pieces)
        (file,) = (tmp_path / "speech").iterdir()
        with file.open("r+b") as opened:
            opened.truncate(70_000)
        with pytest.raises(Unavailable, match="broke off"):
            [piece async for piece in pieces]
        await sound.aclose()

    told(story)


def test_a_client_that_leaves_in_the_middle_of_a_remembered_answer_leaves_nothing_open(told):
    async def story(client):
        await client.ask(Engine(pieces=[bytes(100_000)]))
        sound = await client.start(Engine())
        pieces = sound.pieces()
        await anext(pieces)
        await sound.aclose()
        await pieces.aclose()

    told(story)  # a file that is left open would be a warning, and so an error


def test_a_request_that_is_given_up_while_it_is_spoken_leaves_nothing_open(told):
    class Waiting(Engine):
        async def speak(self) -> Sound:
            await asyncio.sleep(60)
            raise AssertionError

    async def story(client):
        await client.ask(Engine(pieces=[bytes(100_000)]))
        asking = asyncio.create_task(client.ask(Waiting(made_by="magpie 2")))
        await asyncio.sleep(0.05)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

    told(story)


def test_a_disk_that_fails_costs_nobody_an_answer(told, monkeypatch):
    def fail(*_: Any) -> None:
        raise OSError(5, "Input/output error")

    async def story(client):
        await client.ask(Engine())
        monkeypatch.setattr(SpeechFiles, "read", fail)
        monkeypatch.setattr(SpeechFiles, "write", fail)
        return [await client.ask(Engine()) for _ in range(2)]

    assert told(story) == [("miss", WHOLE)] * 2


def test_what_was_remembered_is_there_after_a_restart(told):
    async def speak(client):
        return await client.ask(Engine())

    assert told(speak) == ("miss", WHOLE)
    assert told(speak) == ("hit", WHOLE)
