"""The page in a real Chromium, while the real engines behind it wedge and are restarted."""

from __future__ import annotations

import json
import re
import subprocess
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from spark_control.audio.wav import read_header
from tests.conftest import IMPATIENT
from tests.fakes.faults import Fault
from tests.live import eventually
from tests.real.browser import DESKTOP, ELSEWHERE, PHONE, accessibility_faults, chromium, visit
from tests.real.demo import (
    SENTENCE,
    SOON,
    Demo,
    answer,
    button,
    card,
    connection,
    house,
    incidents,
    never_reloaded,
    opened,
    region,
    restarts_left,
)
from tests.test_access import ADMIN, KEY, guarded

LIMIT = 200_000
"""Bytes of all that a first visit loads."""

COUNT_SECONDS_PLAYED = """() => {
    const start = AudioBufferSourceNode.prototype.start;
    window.secondsPlayed = 0;
    AudioBufferSourceNode.prototype.start = function (...when) {
        window.secondsPlayed += this.buffer.duration;
        start.apply(this, when);
    };
}"""

A_FILE = """(bytes) => {
    const drag = new DataTransfer();
    const data = Uint8Array.from(atob(bytes), (each) => each.charCodeAt(0));
    drag.items.add(new File([data], "kitchen.wav", { type: "audio/wav" }));
    return drag;
}"""


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> Iterator[Demo]:
    demo = Demo(tmp_path_factory.mktemp("demo"))
    demo.start()
    yield demo
    demo.close()


@pytest.fixture(scope="module")
def recording(demo, tmp_path_factory) -> Path:
    path = Path(tmp_path_factory.mktemp("sound")) / "kitchen.wav"
    path.write_bytes(demo.speech())
    return path


@pytest.fixture(scope="module")
def browser(recording) -> Iterator[Browser]:
    expect.set_options(timeout=10_000)
    with chromium(recording) as browser:
        yield browser


@pytest.fixture
def page(browser, demo) -> Iterator[Page]:
    demo.wait_until_well()
    with opened(browser, demo.url) as page:
        yield page


def test_the_page_lives_through_a_wedge_without_being_loaded_again(page, demo):
    left, known = restarts_left(page, "parakeet"), incidents(page).count()
    expect(house(page)).to_have_text("Both engines are working.")
    demo.wedge("parakeet", start_takes=2)
    button(page, "parakeet", "Probe").click()
    button(page, "parakeet", "Maintenance").focus()

    expect(house(page)).to_have_text(re.compile(r"^Parakeet wedged .* and is (re)?starting"))
    expect(card(page, "parakeet")).to_contain_text(re.compile("restarting|starting"))
    expect(card(page, "magpie")).to_contain_text("working")
    expect(incidents(page)).to_have_count(known + 1)
    expect(card(page, "parakeet").get_by_role("img", name=f"{left - 1} of 3 restarts left")).to_be_visible()

    expect(house(page)).to_have_text("Both engines are working.", timeout=SOON)
    expect(card(page, "parakeet")).to_contain_text("working")
    expect(card(page, "parakeet")).to_contain_text("next frees at")
    expect(incidents(page).first).to_contain_text("parakeet")
    expect(button(page, "parakeet", "Maintenance")).to_be_focused()
    assert never_reloaded(page)
    demo.order("parakeet", "fault", fault="ok", start_takes=0)


def test_a_restart_is_asked_for_twice_and_shows_what_it_costs(page, demo):
    left = restarts_left(page, "magpie")
    button(page, "magpie", "Restart").focus()
    page.keyboard.press("Enter")
    sure = page.get_by_role("dialog", name="Restart magpie?")
    expect(sure).to_contain_text(f"{left} of 3 restarts in 30 min left")
    page.keyboard.press("Escape")
    expect(sure).to_be_hidden()
    expect(button(page, "magpie", "Restart")).to_be_focused()

    button(page, "magpie", "Restart").click()
    sure.get_by_role("button", name="Restart").click()
    expect(answer(page, "magpie")).to_contain_text("The restart was asked for.")
    expect(
        card(page, "magpie").get_by_role("img", name=f"{left - 1} of 3 restarts left").first
    ).to_be_visible()
    expect(card(page, "magpie")).to_contain_text("working", timeout=SOON)


