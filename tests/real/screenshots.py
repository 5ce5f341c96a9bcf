"""Pictures of the page for a person to look at: `make screenshots`.

Phone and desktop, light and dark, while all is well and while an engine is wedged; the whole page, and what is seen
first. The gateway, its engines and the wedges are real. The GPU is not, and neither are the figures of the day before.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import re
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import httpx
from playwright.sync_api import Browser, Page, expect

from spark_control.keys import Keys
from spark_control.serving import Process, listen, serve
from spark_control.settings import Settings
from spark_control.store import Store
from spark_control.store.records import Sample
from spark_control.telemetry import configure_logging
from tests.machine.gpus import NvidiaSmi
from tests.real.browser import DESKTOP, PHONE, Scheme, chromium
from tests.real.demo import SOON, Owner, card, opened

_SIZES = {"phone": PHONE, "desktop": DESKTOP}
_SCHEMES: tuple[Scheme, ...] = ("light", "dark")

_LONG = 30.0
"""Seconds in which the wedged engine loads: time for all pictures of it."""


def yesterday(now: float, memory: float) -> Iterator[Sample]:
    """A day in a house where people speak in the morning and in the evening, on a machine with that much memory."""
    end = int(now // 60)
    for minute in range(end - 24 * 60, end):
        hour = time.localtime(minute * 60).tm_hour + minute % 60 / 60
        busy = math.exp(-((hour - 8) ** 2) / 3) + 1.4 * math.exp(-((hour - 19.5) ** 2) / 6)
        busy *= 0.8 + 0.2 * math.sin(minute / 7)
        day = {
            "here/memory_used": (0.3 + 0.07 * busy) * memory,
            "here/gpu": 3 + 52 * busy,
            "here/temperature": 43 + 21 * busy,
            "here/power": 11 + 42 * busy,
            "here/load": 0.3 + 2.2 * busy,
        }
        if not minute % 5:
            day |= {"probe/magpie": 0.05 + 0.04 * busy, "probe/parakeet": 0.31 + 0.2 * busy}
        yield from (Sample(series, minute, value, 1) for series, value in day.items())


class Staged(Owner):
    """The demonstration, as if it had run since yesterday."""

    def __init__(self) -> None:
        self._listening = listen("127.0.0.1", 0)
        super().__init__(f"http://127.0.0.1:{self._listening.getsockname()[1]}")
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        now = time.time()
        with closing(Store.open(None)) as store:
            memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
            store.save_samples(list(yesterday(now, memory)), 0, int(now // 60))
            keys = Keys(None, time.monotonic)
            process = Process([self._listening], Settings)
            asyncio.run(serve(Settings(), process, _say_nothing, store, keys=keys, state=None, hints=True))


def _say_nothing(_: str) -> None:
    pass


@contextmanager
def looks(browser: Browser, url: str) -> Iterator[dict[str, Page]]:
    """The same page on four screens."""
    with ExitStack() as pages:
        yield {
            f"{name}-{scheme}": pages.enter_context(
                opened(browser, url, scheme=scheme, size=size, device_scale_factor=2 if size is PHONE else 1)
            )
            for name, size in _SIZES.items()
            for scheme in _SCHEMES
        }


def photograph(pages: dict[str, Page], folder: Path, state: str) -> None:
    for name, page in pages.items():
        page.evaluate("scrollTo(0, 0)")
        page.mouse.move(0, 0)
        page.screenshot(path=folder / f"{name}-{state}.png")
        page.screenshot(path=folder / f"{name}-{state}-whole.png", full_page=True)
        tablet = page.context.new_page()
        tablet.goto("/status")
        tablet.screenshot(path=folder / f"{name}-{state}-status.png")
        tablet.close()


def photograph_what_was_tried(pages: dict[str, Page], folder: Path) -> None:
    for name, page in pages.items():
        page.get_by_role("button", name="Speak").click()
        page.get_by_role("button", name="Transcribe it").click()
        expect(page.get_by_role("group", name="Transcript")).to_be_visible()
        page.evaluate("scrollTo(0, 0)")
        page.mouse.move(0, 0)
        page.screenshot(path=folder / f"{name}-tried.png", full_page=True)


def a_little_life(staged: Staged, page: Page) -> bytes:
    """Work for the figures, and an incident that is over. A recording is what is left of it."""
    for _ in range(6):
        recording = staged.speech()
    staged.hear(recording)
    staged.wedge("magpie", start_takes=0)
    staged.order("magpie", "probe")
    expect(card(page, "magpie")).to_contain_text("next frees at", timeout=SOON)
    staged.wait_until_well()
    return recording


def keep_asking(staged: Staged, recording: bytes) -> None:
    """Somebody who speaks all the time, so that there are requests to hold."""
    with suppress(httpx.HTTPError):
        while True:
            staged.hear(recording)


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    configure_logging(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as programs, ExitStack() as house:
        NvidiaSmi(Path(programs)).says()
        os.environ["PATH"] = f"{programs}:{os.environ['PATH']}"
        staged = Staged()
        staged.wait_until_well()
        pages = house.enter_context(looks(house.enter_context(chromium()), staged.url))
        any_page = next(iter(pages.values()))
        recording = a_little_life(staged, any_page)
        photograph(pages, folder, "healthy")
        photograph_what_was_tried(pages, folder)
        staged.wedge("parakeet", start_takes=_LONG)
        for _ in range(3):
            threading.Thread(target=keep_asking, args=(staged, recording), daemon=True).start()
        for page in pages.values():
            expect(card(page, "parakeet")).to_contain_text(re.compile("restarting|starting"), timeout=SOON)
        photograph(pages, folder, "wedged")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
