"""The house behind the real Caddy and the real nginx, with the files of `deploy/` as they stand there."""

from __future__ import annotations

import re
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import httpx
import pytest

from spark_control.keys import KeyFile, Keys
from spark_control.server import create_app
from spark_control.sessions import COOKIE
from spark_control.settings import Settings
from tests.conftest import IMPATIENT, need
from tests.fakes.faults import Slow
from tests.fakes.magpie import FakeMagpie
from tests.fakes.parakeet import FakeParakeet
from tests.live import eventually, serving
from tests.real.machines.engine import ROOT
from tests.real.machines.network import ELSEWHERE, HERE, network
from tests.real.machines.proxies import CADDYFILE, NAME, NGINX, PROXIES, Proxy
from tests.sounds import wav
from tests.strangers import answering, said
from tests.test_access import ADMIN, KEY, SPEECH, code, made, with_key

PORT = 8090
SMALL = 3 * 1024 * 1024
"""Bytes of the largest upload that the gateway here takes."""
PIECES_MAX = 200
"""Of the rest of an upload that are sent before the answer has to be there: four seconds' worth."""
PATIENCE_MAX = Settings().deep_health.patience_max
SPOKEN = {"input": "The kettle is ready, and so are the plates in the oven.", "response_format": "pcm"}
MAINTENANCE = "/api/upstreams/magpie/maintenance"

SCHEMES = pytest.mark.parametrize("scheme", ["https", "http"])


@dataclass
class House:
    """A gateway with its engines, and what is in front of it."""

    proxy: Proxy
    magpie: FakeMagpie
    parakeet: FakeParakeet


@contextmanager
def house(proxy: str, folder: Path, *, keys: bool, edited: Callable[[str], str] = str) -> Iterator[House]:
    magpie, parakeet = FakeMagpie(), FakeParakeet()
    state = KeyFile(folder / "state")
    if keys:
        state.add(made("kitchen", KEY))
        state.add(made("owner", ADMIN, admin=True))
    with ExitStack() as stack:
        stack.enter_context(network())
        upstreams = {
            kind: {"kind": kind, "url": stack.enter_context(serving(fake.app))}
            for kind, fake in (("magpie", magpie), ("parakeet", parakeet))
        }
        settings = Settings(upstreams=upstreams, deep_health=IMPATIENT, uploads={"max_bytes": SMALL})
        app = create_app(settings, keys=Keys(state, lambda: 0.0))
        gateway = stack.enter_context(serving(app, PORT))
        eventually(lambda: httpx.get(f"{gateway}/readyz").status_code == 200)
        yield House(stack.enter_context(PROXIES[proxy](folder, edited)), magpie, parakeet)