def test_maintenance_is_switched_on_and_off(page):
    switch = button(page, "parakeet", "Maintenance")
    switch.click()
    expect(switch).to_have_attribute("aria-pressed", "true")
    expect(card(page, "parakeet")).to_contain_text("In maintenance")
    switch.click()
    expect(switch).to_have_attribute("aria-pressed", "false")
    expect(card(page, "parakeet")).not_to_contain_text("In maintenance: watched")


def test_a_drill_on_the_page_loses_no_request(page, demo):
    demo.order("magpie", "fault", fault="ok", start_takes=1)  # or it is cured before anybody has looked
    drill = region(page, "Drill")
    drill.get_by_label("Engine").select_option("magpie")
    drill.get_by_role("button", name="Wedge it").click()
    tallies = drill.get_by_role("status", name="Drill")
    expect(card(page, "magpie")).to_contain_text(re.compile("wedged|restarting|starting"), timeout=SOON)
    expect(tallies).to_contain_text(re.compile(r"[1-9]\d* held"), timeout=SOON)
    expect(card(page, "magpie")).to_contain_text("working", timeout=SOON)
    expect(tallies).to_contain_text(re.compile(r"[1-9]\d* replayed"), timeout=SOON)
    expect(tallies).to_contain_text(re.compile(r"[1-9]\d* answered"))
    expect(tallies).to_contain_text("0 failed")
    demo.order("magpie", "fault", fault="ok", start_takes=0)


def test_a_sentence_is_spoken_while_it_arrives_and_can_be_kept(page):
    speaking = region(page, "Speak")
    page.evaluate(COUNT_SECONDS_PLAYED)
    speaking.get_by_label("Search voices").fill("happy mia")
    expect(speaking.get_by_role("status", name="Voices found")).to_have_text("1 voice found")
    speaking.get_by_role("listbox", name="Voice").select_option(label="Mia, Happy")
    speaking.get_by_label("Text").fill(SENTENCE)
    speaking.get_by_role("button", name="Speak").click()
    expect(speaking.get_by_role("status", name="What came of it")).to_contain_text(
        re.compile(r"First sound after \d+\.\d+ s.*Mia")
    )
    whole = speaking.get_by_label("What was spoken")
    expect(whole).to_be_visible()
    eventually(
        lambda: whole.evaluate("audio => audio.readyState") > 0
    )  # else it does not know its length yet
    length = whole.evaluate("audio => audio.duration")
    assert 1 < length < 6
    assert page.evaluate("window.secondsPlayed") == pytest.approx(length, abs=0.01)
    whole.evaluate("audio => audio.play()")
    eventually(lambda: whole.evaluate("audio => audio.currentTime") > 0.1)
    with page.expect_download() as download:
        speaking.get_by_role("link", name="Download").click()
    assert read_header(download.value.path().read_bytes()[:200])


def test_a_sentence_that_meets_a_wedge_is_spoken_a_little_later(page, demo):
    demo.wedge("magpie", start_takes=1)
    speaking = region(page, "Speak")
    speaking.get_by_label("Text").fill("The book is on the table in the garden.")
    speaking.get_by_role("button", name="Speak").click()
    expect(house(page)).to_contain_text("requests are being held")
    expect(speaking.get_by_role("status", name="What came of it")).to_contain_text(
        "First sound", timeout=SOON
    )
    expect(incidents(page).first).to_contain_text("magpie")
    demo.order("magpie", "fault", fault="ok", start_takes=0)


