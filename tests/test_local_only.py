"""Who may restart an engine, as those would try it who may not."""

from __future__ import annotations

import contextlib
import socket
from ipaddress import IPv4Address, IPv6Address, ip_address

import httpx
import pytest
from fastapi import Depends, FastAPI
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from spark_control.errors import GatewayError, answer_gateway_error
from spark_control.local_only import is_loopback, local_only, names_this_machine, stranger
from tests.live import serving

SAFE = st.sampled_from(["localhost", "LOCALHOST", "127.0.0.1", "127.1.2.3", "[::1]", "[::ffff:127.0.0.1]"])
PORTS = st.one_of(st.just(""), st.integers(0, 65535).map(":{}".format))
LABELS = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=12)


@pytest.fixture(scope="module")
def guarded():
    """A door with the guard before it, on a socket."""
    app = FastAPI()
    app.add_exception_handler(GatewayError, answer_gateway_error)

    @app.post("/api/thing", dependencies=[Depends(local_only)])
    async def thing() -> dict[str, bool]:
        return {"done": True}

    with serving(app) as url:
        yield httpx.URL(url)


@pytest.fixture
def post(guarded):
    with httpx.Client(base_url=guarded, timeout=20) as client:
        yield lambda headers=None, **what: client.post("/api/thing", headers=headers, **what)


@pytest.fixture
def raw(guarded):
    """Sends bytes of a request's head, gives the status of the answer."""

    def send(head: bytes) -> int:
        with socket.create_connection((guarded.host, guarded.port), timeout=20) as connection:
            connection.sendall(head)
            return int(connection.recv(65536).split()[1])

    return send


def refused(answer: httpx.Response) -> bool:
    error = answer.json()["error"]
    return answer.status_code == 403 and error["code"] == "local_only" and error["message"].endswith(".")


def head(*lines: str, target: str = "/api/thing") -> bytes:
    return "\r\n".join([f"POST {target} HTTP/1.1", *lines, "", ""]).encode("latin-1")


def test_a_program_on_this_machine_may(post, guarded):
    assert post().json() == {"done": True}
    assert post(json={"on": True}).status_code == 200
    assert post({"host": f"localhost:{guarded.port}"}).status_code == 200


def test_the_gateways_own_page_may(post, guarded):
    own = f"http://{guarded.host}:{guarded.port}"

    assert post({"origin": own, "sec-fetch-site": "same-origin"}, json={}).status_code == 200


def test_a_page_at_the_other_end_of_an_ssh_tunnel_may(post):
    assert post({"host": "localhost:9999", "origin": "http://localhost:9999"}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.com",
        "spark.local:8090",
        "127.0.0.1.evil.com",
        "localhost.evil.com",
        "evil.localhost",
        "localhost.",
        "localhost@evil.com",
        "evil.com#localhost",
        "localhost:80:80",
        "localhost:",
        "0.0.0.0",  # noqa: S104 (a way to write this machine that browsers let pages use)
        "[::]",
        "127.1",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "2130706433",
        "[::1",
        "::1",
        "[::1%25lo]",
        "[::1].evil.com",
        "10.0.0.1",
        "127.0.0.1, evil.com",
        "",
    ],
)
def test_a_name_that_leads_here_only_since_a_moment_ago_may_not(post, host):
    """DNS rebinding: the attacker's page asks its own name, which now means 127.0.0.1."""
    assert refused(post({"host": host}))


def test_two_hosts_are_none(raw):
    assert raw(head("Host: localhost", "Host: evil.com")) == 403
    assert raw(head("Host: evil.com", "Host: localhost")) == 403
    assert raw(head("Host: localhost", "Host: localhost")) == 403
    assert raw(head()) == 403


def test_a_browser_that_takes_the_gateway_for_its_proxy_names_the_foreign_host_twice(raw):
    assert raw(head("Host: evil.com", target="http://evil.com/api/thing")) == 403


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.com",
        "https://127.0.0.1.evil.com",
        "null",  # a sandboxed frame, or a file
        "http://localhost:3000",  # another program of this machine shows pages that it did not write
        "file://",
        "chrome-extension://abcdefgh",
        "",
    ],
)
def test_a_foreign_page_may_not(post, origin):
    assert refused(post({"origin": origin}))


