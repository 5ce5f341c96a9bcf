from __future__ import annotations

import asyncio
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_control.audio.formats import WAV
from spark_control.uploads import Spool
from spark_control.upstreams.base import Recording, Segment, Transcript, Word
from spark_control.upstreams.parakeet import Parakeet, ParakeetNim
from spark_control.upstreams.word_pieces import whole_words
from tests.sounds import wav

FLAVOURS = (None, "achetronic", "groxaxo", "groxaxo-legacy", "nemo-speech-cpp", "runparakeet", "xr-ai")


def recording(**told):
    spool = Spool(10_000)
    spool.write_now(wav(0.1))
    return Recording(spool, WAV, 0.1, **told)


def fields_of(request):
    body = asyncio.run(request.aread()).decode("latin-1")
    return dict(re.findall(r'name="([^"]+)"\r\n\r\n([^\r]*)\r\n', body))


def asked(dialect, *, times=False, words=False, stream=False, **told):
    return fields_of(
        dialect.transcription_request(recording(**told), times=times, words=words, stream=stream)
    )


def said(dialect, **answer):
    return dialect.read_transcript(json.dumps(answer).encode())


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_no_community_server_is_ever_told_a_model(flavour):
    fields = asked(Parakeet("http://p", flavour=flavour, model="my-name-for-it"), language="de", prompt="p")

    assert fields == {"response_format": "json", "language": "de", "prompt": "p"}


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_times_are_asked_only_of_those_that_know_them(flavour):
    fields = asked(Parakeet("http://p", flavour=flavour), times=True, words=True)

    if flavour in ("achetronic", "runparakeet", "xr-ai"):
        assert fields == {"response_format": "json"}
    else:
        assert fields == {"response_format": "verbose_json", "timestamp_granularities[]": "word"}


@pytest.mark.parametrize(
    ("flavour", "path"),
    [
        (None, "/health"),
        ("achetronic", "/health"),
        ("groxaxo", "/healthz"),
        ("groxaxo-legacy", "/health"),
        ("nemo-speech-cpp", "/ready"),
        ("runparakeet", "/healthz"),
        ("xr-ai", "/health"),
    ],
)
def test_each_says_in_a_place_of_its_own_whether_it_is_up(flavour, path):
    assert str(Parakeet("http://p", flavour=flavour).ready_request().url) == f"http://p{path}"


def test_only_the_one_that_unloads_when_idle_may_sleep():
    sleepy = [each for each in FLAVOURS if Parakeet("http://p", flavour=each).probe_when == "after_use"]

    assert sleepy == ["runparakeet"]


def test_what_a_server_makes_up_of_times_and_languages_is_not_believed():
    segment = {"text": "Hello.", "start": 0.0, "end": 71.3, "avg_logprob": -0.5}
    answer = {"text": "Hello.", "language": "en", "duration": 71.3, "segments": [segment]}

    assert said(Parakeet("http://p", flavour="achetronic"), **answer) == Transcript("Hello.")
    assert said(Parakeet("http://p", flavour="runparakeet"), text="Hello.", language="unknown") == Transcript(
        "Hello."
    )
    legacy = said(Parakeet("http://p", flavour="groxaxo-legacy"), **answer)
    assert (legacy.language, legacy.segments) == (None, (Segment("Hello.", 0.0, 71.3, avg_logprob=-0.5),))


def test_words_without_segments_are_nemo_speech_cpp_s():
    word = {"word": "Hello.", "start": 0.1, "end": 0.4, "confidence": 0.9, "speaker": 1}
    heard = said(
        Parakeet("http://p", flavour="nemo-speech-cpp"), text="Hello.", language="en-US", words=[word]
    )

    assert heard == Transcript("Hello.", language="en-US", words=(Word("Hello.", 0.1, 0.4),))


def test_no_words_may_be_null():
    assert said(Parakeet("http://p", flavour="groxaxo"), text="Hi", words=None, segments=None).words == ()


