from __future__ import annotations

import re
import sys

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from spark_control.audio.spoken_text import is_ssml, speakable


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("# Head", "Head"),
        ("### Head ###", "Head"),
        ("Head\n====", "Head"),
        ("#5 and C# stay", "#5 and C# stay"),
        ("- one\n* two\n+ three", "one\ntwo\nthree"),
        ("  - in\n    * deeper", "in\ndeeper"),
        ("- [ ] to do\n- [x] done\n1. [X] too", "to do\ndone\n1. too"),
        ("1. one\n2) two", "1. one\n2) two"),
        ("-5 degrees", "-5 degrees"),
        ("> said\n> > before", "said\nbefore"),
        ("> - # all at once", "all at once"),
        ("above\n\n---\n\nbelow", "above\n\nbelow"),
        ("above\n* * *\nbelow", "above\nbelow"),
    ],
)
def test_marks_that_begin_a_line_go(text, said):
    assert speakable(text) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("**bold** *it* __bold__ _it_ ~~gone~~", "bold it bold it gone"),
        ("***both*** and **bold *it*** and ***it* bold**", "both and bold it and it bold"),
        ("(*so*), “_so_”.", "(so), “so”."),
        ("**over\ntwo lines**", "over\ntwo lines"),
        ("**API**s and un**wise**", "APIs and unwise"),
        ("这是**重点：**内容", "这是重点：内容"),
        ("snake_case_name __init__", "snake_case_name init"),
        ("2 * 3 and 5*3*2 and a*b*c", "2 * 3 and 5*3*2 and a*b*c"),
        ("2**3 and x**2 + y**2", "2**3 and x**2 + y**2"),
        ("a lone * or _ or *this", "a lone * or _ or *this"),
        ("*one\n\ntwo*", "*one\n\ntwo*"),
        ("~5 or ~6", "~5 or ~6"),
        ("price* and more*", "price* and more*"),
    ],
)
def test_emphasis_goes_but_what_only_looks_like_it_stays(text, said):
    assert speakable(text) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("```python\nx = a * b\n```\nafter", "x = a * b\nafter"),
        ("~~~\n# code\n~~~", "# code"),
        ("```\n**as written** <b>\n\n\nnot `closed`", "**as written** <b>\n\nnot `closed`"),
        ("````\n```\n````", ""),
        ("use `a_*b*_c` or `` ` ``", "use a_*b*_c or  ` "),
        ("a lone ` stays", "a lone ` stays"),
        ("`not\n\ncode`", "`not\n\ncode`"),
        ("~~~struck~~~ out", "~~~struck~~~ out"),
    ],
)
def test_marks_of_code_go_and_its_words_stay_as_written(text, said):
    assert speakable(text) == said.strip()


