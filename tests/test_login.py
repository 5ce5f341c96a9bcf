"""How a browser comes in with a key, and what its cookie is good for then."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urljoin, urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from spark_control.caller import Caller, introduce
from spark_control.dashboard.login import local_path
from spark_control.local_only import may_change
from spark_control.sessions import COOKIE
from tests.test_access import ADMIN, ELSEWHERE, KEY, SPEECH, guarded, made, with_key

HTML = {"accept": "text/html,*/*;q=0.8"}
PAGE = {"sec-fetch-site": "same-origin", **ELSEWHERE}
"""What the gateway's own page sends, from a browser elsewhere in the house."""
MAINTENANCE = "/api/upstreams/magpie/maintenance"


@pytest.fixture(scope="module")
def _house(tmp_path_factory, upstreams) -> Iterator[httpx.Client]:
    with guarded(tmp_path_factory.mktemp("house"), upstreams) as client:
        yield client


@pytest.fixture
def house(_house, magpie, parakeet) -> httpx.Client:
    client: httpx.Client = _house
    client.cookies.clear()
    return client


def enters(house: httpx.Client, key: str = ADMIN, **more: str) -> httpx.Response:
    return house.post("/login", data={"key": key, "next": "/"}, headers={**PAGE, **more})


def cookie_of(house: httpx.Client, key: str = ADMIN) -> dict[str, str]:
    """A cookie for one request: the client forgets it."""
    value = enters(house, key).cookies[COOKIE]
    house.cookies.clear()
    return {"cookie": f"{COOKIE}={value}"}


def test_a_person_at_the_page_is_led_to_the_form_and_back(house):
    first = house.get("/", headers={**HTML, **ELSEWHERE})
    assert first.status_code == 401
    (target,) = re.findall(r'http-equiv="refresh" content="0; url=([^"]+)"', first.text)

    form = house.get(target, headers={**HTML, **PAGE})
    assert form.status_code == 200
    assert '<input type="hidden" name="next" value="/">' in form.text
    entered = enters(house)
    assert (entered.status_code, entered.headers["location"]) == (303, "/")
    page = house.get("/", headers={**HTML, **PAGE})
    assert page.status_code == 200
    assert "Log out" in page.text
    assert ADMIN not in page.text


def test_who_has_logged_in_and_comes_by_a_link_is_not_asked_again(house):
    """The link's own request has no cookie; the one that the gateway's page then makes has."""
    cookie = cookie_of(house)
    assert house.get("/", headers={**HTML, **ELSEWHERE, "sec-fetch-site": "cross-site"}).status_code == 401

    onwards = house.get("/login?next=/", headers={**HTML, **PAGE, **cookie})
    assert (onwards.status_code, onwards.headers["location"]) == (303, "/")


def test_on_this_machine_a_link_leads_to_the_page_without_a_key(house):
    foreign = {"sec-fetch-site": "cross-site"}
    assert house.get("/", headers={**HTML, **foreign}).status_code == 401
    assert house.get("/login?next=/", headers={**HTML, **foreign}).status_code == 200

    own = {**HTML, "sec-fetch-site": "same-origin"}
    assert house.get("/login?next=/", headers=own).headers["location"] == "/"
    page = house.get("/", headers=own)
    assert page.status_code == 200
    assert "The engines work for who has a key" in page.text
    assert house.get("/login", headers=own).status_code == 200, "who wants to log in may"


def test_who_logs_in_with_an_admin_key_may_change_things_from_the_page(house, magpie):
    cookie = cookie_of(house)

    assert house.post(MAINTENANCE, json={"on": False}, headers={**PAGE, **cookie}).status_code == 200
    assert house.post("/v1/audio/speech", json=SPEECH, headers={**PAGE, **cookie}).status_code == 200
    assert house.get("/api/status", headers={**PAGE, **cookie}).status_code == 200
    assert len(magpie.asked) == 1


def test_another_key_is_for_looking_and_for_what_it_is_for(house):
    cookie = cookie_of(house, KEY)

    page = house.get("/", headers={**HTML, **PAGE, **cookie})
    assert "the key kitchen is no admin key" in page.text
    assert house.post(MAINTENANCE, json={"on": False}, headers={**PAGE, **cookie}).status_code == 403
    assert house.post("/v1/audio/speech", json=SPEECH, headers={**PAGE, **cookie}).status_code == 200


def test_a_key_in_the_header_counts_and_not_the_cookie(house):
    cookie = cookie_of(house)

    for key, status in [(KEY, 403), ("sk-invented", 401), (ADMIN, 200)]:
        headers = {**with_key(key), **PAGE, **cookie}
        assert house.post(MAINTENANCE, json={"on": False}, headers=headers).status_code == status


def test_over_plain_http_the_origin_tells_whose_page_it_is(house):
    """Browsers say `Sec-Fetch-Site` over HTTPS and on this machine alone."""
    cookie = cookie_of(house)
    host = house.base_url.netloc.decode()

    for headers, status in [
        ({"origin": f"http://{host}"}, 200),
        ({}, 401),
        ({"origin": "null"}, 401),
        ({"origin": f"http://{house.base_url.host}:3000"}, 401),
        ({"origin": "http://evil.example"}, 401),
    ]:
        asked = {**headers, **ELSEWHERE, **cookie}
        assert house.post(MAINTENANCE, json={"on": False}, headers=asked).status_code == status, headers
        entered = house.post("/login", data={"key": ADMIN}, headers={**headers, **ELSEWHERE})
        assert entered.status_code == (303 if status == 200 else 403), headers
        house.cookies.clear()
    assert house.get("/api/status", headers={**ELSEWHERE, **cookie}).status_code == 200


