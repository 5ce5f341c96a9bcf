"""Sound that is played while it comes."""

from __future__ import annotations

import pytest

from spark_control.audio.wav import read_header
from spark_control.playing import PLAYERS, RATE, CannotPlay, Playback, installed
from tests.conftest import need
from tests.live import eventually
from tests.playing import no_players, player
from tests.processes import lives

SOUND = bytes(range(256)) * 400


@pytest.fixture
def folder(tmp_path, monkeypatch):
    no_players(tmp_path, monkeypatch)
    return tmp_path


def played(*pieces: bytes) -> str:
    with Playback(installed()) as playback:
        for piece in pieces:
            playback.feed(piece)
        return playback.finish()


def test_those_that_are_installed_are_known_the_best_first(folder):
    assert installed() == []
    player(folder, "ffplay")
    player(folder, "aplay")

    assert [each.name for each in installed()] == ["aplay", "ffplay"]


def test_a_player_of_samples_gets_them_bare(folder):
    heard = player(folder, "paplay")

    assert played(SOUND, SOUND) == "paplay"
    assert heard.read_bytes() == SOUND * 2


def test_another_gets_a_header_before_them(folder):
    heard = player(folder, "mpv")
    played(SOUND)
    header = read_header(heard.read_bytes())

    assert header is not None
    assert (header.rate, header.channels, header.bits) == (RATE, 1, 16)
    assert heard.read_bytes()[44:] == SOUND


def test_one_that_reads_no_pipe_gets_a_file_which_is_gone_afterwards(folder):
    heard = player(folder, "pw-play", f'cp "$1" {folder / "copy"}; echo "$1" > {folder / "name"}; exit 0')
    assert played(SOUND) == "pw-play"

    assert not heard.exists()
    assert (folder / "copy").read_bytes()[44:] == SOUND
    assert not (folder / (folder / "name").read_text().strip()).exists()


def test_the_sound_is_played_before_it_has_all_come(folder):
    player(folder, "paplay", f"while read -r _; do echo > {folder / 'begun'}; done; exit 0")
    with Playback(installed()) as playback:
        playback.feed(b"first\n")
        eventually((folder / "begun").exists)
        playback.feed(b"second\n")
        assert playback.finish() == "paplay"


def test_one_that_fails_is_followed_by_the_next_from_the_beginning(folder):
    player(folder, "paplay", "exit 1")
    heard = player(folder, "aplay")

    assert played(SOUND, SOUND) == "aplay"
    assert heard.read_bytes() == SOUND * 2


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("exit 7", "paplay: exit status 7"),
        ("echo 'one thing' >&2; echo 'another thing' >&2; exit 1", "paplay: another thing"),
        ("cat > /dev/null; echo 'No more, audio open failed' >&2; exit 0", "there is no loudspeaker"),
    ],
)
def test_why_none_could_is_told(folder, script, why):
    player(folder, "paplay", script)

    with pytest.raises(CannotPlay, match=why):
        played(SOUND)


def test_whoever_leaves_in_the_middle_hears_no_more(folder):
    """Or leaving would wait for the player, which takes longer than a test may."""
    player(folder, "paplay", f"echo $$ > {folder / 'pid'}; exec sleep 600")
    with Playback(installed()) as playback:
        playback.feed(SOUND * 10)
        eventually(lambda: (folder / "pid").exists() and (folder / "pid").read_text().endswith("\n"))

    assert not lives(int((folder / "pid").read_text()))


def test_a_real_player_plays_to_the_end(monkeypatch):
    need("ffplay", "ffmpeg")
    monkeypatch.setenv("SDL_AUDIODRIVER", "dummy")
    ffplay = [each for each in PLAYERS if each.name == "ffplay"]

    with Playback(ffplay) as playback:
        playback.feed(bytes(RATE // 2))
        assert playback.finish() == "ffplay"