def test_a_dropped_file_is_read_and_its_words_can_be_heard(page, recording):
    hearing = region(page, "Hear")
    file = page.evaluate_handle(A_FILE, b64encode(recording.read_bytes()).decode())
    hearing.get_by_text("Drop a recording here").dispatch_event("drop", {"dataTransfer": file})
    expect(hearing.get_by_role("status", name="What was heard")).to_contain_text("words of 2.")
    words = hearing.get_by_role("group", name="Transcript").get_by_role("button")
    expect(words.filter(has_text="lights")).to_be_visible()
    last = words.last
    last.click()
    player = hearing.get_by_label("The recording")
    eventually(lambda: player.evaluate("audio => audio.currentTime") > 1)
    last.focus()
    page.keyboard.press("Home")
    expect(words.first).to_be_focused()


def test_what_the_microphone_hears_is_read(page):
    hearing = region(page, "Hear")
    hearing.get_by_role("button", name="Record", exact=True).click()
    hearing.get_by_role("button", name="Stop (2 s)").click()
    expect(hearing.get_by_role("status", name="What was heard")).to_contain_text("words")
    expect(hearing.get_by_role("group", name="Transcript")).to_contain_text(re.compile("lights|kitchen"))


def test_what_is_copied_for_a_shell_works_there(page, tmp_path):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    region(page, "Speak").get_by_label("Text").fill("""It's "five" o'clock; $HOME is `here`.""")
    copying = region(page, "The same from your own programs")
    copying.get_by_role("tab", name="curl").focus()
    page.keyboard.press("ArrowRight")
    expect(copying.get_by_role("tabpanel", name="Python")).to_contain_text(f'base_url="{page.url}v1"')
    page.keyboard.press("ArrowLeft")
    copying.get_by_role("button", name="Copy").click()
    expect(copying.get_by_role("button", name="Copied")).to_be_visible()
    commands = page.evaluate("navigator.clipboard.readText()")
    done = subprocess.run(
        ["bash", "-ec", commands], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "spoken.mp3").stat().st_size > 1000
    assert '"text"' in done.stdout


@pytest.fixture
def locked(tmp_path, upstreams, magpie, parakeet) -> Iterator[str]:
    """The address of a gateway with keys, as it is in the house."""
    with guarded(tmp_path, upstreams, deep_health=IMPATIENT) as client:
        yield f"http://{ELSEWHERE}:{client.base_url.port}"


def test_without_a_key_there_is_nothing_to_see_or_do(browser, locked):
    with visit(browser, locked) as page:
        page.goto("/")
        expect(page.get_by_role("heading", name="Log in")).to_be_visible()
        log_in(page, "sk-guessed")
        expect(page.get_by_role("alert")).to_contain_text("key")
        assert accessibility_faults(page) == []
        for path in ("/live", "/api/status", "/api/incidents", "/api/machine", "/metrics"):
            assert page.evaluate("async (path) => (await fetch(path)).status", path) == 401

        log_in(page, KEY)
        expect(connection(page)).to_have_text("Live")
        expect(house(page)).to_have_text("Both engines are working.")
        expect(region(page, "Now")).to_contain_text("kitchen is no admin key")
        expect(page.get_by_role("button", name="Restart")).to_have_count(0)
        expect(region(page, "Hear").get_by_role("button", name="Record", exact=True)).to_be_disabled()
        expect(region(page, "Hear")).to_contain_text("HTTPS or on localhost")
        region(page, "Speak").get_by_role("button", name="Speak").click()
        expect(region(page, "Speak").get_by_role("status", name="What came of it")).to_contain_text(
            "First sound"
        )

        page.get_by_role("button", name="Log out").click()
        log_in(page, ADMIN)
        expect(connection(page)).to_have_text("Live")
        button(page, "magpie", "Maintenance").click()
        expect(card(page, "magpie")).to_contain_text("In maintenance")


