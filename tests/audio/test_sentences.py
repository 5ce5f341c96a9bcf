from __future__ import annotations

import re
import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_control.audio.sentences import pieces
from spark_control.audio.speaking_time import speaking_time

_MARKS = " \n\t.,;:!?…-—()[]\"'”»。，！？、」（।॥؟۔،։።៕\u200b\u200d\u0301\xa0"
_LETTERS = "aBeézß7字かハ한ไทខລहिन्दीعبрДλ👍🏽🇩🇪"
_TEXTS = (
    st.text(max_size=300)
    | st.text(_MARKS + _LETTERS, max_size=300)
    | st.text("abcde .,\n", max_size=2000)
    | st.lists(
        st.sampled_from(["Dr. ", "J. ", "The end. ", "Well, ", "3.14 ", "नमस्ते। ", "今日は。", "\n\n"])
    ).map("".join)
)
_LIMITS = st.sampled_from([(15.0, 4.0), (2.0, 0.5), (1.0, 1.0), (0.3, 0.1), (5.0, 20.0), (4.0, 0.0)])


def _is_one_character(text: str) -> bool:
    """Roughly: what remains without white space, accents and joiners is one letter, emoji, or pair."""
    bare = re.sub(r"[\s\u200c\u200d]", "", text)
    bases = [c for c in bare if unicodedata.category(c)[0] != "M" and not "\U0001f3fb" <= c <= "\U0001f3ff"]
    joined = "\u200d" in text or any(unicodedata.combining(c) == 9 for c in text)
    return (
        len(bases) <= 1
        or joined
        or (len(bases) == 2 and all("\U0001f1e6" <= c <= "\U0001f1ff" for c in bases))
    )


@settings(deadline=None)
@given(_TEXTS, _LIMITS)
def test_the_pieces_together_are_the_text(text, limits):
    assert "".join(pieces(text, longest=limits[0], first=limits[1])) == text


@settings(deadline=None)
@given(_TEXTS, _LIMITS)
def test_a_piece_is_longer_than_the_longest_only_if_it_is_one_character(text, limits):
    for piece in pieces(text, longest=limits[0], first=limits[1]) if text.strip() else []:
        assert speaking_time(piece) <= limits[0] or _is_one_character(piece)


@settings(deadline=None)
@given(_TEXTS, _LIMITS)
def test_no_piece_is_empty_or_only_white_space_unless_the_text_is(text, limits):
    cut = pieces(text, longest=limits[0], first=limits[1])
    assert all(cut)
    assert len(cut) <= 1 or all(piece.strip() for piece in cut)


@settings(deadline=None)
@given(_TEXTS, _LIMITS)
def test_there_are_not_many_more_pieces_than_there_must_be(text, limits):
    longest, first = limits
    assert len(pieces(text, longest=longest, first=first)) <= 2 * speaking_time(text) / longest + 3


@settings(deadline=None)
@given(_TEXTS, _LIMITS)
def test_white_space_is_never_at_the_beginning_of_a_later_piece(text, limits):
    assert not any(piece[0].isspace() for piece in pieces(text, longest=limits[0], first=limits[1])[1:])


def test_nothing_is_no_piece_and_white_space_is_one():
    assert pieces("", longest=15, first=4) == []
    assert pieces(" \n ", longest=15, first=4) == [" \n "]


_BEFORE = "So.\n"


def _with_the_sentence_before(text: str) -> list[str]:
    """Two pieces. With the first sentence goes as much of `text` as ends a sentence, but not all of it."""
    whole = _BEFORE + text
    longest = speaking_time(whole) - 0.01
    first, *rest = pieces(whole, longest=longest, first=longest)
    return [first.removeprefix(_BEFORE), "".join(rest)]


@pytest.mark.parametrize(
    "text",
    [
        "Here is one. |Here is another.",
        "Is it so? |Yes indeed! |Well then… |Good-bye now.",
        "What?! |No way!!! |Really so...",
        "“It is late.” |He went (at last.) |So it goes.",
        "今日は良い天気です。|散歩に行きましょう！|そうですか？|はい、そうです。",
        "他说好的。」|然后他走了。",
        "यह एक वाक्य है। |यह दूसरा है॥ |और तीसरा है।",
        "هل أنت بخير؟ |نعم أنا بخير.",
        "یہ ایک جملہ ہے۔ |یہ دوسرا ہے۔",
        "Սա նախադասություն է։ |Սա երկրորդն է։",
        "ይህ ዓረፍተ ነገር ነው። |ይህ ሁለተኛው ነው።",
        "สวัสดีครับผมชื่อสมชาย |ยินดีที่ได้รู้จักครับ",
        "ខ្ញុំស្រឡាញ់ភាសាខ្មែរ។ |សូមអរគុណច្រើន។",
        "A line without a full stop\n|Another line",
        "Mr.\n|New line after all",
        "One paragraph\n\n|and another",
        "He said no. |Then he went.",
        "Visit example.com. |Then come back.",
        "It was in 1999. |Then it was over.",
    ],
)
def test_a_sentence_ends_here(text):
    for one, other in pairwise(text.split("|")):
        assert _with_the_sentence_before(one + other) == [one, other]