@pytest.mark.parametrize(
    "body",
    [
        b"", b"null", b"[]", b'{"text": 5}', b'{"text": "a", "words": [5]}', b'{"text": "a", "words": {"0": 1}}',
        b'{"text": "a", "segments": [{"text": "a", "start": NaN, "end": 1}]}', b'{"text":' * 50_000, b"\xff",
        b'{"text": "a", "words": [{"word": "a", "start": 1e999, "end": 2}]}',
    ],
    ids=range(10),
)  # fmt: skip
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_nonsense_is_a_value_error(flavour, body):
    with pytest.raises(ValueError):  # noqa: PT011
        Parakeet("http://p", flavour=flavour).read_transcript(body)


@pytest.mark.parametrize(
    ("language", "sent"),
    [
        ("de", "de-DE"),
        ("EN", "en-US"),
        ("en-us", "en-US"),
        ("es-US", "es-US"),
        ("multi", "multi"),
        ("yue", "yue"),
    ],
)
def test_a_nim_gets_a_locale_in_its_own_spelling(language, sent):
    assert asked(ParakeetNim("http://n"), language=language) == {"language": sent, "response_format": "json"}


# Words in pieces.


def pieces(*told):
    return [Word(word, start, start + 1.0) for start, word in enumerate(told)]


def test_pieces_without_a_mark_are_joined_by_the_blanks_of_the_text():
    heard = whole_words(pieces("Wat", "er", "the", "bas", "il", "."), "Water the basil.")

    assert heard == (Word("Water", 0.0, 2.0), Word("the", 2.0, 3.0), Word("basil.", 3.0, 6.0))


@pytest.mark.parametrize("mark", [" ", "\N{LOWER ONE EIGHTH BLOCK}"])
def test_pieces_with_a_mark_are_joined_even_if_the_text_is_spelt_otherwise(mark):
    heard = whole_words(pieces(f"{mark}Wat", "er", f"{mark}the", f"{mark}bas", "il"), "water The Basil.")

    assert heard == (Word("Water", 0.0, 2.0), Word("the", 2.0, 3.0), Word("basil", 3.0, 5.0))


@pytest.mark.parametrize(
    "told", [("hello", "world"), (" hello", " world"), (" hello", "world"), ("Hello,", "world.")]
)
def test_words_that_are_whole_stay_as_they_are(told):
    heard = whole_words(pieces(*told), "Hello, world.")

    assert [word.word for word in heard] == [each.strip() for each in told]


def test_pieces_that_end_too_soon_give_the_words_there_are():
    assert whole_words(pieces("Wat", "er", "th"), "Water the basil.") == (
        Word("Water", 0.0, 2.0),
        Word("th", 2.0, 3.0),
    )


def test_a_word_never_ends_before_it_starts():
    backwards = [Word("Wat", 5.0, 6.0), Word("er", 1.0, 2.0)]

    assert whole_words(backwards, "Water") == (Word("Water", 5.0, 5.0),)


def test_two_words_that_a_server_takes_for_one_stay_together():
    assert whole_words(pieces("New York", "is"), "It is in New York") == tuple(pieces("New York", "is"))


WORDS = st.lists(
    st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=12), min_size=1, max_size=8
)


@given(WORDS, st.randoms(use_true_random=False), st.sampled_from(["", " ", "\N{LOWER ONE EIGHTH BLOCK}"]))
def test_words_cut_anywhere_come_back_whole_and_in_their_places(words, random, mark):
    cut: list[Word] = []
    expected: list[Word] = []
    for word in words:
        first = len(cut)
        at = 0
        while at < len(word):
            size = random.randint(1, len(word) - at)
            cut.append(Word((mark if at == 0 else "") + word[at : at + size], len(cut), len(cut) + 1.0))
            at += size
        expected.append(Word(word, cut[first].start, cut[-1].end))

    assert whole_words(cut, " ".join(words)) == tuple(expected)


@given(
    st.lists(st.builds(Word, st.text(max_size=6), st.floats(0, 9), st.floats(0, 9)), max_size=9),
    st.text(max_size=20),
)
def test_any_pieces_and_any_text_give_words_and_no_blank_ones(told, text):
    for word in whole_words(told, text):
        assert word.word
        assert word.word == word.word.strip()
