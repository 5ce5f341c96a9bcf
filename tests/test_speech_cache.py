"""Where finished speech is kept: its addresses, its files, its room, and a disk that fails."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import stat
import struct
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from starlette.datastructures import Headers
from structlog.testing import capture_logs

from spark_control.speech_cache import Asked, Damaged, Draft, Facts, SpeechCache, Use, cache, files, use_of
from spark_control.speech_cache.files import SpeechFiles
from spark_control.speech_cache.record import START_BYTES, read_start, written
from tests.live import eventually

HELLO = Asked("Hello there, kettle.", "alloy", None, 1.0, "wav", clean=True)
ROOM = 1024 * 1024
SOUND = bytes(range(256)) * 300


def facts_of(asked: Asked = HELLO, **changes: Any) -> Facts:
    facts = Facts(asked.key, "magpie 1", asked.voice, "Mia", "magpie", asked.format, 22_050, 1.5)
    return replace(facts, **changes)


def files_in(folder: Path, max_bytes: int = ROOM) -> SpeechFiles:
    found = SpeechFiles(folder / "speech", max_bytes)
    found.scan()
    return found


def sound_of(found: files.Kept | None) -> bytes | None:
    """All that was kept."""
    if found is None:
        return None
    sound = found.head
    while piece := found.more():
        sound += piece
    found.close()
    return sound


# Addresses.

TEXTS = st.text(st.characters(exclude_categories=[]), max_size=8)
ASKED = st.builds(
    Asked,
    text=TEXTS,
    voice=TEXTS,
    instructions=st.none() | TEXTS,
    speed=st.floats(0.25, 4.0),
    format=st.sampled_from(["mp3", "wav", "opus"]),
    clean=st.booleans(),
)


HALVES = replace(HELLO, text="\ud83d\ude00")
"""Two halves of a character, as only a strange client sends them."""


@given(ASKED, ASKED)
@example(HALVES, replace(HALVES, text="\U0001f600"))
@example(HALVES, replace(HALVES, text="\ud83d?"))
@example(HALVES, replace(HALVES, text="??"))
def test_two_requests_have_one_address_only_if_they_are_the_same(one, other):
    plain = [replace(each, voice=each.voice.casefold()) for each in (one, other)]
    assert (one.key == other.key) == (plain[0] == plain[1])


@given(ASKED, st.integers(0, 8))
def test_no_field_runs_into_the_next(asked, cut):
    moved = replace(asked, voice=asked.voice + asked.text[:cut], text=asked.text[cut:])
    assert (moved.key == asked.key) == (moved.voice.casefold() == asked.voice.casefold())


def test_no_instructions_are_not_empty_ones():
    assert HELLO.key != replace(HELLO, instructions="").key


@pytest.mark.parametrize(
    ("header", "remembers", "use"),
    [
        ("", True, Use.FULL),
        ("max-age=60", True, Use.FULL),
        ("no-store", True, Use.NONE),
        ("max-age=0, No-Store", True, Use.NONE),
        ("no-cache", True, Use.ANEW),
        ("no-cache, no-store", True, Use.NONE),
        ("", False, Use.NONE),
    ],
)
def test_a_client_says_whether_it_is_remembered(header, remembers, use):
    assert use_of(Headers({"Cache-Control": header} if header else {}), remembers=remembers) is use


# Files.


def test_what_was_written_is_read_again(tmp_path):
    kept = files_in(tmp_path)
    assert kept.write(facts_of(), SOUND)

    found = files_in(tmp_path).read(HELLO.key)
    assert found
    assert (found.facts, found.size, sound_of(found)) == (facts_of(), len(SOUND), SOUND)


def test_nobody_else_can_read_it_and_its_name_tells_nothing(tmp_path):
    (tmp_path / "speech").mkdir(mode=0o755)
    before = os.umask(0)
    try:
        files_in(tmp_path).write(facts_of(), SOUND)
    finally:
        os.umask(before)

    (path,) = (tmp_path / "speech").iterdir()
    assert path.name == HELLO.key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert b"kettle" not in path.read_bytes()


@given(st.integers(0, len(SOUND) + 1000), st.integers(1, 255))
@settings(max_examples=30)
def test_a_byte_that_changed_makes_it_nothing(at, change):
    with tempfile.TemporaryDirectory() as folder:
        kept = files_in(Path(folder))
        kept.write(facts_of(), SOUND)
        path = kept.folder / HELLO.key
        whole = bytearray(path.read_bytes())
        whole[at % len(whole)] ^= change
        path.write_bytes(whole)

        assert kept.read(HELLO.key) is None
        assert not path.exists()
        assert (len(kept), kept.bytes) == (0, 0)


@given(st.integers(0, 1 << 20))
@settings(max_examples=30)
def test_so_does_an_end_that_is_missing(length):
    with tempfile.TemporaryDirectory() as folder:
        kept = files_in(Path(folder))
        kept.write(facts_of(), SOUND)
        path = kept.folder / HELLO.key
        os.truncate(path, length % path.stat().st_size)

        assert kept.read(HELLO.key) is None
        assert not path.exists()


def test_a_file_under_anothers_name_is_nothing(tmp_path):
    kept = files_in(tmp_path)
    kept.write(facts_of(), SOUND)
    other = replace(HELLO, text="Goodbye.")
    (kept.folder / HELLO.key).rename(kept.folder / other.key)
    again = files_in(tmp_path)

    assert again.read(other.key) is None
    assert len(again) == 0


def test_facts_that_are_not_what_they_should_be_make_it_nothing(tmp_path):
    kept = files_in(tmp_path)
    for odd in [facts_of(format="midi"), facts_of(rate="fast"), facts_of(voice=None)]:
        kept.write(odd, SOUND)
        assert kept.read(HELLO.key) is None


def test_a_file_that_says_it_is_huge_takes_no_memory():
    head = written(facts_of(), b"")[:START_BYTES]
    with pytest.raises(Damaged):
        read_start(head[:-12] + struct.pack(">IQ", 1 << 31, 0), START_BYTES + (1 << 31))
    with pytest.raises(Damaged):
        read_start(head[:-12] + struct.pack(">IQ", 0, 1 << 60), START_BYTES)


def test_a_link_is_never_followed(tmp_path):
    kept = files_in(tmp_path)
    kept.write(facts_of(), SOUND)
    path, elsewhere = kept.folder / HELLO.key, tmp_path / "elsewhere"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)

    assert kept.read(HELLO.key) is None
    assert not path.is_symlink()

    path.symlink_to(elsewhere)
    kept.write(facts_of(), b"other" * 9)
    assert not path.is_symlink()
    assert elsewhere.read_bytes().endswith(SOUND)

    path.unlink()
    path.symlink_to(elsewhere)
    assert len(files_in(tmp_path)) == 0
    assert not path.is_symlink()


def test_nor_does_a_pipe_or_a_folder_of_its_name_hold_anybody_up(tmp_path):
    kept = files_in(tmp_path)
    os.mkfifo(kept.folder / HELLO.key)
    assert kept.read(HELLO.key) is None

    (kept.folder / HELLO.key).mkdir()
    assert kept.read(HELLO.key) is None
    with pytest.raises(OSError, match="directory"):
        kept.write(facts_of(), SOUND)
    assert [each.name for each in kept.folder.iterdir()] == [HELLO.key]


def test_what_a_killed_gateway_left_unfinished_is_swept_up_and_nothing_else(tmp_path):
    kept = files_in(tmp_path)
    kept.write(facts_of(), SOUND)
    (kept.folder / f"{'a' * 64}.part").write_bytes(b"half")
    (kept.folder / "README").write_text("not ours")
    files_in(tmp_path)

    assert {each.name for each in kept.folder.iterdir()} == {HELLO.key, "README"}


def test_one_piece_of_speech_does_not_take_all_the_room(tmp_path):
    kept = files_in(tmp_path, 8 * 1000)
    assert not kept.write(facts_of(), bytes(1000))
    assert kept.write(facts_of(), bytes(500))


NINE = 9 * len(written(facts_of(), b"") + bytes(800)) + 400
"""Room for nine files with 800 bytes of sound, and 400 bytes more."""


def test_what_was_not_asked_for_longest_goes_first(tmp_path):
    kept = files_in(tmp_path, NINE)
    for key in KEYS[:9]:
        kept.write(facts_of(key=key), bytes(800))
    assert len(kept) == 9
    sound_of(kept.read(KEYS[0]))
    kept.write(facts_of(key=KEYS[9]), bytes(800))

    assert [key for key in KEYS[:10] if not kept.may_have(key)] == [KEYS[1]]


def test_what_is_replaced_makes_room_by_itself_and_is_not_what_goes(tmp_path):
    kept = files_in(tmp_path, NINE)
    for size in (800, 800):
        for key in KEYS[:9]:
            kept.write(facts_of(key=key), bytes(size))
    assert len(kept) == 9
    for key in KEYS[:3]:
        kept.write(facts_of(key=key), bytes(950))

    assert [key for key in KEYS[:9] if not kept.may_have(key)] == [KEYS[3]]
    assert kept.bytes == sum(each.stat().st_size for each in kept.folder.iterdir()) <= NINE


def test_a_clock_that_is_set_back_does_not_make_the_last_the_first_to_go(tmp_path):
    others = [replace(HELLO, text=text) for text in "ab"]
    for clock in (1000, 0):
        kept = SpeechFiles(tmp_path / "speech", ROOM, lambda: clock)  # noqa: B023 (used in this turn)
        kept.scan()
        kept.write(facts_of(others[0 if clock else 1]), bytes(10_000))

    assert files_in(tmp_path, 15_000).may_have(others[1].key)


def test_what_an_earlier_run_had_more_room_for_goes_the_least_lately_used_first(tmp_path):
    kept = files_in(tmp_path)
    others = [replace(HELLO, text=text) for text in "abcd"]
    for asked in others:
        kept.write(facts_of(asked), bytes(10_000))
    sound_of(kept.read(others[0].key))
    again = files_in(tmp_path, 25_000)

    assert again.bytes < 25_000
    assert {each.name for each in kept.folder.iterdir()} == {others[0].key, others[3].key}


def test_a_folder_that_was_deleted_comes_back(tmp_path):
    kept = files_in(tmp_path)
    kept.write(facts_of(), SOUND)
    shutil.rmtree(kept.folder)

    assert kept.read(HELLO.key) is None
    assert kept.write(facts_of(), SOUND)
    assert sound_of(kept.read(HELLO.key)) == SOUND


def test_a_reader_hears_all_of_what_is_replaced_meanwhile(tmp_path):
    kept = files_in(tmp_path)
    kept.write(facts_of(), SOUND)
    found = kept.read(HELLO.key)
    kept.write(facts_of(), SOUND[::-1])

    assert sound_of(found) == SOUND
    assert sound_of(kept.read(HELLO.key)) == SOUND[::-1]


class Killed(BaseException):
    """The gateway is no more: nothing that it would do afterwards happens."""


@contextmanager
def killed_after(steps: int) -> Iterator[None]:
    """A block in which the process dies at its next but `steps` look at the disk."""
    names = ("open", "utime", "replace", "unlink", "mkdir")
    real = {name: getattr(os, name) for name in names}
    left = steps

    def dying(name):
        def call(*arguments, **how):
            nonlocal left
            left -= 1
            if left < 0:
                raise Killed
            return real[name](*arguments, **how)

        return call

    try:
        for name in names:
            setattr(os, name, dying(name))
        with suppress(Killed):
            yield
    finally:
        for name in names:
            setattr(os, name, real[name])


KEYS = [replace(HELLO, text=text).key for text in "abcdefghijkl"]
VOICES = ["Mia", "Leo"]
WRITES: dict[str, Any] = {
    "key": st.sampled_from(KEYS),
    "voice": st.sampled_from(VOICES),
    "size": st.integers(400, 800),
    "fill": st.integers(0, 255),
}


class LikeADictionary(RuleBasedStateMachine):
    """It is a dictionary that forgets what was not asked for longest, whatever happens to its process."""

    def __init__(self) -> None:
        super().__init__()
        self.place = tempfile.TemporaryDirectory()
        self.model: OrderedDict[str, tuple[Facts, bytes]] = OrderedDict()
        self.now = 0
        self.reopen()

    def teardown(self):
        self.place.cleanup()

    @initialize()
    def it_is_full_already(self):
        for key in KEYS:
            self.write(key, "Mia", 600, 0)

    @rule(**WRITES)
    def write(self, key, voice, size, fill):
        facts, sound = facts_of(key=key, voice=voice), bytes([fill]) * size
        took = self.files.write(facts, sound)
        assert took == (length(facts, sound) <= 1000)
        if took:
            self._note(facts, sound)

    @rule(steps=st.integers(0, 9), cut=st.integers(0, 2000), **WRITES)
    def killed_while_writing(self, key, voice, size, fill, steps, cut):
        facts, sound = facts_of(key=key, voice=voice), bytes([fill]) * size
        before = dict(self.model)
        with killed_after(steps):
            self.files.write(facts, sound)
        for unfinished in self.files.folder.glob("*.part"):
            os.truncate(unfinished, min(cut, unfinished.stat().st_size))
        self.reopen()
        after = {each: self._read(each) for each in KEYS}
        if length(facts, sound) <= 1000:
            self._note(facts, sound)
        for each in KEYS:
            if each == key:
                assert after[each] in (before.get(each), (facts, sound))
            elif each in self.model:  # what was not evicted
                assert after[each] == before[each]
            else:
                assert after[each] in (None, before.get(each))
        # Each was read in this order.
        self.model = OrderedDict((each, found) for each, found in after.items() if found)

    @rule(key=st.sampled_from(KEYS))
    def read(self, key):
        assert self._read(key) == self.model.get(key)
        if key in self.model:
            self.model.move_to_end(key)

    @rule()
    def reopen(self):
        self.files = SpeechFiles(Path(self.place.name) / "speech", 8_000, lambda: self.now)
        self.files.scan()

    @rule(now=st.integers(0, 100))
    def the_clock_is_set(self, now):
        self.now = now

    @rule(voice=st.sampled_from(VOICES))
    def purge(self, voice):
        gone = [key for key, (facts, _) in self.model.items() if facts.voice == voice]
        sizes = [length(*self.model.pop(key)) for key in gone]
        assert self.files.purge(lambda facts: facts.voice == voice) == (len(gone), sum(sizes))

    @precondition(lambda self: self.model)
    @rule(number=st.integers(0, 11), cut=st.integers(0, 60))
    def damage(self, number, cut):
        key = list(self.model)[number % len(self.model)]
        os.truncate(self.files.folder / key, cut)
        assert self._read(key) is None
        del self.model[key]

    @invariant()
    def it_has_what_it_says(self):
        assert len(self.files) == len(self.model)
        assert self.files.bytes == sum(length(*each) for each in self.model.values()) <= 8_000
        found = {each.name: each.stat() for each in self.files.folder.iterdir()}
        assert set(found) == set(self.model)
        assert {stat.S_IMODE(each.st_mode) for each in found.values()} <= {0o600}

    def _read(self, key):
        found = self.files.read(key)
        return found and (found.facts, sound_of(found))

    def _note(self, facts, sound):
        self.model.pop(facts.key, None)
        while sum(length(*each) for each in self.model.values()) + length(facts, sound) > 8_000:
            self.model.popitem(last=False)
        self.model[facts.key] = facts, sound


def length(facts: Facts, sound: bytes) -> int:
    """Bytes of its file."""
    return len(written(facts, sound)) + len(sound)


TestLikeADictionary = LikeADictionary.TestCase
TestLikeADictionary.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)


# The cache as the event loop sees it.


@pytest.fixture
def remembered(tmp_path):
    """Runs a coroutine function with a cache in a folder."""

    def run(story, folder: Path | None = tmp_path / "speech", max_bytes: int = ROOM):
        async def told():
            async with SpeechCache.opened(folder, max_bytes) as cache:
                return await story(cache)

        return asyncio.run(told())

    return run


def spoken(cache: SpeechCache, sound: bytes = SOUND, asked: Asked = HELLO) -> Draft:
    """Sound that has been sent, and is whole."""
    draft = Draft(cache)
    draft.add(sound[:1000])
    draft.add(sound[1000:])
    cache.keep(facts_of(asked), draft)
    return draft


def test_it_is_there_from_the_moment_that_it_is_whole(remembered, monkeypatch):
    disk = threading.Event()
    write = SpeechFiles.write
    monkeypatch.setattr(SpeechFiles, "write", lambda *what: disk.wait(10) and write(*what))

    async def story(cache):
        await cache.written()
        spoken(cache)
        before = sound_of(await cache.find(HELLO.key))
        assert not any(cache.files.folder.iterdir())
        disk.set()
        await cache.written()
        assert cache.collected == 0
        return before, sound_of(await cache.find(HELLO.key))

    assert remembered(story) == (SOUND, SOUND)


def test_what_is_said_anew_meanwhile_is_what_is_there(remembered, monkeypatch):
    turns = [threading.Event(), threading.Event()]
    left = iter(turns)
    write = SpeechFiles.write
    monkeypatch.setattr(SpeechFiles, "write", lambda *what: next(left).wait(10) and write(*what))

    async def story(cache):
        for number in range(2):
            spoken(cache, bytes([number]) * 2000)
        turns[0].set()
        while not len(cache.files):
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.01)
        before = sound_of(await cache.find(HELLO.key))
        turns[1].set()
        await cache.written()
        return before, sound_of(await cache.find(HELLO.key))

    assert remembered(story) == (b"\1" * 2000,) * 2


def test_it_is_there_after_a_restart(remembered):
    async def speak(cache):
        spoken(cache)

    async def listen(cache):
        return sound_of(await cache.find(HELLO.key))

    remembered(speak)
    assert remembered(listen) == SOUND


def test_without_a_folder_it_has_one_of_its_own_that_goes(remembered):
    async def story(cache):
        spoken(cache)
        await cache.written()
        assert cache.files.folder.stat().st_mode & 0o077 == 0
        return cache.files.folder, sound_of(await cache.find(HELLO.key))

    folder, sound = remembered(story, folder=None)
    assert sound == SOUND
    assert not folder.exists()


def test_many_write_the_same_and_others_at_once(remembered):
    others = [replace(HELLO, text=f"Number {number}.") for number in range(20)]

    async def story(cache):
        for turn in range(5):
            for asked in [HELLO, *others]:
                spoken(cache, asked.text.encode() * 300, asked)
            await asyncio.sleep(0.001 * turn)
            assert sound_of(await cache.find(HELLO.key)) == HELLO.text.encode() * 300
        await cache.written()
        return {asked.text: sound_of(await cache.find(asked.key)) for asked in others}

    assert remembered(story) == {asked.text: asked.text.encode() * 300 for asked in others}


def test_sound_under_way_takes_so_much_memory_and_no_more(remembered, monkeypatch):
    monkeypatch.setattr(cache, "_MOST_COLLECTED", 100_000)

    async def story(cache):
        first, second = Draft(cache), Draft(cache)
        first.add(bytes(60_000))
        second.add(bytes(60_000))
        second.add(bytes(60_000))
        kept = cache.collected, first.size, second.size
        cache.keep(facts_of(), second)
        first.drop()
        first.drop()
        return kept, cache.collected, await cache.find(HELLO.key)

    assert remembered(story) == ((60_000, 60_000, 0), 0, None)


def test_what_is_longer_than_one_piece_may_be_is_let_go_of_while_it_comes(remembered):
    async def story(cache):
        draft = Draft(cache)
        for _ in range(100):
            draft.add(bytes(10_000))
            assert cache.collected <= ROOM // 8
        return draft.size

    assert remembered(story) == 0


@pytest.fixture
def full(monkeypatch):
    """A disk with no room left, until it is told to have some."""
    real = os.utime
    has_room = threading.Event()

    def utime(*what, **how):
        if not has_room.is_set():
            raise OSError(errno.ENOSPC, "No space left on device")
        real(*what, **how)

    monkeypatch.setattr(os, "utime", utime)
    return has_room


def test_a_full_disk_is_told_once_and_left_alone_for_a_while(remembered, full, monkeypatch):
    monkeypatch.setattr(cache, "_REST", 0.2)

    async def story(cache):
        spoken(cache)
        await cache.written()
        spoken(cache)
        assert (cache.collected, await cache.find(HELLO.key)) == (0, None)
        assert list(cache.files.folder.iterdir()) == []
        full.set()
        await asyncio.sleep(0.3)
        spoken(cache)
        await cache.written()
        return sound_of(await cache.find(HELLO.key))

    with capture_logs() as log:
        assert remembered(story) == SOUND
    assert [each["event"] for each in log] == ["speech cache fails", "speech cache works again"]


def test_a_folder_that_cannot_be_is_no_more_than_a_cache_that_is_empty(remembered, tmp_path):
    (tmp_path / "file").write_text("in the way")

    async def story(cache):
        spoken(cache)
        await cache.written()
        return await cache.find(HELLO.key), cache.collected

    assert remembered(story, folder=tmp_path / "file" / "speech") == (None, 0)


def test_a_disk_that_hangs_is_waited_for_once(remembered, monkeypatch):
    monkeypatch.setattr(cache, "_LONGEST_READ", 0.05)
    disk, asked = threading.Event(), []
    opened: list[Any] = []
    read = SpeechFiles.read

    def slowly(self, key):
        asked.append(key)
        disk.wait(10)
        opened.append(read(self, key))
        return opened[-1]

    async def story(cache):
        spoken(cache, SOUND)
        await cache.written()
        monkeypatch.setattr(SpeechFiles, "read", slowly)
        found = [await cache.find(HELLO.key) for _ in range(3)]
        disk.set()
        await asyncio.to_thread(eventually, lambda: opened)
        await asyncio.sleep(0.01)
        return found

    assert remembered(story) == [None] * 3
    assert len(asked) == 1
    with pytest.raises(ValueError, match="closed"):  # what came too late was closed
        opened[0].more()


def test_what_is_not_there_is_known_without_the_disk(remembered, monkeypatch):
    async def story(cache):
        await cache.written()
        monkeypatch.setattr(SpeechFiles, "read", None)
        return await cache.find(HELLO.key)

    assert remembered(story) is None


def test_a_voice_is_forgotten_and_what_is_being_written_with_it(remembered):
    async def story(cache):
        await cache.written()
        spoken(cache)
        gone, _ = await cache.purge(lambda facts: facts.voice == "Mia")
        return gone, await cache.find(HELLO.key)

    assert remembered(story) == (1, None)
