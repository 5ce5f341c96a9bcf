"""The page as a browser gets it: its words, its headers, its weight, and what hostile text can do in it."""

from __future__ import annotations

import json
import re

import httpx
import pytest

from spark_control.dashboard.rendering import POLICY, Pages
from spark_control.lifecycle import Lifecycle
from spark_control.server import create_app
from spark_control.settings import Settings
from tests.conftest import IMPATIENT, engines
from tests.live import eventually, serving, unused_port
from tests.test_access import ELSEWHERE, KEY, guarded, with_key

HOSTILE = "<script>alert(1)</script>\"' onload=x \x1b[31m"


def test_the_page_says_how_everything_is(gateway):
    page = gateway.get("/", headers={"accept": "text/html"})
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "Both engines are working." in page.text
    assert "3 of 3 restarts left" in page.text or "Nobody can restart it" in page.text
    for name in ("parakeet", "magpie"):
        assert f'<h3 id="name-{name}">{name}</h3>' in page.text


def test_nothing_from_elsewhere_runs_in_it_and_nobody_frames_it(gateway):
    for path in ("/", "/status"):
        page = gateway.get(path)
        assert page.headers["content-security-policy"] == POLICY
        assert page.headers["x-content-type-options"] == "nosniff"
        assert page.headers["referrer-policy"] == "same-origin"
        assert page.headers["cache-control"] == "no-store"
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)", page.text)
        assert not re.findall(r"""(?:src|href|action)=["'](?!/|#|"|')""", page.text)
    assert "unsafe" not in POLICY


def test_the_first_render_is_light(gateway):
    page = gateway.get("/")
    files = set(re.findall(r'(?:src|href)="(/assets/[^"]+)"', page.text))
    weight = len(page.content)
    for path in files | {f"/assets/{name}" for name in Pages().assets if name.endswith(".js")}:
        answer = gateway.get(path)
        assert answer.status_code == 200, path
        weight += len(answer.content)
    assert len(files) > 4
    assert weight < 200_000