@pytest.fixture(scope="module", params=PROXIES)
def which(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def _house(which: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with house(which, tmp_path_factory.mktemp(which), keys=True) as there:
        yield there


@pytest.fixture
def there(_house: House) -> House:
    """Behind which proxy they all are in turn; the gateway has keys."""
    _house.magpie.reset()
    _house.parakeet.reset()
    return _house


@SCHEMES
def test_the_first_sound_passes_before_the_engine_has_made_the_last(there, scheme):
    begun = 5000
    engine = there.magpie.fault = Slow(after=begun)
    with (
        there.proxy.client(scheme) as client,
        client.stream("POST", "/v1/audio/speech", json=SPOKEN, headers=with_key()) as answer,
    ):
        assert answer.status_code == 200
        sound, pieces = b"", answer.iter_raw()
        while len(sound) < begun:  # not one byte is kept back, though nothing follows yet
            sound += next(pieces)
        engine.released.set()
        sound += b"".join(pieces)
    assert len(sound) > 10 * begun


@SCHEMES
def test_what_happens_is_told_as_it_happens(there, scheme):
    with (
        there.proxy.client(scheme) as client,
        client.stream("GET", "/api/events", headers=with_key()) as stream,
    ):
        told = (line for line in stream.iter_lines() if line.startswith("data:"))
        assert '"sentence"' in next(told)
        for on, what in ((True, "maintenance on"), (False, "maintenance off")):
            httpx.post(f"http://127.0.0.1:{PORT}{MAINTENANCE}", json={"on": on}).raise_for_status()
            while f'"{what}"' not in next(told):
                pass  # a canary, perhaps


@SCHEMES
def test_a_recording_is_not_kept_back_until_it_is_whole(there, scheme):
    """The gateway answers what is too large as soon as it is, which it cannot while a proxy gathers it."""
    headers = with_key(**{"transfer-encoding": "chunked", "content-type": "multipart/form-data; boundary=b"})
    opening = b'--b\r\ncontent-disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
    with there.proxy.connection(scheme) as connection:
        head = f"POST /v1/audio/transcriptions HTTP/1.1\r\nhost: {NAME}\r\n{lines(headers)}\r\n"
        connection.sendall(head.encode() + chunk(opening) + chunk(bytes(SMALL)))
        assert answered(connection, chunk(bytes(65_536))).startswith(b"HTTP/1.1 413 ")


def answered(connection: socket.socket, more: bytes) -> bytes:
    """What comes back first while `more` is sent, again and again. In one thread: TLS takes no two at a time."""
    patience = connection.gettimeout()
    with suppress(OSError):  # it is closed after the answer
        for _ in range(PIECES_MAX):
            connection.settimeout(0.02)
            with suppress(TimeoutError):
                return connection.recv(65_536)
            connection.settimeout(patience)
            connection.sendall(more)
        pytest.fail("all of it is taken, and nothing is answered: somebody gathers it")
    connection.settimeout(patience)
    return connection.recv(65_536)


@SCHEMES
def test_a_recording_of_some_megabytes_passes(there, scheme):
    clip = wav(80)
    assert len(clip) > 2_500_000
    with there.proxy.client(scheme) as client:
        heard = client.post("/v1/audio/transcriptions", files={"file": ("a.wav", clip)}, headers=with_key())
    assert heard.status_code == 200
    assert heard.json()["text"]


@SCHEMES
@pytest.mark.parametrize("begun", [0, 24_000])
def test_who_leaves_leaves_no_engine_at_work(there, scheme, begun):
    engine = there.magpie.fault = Slow(after=begun)
    with there.proxy.connection(scheme) as connection:
        body = '{"input": "The kettle is ready.", "response_format": "pcm"}'
        head = f"POST /v1/audio/speech HTTP/1.1\r\nhost: {NAME}\r\ncontent-length: {len(body)}\r\n"
        connection.sendall(f"{head}{lines(with_key())}content-type: application/json\r\n\r\n{body}".encode())
        assert engine.arrived.wait(10)
        if begun:
            assert connection.recv(100).startswith(b"HTTP/1.1 200 ")
    assert engine.abandoned.wait(10)


DISGUISES: list[dict[str, str]] = [
    {},
    {"host": "localhost"},
    {"host": f"127.0.0.1:{PORT}"},
    {"x-forwarded-for": "127.0.0.1"},
    {"x-forwarded-for": "127.0.0.1", "connection": "x-forwarded-for, x-forwarded-proto, x-forwarded-host"},
    {"host": "localhost", "connection": "close, x-forwarded-for, x-forwarded-proto, x-forwarded-host"},
    {"forwarded": "for=127.0.0.1", "x-real-ip": "127.0.0.1", "x-forwarded-host": "localhost"},
]


@pytest.mark.parametrize("at", [ELSEWHERE, HERE, "127.0.0.1"])
@pytest.mark.parametrize("disguise", DISGUISES)
def test_nobody_has_this_machine_s_rights_through_it(there, at, disguise):
    def ask(method: str, path: str, headers: dict[str, str], order: object = None) -> httpx.Response:
        # On a connection of its own: a proxy may close the one on which the answer came before the body did.
        with there.proxy.client("http", at=at) as client:
            answer: httpx.Response = client.request(method, path, headers=headers, json=order)
            return answer

    for path in ("/api/status", "/api/events", "/", "/metrics", "/openapi.json"):
        assert ask("GET", path, disguise).status_code == 401
    assert ask("POST", MAINTENANCE, disguise, {"on": True}).status_code == 401
    kitchen = ask("POST", MAINTENANCE, with_key(**disguise), {"on": True})
    assert code(kitchen) == (403, "local_only")
    assert ask("GET", "/api/status", with_key(**disguise)).status_code == 200


@pytest.mark.parametrize("later", [0, 0.002, 0.3])
def test_a_request_in_the_body_of_another_is_none(there, later):
    """The parser leaves out the body of a request that offers another protocol, and the proxy has sent it on."""
    order = '{"on":true}'
    about = {"host": "localhost", "content-type": "application/json", "content-length": str(len(order))}
    hidden = f"POST {MAINTENANCE} HTTP/1.1\r\n{lines(about)}\r\n{order}"
    offer = {
        "host": NAME,
        "connection": "upgrade",
        "upgrade": "websocket",
        "content-length": str(len(hidden)),
    }
    for _ in range(4):
        with there.proxy.connection("http") as connection:
            connection.sendall(f"GET /openapi.json HTTP/1.1\r\n{lines(offer)}\r\n".encode())
            time.sleep(later)
            connection.sendall(hidden.encode())
            assert connection.recv(100).startswith(b"HTTP/1.1 4")
    with there.proxy.client() as client:
        engines = client.get("/api/status", headers=with_key()).json()["upstreams"]
    assert not any(each["maintenance"] for each in engines)


def test_over_https_nobody_has_them_either_and_an_admin_key_does(there):
    with there.proxy.client() as client:
        assert client.get("/api/status").status_code == 401
        assert code(client.post(MAINTENANCE, json={"on": True})) == (401, "invalid_api_key")
        for on in (True, False):
            answer = client.post(MAINTENANCE, json={"on": on}, headers=with_key(ADMIN))
            assert answer.status_code == 200


@SCHEMES
def test_a_browser_logs_in_and_its_page_works(there, scheme):
    own = {"origin": f"{scheme}://{NAME}"}
    if scheme == "https":  # over plain HTTP browsers do not say whose page it is
        own["sec-fetch-site"] = "same-origin"
    with there.proxy.client(scheme) as client:
        led = client.get("/", headers={"accept": "text/html"})
        assert "/login" in led.text
        entered = client.post("/login", data={"key": ADMIN, "next": "/"}, headers=own)
        assert (entered.status_code, entered.headers["location"]) == (303, "/")
        assert ("Secure" in entered.headers["set-cookie"]) is (scheme == "https")
        cookie = {"cookie": f"{COOKIE}={entered.cookies[COOKIE]}"}
        client.cookies.clear()

        assert client.get("/", headers=cookie).status_code == 200
        assert client.post(MAINTENANCE, json={"on": False}, headers={**cookie, **own}).status_code == 200
        foreign = {"origin": f"{scheme}://{NAME}:3000"}
        assert client.post(MAINTENANCE, json={"on": False}, headers={**cookie, **foreign}).status_code == 401


def test_plain_http_is_led_nowhere(there):
    with there.proxy.client("http") as client:
        assert client.get("/v1/models").status_code == 200
        spoken = client.post("/v1/audio/speech", json=SPEECH, headers=with_key(host=HERE))
        assert (spoken.status_code, spoken.headers["content-type"]) == (200, "audio/mpeg")


def test_devices_get_the_certificate_that_they_need_and_not_its_key(there):
    with there.proxy.client("http") as client:
        given = client.get("/root.crt", headers={"host": HERE})
        assert given.headers["content-type"] == "application/x-x509-ca-cert"
        assert given.text == there.proxy.authority.read_text()
        for path in ("/root.key", "/root.crt/../root.key", "/root.crt/%2e%2e/root.key", "/ROOT.key"):
            assert "KEY" not in client.get(path).text


def test_a_gateway_that_is_away_is_told_as_the_gateway_would(which, tmp_path):
    with network(), PROXIES[which](tmp_path) as proxy, proxy.client() as client, proxy.client("http") as bare:
        for answer in (client.get("/v1/models"), bare.post("/v1/audio/speech", json=SPEECH)):
            assert code(answer) == (503, "service_unavailable")
            assert answer.headers["content-type"].startswith("application/json")
            assert answer.headers["retry-after"] == "5"


def test_an_answer_that_the_gateway_breaks_off_does_not_look_whole(which, tmp_path):
    """Clients keep what ended well for good."""
    if which == "caddy" and caddy_version() < (2, 8):
        pytest.skip("Caddy before 2.8 ends such an answer as though it were whole; docs/https.md says so")
    head = b"HTTP/1.1 200 OK\r\ncontent-type: audio/mpeg\r\ntransfer-encoding: chunked\r\n\r\n"
    with network(), answering(said(head + chunk(bytes(5000))), PORT), PROXIES[which](tmp_path) as proxy:
        for scheme in ("https", "http"):
            with proxy.client(scheme) as client, pytest.raises(httpx.RemoteProtocolError):
                client.post("/v1/audio/speech", json=SPEECH)


def test_a_web_socket_passes_in_both_directions(which, tmp_path):
    def echo(client: socket.socket, _: threading.Event) -> None:
        client.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
        )
        while data := client.recv(65_536):
            client.sendall(data)

    with network(), answering(echo, PORT) as (_, heard), PROXIES[which](tmp_path) as proxy:
        for scheme in ("https", "http"):
            with proxy.connection(scheme) as connection:
                asked = {"connection": "Upgrade", "upgrade": "websocket", "sec-websocket-version": "13"}
                asked["sec-websocket-key"] = "dGhlIHNhbXBsZSBub25jZQ=="
                connection.sendall(
                    f"GET /v1/realtime HTTP/1.1\r\nhost: {NAME}\r\n{lines(asked)}\r\n".encode()
                )
                assert connection.recv(65_536).startswith(b"HTTP/1.1 101 ")
                for piece in (b"\x81\x85ping-", b"pong"):
                    connection.sendall(piece)
                    assert connection.recv(65_536) == piece
            told = heard[-1].lower()
            assert re.search(rb"\r\nupgrade: websocket\r\n", told)
            assert re.search(rb"\r\nconnection: upgrade\r\n", told)


def test_where_nobody_has_a_key_nobody_comes_through_it(which, tmp_path):
    with house(which, tmp_path, keys=False) as there:
        for at in (ELSEWHERE, "127.0.0.1"):
            for scheme in ("https", "http"):
                with there.proxy.client(scheme, at=at) as client:
                    for headers in ({}, {"host": NAME, "authorization": "Bearer anything"}):
                        spoken = client.post("/v1/audio/speech", json=SPEECH, headers=headers)
                        assert code(spoken) == (403, "key_needed")
                    assert code(client.get("/api/status")) == (403, "key_needed")
                    assert code(client.post(MAINTENANCE, json={"on": True})) == (403, "local_only")
                    assert client.get("/v1/models").status_code == 200
        assert there.magpie.asked == []
        assert httpx.post(f"http://127.0.0.1:{PORT}/v1/audio/speech", json=SPEECH).status_code == 200


def test_nginx_waits_for_longer_than_anybody_may_be_held():
    """Its own limits are 60 seconds each."""
    for name in ("proxy_read_timeout", "proxy_send_timeout", "send_timeout"):
        (seconds,) = re.findall(rf"^ *{name} (\d+)s;", NGINX.read_text(), re.MULTILINE)
        assert int(seconds) > PATIENCE_MAX


def test_these_limits_of_nginx_are_what_ends_a_request_that_is_held(tmp_path):
    def shortened(text: str) -> str:
        return text.replace("1000s", "1s")

    with held(tmp_path / "short", shortened) as (answer, _):
        assert answer.result(15).status_code == 503
    with held(tmp_path / "as-it-is", str) as (answer, engine):
        with pytest.raises(TimeoutError):
            answer.result(2)
        engine.released.set()
        assert answer.result(15).status_code == 200


@contextmanager
def held(folder: Path, edited: Callable[[str], str]) -> Iterator[tuple[Future[httpx.Response], Slow]]:
    """A request that nginx has passed on, and the engine that keeps it until it is released."""
    folder.mkdir()
    with (
        house("nginx", folder, keys=True, edited=edited) as there,
        there.proxy.client() as client,
        ThreadPoolExecutor(1) as pool,
    ):
        engine = there.magpie.fault = Slow()
        try:
            answer = pool.submit(client.post, "/v1/audio/speech", json=SPOKEN, headers=with_key())
            assert engine.arrived.wait(10)
            yield answer, engine
        finally:
            engine.released.set()


def test_caddy_has_no_limit_that_ends_a_request():
    """It has none by itself but for connecting, and the file sets none."""
    caddy = need("caddy", "caddy")
    adapted = subprocess.run(
        [caddy, "adapt", "--config", str(CADDYFILE), "--adapter", "caddyfile"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "timeout" not in adapted.stdout
    written = subprocess.run([caddy, "fmt", str(CADDYFILE)], capture_output=True, text=True, check=True)
    assert written.stdout == CADDYFILE.read_text()


def test_the_house_is_told_of_the_port_where_plain_http_is():
    announced = ElementTree.parse(ROOT / "deploy" / "avahi" / "spark-control.service").getroot()
    assert announced.findtext("service/type") == "_http._tcp"
    port = announced.findtext("service/port")
    assert re.search(rf"^ *listen {port};", NGINX.read_text(), re.MULTILINE)
    assert port == "80", "which is what http:// means to Caddy"


def caddy_version() -> tuple[int, ...]:
    shown = subprocess.run([need("caddy", "caddy"), "version"], capture_output=True, text=True, check=True)
    return tuple(int(each) for each in re.findall(r"\d+", shown.stdout)[:2])


def lines(headers: dict[str, str]) -> str:
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items())


def chunk(piece: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(piece), piece)
