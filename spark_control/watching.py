"""`spark-control status --watch`: how the engines are, kept up to date until somebody has seen enough."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from types import TracebackType
from typing import Any, Protocol, Self

import click
import httpx

from spark_control import events
from spark_control.gateway_client import base_of, key_shown, reason, why_no_answer
from spark_control.screens import cut, legible, news_line, watch_screen
from spark_control.wording import plain

Json = dict[str, Any]

_EVERY = 1.0
"""Seconds after which it is looked at again though nothing was announced, and a lost gateway is asked again."""

_AT_MOST_EVERY = 0.1
_ANSWERS_WITHIN = 5.0
_SILENCE = 45.0
"""Seconds without a word, not even that it is still there, after which a stream of news has died."""

_FINAL = (401, 403)
"""Refusals that no waiting changes."""

_KEPT = 100
_OF_REQUESTS = ("held", "replayed", "degraded", "failed")
"""What is announced for every single request, and told as one line with a count."""

_ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l"
"""Another screen, no cursor, no line that runs on in the next."""

_LEAVE = "\x1b[?7h\x1b[?25h\x1b[?1049l"


class CannotWatch(Exception):
    """Why there is nothing to watch, in a sentence."""


class Viewer(Protocol):
    """Who watches. Each call comes as soon as there is something to see."""

    def status(self, status: Json) -> None: ...

    def announced(self, event: Json) -> None: ...

    def lost(self, why: str) -> None:
        """The gateway does not answer any more; `status` comes when it does again."""


class Watch:
    """One gateway, followed for one viewer: its announcements, and how it is, again and again."""

    def __init__(self, gateway: str, viewer: Viewer) -> None:
        self._base = base_of(gateway)
        self._viewer = viewer
        self._stirred = asyncio.Event()
        self._met = False

    async def run(self) -> None:
        """Until it is cancelled. Raises CannotWatch if there is no gateway to begin with, or it refuses."""
        timeout = httpx.Timeout(_ANSWERS_WITHIN, read=_SILENCE)
        async with httpx.AsyncClient(
            base_url=self._base, timeout=timeout, trust_env=False, headers=key_shown()
        ) as self._client:
            await self._look()
            listening = asyncio.create_task(self._listen())
            try:
                while not listening.done():
                    await asyncio.sleep(_AT_MOST_EVERY)
                    try:
                        async with asyncio.timeout(_EVERY - _AT_MOST_EVERY):
                            await self._stirred.wait()
                    except TimeoutError:
                        pass
                    self._stirred.clear()
                    await self._look()
                listening.result()
            finally:
                listening.cancel()
                await asyncio.wait([listening])

    async def _look(self) -> None:
        status = answer = None
        try:
            answer = await self._client.get("/api/status", timeout=_ANSWERS_WITHIN)
            status = answer.json() if answer.is_success else None
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            why = why_no_answer(exc, self._base)
        except ValueError:
            pass
        if isinstance(status, dict) and "upstreams" in status:
            self._met = True
            self._viewer.status(status)
            return
        if answer:
            why = reason(answer)
        if not self._met or (answer and answer.status_code in _FINAL):
            raise CannotWatch(why)
        self._viewer.lost(why)

    async def _listen(self) -> None:
        while True:
            try:
                async with self._client.stream("GET", "/api/events") as news:
                    async for event in events.read(news.aiter_bytes()):
                        if "what" in event:  # the first is how everything is
                            self._viewer.announced(event)
                        self._stirred.set()
            except (httpx.HTTPError, ValueError):
                pass  # looking tells whether it is there
            await asyncio.sleep(_EVERY)


class Lines:
    """For a pipe: a line for each announcement, and for each time that the house is another."""

    def __init__(self, write: Callable[[str], None], *, as_json: bool) -> None:
        self._write = write
        self._as_json = as_json
        self._told = ""

    def status(self, status: Json) -> None:
        self._tell(status["sentence"], status["at"], status)

    def announced(self, event: Json) -> None:
        self._write(json.dumps(event) if self._as_json else click.unstyle(news_line(event, _WIDE, _DATED)))

    def lost(self, why: str) -> None:
        self._tell(f"The gateway has gone: {why}.", datetime.now().astimezone().isoformat(), None)

    def _tell(self, sentence: str, at: str, status: Json | None) -> None:
        if sentence == self._told:
            return
        self._told = sentence
        if not self._as_json:
            when = datetime.fromisoformat(at).astimezone()
            self._write(f"{when:{_DATED}}  {plain(sentence)}")
        elif status:
            self._write(json.dumps(status))


_WIDE = 1000
_DATED = "%Y-%m-%d %H:%M:%S"


class Screen:
    """For a terminal: all of it, drawn over what was there."""

    def __init__(
        self, write: Callable[[str], None], size: Callable[[], tuple[int, int]], *, colour: bool
    ) -> None:
        self._write = write
        self._size = size
        self._colour = colour
        self._status: Json | None = None
        self._news: deque[Json] = deque(maxlen=_KEPT)

    def __enter__(self) -> Self:
        self._write(_ENTER)
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._write(_LEAVE)

    def pause(self) -> None:
        """Give the terminal back to the shell, until that wants this to go on."""
        self._write(_LEAVE)
        os.kill(os.getpid(), signal.SIGSTOP)
        self._write(_ENTER)

    def status(self, status: Json) -> None:
        self._status = status
        self._draw("")

    def announced(self, event: Json) -> None:
        last = self._news[-1] if self._news else {}
        if event["what"] in _OF_REQUESTS and (last.get("upstream"), last.get("what")) == (
            event["upstream"],
            event["what"],
        ):
            self._news[-1] = {**event, "times": last.get("times", 1) + 1}
        else:
            self._news.append(event)

    def lost(self, why: str) -> None:
        self._draw(f"The gateway has gone: {why}. It is asked again every second; below is how it was.")

    def _draw(self, trouble: str) -> None:
        footer = f"{datetime.now().astimezone():%H:%M:%S}   Ctrl-C leaves"
        columns, rows = self._size()
        lines = watch_screen(self._status, list(self._news), trouble, footer, (columns, max(8, rows)))
        shown = [cut(line, columns) if self._colour else click.unstyle(line)[:columns] for line in lines]
        # What was there is cleared first: after a line that fills the screen's width it would take its last letter.
        self._write("\x1b[H" + "\r\n".join(f"\x1b[K{line}" for line in shown))


def watch(gateway: str, *, as_json: bool, colour: bool) -> None:
    """Until Ctrl-C, which is a good end. Raises CannotWatch."""
    asyncio.run(_watch(gateway, as_json=as_json, colour=colour))


async def _watch(gateway: str, *, as_json: bool, colour: bool) -> None:
    loop, over = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, over.set)
    with ExitStack() as house:
        viewer: Viewer
        if as_json or not sys.stdout.isatty() or os.environ.get("TERM") == "dumb":
            viewer = Lines(lambda line: click.echo(legible(line)), as_json=as_json)
        else:
            viewer = screen = house.enter_context(Screen(_onto_terminal, _size, colour=colour))
            loop.add_signal_handler(signal.SIGTSTP, screen.pause)
        watching = asyncio.create_task(Watch(gateway, viewer).run())
        told = asyncio.create_task(over.wait())
        await asyncio.wait([watching, told], return_when=asyncio.FIRST_COMPLETED)
        for task in (watching, told):
            task.cancel()
        await asyncio.wait([watching, told])
        if not watching.cancelled():
            watching.result()


def _onto_terminal(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _size() -> tuple[int, int]:
    columns, rows = shutil.get_terminal_size()
    return columns, rows