def test_a_file_of_the_page_is_sent_once(gateway):
    first = gateway.get("/assets/base.css")
    assert first.headers["content-type"] == "text/css; charset=utf-8"
    again = gateway.get("/assets/base.css", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("name", ["..%2Frendering.py", "base.css%00", "nothing.js", "%2e%2e"])
def test_no_other_file_is_served(gateway, name):
    assert gateway.get(f"/assets/{name}").status_code in (401, 404)


def test_what_an_engine_says_is_text_and_nothing_else():
    card = {
        "name": "parakeet",
        "title": "Speech-to-text",
        "about": HOSTILE,
        "tone": "bad",
        "word": "wedged",
        "reason": HOSTILE,
        "back_at": None,
        "probe": {"passed": False, "seconds": 1.0, "detail": HOSTILE},
        "probed_at": "2026-05-04T12:00:00Z",
        "probes": [None] * 96,
        "failed": [None] * 96,
        "probes_told": "none yet",
        "per_minute": 0.0,
        "first_byte": None,
        "in_flight": 0,
        "queued": 0,
        "held": 0,
        "maintenance": True,
        "drained": True,
        "restarter": HOSTILE,
        "left": 0,
        "forgotten": True,
        "limit": 3,
        "window": "30 min",
        "frees_at": "2026-05-04T12:30:00Z",
        "incident": None,
    }
    html = Pages().part("card.html", card=card)
    assert "<script" not in html
    assert "\x1b" not in html
    assert all(not tag.count("onload") or "&#39; onload" in tag for tag in re.findall(r"<[^>]*>", html))
    assert "next frees at" in html


def test_who_may_only_look_is_told_why(gateway):
    page = gateway.get("/", headers={"host": "spark.home"})
    assert "data-looking-only" in page.text
    (told,) = re.findall(r"changed from here: (.*?)[.]<", page.text)
    assert told == "its Host is not localhost, 127.0.0.1 or [::1]"
    assert "data-looking-only" not in gateway.get("/").text


def test_without_a_fault_switch_there_is_no_drill(gateway):
    assert 'id="drill"' not in gateway.get("/").text


def test_the_wall_is_told_in_a_sentence(gateway):
    page = gateway.get("/status", headers={"accept": "text/html"})
    assert page.status_code == 200
    assert re.search(r"<h1[^>]*>Both engines are working\.</h1>", page.text)
    told = gateway.get("/status", headers={"accept": "application/json"})
    assert told.json() == {
        "ok": True,
        "tone": "ok",
        "sentence": "Both engines are working.",
        "at": told.json()["at"],
    }
    assert gateway.head("/status").status_code == 200


def test_the_wall_is_told_of_what_nobody_does_since_its_engine_is_drained(gateway):
    gateway.post("/api/upstreams/magpie/drain", json={"on": True})
    answer = gateway.get("/status", headers={"accept": "application/json"})
    told = answer.json()

    assert (answer.status_code, told["ok"], told["tone"]) == (503, False, "busy")
    assert told["sentence"] == "Text-to-speech gets no requests: its owner keeps them away."


def test_the_wall_is_red_while_nobody_does_the_work(upstreams):
    nobody = {**upstreams, "parakeet": {"kind": "parakeet", "url": f"http://127.0.0.1:{unused_port()}"}}
    with serving(create_app(Settings(upstreams=nobody, deep_health=IMPATIENT))) as url:
        eventually(lambda: httpx.get(f"{url}/status").status_code == 503)
        page = httpx.get(f"{url}/status", headers={"accept": "text/html"})
        assert page.headers["content-type"].startswith("text/html")
        assert "Speech-to-text is starting." in page.text
        told = httpx.get(f"{url}/status", headers={"accept": "application/json"})
        assert (told.status_code, told.json()["ok"], told.json()["tone"]) == (503, False, "busy")


def _parts(url: str, enough) -> list[tuple[str, dict[str, str]]]:
    """The stream's events until there are enough of them."""
    seen: list[tuple[str, dict[str, str]]] = []
    with httpx.Client(timeout=10) as client, client.stream("GET", f"{url}/live") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        name = ""
        for line in answer.iter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                seen.append((name, json.loads(line.removeprefix("data: "))))
                if enough(seen):
                    break
    return seen


def test_the_stream_sends_all_of_the_page_and_then_what_changes(gateway_with):
    with gateway_with() as gateway:
        eventually(lambda: all(each["state"] == "healthy" for each in engines(gateway)))

        def enough(seen):
            if (
                seen[-1] == ("part", seen[-1][1])
                and seen[-1][1]["id"] == "part-card-magpie"
                and len(seen) < 8
            ):
                gateway.post("/api/upstreams/magpie/maintenance", json={"on": True})
            return 'aria-pressed="true"' in seen[-1][1].get("html", "")

        edition = re.findall(r'data-edition="(\w+)"', gateway.get("/").text)[0]
        seen = _parts(str(gateway.base_url), enough)
    assert seen[0][0] == "hello"
    assert seen[0][1]["edition"] == edition
    ids = [told["id"] for event, told in seen if event == "part"]
    assert set(ids) == {
        "part-house",
        "part-incidents",
        "part-machine",
        "part-card-parakeet",
        "part-card-magpie",
    }
    assert ids[-1] == "part-card-magpie"


def test_with_keys_the_page_is_closed_and_its_files_are_not(tmp_path, upstreams):
    with guarded(tmp_path, upstreams) as gateway:
        for path in ("/", "/live"):
            assert gateway.get(path, headers=ELSEWHERE).status_code == 401
        for path in ("/assets/base.css", "/status"):
            assert gateway.get(path, headers=ELSEWHERE).status_code in (200, 503)
        page = gateway.get("/", headers=with_key(KEY, **ELSEWHERE))
        assert "the key kitchen is no admin key" in page.text


def test_the_stream_ends_when_the_gateway_drains(upstreams):
    lifecycle = Lifecycle()
    with serving(create_app(Settings(upstreams=upstreams), lifecycle=lifecycle)) as url:
        seen = []
        with httpx.stream("GET", f"{url}/live", timeout=10) as answer:
            for line in answer.iter_lines():
                seen.append(line)
                lifecycle.draining = True
        assert "event: hello" in seen
        assert httpx.get(f"{url}/status", headers={"accept": "application/json"}).status_code == 503