def test_one_good_origin_does_not_excuse_a_second(post, guarded):
    own = f"http://{guarded.host}:{guarded.port}"

    assert refused(post([("origin", own), ("origin", "http://evil.com")]))


@pytest.mark.parametrize("site", ["cross-site", "same-site", "cross-origin", ""])
def test_a_browser_tells_on_its_pages(post, site):
    assert refused(post({"sec-fetch-site": site}))


@pytest.mark.parametrize(
    "type_",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=b",
        "text/plain; application/json",
        "application/jsonp",
        "",
    ],
)
def test_a_form_is_no_way_to_send_json(post, type_):
    """`<form enctype="text/plain">` posts JSON without the browser asking anybody first."""
    answer = post({"content-type": type_}, content=b'{"force": true, "x": "="}')

    assert answer.status_code == 415
    assert "application/json" in answer.json()["error"]["message"]


def test_a_body_in_chunks_is_a_body(post):
    assert post(content=iter([b"force=1"])).status_code == 415


def test_no_body_needs_no_type(post):
    assert post({"content-length": "0"}).status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        "forwarded",
        "x-forwarded-for",
        "X-Forwarded-Host",
        "x-forwarded",
        "forwarded-for",
        "x-real-ip",
        "via",
        "x-client-ip",
        "cf-connecting-ip",
        "true-client-ip",
        "tailscale-user-login",
        "x-original-forwarded-for",
        "x-envoy-external-address",
    ],
)
def test_what_a_proxy_brings_is_somebody_elses(post, header):
    assert refused(post({header: "127.0.0.1"}))


def test_an_old_proxy_that_says_nothing_gives_itself_away_too(raw):
    assert raw(b"POST /api/thing HTTP/1.0\r\nHost: 127.0.0.1:8090\r\n\r\n") == 403


@given(SAFE, PORTS)
def test_every_way_to_write_this_machine_is_understood(host, port):
    assert names_this_machine(f"{host}{port}")


@given(
    SAFE,
    LABELS,
    st.sampled_from(["{safe}.{other}", "{other}.{safe}", "{safe}@{other}", "{safe}{other}"]),
    PORTS,
)
def test_no_name_that_merely_contains_it_is(safe, other, pattern, port):
    host = pattern.format(safe=safe, other=other)

    # 127.0.0.1 and a digit may be another loopback address: then it is one, and not a name.
    assert not names_this_machine(f"{host}{port}") or is_loopback(host)


@given(st.text(max_size=30))
def test_a_host_is_a_literal_loopback_address_or_localhost_and_nothing_else(host):
    if names_this_machine(host):
        name = host.lower().rpartition(":")[0] if not host.endswith("]") and ":" in host else host.lower()
        assert name == "localhost" or is_loopback(name.strip("[]"))


@given(st.one_of(st.ip_addresses(), st.integers(0, 2**32 - 1).map(lambda v: IPv6Address(0xFFFF << 32 | v))))
def test_only_a_loopback_peer_is_this_machine(address):
    mapped = isinstance(address, IPv6Address) and address.ipv4_mapped
    true = mapped or address
    ours = true == ip_address("::1") or (isinstance(true, IPv4Address) and str(true).startswith("127."))

    assert is_loopback(str(address)) is ours
    assert (stranger(str(address), Headers({"host": "localhost"}), "1.1") is None) is ours


@given(st.text(max_size=20))
def test_a_peer_that_is_no_address_is_nobody(peer):
    with contextlib.suppress(ValueError):
        ip_address(peer)
        return
    assert stranger(peer, Headers({"host": "localhost"}), "1.1")


@given(
    st.dictionaries(
        st.sampled_from(
            ["origin", "sec-fetch-site", "x-forwarded-for", "via", "forwarded", "x-real-ip", "accept"]
        ),
        st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30),
        min_size=1,
    )
)
def test_whatever_tells_of_another_place_is_believed(headers):
    """A request with any of these, and not with just the right value, is not ours."""
    harmless = {
        "sec-fetch-site": {"none", "same-origin"},
        "origin": {"http://localhost", "https://localhost"},
    }
    ours = all(name == "accept" or value in harmless.get(name, ()) for name, value in headers.items())

    assert (stranger("127.0.0.1", Headers({"host": "localhost", **headers}), "1.1") is None) is ours