def test_a_table_becomes_its_cells_row_by_row():
    assert speakable("| a | **b** |\n|:--|--:|\n| 1 | 2 |") == "a, b\n1, 2"
    assert speakable("a | b\n--|--\n1 | 2\n\nx | y") == "a, b\n1, 2\n\nx | y"
    assert speakable("| a \\| b | |") == "a | b"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("see [the *words*](https://x.org/a_(b) 'title')", "see the words"),
        ("![a cat](cat.png) sits", "a cat sits"),
        ("[![alt](i.png)](https://x.org)", "alt"),
        ("[a [b] c](u)", "a [b] c"),
        ("so it is[1](u)[2](u)", "so it is 1 2"),
        ("[not](a link at all)", "[not](a link at all)"),
        ("[1] and a[i]", "[1] and a[i]"),
        ("https://www.example.com/a/b?c=1", "example.com"),
        ("at https://user:pw@example.com:8080/a, or (www.example.org).", "at example.com, or (example.org)."),
        ("<https://example.com/a>", "example.com"),
        ("[https://example.com/a](https://example.com/a)", "example.com"),
        ("**https://example.com/a**", "example.com"),
        ("访问https://example.com/a了解", "访问example.com了解"),
        ("me_a@b_c.com <a@b.de>", "me_a@b_c.com a@b.de"),
        ("example.com and foo.py", "example.com and foo.py"),
        ("so[^1] it is\n\n[^1]: a note", "so it is\n\na note"),
    ],
)
def test_of_a_link_its_words_are_said_and_of_an_address_its_host(text, said):
    assert speakable(text) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<b>bold</b> H<sub>2</sub>O", "bold H2O"),
        ("2<sup>10</sup>", "2 10"),
        ("one<br/>two<br>three</p>", "one two three"),
        ('<a href="x" class=y>z</a> <details open>d</details>', "z d"),
        ("<think>hm</think> yes", "hm yes"),
        ("<!-- not\nsaid -->said", "said"),
        ("a < b and c > d", "a < b and c > d"),
        ("if a <b and c> d", "if a <b and c> d"),
        ("list<String> <your name>", "list<String> <your name>"),
        ("a &amp; b&nbsp;c &lt;b&gt; &#39;d&#39; &#x41;", "a & b c <b> 'd' A"),
        ("&amp;lt; AT&T &nothing;", "&lt; AT&T &nothing;"),
        ("&#42;not it&#42;", "*not it*"),
    ],
)
def test_tags_go_and_entities_are_decoded_once(text, said):
    assert speakable(text) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Hi 👍 there 👨‍👩‍👧‍👦!", "Hi there!"),
        ("👋🏽 Hi 🇩🇪🇫🇷 🏴󠁧󠁢󠁥󠁮󠁧󠁿", "Hi"),
        ("5👍3", "5 3"),
        ("1️⃣ one ❤️ two", "1 one two"),
        ("✅ done\n❌\nnot", "done\nnot"),
        ("a → b", "a b"),
        ("20 °C, 5 €, 3 %, 1 + 1, § 4, ©, C♯, ½, ①, №", "20 °C, 5 €, 3 %, 1 + 1, § 4, ©, C♯, ½, ①, №"),
        ("क्\u200dष", "क्\u200dष"),
    ],
)
def test_pictures_go_and_ordinary_symbols_stay(text, said):
    assert speakable(text) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("$x$ and $x^2 + 1$", "x and x^2 + 1"),
        ("$$a_1 * b_2$$", "a_1 * b_2"),
        ("$5 and $6", "$5 and $6"),
        ("$5-$6, US$3, or $7", "$5-$6, US$3, or $7"),
        ("\\*not\\* \\_it\\_ 1\\. \\$5\\$", "*not* _it_ 1. $5$"),
        ("C:\\Users\\me", "C:\\Users\\me"),
    ],
)
def test_dollars_go_where_they_mean_mathematics_and_backslashes_where_they_escape(text, said):
    assert speakable(text) == said


@pytest.mark.parametrize(
    "text", ["", " \n", "👍", "---", "...", "👍🏽!", "***", "```\n```", "<br>", "[](x)", "* "]
)
def test_where_nothing_can_be_said_nothing_is(text):
    assert speakable(text) == ""


@pytest.mark.parametrize("text", ["5", "字", "€", "%", "a"])
def test_the_least_that_can_be_said_is(text):
    assert speakable(text) == text


def test_paragraphs_stay_and_only_space_left_by_marks_is_tidied():
    assert speakable("two  spaces\n\n\U0001f44d\n\n*next* \U0001f44d one") == "two  spaces\n\nnext one"


@given(st.text("aZ059äßжक字ー .,!?'", max_size=200))
def test_plain_prose_comes_back_unchanged(text):
    assume(any(character.isalnum() for character in text))
    assert speakable(text) == text


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text)


def _assert_said_in_order(words: list[str], said: str) -> None:
    at = 0
    for word in words:
        at = said.find(word, at)
        assert at >= 0, (word, said)
        at += len(word)


# Without < & : / and ( no run of these is a tag, an entity, an address or a link's.
@settings(deadline=None)
@given(st.text("ab1é字 \n\t*_~#>-+|!.,?'\")[]{}=\\$`👍→°€", max_size=120))
def test_every_word_and_number_is_said_in_order_whatever_surrounds_them(text):
    assume("```" not in text and "~~~" not in text)
    _assert_said_in_order(_words(text), speakable(text))