def log_in(page: Page, key: str) -> None:
    page.get_by_label("Key").fill(key)
    page.keyboard.press("Enter")


HOSTILE = """<img src="http://evil.example/x" onerror="window.had = 1"><script>window.had = 1</script>"""


def test_what_an_engine_says_is_text(browser, gateway_with, magpie, parakeet, recording):
    voices = {"en-US": {"voices": [f"Magpie-Multilingual.EN-US.{HOSTILE}"]}}
    magpie.voices_fault = Fault(200, json.dumps(voices).encode())
    with gateway_with() as client, visit(browser, str(client.base_url).rstrip("/")) as page:
        page.goto("/")
        expect(page.get_by_role("listbox", name="Voice")).to_contain_text("<img")
        expect(card(page, "parakeet")).to_contain_text("working")  # and no canary to come finds it sick
        parakeet.fault = Fault(200, json.dumps({"text": HOSTILE}).encode())
        page.get_by_label("Recording", exact=True).set_input_files(recording)
        expect(region(page, "Hear").get_by_role("group", name="Transcript")).to_contain_text("<img")
        expect(page.get_by_role("main").locator("img, script")).to_have_count(0)
        assert page.evaluate("window.had") is None


def test_a_page_that_nobody_sees_leaves_its_connection_to_others(browser, demo):
    def seen(page: Page, *, hidden: bool) -> None:
        page.evaluate(
            "hidden => { Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });"
            " document.dispatchEvent(new Event('visibilitychange')); }",
            hidden,
        )

    with visit(browser, demo.url) as page:
        page.clock.install()
        page.goto("/")
        expect(connection(page)).to_have_text("Live")
        seen(page, hidden=True)
        page.clock.fast_forward(31_000)
        with page.expect_request("**/status"):  # how its title stays right
            page.clock.fast_forward(16_000)
        demo.order("magpie", "maintenance", on=True)
        with page.expect_request("**/live"):
            seen(page, hidden=False)
        expect(card(page, "magpie")).to_contain_text("In maintenance")
        demo.order("magpie", "maintenance", on=False)


def test_the_page_survives_a_restart_of_the_gateway(page, demo):
    tablet = page.context.new_page()
    tablet.goto("/status")
    demo.stop()
    expect(connection(page)).to_contain_text("trying again")
    expect(house(tablet)).to_have_text("The gateway does not answer.")
    demo.start()
    expect(connection(page)).to_have_text("Live", timeout=SOON)
    expect(house(tablet)).to_have_text("Both engines are working.", timeout=SOON)
    expect(house(page)).to_have_text("Both engines are working.", timeout=SOON)
    assert never_reloaded(page)
    button(page, "magpie", "Probe").click()
    expect(answer(page, "magpie")).to_contain_text("probed")


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_wrong(browser, demo, scheme, size):
    demo.wait_until_well()
    with opened(browser, demo.url, scheme=scheme, size=size) as page:
        assert accessibility_faults(page) == []
        page.goto("/status")
        assert accessibility_faults(page) == []


def test_axe_finds_nothing_wrong_while_an_engine_is_wedged(page, demo):
    demo.wedge("parakeet", start_takes=3)
    button(page, "parakeet", "Probe").click()
    expect(card(page, "parakeet")).to_contain_text(re.compile("restarting|starting"))
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        assert accessibility_faults(page) == []
    demo.order("parakeet", "fault", fault="ok", start_takes=0)


def test_nothing_sticks_out_sideways(page):
    for width in (320, 360, 768, 2560):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_first_render_is_light(browser, demo):
    with visit(browser, demo.url) as page:
        wire = page.context.new_cdp_session(page)
        received: list[int] = []
        wire.on("Network.dataReceived", lambda told: received.append(told["dataLength"]))
        wire.send("Network.enable")
        page.goto("/")
        expect(connection(page)).to_have_text("Live")
        assert 10_000 < sum(received) < LIMIT
