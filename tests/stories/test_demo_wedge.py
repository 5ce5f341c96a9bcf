"""The demonstration's own engines wedge under the hands of its users, who get the same answers as before."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx

from tests.live import eventually
from tests.processes import serve

TEXTS = [
    "Please turn on the lights in the kitchen.",
    "The train to the city leaves in twenty minutes.",
    "We will meet again tomorrow morning.",
    "Open the window and close the door.",
    "Dinner will be ready in ten minutes.",
    "The book is on the table in the garden.",
]


def speak(client: httpx.Client, text: str) -> bytes:
    body = {"model": "tts-1", "voice": "alloy", "input": text, "response_format": "wav"}
    # Or the second answer would be the first one, remembered.
    answer = client.post("/v1/audio/speech", json=body, headers={"Cache-Control": "no-store"})
    assert answer.status_code == 200, answer.text
    return answer.content


def hear(client: httpx.Client, recording: bytes) -> str:
    answer = client.post("/v1/audio/transcriptions", files={"file": ("a.wav", recording)})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["text"])


def is_healthy(client: httpx.Client, name: str) -> bool:
    shown = client.get("/api/status").json()["upstreams"]
    return any(each["name"] == name and each["state"] == "healthy" for each in shown)


def test_the_embedded_engines_wedge_twice_each_and_every_answer_is_the_one_of_before(tmp_path: Path) -> None:
    with serve(tmp_path, "--demo") as gateway, gateway.client() as client:
        client.timeout = httpx.Timeout(90)
        gateway.wait_until_ready()
        eventually(lambda: client.get("/api/status").json()["closed_loop"], within=30)
        assert client.get("/api/status").json()["closed_loop"]["passed"]
        spoken = [speak(client, text) for text in TEXTS]
        heard = [hear(client, recording) for recording in spoken]
        for _ in range(2):
            for name in ("parakeet", "magpie"):
                eventually(partial(is_healthy, client, name), within=30)
                assert client.post(f"/api/upstreams/{name}/fault", json={"fault": "w1"}).status_code == 200
            with ThreadPoolExecutor(4) as people:
                speaking = [people.submit(speak, client, text) for text in TEXTS]
                hearing = [people.submit(hear, client, recording) for recording in spoken]
                assert [each.result() for each in speaking] == spoken
                assert [each.result() for each in hearing] == heard

        incidents = client.get("/api/incidents").json()["incidents"]
        assert sorted(each["service"] for each in incidents) == ["magpie"] * 2 + ["parakeet"] * 2
        assert [each["failed"] for each in incidents] == [0] * 4
        assert [each["restarts"] for each in incidents] == [1] * 4
