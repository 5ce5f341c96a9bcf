"""What a visitor can try, and what a program of theirs would say."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

from spark_control.dashboard import Pages
from spark_control.dashboard.trying import Trying, trying_view
from spark_control.upstreams.base import Voice

MAGPIE = [
    (each, Voice(each, language), "magpie")
    for each, language in (
        ("Magpie-Multilingual.DE-DE.Mia", "de-DE"),
        ("Magpie-Multilingual.EN-US.Mia", "en-US"),
        ("Magpie-Multilingual.EN-US.Mia.Calm", "en-US"),
        ("Magpie-Multilingual.FR-FR.Louise", "fr-FR"),
    )
]
ORIGIN = "http://spark.local:8090"


def view(voices: Any = MAGPIE, **more: bool) -> Trying:
    return trying_view(voices, ORIGIN, **{"speaks": True, "hears": True, "key": False, **more})


def html(trying: Trying) -> str:
    return Pages().part("try.html", trying=trying)


def panel(page: str, name: str) -> str:
    """The text to copy."""
    found = re.search(rf'id="copy-{name}".*?<pre[^>]*>(.*?)</pre>', page, re.DOTALL)
    assert found
    return unescape(re.sub(r"<[^>]+>", "", found[1]))


def test_voices_are_grouped_by_language_with_a_sentence_in_it():
    groups = view().groups
    assert [each.language for each in groups] == ["English (US)", "French (FR)", "German (DE)"]
    assert [choice.shown for choice in groups[0].choices] == ["Mia", "Mia, Calm"]
    assert groups[0].choices[1].name == "Magpie-Multilingual.EN-US.Mia.Calm"
    assert groups[2].sample.startswith("Guten Tag")


def test_voices_without_a_language_come_last_under_their_own_names():
    groups = view([("kitchen", Voice("v1"), "qwen"), *MAGPIE]).groups
    assert (groups[-1].language, groups[-1].choices[0].shown) == ("Other voices", "kitchen")
    assert "qwen" in groups[-1].choices[0].words


def test_a_language_that_is_not_known_by_name_is_its_tag():
    assert [each.language for each in view([("a", Voice("a", "tlh"), "x")]).groups] == ["tlh"]


def test_the_programs_say_the_pages_own_address():
    page = html(view())
    for name in ("curl", "python", "home", "webui"):
        assert f"{ORIGIN}/v1" in panel(page, name)
        assert "YOUR-KEY" not in panel(page, name)


def test_the_program_in_python_is_one():
    compile(panel(html(view()), "python"), "page", "exec")


def test_where_keys_are_required_each_program_has_a_place_for_one():
    page = html(view(key=True))
    for name in ("curl", "python", "home", "webui"):
        assert "YOUR-KEY" in panel(page, name)


def test_a_gateway_that_only_speaks_shows_nothing_of_transcriptions():
    page = html(view(hears=False))
    assert "No speech-to-text engine is configured" in page
    for name in ("curl", "python", "home", "webui"):
        assert not {"transcriptions", "STT"} & set(re.findall(r"\w+", panel(page, name)))


def test_a_gateway_that_only_hears_shows_no_text_to_speak():
    page = html(view([], speaks=False))
    assert "No text-to-speech engine is configured" in page
    assert "try-form" not in page


def test_the_names_of_voices_are_text_and_nothing_else():
    evil = '"><script>alert(1)</script>\x1b'
    page = html(view([(evil, Voice(evil, evil, description=evil), evil)]))
    assert "<script" not in page
    assert "\x1b" not in re.sub(r'value="[^"]*"', "", page)
