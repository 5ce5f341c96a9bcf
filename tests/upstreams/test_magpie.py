from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_control.upstreams.base import Speech, Voice
from spark_control.upstreams.magpie import Magpie, language_of, paced, voice_named

MIA = voice_named("Magpie-Multilingual.EN-US.Mia")


def test_speech_becomes_multipart_form_fields():
    request = Magpie("http://spark:9000").wav_request(Speech("Hello", MIA))

    assert str(request.url) == "http://spark:9000/v1/audio/synthesize"
    assert request.headers["content-type"].startswith("multipart/form-data; boundary=")
    body = request.read()
    assert b'name="text"\r\n\r\nHello\r\n' in body
    assert b'name="language"\r\n\r\nen-US\r\n' in body
    assert int(request.headers["content-length"]) == len(body)


@pytest.mark.parametrize(
    ("voice", "language"),
    [
        ("Magpie-Multilingual.EN-US.Mia", "en-US"),
        ("Magpie-Multilingual.ES-US.Diego.Happy", "es-US"),
        ("Magpie-Multilingual.ZH-CN.HouZhen", "zh-CN"),
        ("Chatterbox-Multilingual.en-US.Male", "en-US"),
        ("Magpie-ZeroShot-Multilingual", None),
        ("Magpie-ZeroShot.Female-1", None),
        ("English-US-Magpie-Flow.Female-1", None),
        ("", None),
    ],
)
def test_the_voice_s_name_tells_its_language(voice, language):
    assert language_of(voice) == language


def test_a_voice_without_a_locale_speaks_the_configured_language():
    request = Magpie("http://m", "fr-FR").wav_request(
        Speech("Bonjour", Voice("Magpie-ZeroShot-Multilingual"))
    )

    assert b'name="language"\r\n\r\nfr-FR\r\n' in request.read()


def test_the_emotion_is_the_fourth_part_of_the_name():
    assert voice_named("Magpie-Multilingual.EN-US.Mia.Calm") == Voice(
        "Magpie-Multilingual.EN-US.Mia.Calm", "en-US", "Calm"
    )


@pytest.mark.parametrize(
    "groups",
    [
        {"en-US,es-US": {"voices": ["a.EN-US.x", "a.ES-US.y"]}},
        {"en-US": {"voices": ["a.EN-US.x"]}, "es-US": {"voices": ["a.ES-US.y", "a.EN-US.x"]}},
        {"en-US": {"voices": ["a.EN-US.x", None, 5, "a.ES-US.y"]}, "note": "text", "empty": {}},
    ],
)
def test_voices_are_gathered_from_every_key_once_each(groups):
    voices = Magpie("http://m").read_voices(json.dumps(groups).encode())

    assert [voice.id for voice in voices] == ["a.EN-US.x", "a.ES-US.y"]


@given(st.text(), st.floats(0.25, 4.0).filter(lambda speed: speed != 1.0))
def test_text_at_its_own_pace_is_untouched_and_otherwise_is_well_formed_ssml(text, speed):
    assert paced(text, 1.0) == text
    (prosody,) = ElementTree.fromstring(paced(text, speed))
    assert prosody.attrib == {"rate": f"{speed:.0%}"}
    said = "".join(each for each in text if each.isprintable() or each in "\t\n\r")
    assert (prosody.text or "") == said.replace("\r\n", "\n").replace("\r", "\n")