_WORDS = st.lists(st.sampled_from(["one", "2", "drei", "四", "cinq5"]), min_size=1, max_size=4).map(" ".join)
_WRAPPED = st.sampled_from(
    [
        *("**{}**", "*{}*", "_{}_", "~~{}~~", "`{}`", "``{}``", "[{}](https://x.y/z)", "![{}](q)"),
        *("<b>{}</b>", "<p>{}</p>", "&lt;{}&gt;", "$${}$$", "👍{}", "{}[^9]", "({})", "{}\n\n"),
        *("# {}\n", "- {}\n", "> {}\n", "```py\n{}\n```\n", "| {} |\n|---|\n", "7. {}\n", "- [x] {}\n"),
    ]
)
_DOCUMENTS = st.lists(st.tuples(_WRAPPED, _WORDS), max_size=12)


@settings(deadline=None)
@given(_DOCUMENTS)
def test_every_word_of_a_document_is_said_in_order(parts):
    text = "".join(f"\n{mark.format(words)}" for mark, words in parts)
    _assert_said_in_order([word for _, words in parts for word in words.split()], speakable(text))


@settings(deadline=None)
@given(_DOCUMENTS)
def test_what_is_said_of_a_document_is_said_again(parts):
    said = speakable("".join(f"\n{mark.format(words)}" for mark, words in parts if "lt;" not in mark))
    assert speakable(said) == said


@settings(deadline=None)
@given(st.text() | st.text("[](){}<>*_~`#|-&;:/\\!$^ \n\0a1h.@=\"'👍"))
def test_no_text_makes_it_fail_or_leaves_a_mark_of_its_own(text):
    said = speakable(text)
    assert not re.search(r"[\x00-\x08\x0e-\x1b]", said)
    is_ssml(text)


def test_no_picture_is_a_letter_or_a_digit():
    everything = [chr(n) for n in range(sys.maxunicode + 1) if chr(n).isalnum()]
    assert set(everything) <= set(speakable(" ".join(everything)))


@pytest.mark.parametrize(
    "text",
    [
        *(mark * 100_000 for mark in "[]()`<>*_~$&!\\#-+=|\n\t\0:@\"'👍"),
        *(
            few * (100_000 // len(few))
            for few in [
                *(
                    "[a](",
                    "![",
                    "[[a]",
                    "[x[a]",
                    '[a](b "',
                    "[^a",
                    "<b ",
                    "<b a='",
                    "<b a=b ",
                    "<!--",
                    "<!-- -",
                    "</",
                ),
                *(
                    "$a ",
                    "$$a",
                    "`a``b",
                    "*a ",
                    "**a*",
                    "a*",
                    "_a*",
                    "a_",
                    "&amp",
                    "http://",
                    "http://a@",
                    "www.",
                ),
                *("| a ", "|-", "- ", "> ", "# #", "\\`", "~~~\n", "👍 ", "\n \n", "mailto:a@", "<a@"),
            ]
        ),
        " ".join("`" * n for n in range(1, 440)),
        "[a](" + "(x)" * 33_000,
        "-" + " " * 100_000 + "x",
    ],
    ids=lambda text: repr(text[:6]),
)
def test_a_hundred_thousand_characters_of_anything_are_read_in_no_time(text):
    speakable(text)
    is_ssml("<speak>" + text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<speak>Hi</speak>", True),
        (' <speak version="1.1" xml:lang="en">Hi <break/>\nyou</speak>\n', True),
        ('<?xml version="1.0"?>\n<speak></speak>', True),
        ("<speak>one</speak> and <speak>two</speak>", False),
        ("Say <speak>Hi</speak>", False),
        ("<speaker>Hi</speaker>", False),
        ("<speak>Hi", False),
        ("<speak/>", False),
        ("Hi", False),
    ],
)
def test_one_speak_document_is_ssml(text, expected):
    assert is_ssml(text) is expected
