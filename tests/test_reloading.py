"""Other settings without a restart: nobody who is being served notices, and what does not hold changes nothing."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from spark_control.keys import KeyFile, Keys
from spark_control.news import _LOOK_EVERY
from spark_control.reloading import Reloaded, Reloading
from spark_control.server import create_app
from spark_control.settings import Settings
from spark_control.settings_file import InvalidSettings, load_settings
from tests.conftest import IMPATIENT, live_gateway
from tests.fakes.faults import Slow
from tests.live import serving, unused_port
from tests.processes import serve, spark_control
from tests.sounds import wav
from tests.test_access import ADMIN, ELSEWHERE, KEY, guarded, made, with_key
from tests.test_login import PAGE, cookie_of

SPEECH = {"input": "The kettle is ready.", "response_format": "wav"}


class House:
    """A gateway whose settings can be changed."""

    def __init__(self, upstreams: dict[str, Any], **settings: Any) -> None:
        self.upstreams = upstreams
        self.written = self._settings(**settings)
        self.reloading = Reloading(lambda: self.written, settled=0)
        self.client: httpx.Client

    def _settings(self, **settings: Any) -> Settings:
        return Settings(**{"upstreams": self.upstreams, "deep_health": IMPATIENT, **settings})

    def reload(self, **settings: Any) -> dict[str, list[str]]:
        """What the gateway says of settings that are `settings`, and nothing else."""
        self.written = self._settings(**settings)
        answer = self.client.post("/api/reload")
        assert answer.status_code == 200, answer.text
        told: dict[str, list[str]] = answer.json()
        return told

    def models(self) -> set[str]:
        return {each["id"] for each in self.client.get("/v1/models").json()["data"]}


@contextmanager
def reloadable(upstreams: dict[str, Any], *, keys: Keys | None = None, **settings: Any) -> Iterator[House]:
    house = House(upstreams, **settings)
    with live_gateway(house.written, reloading=house.reloading, keys=keys) as house.client:
        yield house


@pytest.fixture(scope="module")
def _house(upstreams) -> Iterator[House]:
    with reloadable(upstreams) as house:
        yield house


@pytest.fixture
def house(_house, magpie, parakeet) -> House:
    """One for the whole module, with the settings that it began with."""
    shared: House = _house
    shared.reload()
    return shared


def hear(client: httpx.Client, **more: Any) -> httpx.Response:
    return client.post("/v1/audio/transcriptions", files={"file": ("a.wav", wav(0.2))}, **more)


def test_names_of_models_and_voices_take_effect_at_once(house):
    told = house.reload(models={"aliases": {"kitchen-ear": "parakeet-tdt-0.6b"}}, voices={"alloy": "nobody"})

    assert told == {"applied": ["models.aliases", "voices"], "needs_restart": []}
    assert house.client.post("/v1/audio/speech", json={**SPEECH, "voice": "alloy"}).status_code == 400
    assert house.reload() == {"applied": ["models.aliases", "voices"], "needs_restart": []}
    assert house.client.post("/v1/audio/speech", json={**SPEECH, "voice": "alloy"}).status_code == 200


def test_limits_take_effect_at_once(house):
    told = house.reload(
        speech={"max_characters": 5}, uploads={"max_bytes": 100}, models={"strict": True, "list_voices": True}
    )

    assert told["applied"] == [
        "models.list_voices",
        "models.strict",
        "speech.max_characters",
        "uploads.max_bytes",
    ]
    assert house.client.post("/v1/audio/speech", json=SPEECH).status_code == 400
    assert hear(house.client).status_code == 413
    assert len(house.models()) > 2
    house.reload(models={"strict": True})
    assert hear(house.client, data={"model": "of-nobody"}).status_code == 404
    house.reload()
    assert hear(house.client, data={"model": "of-nobody"}).status_code == 200


def test_who_may_come_from_which_page_takes_effect_at_once(house):
    origin = {"origin": "app://obsidian.md"}
    assert "access-control-allow-origin" not in house.client.get("/v1/models", headers=origin).headers

    house.reload(access={"cors_origins": ["app://obsidian.md"]})

    assert house.client.get("/v1/models", headers=origin).headers["access-control-allow-origin"]


def test_how_many_may_wait_takes_effect_at_once(upstreams, magpie, parakeet):
    one_at_once = {**upstreams, "magpie": {**upstreams["magpie"], "concurrency": 1}}
    with reloadable(one_at_once) as house:
        magpie.fault = slow = Slow()
        with asking(house, slow):
            assert slow.arrived.wait(10)
            house.reload(traffic={"queue": 0})
            answer = house.client.post("/v1/audio/speech", json=SPEECH)

    assert answer.status_code == 429


@contextmanager
def asking(house: House, slow: Slow) -> Iterator[list[httpx.Response]]:
    """A request for speech in another thread, held by `slow` until the block is over, and then over too."""
    answers: list[httpx.Response] = []
    url = house.client.base_url.join("/v1/audio/speech")
    thread = threading.Thread(target=lambda: answers.append(httpx.post(url, json=SPEECH, timeout=20)))
    thread.start()
    try:
        yield answers
    finally:
        slow.released.set()
        thread.join(20)


def test_an_answer_under_way_is_finished_as_it_began(house, magpie):
    magpie.fault = slow = Slow(after=1000)
    with asking(house, slow) as answers:
        assert slow.arrived.wait(10)
        house.reload(speech={"max_characters": 5})
        house.reload()

    assert answers[0].status_code == 200
    assert len(answers[0].content) > 1000


def test_a_page_that_is_open_goes_on(house):
    with house.client.stream("GET", "/api/events") as events:
        told = events.iter_lines()
        next(told)
        house.reload(voices={"alloy": "nobody"})
        assert goes_on(told, house)


def goes_on(told: Iterator[str], house: House) -> bool:
    """Whether such a page is still told what happens, once the gateway has looked who may stay."""
    time.sleep(2 * _LOOK_EVERY)
    for on in (True, False):
        house.client.post("/api/upstreams/magpie/maintenance", json={"on": on}).raise_for_status()
    # Its first event has the word "maintenance" as well, and canaries may come before.
    return any('"maintenance on"' in line for line in told)


def test_a_page_that_only_an_open_gateway_shows_ends_when_it_is_closed(tmp_path, upstreams):
    file = KeyFile(tmp_path)
    file.add(made("kitchen", KEY))
    with reloadable(upstreams, keys=Keys(file, lambda: 0.0), access={"open": True}) as house:
        shown = {
            who: {**ELSEWHERE, **headers} for who, headers in (("guest", {}), ("kitchen", with_key(KEY)))
        }
        with (
            house.client.stream("GET", "/api/events", headers=shown["guest"]) as guest,
            house.client.stream("GET", "/api/events", headers=shown["kitchen"]) as kitchen,
        ):
            told = kitchen.iter_lines()
            next(told)
            house.reload(access={"open": False})
            assert "event: status" in "".join(guest.iter_lines())
            assert goes_on(told, house)


def test_what_engines_have_told_is_not_forgotten(house, magpie):
    before = house.client.get("/v1/audio/voices").json()["voices"]
    assert before
    magpie.voices_fault = Slow()
    house.reload(voices={"kitchen": before[0]["voice"]})

    after = house.client.get("/v1/audio/voices").json()["voices"]

    assert [each["id"] for each in after] == ["kitchen", *(each["id"] for each in before)]


def test_what_takes_a_restart_is_named_each_time_and_changes_nothing(house, upstreams):
    moved = {**upstreams, "magpie": {**upstreams["magpie"], "concurrency": 3}}
    for _ in range(2):
        told = house.reload(upstreams=moved, port=9999, voices={"alloy": "nobody"})
        assert told["needs_restart"] == ["port", "upstreams.magpie.concurrency"]

    shown = {each["name"]: each for each in house.client.get("/api/status").json()["upstreams"]}
    assert shown["magpie"]["concurrency"] == 8
    assert told["applied"] == []


def test_a_gateway_that_reads_no_settings_stays_as_it_is(gateway):
    assert gateway.post("/api/reload").json() == {"applied": [], "needs_restart": []}


def test_under_load_nothing_fails_while_everything_changes(house):
    over = threading.Event()
    statuses: list[int] = []

    def ask() -> None:
        with httpx.Client(base_url=house.client.base_url, timeout=20) as client:
            while not over.is_set():
                statuses.append(client.post("/v1/audio/speech", json=SPEECH).status_code)
                statuses.append(hear(client).status_code)
                statuses.append(client.get("/v1/models").status_code)

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    try:
        for number in range(20):
            house.reload(
                voices={f"voice-{number}": "alloy"},
                models={"aliases": {f"model-{number}": "tts-1"}},
                traffic={"queue": 100 + number},
                uploads={"max_bytes": 1_000_000 + number},
            )
    finally:
        over.set()
        for thread in threads:
            thread.join(20)

    assert len(statuses) > 20
    assert set(statuses) == {200}


# Who comes in.


def test_a_key_that_was_revoked_opens_nothing_after_a_reload(tmp_path, upstreams, magpie):
    file = KeyFile(tmp_path)
    file.add(made("kitchen", KEY))
    with reloadable(
        upstreams, keys=Keys(file, lambda: 0.0)
    ) as house:  # whose clock stands still: it never looks
        assert house.client.post("/v1/audio/speech", json=SPEECH, headers=with_key()).status_code == 200
        file.revoke("kitchen")

        house.reload()

        assert house.client.post("/v1/audio/speech", json=SPEECH, headers=with_key()).status_code == 401


def test_damaged_keys_are_told_and_nothing_changes(tmp_path, upstreams, magpie):
    file = KeyFile(tmp_path)
    file.add(made("kitchen", KEY))
    with reloadable(upstreams, keys=Keys(file, lambda: 0.0)) as house:
        file.path.write_text("[")
        house.written = Settings(upstreams=upstreams, deep_health=IMPATIENT, speech={"max_characters": 5})

        answer = house.client.post("/api/reload")

        assert answer.status_code == 409
        assert "is damaged" in answer.json()["error"]["message"]
        assert house.client.post("/v1/audio/speech", json=SPEECH, headers=with_key()).status_code == 200


def test_a_reload_gives_nobody_a_new_allowance(tmp_path, upstreams, magpie):
    file = KeyFile(tmp_path)
    file.add(made("satellite", KEY, rate="2/hour"))
    with reloadable(upstreams, keys=Keys(file, lambda: 0.0)) as house:
        for expected in (200, 200, 429):
            answer = house.client.post("/v1/audio/speech", json=SPEECH, headers=with_key())
            assert answer.status_code == expected
            house.reload(voices={"kitchen": str(expected)})
        assert house.client.post("/v1/audio/speech", json=SPEECH, headers=with_key()).status_code == 429


def test_who_has_logged_in_stays_so(tmp_path, upstreams):
    with guarded(tmp_path, upstreams) as client:
        cookie = cookie_of(client, ADMIN)
        assert client.post("/api/reload").status_code == 200
        assert client.get("/api/status", headers={**PAGE, **cookie}).status_code == 200


def test_nobody_from_elsewhere_may_reload_without_an_admin_key(tmp_path, upstreams):
    with guarded(tmp_path, upstreams) as client:
        assert client.post("/api/reload", headers=ELSEWHERE).status_code == 401
        assert client.post("/api/reload", headers=with_key(**ELSEWHERE)).status_code == 403
        assert client.post("/api/reload", headers=with_key(ADMIN, **ELSEWHERE)).status_code == 200


# The file.


def written(path: Path, upstreams: dict[str, Any], more: str = "") -> str:
    """The settings with both fakes, as a file."""
    tables = [
        f"[upstreams.{name}]\nkind = '{each['kind']}'\nurl = '{each['url']}'\n"
        for name, each in upstreams.items()
    ]
    text = "\n".join([more, *tables, "[deep_health]\npatience = 0\n"])
    path.write_text(text)
    path.chmod(0o640)
    return text


@contextmanager
def from_file(path: Path, settled: float = 0.05) -> Iterator[httpx.Client]:
    """A gateway that reads that file again, as `serve` does."""
    reloading = Reloading(lambda: load_settings(path, {}), settled)
    app = create_app(load_settings(path, {}), reloading=reloading)
    with serving(app) as url, httpx.Client(base_url=url, timeout=20) as client:
        yield client


WRONG = """
port = "abc"
[speech]
max_charactres = 5
"""


def test_a_wrong_file_is_told_with_every_reason_and_the_old_settings_stay(tmp_path, upstreams):
    path = tmp_path / "settings.toml"
    written(path, upstreams, "[models.aliases]\nold = 'tts-1'\n")
    with from_file(path) as client:
        written(path, upstreams, WRONG)

        answer = client.post("/api/reload")

        assert answer.status_code == 409
        assert answer.json()["error"]["code"] == "invalid_settings"
        message = answer.json()["error"]["message"]
        assert "port: " in message
        assert "did you mean speech.max_characters?" in message
        assert client.post("/v1/audio/speech", json=SPEECH).status_code == 200


@pytest.mark.parametrize("left", ["", "[", "# nothing\n", "voices = { alloy = 'nobody' }\n"])
def test_a_file_that_was_cut_short_takes_nothing_away(tmp_path, upstreams, left):
    path = tmp_path / "settings.toml"
    written(path, upstreams)
    with from_file(path) as client:
        path.write_text(left)
        assert client.post("/api/reload").status_code == 409
        assert client.post("/v1/audio/speech", json=SPEECH).status_code == 200


def test_a_file_that_is_being_written_is_read_once_it_is_whole(tmp_path, upstreams):
    """Its first lines would hold as they are, without the limit that comes last."""
    path = tmp_path / "settings.toml"
    end = "[uploads]\nmax_bytes = 100\n"
    text = written(path, upstreams) + end
    path.write_text(text)
    with from_file(path, settled=1.5) as client:  # longer than a busy machine may keep a writer waiting
        writing = threading.Thread(target=_write_slowly, args=(path, text))
        writing.start()
        assert client.post("/api/reload").status_code in (200, 409)
        assert hear(client).status_code == 413
        writing.join()
        assert client.post("/api/reload").status_code == 200
        assert hear(client).status_code == 413


def _write_slowly(path: Path, text: str) -> None:
    with path.open("w") as file:
        for line in text.splitlines(keepends=True):
            file.write(line)
            file.flush()
            time.sleep(0.02)


def test_a_file_that_never_rests_is_not_believed():
    numbers = iter(range(1000))
    reloading = Reloading(lambda: Settings(voices={"alloy": str(next(numbers))}), settled=0)
    reloading.serves(Settings(), lambda _: pytest.fail("it was applied"))

    with pytest.raises(InvalidSettings, match="all the time"):
        asyncio.run(reloading.now())


# Several at once.


def test_a_reload_that_is_asked_for_while_one_is_under_way_sees_what_was_changed_since():
    may_read, reading = threading.Event(), threading.Event()
    wanted = {"alloy": "first"}
    applied: list[Settings] = []

    def reread() -> Settings:
        found = Settings(voices=dict(wanted))
        reading.set()
        assert may_read.wait(10)
        return found

    async def story() -> list[Reloaded]:
        reloading = Reloading(reread, settled=0)
        reloading.serves(Settings(), applied.append)
        first = asyncio.create_task(reloading.now())
        await asyncio.to_thread(reading.wait)
        wanted["alloy"] = "second"
        others = [asyncio.create_task(reloading.now()) for _ in range(10)]
        await asyncio.sleep(0)
        may_read.set()
        await first
        return [await each for each in others]

    others = asyncio.run(story())

    assert applied[-1].voices == {"alloy": "second"}
    assert len(applied) <= 2, "who comes meanwhile shares one"
    assert len(set(others)) == 1


def test_who_leaves_takes_nobody_along():
    async def story() -> Reloaded:
        reloading = Reloading(lambda: Settings(voices={"alloy": "nova"}), settled=0)
        reloading.serves(Settings(), lambda _: None)
        leaving, staying = (asyncio.create_task(reloading.now()) for _ in range(2))
        await asyncio.sleep(0)
        leaving.cancel()
        return await staying

    assert asyncio.run(story()).applied == ("voices",)


# As a process.


def test_reload_on_the_command_line(tmp_path, upstreams):
    path = tmp_path / "settings.toml"
    written(path, upstreams)
    config = ("--config", str(path))
    with serve(tmp_path, *config) as gateway:

        def reload(*options: str) -> Any:
            return spark_control("reload", "--gateway", gateway.url, *options, folder=tmp_path)

        gateway.wait_until_ready()
        assert reload().stdout == "The settings are as they were.\n"

        written(path, upstreams, "drain = 5\nvoices = { kitchen = 'alloy' }\nmachine.every = 5\n")
        assert reload().stdout.splitlines() == [
            "In force: voices.",
            "In force once the gateway is restarted "
            "(`sudo systemctl restart spark-control`, which loses nothing): machine.every.",
            "For these a service has to be installed again "
            "(`sudo spark-control install-service`), which restarts it: drain.",
        ]

        written(path, upstreams, WRONG)
        ended = reload("--json")
        assert ended.returncode == 1
        assert "did you mean speech.max_characters?" in ended.stderr
        assert "port: " in ended.stderr
        assert "settings kept" in (tmp_path / "log").read_text()

        ended = spark_control("reload", *config, folder=tmp_path)
        assert ended.returncode == 1, "it has seen by itself what is wrong"
        assert "did you mean speech.max_characters?" in ended.stderr

        written(path, upstreams, f"port = {unused_port()}")
        ended = spark_control("reload", *config, folder=tmp_path)
        assert ended.returncode == 1
        assert "another host or port now" in ended.stderr


def test_a_demonstration_keeps_its_own_engines_through_a_reload(tmp_path):
    with serve(tmp_path, "--demo") as gateway, gateway.client() as client:
        gateway.wait_until_ready()
        assert client.post("/api/reload").json() == {"applied": [], "needs_restart": []}
        assert client.get("/v1/models/tts-1").json()["id"] == "espeak-ng"
