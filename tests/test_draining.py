"""How the gateway ends: calmly, and where systemd holds its socket, without anybody noticing."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx
import pytest

from tests.fakes.faults import Slow
from tests.fakes.magpie import FakeMagpie
from tests.live import eventually
from tests.processes import Serving, serve
from tests.test_serving import settings_file

SPEECH = {"input": "The train leaves at noon.", "voice": "alloy", "response_format": "wav"}


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    """A socket such as systemd holds for a service."""
    with socket.create_server(("127.0.0.1", 0), backlog=256) as held:
        yield held


@pytest.fixture
def settings(tmp_path, upstreams, magpie) -> Callable[[float], list[str]]:
    """Makes a file with how long a drain may take, and is the option that names it."""

    def build(drain: float) -> list[str]:
        path = Path(settings_file(tmp_path, upstreams))
        path.write_text(f"drain = {drain}\n{path.read_text()}")
        return ["--config", str(path)]

    return build


ENDLESS, SHORT = 300, 1
"""Seconds: a drain that only ends when all is done, and one whose end is what a test waits for."""

Answered = tuple[int, http.client.HTTPMessage]


class Client:
    """One that goes by the book: it leaves a connection when it is told to, and never asks twice."""

    def __init__(self, url: str) -> None:
        self._line = http.client.HTTPConnection(url.removeprefix("http://"), timeout=30)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._line.close()

    def ask(self, method: str = "GET", path: str = "/v1/models", body: str | None = None) -> Answered:
        self._line.request(method, path, body, {"content-type": "application/json"} if body else {})
        answer = self._line.getresponse()
        answer.read()  # and with it goes the connection, if the answer said so
        return answer.status, answer.headers

    def speak(self) -> Answered:
        return self.ask("POST", "/v1/audio/speech", json.dumps(SPEECH))


@dataclass
class Crowd:
    """Clients who ask without a pause. `keep_alive` is on how many requests they use a connection."""

    url: str
    keep_alive: int
    answered: int = 0
    failed: list[Any] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def asking(self, clients: int) -> Iterator[None]:
        threads = [threading.Thread(target=self._ask) for _ in range(clients)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in threads:
                thread.join(30)

    def _ask(self) -> None:
        while not self._over.is_set():
            with Client(self.url) as client:
                self._use(client)

    def _use(self, client: Client) -> None:
        for _ in range(self.keep_alive):
            try:
                status = client.ask()[0]
            except (OSError, http.client.HTTPException) as exc:
                self.failed.append(exc)
                return
            if status != 200:
                self.failed.append(status)
            self.answered += 1
            if self._over.wait(0.002):
                return


@pytest.mark.alone  # a client that is kept from the processor for a second is taken for idle
def test_nobody_notices_when_one_gateway_takes_over_from_another(tmp_path, settings, listening, magpie):
    crowds = [Crowd(f"http://127.0.0.1:{listening.getsockname()[1]}", each) for each in (10**6, 1)]
    with ExitStack() as house:
        first = house.enter_context(serve(tmp_path, *settings(ENDLESS), sockets=[listening]))
        first.wait_until_calm()
        magpie.fault = Slow(after=1000)
        speaker = house.enter_context(first.client())
        spoken = house.enter_context(speaker.stream("POST", "/v1/audio/speech", json=SPEECH))
        asking = house.enter_context(ExitStack())
        for crowd in crowds:
            asking.enter_context(crowd.asking(8))
        eventually(lambda: all(crowd.answered > 50 for crowd in crowds))
        first.process.send_signal(signal.SIGTERM)
        eventually(lambda: "draining" in (tmp_path / "log").read_text())
        magpie.fault.released.set()
        assert len(spoken.read()) == int(spoken.headers["content-length"])
        assert first.process.wait(20) == 0
        before = [crowd.answered for crowd in crowds]
        second = house.enter_context(serve(tmp_path, *settings(ENDLESS), sockets=[listening]))
        assert second.url == first.url
        eventually(lambda: all(c.answered > b + 50 for c, b in zip(crowds, before, strict=True)))
        asking.close()

    assert [crowd.failed for crowd in crowds] == [[], []]


@pytest.mark.alone  # a client that is kept from the processor for a second is taken for idle
def test_who_is_connected_is_served_once_more_and_told_to_leave(tmp_path, settings, listening):
    with serve(tmp_path, *settings(ENDLESS), sockets=[listening]) as gateway, Client(gateway.url) as client:
        assert client.speak()[0] == 200
        gateway.process.send_signal(signal.SIGTERM)
        status, headers = client.speak()
        while headers["connection"] != "close":
            assert status == 200
            status, headers = client.speak()
        assert status == 200
        assert gateway.process.wait(20) == 0


def test_a_client_that_only_keeps_its_connection_keeps_nobody_waiting(tmp_path, settings, listening):
    with (
        serve(tmp_path, *settings(ENDLESS), sockets=[listening]) as gateway,
        Client(gateway.url) as client,
    ):
        assert client.ask()[0] == 200
        gateway.process.send_signal(signal.SIGTERM)
        assert gateway.process.wait(20) == 0


@contextmanager
def speech_without_end(gateway: Serving, magpie: FakeMagpie) -> Iterator[Future[Answered]]:
    """A client's request, which the engine has and does not answer."""
    gateway.wait_until_calm()
    magpie.fault = slow = Slow()
    with ThreadPoolExecutor() as pool, Client(gateway.url) as client:
        speaking = pool.submit(client.speak)
        try:
            assert slow.arrived.wait(10)
            yield speaking
        finally:
            slow.released.set()