def test_a_wrong_key_is_told_in_words_and_slowed_as_everywhere(tmp_path, upstreams):
    with guarded(tmp_path, upstreams) as house:
        answers = [enters(house, "sk-invented") for _ in range(5)]
        answers.append(house.get("/api/status", headers=with_key("sk-invented", **ELSEWHERE)))
        answers.append(enters(house, "sk-invented"))
        assert [each.status_code for each in answers] == [401] * 6 + [429]
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 60
        for each in (answers[0], answers[-1]):
            assert 'role="alert"' in each.text
            assert "sk-invented" not in each.text
            assert "set-cookie" not in each.headers
        assert enters(house).status_code == 303, "a right key always opens"


def test_logging_out_forgets_the_cookie(house):
    enters(house)
    assert house.get("/api/status", headers=PAGE).status_code == 200
    out = house.post("/logout", headers=PAGE)

    assert (out.status_code, out.headers["location"]) == (303, "/login")
    assert house.get("/api/status", headers=PAGE).status_code == 401


def test_the_cookie_is_for_https_alone_where_the_browser_speaks_it(house):
    assert "secure" not in enters(house).headers["set-cookie"].lower()
    host = house.base_url.netloc.decode()
    assert "; secure" in enters(house, origin=f"https://{host}").headers["set-cookie"].lower()


@pytest.mark.parametrize("key", ["", " ", KEY[:-1], made("kitchen", KEY).digest, "kitchen", "\u0000", "é"])
def test_what_is_no_key_gives_no_cookie(tmp_path, upstreams, key):
    with guarded(tmp_path, upstreams) as house:
        answer = enters(house, key)
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"content-type": "application/json"}, b'{"key": "x"}', 415),
        ({"content-type": "text/plain"}, f"key={KEY}".encode(), 415),
        ({"content-type": "multipart/form-data; boundary=b"}, b"--b--", 415),
        ({"content-type": "application/x-www-form-urlencoded"}, b"key=" + b"k" * 5000, 413),
        ({"content-type": "application/x-www-form-urlencoded"}, b"a=&" * 40, 400),
        ({"content-type": "application/x-www-form-urlencoded"}, b"key=%ff%fe%00&&=;", 401),
    ],
)
def test_only_a_small_form_is_read(house, headers, body, status):
    assert house.post("/login", content=body, headers={**PAGE, **headers}).status_code == status


def test_a_login_form_of_another_page_logs_nobody_in(house):
    for site in ("cross-site", "same-site", "none", ""):
        for path in ("/login", "/logout"):
            answer = house.post(path, data={"key": KEY}, headers={**PAGE, "sec-fetch-site": site})
            assert answer.status_code == 403
            assert "set-cookie" not in answer.headers


def test_where_nobody_has_a_key_there_is_nothing_to_log_in_to(gateway):
    for answer in (gateway.get("/login"), gateway.post("/login", data={"key": "x"}, headers=PAGE)):
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        assert "set-cookie" not in answer.headers
    assert "Log in" not in gateway.get("/").text


def test_the_form_is_framed_by_nobody_and_kept_by_nobody(house):
    headers = house.get("/login", headers=HTML).headers

    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "form-action 'self'" in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "same-origin", "or the form's Origin would be null"


BAD = ["//evil.example", "/\\evil.example", "\\\\evil.example", "https://evil.example", "https:evil.example"]
BAD += ["javascript:alert(1)", "/\t/evil.example", "/\n/evil.example", "\t//evil.example", " //evil.example"]
BAD += [
    "/%2f/evil.example",
    "/..//evil.example",
    "/.//evil.example",
    "/;@evil.example",
    "/@evil.example",
    "@evil",
]
BAD += [
    "/\r\nSet-Cookie: a=b",
    "/a\r\n\r\n<script>",
    "///evil",
    "",
    "evil.example",
    "/\u2215/evil",
    "/a//evil",
]


@pytest.mark.parametrize("wish", BAD)
def test_the_login_leads_nowhere_else(house, wish):
    entered = house.post("/login", data={"key": KEY, "next": wish}, headers=PAGE)
    assert entered.headers["location"] == "/"
    assert house.get("/login", params={"next": wish}, headers=PAGE).headers["location"] == "/"
    house.cookies.clear()
    assert 'value="/"' in house.get("/login", params={"next": wish}, headers={**HTML, **PAGE}).text


@given(st.text("/\\.:@abc%?#\t\r\n \x00-é;") | st.text())
def test_wherever_it_leads_is_here(wish):
    path = local_path(wish)
    there = urlsplit(urljoin("http://spark.local:8090/login", path))

    assert (there.scheme, there.netloc) == ("http", "spark.local:8090")
    assert path.isascii()
    assert path.isprintable()
    assert not set(path) & set("\\<>\"'%?#:@. ")


def test_a_page_that_was_reached_by_a_link_may_change_things_if_its_reader_may():
    """What counts is how the page will ask, which is as one of the gateway's own."""

    def at(peer: str, caller: Caller, **headers: str) -> str | None:
        raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        scope = {"type": "http", "client": (peer, 1), "http_version": "1.1", "headers": raw}
        introduce(scope, caller)
        return may_change(Request(scope))

    me = Caller("address:127.0.0.1")
    assert at("127.0.0.1", me, host="localhost", sec_fetch_site="cross-site") is None
    assert at("127.0.0.1", me, host="spark.local") == "its Host is not localhost, 127.0.0.1 or [::1]"
    assert at("10.0.0.9", me, host="localhost") == "the request came over the network"
    assert at("10.0.0.9", Caller("key:k", "k"), host="localhost") == "the key k is no admin key"
    assert at("127.0.0.1", Caller("key:k", "k"), host="localhost") is None
    assert at("10.0.0.9", Caller("key:k", "k", admin=True, by_cookie=True), host="x") is None
