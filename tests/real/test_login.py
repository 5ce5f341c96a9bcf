"""A real Chromium logs in: what it says of itself (cookies, Origin, Sec-Fetch-Site) no other test can know."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.live import serving
from tests.real.browser import ELSEWHERE, PHONE, chromium
from tests.test_access import ADMIN, guarded

MAINTENANCE = "/api/upstreams/magpie/maintenance"
POST = """async (url) => {
  const headers = {"content-type": "application/json"};
  const order = {method: "POST", credentials: "include", headers, body: '{"on": false}'};
  try { return (await fetch(url, order)).status } catch { return 0 }
}"""

SEND = """(url) => {
  const form = document.querySelector("form");
  form.action = url;
  setTimeout(() => form.submit());
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def port(tmp_path_factory, upstreams) -> Iterator[int]:
    """A gateway with keys."""
    with guarded(tmp_path_factory.mktemp("house"), upstreams) as client:
        assert client.base_url.port
        yield client.base_url.port


@pytest.fixture(params=[ELSEWHERE, "spark.localhost"])
def home(request, port) -> str:
    """The gateway under a name that is not this machine's: over plain HTTP, and as HTTPS is, with Sec-Fetch-Site."""
    return f"http://{request.param}:{port}"


@pytest.fixture
def page(browser, home) -> Iterator[Page]:
    with browser.new_context(base_url=home, viewport=PHONE) as context:
        context.set_default_timeout(15_000)
        yield context.new_page()


def log_in(page: Page) -> None:
    page.goto("/")
    page.get_by_label("Key").fill(ADMIN)
    page.get_by_role("button", name="Log in").click()


def test_with_the_key_the_page_works_until_its_reader_logs_out(page, home):
    log_in(page)
    expect(page.get_by_role("heading", name="Now", exact=True)).to_be_visible()
    assert page.evaluate("document.cookie") == ""
    assert page.evaluate(POST, MAINTENANCE) == 200

    page.goto(f"data:text/html,<a href='{home}/'>a link elsewhere</a>")
    page.get_by_role("link").click()
    expect(page.get_by_role("heading", name="Now", exact=True)).to_be_visible()

    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    assert page.context.cookies() == []


def test_a_page_of_another_port_does_nothing_in_its_name(page, home):
    """The same site to the browser, which sends the cookie along."""
    log_in(page)
    expect(page.get_by_role("heading", name="Now", exact=True)).to_be_visible()

    async def another(scope, receive, send):
        await send(
            {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]}
        )
        await send({"type": "http.response.body", "body": b"<form method=post enctype=text/plain></form>"})

    with serving(another) as url:
        name = home.rpartition(":")[0]
        page.goto(f"{name}:{url.rpartition(':')[2]}/")
        assert page.evaluate(POST, home + MAINTENANCE) == 0
        for path, status in [(MAINTENANCE, 401), ("/login", 403), ("/logout", 403)]:
            with page.expect_navigation(url=home + path) as answer:
                page.evaluate(SEND, home + path)
            assert answer.value.status == status
            page.goto(f"{name}:{url.rpartition(':')[2]}/")
    assert len(page.context.cookies()) == 1, "and is logged in still"
