"""Calls a person: through Apprise, which knows how to reach a phone, a mailbox or a chat room."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Sequence

import structlog

log = structlog.get_logger()

MISSING_EXTRA = """deep_health.alerts needs the "alerts" extra: pip install 'spark-control[alerts]'"""
_TIMEOUT = 30.0


def missing_extra(urls: Sequence[str]) -> str | None:
    """A sentence, if there is somebody to call and no way to do so."""
    return MISSING_EXTRA if urls and importlib.util.find_spec("apprise") is None else None


class Alerts:
    """Sends each alert once, without anybody waiting for it."""

    def __init__(self, urls: Sequence[str]) -> None:
        self._urls = urls
        self._sending: set[asyncio.Task[None]] = set()

    def send(self, title: str, body: str) -> None:
        log.error(title, detail=body)
        if self._urls:
            sending = asyncio.create_task(self._send(title, body))
            self._sending.add(sending)
            sending.add_done_callback(self._sending.discard)

    async def _send(self, title: str, body: str) -> None:
        try:
            async with asyncio.timeout(_TIMEOUT):
                told = await asyncio.to_thread(notify, self._urls, title, body)
        except Exception as exc:  # noqa: BLE001 (whatever goes wrong with it, the engines need the watcher)
            log.warning("alert not sent", reason=type(exc).__name__)
            return
        if not told:
            log.warning("alert not sent", reason="Apprise could not reach every one of deep_health.alerts")


def notify(urls: Sequence[str], title: str, body: str) -> bool:
    """Whether every one of `urls` was told. Blocks."""
    import apprise

    notifier = apprise.Apprise()
    understood = [notifier.add(url) for url in urls]
    return bool(notifier.notify(title=title, body=body)) and all(understood)
