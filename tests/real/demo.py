"""`spark-control serve --demo` as a real process, and its page by role and name, as a screen reader meets it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Browser, Locator, Page, expect

from tests.live import eventually, unused_port
from tests.processes import Serving, serve
from tests.real.browser import visit

SENTENCE = "Please turn on the lights in the kitchen."

SOON = 30_000
"""Milliseconds: an engine is back after three seconds, or after ten where many tests share two cores."""


class Owner:
    """Somebody at the machine of a gateway that has the embedded engines."""

    def __init__(self, url: str) -> None:
        self.url = url

    def order(self, engine: str, what: str, **body: object) -> None:
        """Have something done to an engine."""
        answer = httpx.post(f"{self.url}/api/upstreams/{engine}/{what}", json=body, timeout=30)
        assert answer.is_success, answer.text

    def wedge(self, engine: str, start_takes: float) -> None:
        """The next work wedges it. After its restart it loads for `start_takes` seconds, so that a person can look."""
        self.order(engine, "fault", fault="w1", start_takes=start_takes)

    def speech(self) -> bytes:
        """A WAV file that the engines can understand."""
        body = {"model": "tts-1", "voice": "alloy", "input": SENTENCE, "response_format": "wav"}
        return httpx.post(f"{self.url}/v1/audio/speech", json=body, timeout=30).content

    def hear(self, recording: bytes) -> str:
        answer = httpx.post(f"{self.url}/v1/audio/transcriptions", files={"file": recording}, timeout=90)
        return str(answer.json()["text"])

    def wait_until_well(self) -> None:
        eventually(self._is_well, within=30)

    def _is_well(self) -> bool:
        status = httpx.get(f"{self.url}/api/status").json()
        return all(each["state"] == "healthy" for each in status["upstreams"])


class Demo(Owner):
    """`spark-control serve --demo` at one address, which it keeps when it is started again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = unused_port()
        self._process = ExitStack()
        self._serving: Serving | None = None
        super().__init__(f"http://127.0.0.1:{self._port}")

    def start(self) -> None:
        running = self._process.enter_context(serve(self._folder, "--demo", "--port", str(self._port)))
        running.wait_until_ready()
        self._serving = running

    def stop(self) -> None:
        assert self._serving is not None
        assert self._serving.end(signal.SIGTERM) == 0
        self.close()

    def close(self) -> None:
        self._process.close()


@contextmanager
def opened(browser: Browser, url: str, **looks: Any) -> Iterator[Page]:
    """The page once it is live. It can tell whether it was ever loaded again."""
    with visit(browser, url, **looks) as page:
        page.goto("/")
        expect(connection(page)).to_have_text("Live")
        page.evaluate("window.sinceTheFirstLoad = true")
        yield page


def never_reloaded(page: Page) -> bool:
    return bool(page.evaluate("window.sinceTheFirstLoad"))


def connection(page: Page) -> Locator:
    """What the page says of its stream."""
    return page.get_by_role("banner").get_by_role("status")


def house(page: Page) -> Locator:
    """The sentence about all of it."""
    return page.get_by_role("heading", level=1)


def card(page: Page, engine: str) -> Locator:
    return page.get_by_role("article", name=engine, exact=True)


def button(page: Page, engine: str, what: str) -> Locator:
    return card(page, engine).get_by_role("button", name=what)


def answer(page: Page, engine: str) -> Locator:
    """The words beside the buttons."""
    return card(page, engine).get_by_role("status")


def restarts_left(page: Page, engine: str) -> int:
    told = card(page, engine).get_by_role("img", name="restarts left").get_attribute("aria-label")
    assert told
    return int(told.split()[0])


def region(page: Page, name: str) -> Locator:
    return page.get_by_role("region", name=name, exact=True)


def incidents(page: Page) -> Locator:
    """Those that are listed, the newest first."""
    return region(page, "Incidents").locator("details > summary")
