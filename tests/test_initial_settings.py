"""The settings file that a new gateway starts with holds, whatever was found."""

from __future__ import annotations

import re
import tomllib

from hypothesis import given
from hypothesis import strategies as st

from spark_control.discover import Found, Host
from spark_control.entries import Entry, name_entries
from spark_control.initial_settings import COMMON, TOP, toml_text
from spark_control.settings import RestartSettings, Settings
from spark_control.upstreams.fingerprints import Identity, identify
from tests.upstreams.known_answers import KNOWN, replies


def settings_of(text: str) -> Settings:
    return Settings(**tomllib.loads(text))


def test_without_engines_the_file_changes_nothing():
    assert settings_of(toml_text()) == Settings()


def test_the_lines_that_show_a_default_hold_without_their_mark():
    text = re.sub(r"(?m)^#(?=[a-z_]+ = )", "", toml_text())
    told = tomllib.loads(text)

    assert settings_of(text) == Settings()
    assert told["port"] == 8090
    assert {name for name, keys in COMMON.items() if keys and not set(keys) <= set(told[name])} == set()


def test_each_of_those_lines_holds_by_itself():
    text = toml_text()
    marked = [match.start() for match in re.finditer(r"(?m)^#(?=[a-z_]+ = )", text)]

    assert len(marked) == len(TOP) - 1 + sum(map(len, COMMON.values()))  # `state` has no default to show
    for at in marked:
        assert settings_of(text[:at] + text[at + 1 :]) == Settings()


def test_every_option_stands_below_its_reason():
    for paragraph in toml_text().split("\n\n"):
        first, *rest = paragraph.splitlines()
        assert first.startswith("# ")
        assert all(len(line) <= 116 for line in (first, *rest))


def test_what_is_given_is_written_down():
    settings = settings_of(toml_text(host="192.168.1.20", state="/var/lib/spark-control"))

    assert (settings.host, str(settings.state)) == ("192.168.1.20", "/var/lib/spark-control")


NAMES = st.from_regex(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,40}", fullmatch=True)
RESTARTS = st.none() | st.one_of(
    st.builds(lambda name: RestartSettings(docker=name), NAMES),
    st.builds(lambda name: RestartSettings(docker=name, host="tcp://127.0.0.1:2375"), NAMES),
    st.builds(
        lambda name: RestartSettings(systemd=name),
        st.from_regex(r"[A-Za-z0-9:_.@\\][A-Za-z0-9:_.@\\-]{0,40}", fullmatch=True),
    ),
    st.builds(lambda name: RestartSettings(systemd=name, user=True), NAMES),
)
IDENTITIES = st.one_of(
    st.sampled_from([each for what, _ in KNOWN.values() for each in identify(replies(what))]),
    st.builds(
        lambda task, model, key: Identity("openai", task, "speaches", model, f"Speaches with {model}", key),
        st.sampled_from(["speech", "transcription", "chat"]),
        st.none() | st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=200),
        st.booleans(),
    ),
)
HOSTS = st.sampled_from(
    ["127.0.0.1", "localhost", "[::1]", "spark-1", "spark_1", "192.168.1.20", "a.b.local."]
)
FOUND = st.builds(
    lambda host, port, identities: Found(Host(host), port, identities),
    HOSTS,
    st.integers(1, 65535),
    st.lists(IDENTITIES, min_size=1, max_size=3),
)


@given(st.lists(FOUND, max_size=5), st.data())
def test_whatever_is_found_the_file_holds_and_says_so(found, data):
    entries = [
        Entry(each.name, each.found, each.identity, data.draw(RESTARTS)) for each in name_entries(found)
    ]
    settings = settings_of(toml_text(entries))

    assert list(settings.upstreams) == [entry.name for entry in entries]
    for entry, written in zip(entries, settings.upstreams.values(), strict=True):
        assert (written.kind, written.task) == (entry.identity.kind, entry.identity.task)
        assert written.restart == entry.restart
    assert settings.model_copy(update={"upstreams": {}}) == Settings()