@pytest.mark.parametrize("held", [True, False], ids=["systemd's socket", "its own socket"])
def test_what_has_no_answer_when_the_drain_is_over_is_told_to_come_again(
    tmp_path, settings, listening, magpie, held
):
    with serve(tmp_path, *settings(SHORT), sockets=[listening] if held else []) as gateway:
        with speech_without_end(gateway, magpie) as speaking:
            gateway.process.send_signal(signal.SIGTERM)
            status, headers = speaking.result(20)
        assert (status, headers["retry-after"], headers["connection"]) == (503, "5", "close")
        assert gateway.process.wait(20) == 0
    assert not complaints(tmp_path)


def test_what_is_spoken_for_longer_than_the_drain_is_cut(tmp_path, settings, listening, magpie):
    with serve(tmp_path, *settings(SHORT), sockets=[listening]) as gateway:
        gateway.wait_until_calm()
        magpie.fault = Slow(after=1000)
        with gateway.client() as client, client.stream("POST", "/v1/audio/speech", json=SPEECH) as spoken:
            gateway.process.send_signal(signal.SIGTERM)
            with pytest.raises(httpx.RemoteProtocolError):
                spoken.read()
        assert gateway.process.wait(20) == 0
    assert not complaints(tmp_path)


def complaints(folder: Path) -> list[str]:
    """What the log has besides news: an end that was meant is no error."""
    return [line for line in (folder / "log").read_text().splitlines() if not line.startswith("{")]


def test_who_watches_the_engines_keeps_nobody_waiting(tmp_path, settings, listening):
    with (
        serve(tmp_path, *settings(ENDLESS), sockets=[listening]) as gateway,
        gateway.client() as client,
        client.stream("GET", "/api/events") as events,
    ):
        lines = events.iter_lines()
        assert next(lines) == "event: status"
        gateway.process.send_signal(signal.SIGTERM)
        for _ in lines:
            pass
        assert gateway.process.wait(20) == 0


def test_its_own_socket_turns_new_work_away_and_says_so_on_connections_that_close(tmp_path, settings, magpie):
    with serve(tmp_path, *settings(ENDLESS)) as gateway:
        gateway.wait_until_calm()
        magpie.fault = Slow(after=1000)
        with (
            gateway.client() as speaker,
            speaker.stream("POST", "/v1/audio/speech", json=SPEECH) as spoken,
            Client(gateway.url) as client,
        ):
            gateway.process.send_signal(signal.SIGTERM)
            eventually(lambda: client.ask("GET", "/readyz")[0] == 503)
            status, headers = client.speak()
            assert (status, headers["retry-after"], headers["connection"]) == (503, "5", "close")
            status, headers = client.ask()
            assert (status, headers["connection"]) == (200, "close")
            magpie.fault.released.set()
            spoken.read()
        assert gateway.process.wait(20) == 0


def test_a_second_signal_ends_it_whatever_is_under_way(tmp_path, settings, listening, magpie):
    with serve(tmp_path, *settings(ENDLESS), sockets=[listening]) as gateway:
        with speech_without_end(gateway, magpie) as speaking:
            gateway.process.send_signal(signal.SIGTERM)
            eventually(lambda: '"draining"' in (tmp_path / "log").read_text())
            gateway.process.send_signal(signal.SIGTERM)
            assert speaking.result(20)[0] == 503
        assert gateway.process.wait(20) == -signal.SIGTERM
    assert not complaints(tmp_path)
