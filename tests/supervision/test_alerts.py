from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from spark_control.supervision import alerts
from spark_control.supervision.alerts import Alerts, missing_extra
from tests.conftest import GatewayWith
from tests.fakes.faults import Fault
from tests.fakes.parakeet import FakeParakeet
from tests.live import eventually, serving, unused_port
from tests.test_transcriptions import hear


class Mailbox:
    """Somebody who can be called over HTTP, as Apprise's `json://` does."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.app = Starlette(routes=[Route("/", self._receive, methods=["POST"])])

    async def _receive(self, request: Request) -> Response:
        self.got.append(await request.json())
        return Response()

    @property
    def titles(self) -> list[str]:
        return [each["title"] for each in self.got]


def test_a_person_is_called_once_when_the_gateway_gives_up_and_once_when_it_is_over(
    gateway_with: GatewayWith, parakeet: FakeParakeet
) -> None:
    mailbox = Mailbox()
    with serving(mailbox.app) as url:
        care = {"patience": 0, "interval": 0.3, "alerts": [url.replace("http://", "json://")]}
        with gateway_with(deep_health=care) as gateway:
            parakeet.fault = Fault(500, b'{"detail": "CUDA error: an illegal memory access was encountered"}')
            for _ in range(5):
                assert hear(gateway).status_code == 503
            eventually(lambda: len(mailbox.got) == 1)
            seen = len(parakeet.canaries)
            eventually(lambda: len(parakeet.canaries) >= seen + 3)
            parakeet.fault = None
            eventually(lambda: len(mailbox.got) == 2)

            assert hear(gateway).status_code == 200
    assert mailbox.titles == ["parakeet needs a person", "parakeet works again"]
    assert "illegal memory" not in str(mailbox.got)


def test_nobody_is_called_of_an_engine_in_maintenance(
    gateway_with: GatewayWith, parakeet: FakeParakeet
) -> None:
    mailbox = Mailbox()
    with serving(mailbox.app) as url:
        care = {"patience": 0, "interval": 0.3, "alerts": [url.replace("http://", "json://")]}
        with gateway_with(deep_health=care) as gateway:
            gateway.post("/api/upstreams/parakeet/maintenance", json={"on": True})
            parakeet.fault = Fault(500)
            assert hear(gateway).status_code == 503
            eventually(lambda: gateway.get("/api/status").json()["upstreams"][0]["state"] == "given up")
            seen = len(parakeet.canaries)
            eventually(lambda: len(parakeet.canaries) >= seen + 2)
    assert mailbox.got == []


def test_an_alert_that_cannot_be_sent_is_noted_and_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    noted: list[str] = []
    monkeypatch.setattr(alerts.log, "warning", lambda event, **_: noted.append(event), raising=False)

    async def send() -> None:
        sender = Alerts([f"json://127.0.0.1:{unused_port()}", "no address at all"])
        sender.send("title", "body")
        while not noted:
            await asyncio.sleep(0.01)

    asyncio.run(send())
    assert noted == ["alert not sent"]


def test_nobody_to_call_needs_no_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert missing_extra([]) is None
    assert "spark-control[alerts]" in (missing_extra(["ntfy://x"]) or "")
