from __future__ import annotations

import ctypes
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from typing import Any

import httpx
import pytest

from spark_control.server import create_app
from spark_control.settings import Settings
from spark_control.telemetry import configure_logging
from tests.fakes.magpie import FakeMagpie
from tests.fakes.parakeet import FakeParakeet, FakeParakeetNim
from tests.live import eventually, serving

GatewayWith = Callable[..., AbstractContextManager[httpx.Client]]


@pytest.fixture(autouse=True, scope="session")
def _no_settings_from_outside() -> None:
    configure_logging()
    for name in [name for name in os.environ if name.upper().startswith("SPARK_CONTROL_")]:
        del os.environ[name]


def need(program: str, package: str) -> str:
    """The path of a real part; without it the test is skipped, and fails where it must not be missing."""
    path = shutil.which(program)
    if path is None:
        sentence = f"{program} is not installed; Debian's package {package} has it"
        if os.environ.get("CI"):
            pytest.fail(sentence)
        pytest.skip(sentence)
    return path


def need_root(what: str) -> None:
    """Of what only root may do. Others skip the test, and fail where it must not be skipped."""
    if os.geteuid() != 0:
        sentence = f"only root may {what}"
        if os.environ.get("CI"):
            pytest.fail(sentence)
        pytest.skip(sentence)


@contextmanager
def without_rights() -> Iterator[None]:
    """Root is nobody for a moment, where files are opened: in this thread, and not in those of the servers."""
    if os.geteuid() != 0:
        yield
        return
    become = ctypes.CDLL(None).setfsuid
    become(65534)
    try:
        yield
    finally:
        become(0)


@pytest.fixture(scope="session")
def _magpie() -> Iterator[tuple[FakeMagpie, str]]:
    fake = FakeMagpie()
    with serving(fake.app) as url:
        yield fake, url


@pytest.fixture(scope="session")
def _parakeet() -> Iterator[tuple[FakeParakeet, str]]:
    fake = FakeParakeet()
    with serving(fake.app) as url:
        yield fake, url


@pytest.fixture(scope="session")
def _nim() -> Iterator[tuple[FakeParakeetNim, str]]:
    fake = FakeParakeetNim()
    with serving(fake.app) as url:
        yield fake, url


@pytest.fixture
def magpie(_magpie: tuple[FakeMagpie, str]) -> FakeMagpie:
    """The text-to-speech engine behind `gateway`, in good health and with nothing asked yet."""
    _magpie[0].reset()
    return _magpie[0]


@pytest.fixture
def parakeet(_parakeet: tuple[FakeParakeet, str]) -> FakeParakeet:
    """The speech-to-text engine behind `gateway`, likewise."""
    _parakeet[0].reset()
    return _parakeet[0]


@pytest.fixture
def nim(_nim: tuple[FakeParakeetNim, str]) -> FakeParakeetNim:
    """NVIDIA's speech-to-text engine; put its `nim_settings` into a gateway."""
    _nim[0].reset()
    return _nim[0]


@pytest.fixture
def nim_settings(_nim: tuple[FakeParakeetNim, str]) -> dict[str, Any]:
    return {"kind": "parakeet-nim", "url": _nim[1]}


@pytest.fixture(scope="session")
def upstreams(_magpie: tuple[FakeMagpie, str], _parakeet: tuple[FakeParakeet, str]) -> dict[str, Any]:
    """The settings of both fakes."""
    return {
        "parakeet": {"kind": "parakeet", "url": _parakeet[1]},
        "magpie": {"kind": "magpie", "url": _magpie[1]},
    }


IMPATIENT = {"patience": 0, "patience_for": []}
"""Care for the tests in which a failure is to be seen at once, and not to be healed."""


@contextmanager
def live_gateway(settings: Settings, **parts: Any) -> Iterator[httpx.Client]:
    """A gateway on a socket, and a client of it, once every engine that answers has had its first canary."""
    with serving(create_app(settings, **parts)) as url, httpx.Client(base_url=url, timeout=20) as client:
        with suppress(AssertionError):
            eventually(lambda: all(each["last_probe"] for each in engines(client)), within=2)
        yield client


def engines(client: httpx.Client) -> list[dict[str, Any]]:
    """What the gateway says of its engines."""
    shown: list[dict[str, Any]] = client.get("/api/status").json()["upstreams"]
    return shown


class Shared:
    """One gateway for many tests: another takes its place once an engine has failed there, or is drained."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._house = ExitStack()
        self._client: httpx.Client | None = None

    def client(self) -> httpx.Client:
        if self._client is None or self._is_marked(self._client):
            self.close()
            self._client = self._house.enter_context(live_gateway(self._settings))
        return self._client

    def close(self) -> None:
        self._house.close()

    def _is_marked(self, client: httpx.Client) -> bool:
        sick = any(each["state"] != "healthy" or each["drained"] for each in engines(client))
        return sick or bool(client.get("/api/incidents").json()["incidents"])


@pytest.fixture(scope="session")
def _shared(upstreams: dict[str, Any]) -> Iterator[Shared]:
    # It lives on while other tests put a nvidia-smi of their own on the PATH, and count who asks it.
    shared = Shared(Settings(upstreams=upstreams, deep_health=IMPATIENT, machine={"gpu": False}))
    yield shared
    shared.close()


@pytest.fixture
def gateway(_shared: Shared, magpie: FakeMagpie, parakeet: FakeParakeet) -> httpx.Client:
    """A client of a live gateway with both fakes behind it."""
    client = _shared.client()
    magpie.reset()
    parakeet.reset()
    return client


@pytest.fixture
def gateway_with(upstreams: dict[str, Any], magpie: FakeMagpie, parakeet: FakeParakeet) -> GatewayWith:
    """Makes gateways whose settings a test chooses, each in a `with` block that gives a client."""

    def build(**settings: Any) -> AbstractContextManager[httpx.Client]:
        return live_gateway(Settings(**{"upstreams": upstreams, "deep_health": IMPATIENT, **settings}))

    return build
