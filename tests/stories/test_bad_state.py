"""The state folder is spoilt, full or not to be written: the house has its voice all the same."""

from __future__ import annotations

from pathlib import Path

import httpx

from tests.processes import Serving, serve, spark_control
from tests.sounds import wav
from tests.test_serving import settings_file
from tests.tiny_disk import TinyDisk, disk, on_a_disk_of_its_own
from tests.wedges import upstreams_of

__all__ = ["disk"]

SPEECH = {"model": "tts-1", "voice": "alloy", "input": "Please turn on the lights in the kitchen."}


def left(gateway: Serving) -> set[int]:
    """The restarts that each engine may have."""
    return {each["budget"]["left"] for each in upstreams_of(gateway.url)}


def talks(gateway: Serving, words: str) -> bool:
    """Whether it speaks and hears."""
    with gateway.client() as client:
        spoken = client.post("/v1/audio/speech", json=SPEECH | {"input": words})
        heard = client.post("/v1/audio/transcriptions", files={"file": ("a.wav", wav(0.3))})
    return spoken.status_code == heard.status_code == httpx.codes.OK and len(spoken.content) > 1000


def test_a_spoilt_database_is_set_aside_and_no_engine_is_restarted_for_half_an_hour(
    tmp_path: Path, upstreams, magpie, parakeet
) -> None:
    arguments = ("--config", settings_file(tmp_path, upstreams))
    state = tmp_path / "state"
    with serve(tmp_path, *arguments) as gateway:
        assert left(gateway) == {3}
    (state / "spark-control.db").write_text("These are my notes, and no database. " * 1000)

    for _ in range(2):  # and not by the next gateway either
        with serve(tmp_path, *arguments) as gateway:
            assert talks(gateway, "Good morning.")
            assert left(gateway) == {0}
            assert not any(each["budget"]["known"] for each in upstreams_of(gateway.url))
    (kept,) = state.glob("spark-control.db.damaged-*Z")
    assert kept.read_text().startswith("These are my notes")

    told = spark_control("check", *arguments, folder=tmp_path, SPARK_CONTROL_STATE=str(state)).stdout
    assert kept.name in "".join(told.split())


@on_a_disk_of_its_own
def test_a_disk_that_is_full_stops_no_request(
    disk: TinyDisk, tmp_path: Path, upstreams, magpie, parakeet
) -> None:
    arguments = ("--config", settings_file(tmp_path, upstreams))
    (disk.path / "state").mkdir(mode=0o700)
    disk.fill()
    with serve(tmp_path, *arguments, SPARK_CONTROL_STATE=str(disk.path / "state")) as gateway:
        assert talks(gateway, "While it is full.")
        assert left(gateway) == {0}
        assert "no engine restarted" in (tmp_path / "log").read_text()

        disk.make_room()
        httpx.post(f"{gateway.url}/api/upstreams/magpie/maintenance", json={"on": True}).raise_for_status()
        assert "state kept again" in (tmp_path / "log").read_text()
        assert talks(gateway, "While there is room.")

        disk.fill()
        assert talks(gateway, "While it has filled up.")
        assert talks(gateway, "While there is room.")


@on_a_disk_of_its_own
def test_a_disk_that_cannot_be_written_stops_no_request(
    disk: TinyDisk, tmp_path: Path, upstreams, magpie, parakeet
) -> None:
    arguments = ("--config", settings_file(tmp_path, upstreams))
    disk.remount("ro")
    with serve(tmp_path, *arguments, SPARK_CONTROL_STATE=str(disk.path / "state")) as gateway:
        assert talks(gateway, "Read only.")
        assert left(gateway) == {0}
