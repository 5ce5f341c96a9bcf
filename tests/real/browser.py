"""A real Chromium, and what it must not do on any of the gateway's pages: ask others, or complain."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    Response,
    ViewportSize,
    sync_playwright,
)

from tests.conftest import need

PHONE: ViewportSize = {"width": 390, "height": 844}
DESKTOP: ViewportSize = {"width": 1280, "height": 900}

Scheme = Literal["light", "dark"]

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

_QUIET = [
    "--no-sandbox",  # which root may not have
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

ELSEWHERE = "spark.home"
"""A name under which the browser finds this machine, as one in the house would; it is not the gateway's localhost."""

_NO_FAULTS = (
    "Failed to load resource",  # a status that is an error: whether the page handles it, each test sees
)
"""How what the console tells of all the same begins."""


@contextmanager
def chromium(microphone: Path | None = None) -> Iterator[Browser]:
    """A browser without a window. What it hears when a page records is the WAV file `microphone`, once."""
    program = next(filter(None, map(shutil.which, _NAMES)), None) or need("chromium", "chromium")
    args = [*_QUIET, "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    args.append(f"--host-resolver-rules=MAP {ELSEWHERE} 127.0.0.1")
    if microphone:
        args.append(f"--use-file-for-fake-audio-capture={microphone}%noloop")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=args)
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Seen:
    """What a browser did behind a page's back."""

    home: str
    foreign: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def watch(self, context: BrowserContext) -> None:
        context.on("request", self._asked)
        context.on("response", self._answered)
        context.on("console", self._said)
        context.on("weberror", lambda error: self.complaints.append(f"thrown: {error.error}"))

    def _asked(self, request: Request) -> None:
        there = urlsplit(request.url)
        if there.scheme not in ("data", "blob") and f"{there.scheme}://{there.netloc}" != self.home:
            self.foreign.append(request.url)

    def _answered(self, response: Response) -> None:
        if response.status == 404:
            self.complaints.append(f"not found: {response.url}")

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(_NO_FAULTS):
            self.complaints.append(f"{message.type}: {message.text}")


@contextmanager
def visit(
    browser: Browser, home: str, *, scheme: Scheme = "light", size: ViewportSize = DESKTOP, **more: Any
) -> Iterator[Page]:
    """A page of a person who has never been here. In the end it asked nobody but `home`, and nothing was wrong."""
    seen = Seen(home)
    with browser.new_context(
        base_url=home,
        color_scheme=scheme,
        viewport=size,
        permissions=["microphone"],
        service_workers="block",
        **more,
    ) as context:
        context.set_default_timeout(15_000)
        seen.watch(context)
        yield context.new_page()
    assert not seen.foreign, seen.foreign
    assert not seen.complaints, seen.complaints


def accessibility_faults(page: Page) -> list[str]:
    """What axe-core finds wrong with a page, each in a line."""
    found = Axe().run(page).response["violations"]
    return [
        f"{each['impact']} {each['id']} at {node['target']}: {node['failureSummary']}"
        for each in found
        for node in each["nodes"]
    ]