@pytest.mark.parametrize(
    "text",
    [
        "Pi is 3.14 and a bit more",
        "Take version 1.2.3 of it now",
        "By J. R. R. Tolkien and by C.S. Lewis",
        "So Dr. Smith, Mr. Jones, Mrs. Hill and Prof. Wood came",
        "Fruit, e.g. Apples, i.e. Sweet ones, etc. Pears",
        "Da ist z.B. Obst bzw. Saft und usw. Wein",
        "Das war z. B. Obst, d. h. Äpfel",
        "Es war am 3. Oktober im 19. Jahrhundert",
        "La Sra. García y el Dr. López",
        "M. Dupont et Mme. Curie",
        "Il Sig. Rossi e il Dott. Verdi",
        "In St. Louis, No. 5 vs. No. 7, at 9 a.m. Eastern",
        "See example.com or www.example.org/a.b for it",
        "Open foo.py and bar.tar.gz now",
        "And then ... nothing came, and then … nothing more",
        "It is 10:30 and 1,000.50 is left",
        "“Why?” she asked and “No!” he said",
        "1. Buy milk and bread",
        "A line that was\nwrapped by somebody",
        "He is (approx.) five of them",
    ],
)
def test_a_sentence_goes_on_here(text):
    assert _with_the_sentence_before(text) == ["", text]


def test_the_first_piece_is_a_whole_sentence_if_that_is_short():
    text = "Good morning to you all. " + "This is a long sentence which goes on and on, and on. " * 4
    assert pieces(text, longest=15, first=4)[0] == "Good morning to you all. "


def test_short_sentences_share_the_first_piece():
    text = "Hi! How are you? " + "This is a long sentence which goes on and on, and then on. " * 4
    assert pieces(text, longest=15, first=4)[0] == "Hi! How are you? "


def test_the_first_piece_is_else_a_clause():
    text = (
        "When the morning came over the hills, everybody who had slept in the barn woke up at once and sang."
    )
    assert pieces(text, longest=15, first=4)[0] == "When the morning came over the hills, "


def test_the_first_piece_is_else_words():
    text = "everybody who had slept in the barn woke up at once and sang " * 4
    first = pieces(text, longest=15, first=4)[0]
    assert 2 < speaking_time(first) <= 4
    assert first.endswith(" ")


def test_the_first_piece_is_else_one_word():
    text = "字" * 30 + "，" + "字" * 30
    assert pieces(text, longest=15, first=4)[0] == "字" * 30 + "，"


def test_where_nothing_is_to_begin_early_the_first_piece_is_as_long_as_any():
    text = "A sentence of some length, more or less. " * 20
    cut = pieces(text, longest=15, first=15)
    assert speaking_time(cut[0]) > 10


def test_later_pieces_gather_whole_sentences():
    sentence = "This sentence takes about four seconds to be said aloud. "
    assert pieces(sentence * 7, longest=15, first=4) == [sentence, sentence * 3, sentence * 3]


def test_no_tiny_leftover_remains():
    sentence = "This sentence takes about four seconds to be said aloud. "
    text = sentence * 4 + "The end."
    assert pieces(text, longest=12.5, first=4) == [sentence, sentence * 2, sentence + "The end."]


def test_a_paragraph_is_kept_whole_where_it_can_be():
    sentence = "This sentence takes about four seconds to be said aloud. "
    one, other = sentence * 2 + "\n\n", sentence * 3
    assert pieces(one + other, longest=15, first=15) == [one, other]


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("some words, other words", ["some words, ", "other words"]),
        ("some words; other words", ["some words; ", "other words"]),
        ("some words: other words", ["some words: ", "other words"]),
        ("some words — other words", ["some words — ", "other words"]),
        ("some words—other words", ["some words—", "other words"]),
        ("some words - other words", ["some words - ", "other words"]),
        ("some words (other words)", ["some words ", "(other words)"]),
        ("(some words) other words", ["(some words) ", "other words"]),
        ("كلمات أولى، كلمات أخرى", ["كلمات أولى، ", "كلمات أخرى"]),
        ("一二三四五六，七八九十一二", ["一二三四五六，", "七八九十一二"]),
        ("一二三四五六（七八九十一）", ["一二三四五六", "（七八九十一）"]),
    ],
)
def test_a_long_sentence_is_cut_between_clauses(text, cut):
    assert pieces(text, longest=max(map(speaking_time, cut)) + 0.05, first=99) == cut


def test_a_long_clause_is_cut_between_words_but_not_at_a_no_break_space():
    cut = pieces("one two three 10\xa0km", longest=1.05, first=99)
    assert cut == ["one two three ", "10\xa0km"]


@pytest.mark.parametrize(
    "character",
    [
        "e\u0301",
        "👨‍👩‍👧‍👦",
        "👍🏽",
        "🇩🇪",
        "1️⃣",
        "\ud83d\ude00",
        "각",
        "\u1100\u1161\u11a8",
        "नि",
        "क्ष",
        "กำ",
        "🏴\U000e0067\U000e007f",
    ],
)
def test_a_word_too_long_to_say_is_cut_between_characters_as_readers_see_them(character):
    assert pieces(character * 3, longest=0.01, first=0.01) == [character] * 3


@pytest.mark.parametrize(
    "text",
    [
        *(mark * 100_000 for mark in "a.,;:!?…-—([\"' \n\xa0字。，ก\u0301\u200b👍🇩"),
        *(
            few * (100_000 // len(few))
            for few in [". ", ".\n", "),", '."', "a, ", "1.2", "J. ", "A b. ", "ก ", " \n"]
        ),
        "x" + " " * 99_998 + "y",
    ],
    ids=lambda text: repr(text[:4]),
)
def test_a_hundred_thousand_characters_of_anything_are_cut_in_no_time(text):
    for longest in (15, 1e9):
        assert "".join(pieces(text, longest=longest, first=4)) == text
