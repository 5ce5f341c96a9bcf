"""Which cookie stands for which key, and for how long."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous import URLSafeSerializer
from starlette.datastructures import Headers
from starlette.responses import Response

from spark_control.keys import KeyFile, Keys, new_text
from spark_control.sessions import COOKIE, FILE, LASTS, Sessions, forget, keep, shown_cookie
from tests.test_access import ADMIN, KEY, made

START = 1_700_000_000.0


class House:
    """A state folder with keys, and the time."""

    def __init__(self, folder) -> None:
        self.folder = folder
        self.file = KeyFile(folder)
        self.kitchen, self.owner = made("kitchen", KEY), made("owner", ADMIN, admin=True)
        self.file.add(self.kitchen)
        self.file.add(self.owner)
        self.now = START
        self.ticks = 0.0
        self.keys = Keys(self.file, self.tick)
        self.sessions = self.started()

    def tick(self) -> float:
        self.ticks += 10  # the keys look at their file each time
        return self.ticks

    def started(self) -> Sessions:
        return Sessions(self.folder, self.keys, lambda: self.now)


@pytest.fixture
def house(tmp_path):
    return House(tmp_path)


@pytest.fixture(scope="module")
def settled(tmp_path_factory):
    return House(tmp_path_factory.mktemp("state"))


def test_a_cookie_stands_for_its_key_and_holds_no_key(house):
    cookie = house.sessions.begun(house.owner)

    assert house.sessions.find(cookie) == house.owner
    assert ADMIN not in cookie
    assert house.owner.digest not in urlsafe_b64decode(cookie.split(".")[0] + "==").decode()


def test_it_outlives_a_restart_and_no_change_of_the_secret(house):
    cookie = house.sessions.begun(house.kitchen)
    assert house.started().find(cookie) == house.kitchen

    (house.folder / FILE).unlink()
    assert house.started().find(cookie) is None


def test_it_ends_with_its_key_even_if_another_gets_the_name(house):
    cookie = house.sessions.begun(house.kitchen)

    house.file.revoke("kitchen")
    assert house.sessions.find(cookie) is None
    house.file.add(made("kitchen", new_text(), admin=True))
    assert house.sessions.find(cookie) is None


def test_it_has_the_rights_that_its_key_has_now(house):
    cookie = house.sessions.begun(house.owner)
    house.file.revoke("owner")
    house.file.add(made("owner", ADMIN))

    assert house.sessions.find(cookie) == made("owner", ADMIN)


def test_it_ends_after_thirty_days(house):
    cookie = house.sessions.begun(house.kitchen)

    for passed, known in [(LASTS, True), (LASTS + 1, False), (-200, True), (-86_400, False)]:
        house.now = START + passed
        assert (house.sessions.find(cookie) is not None) is known, passed


@given(st.text(max_size=80) | st.text("abc.-_=:", max_size=700))
def test_what_was_made_up_is_none(settled, cookie):
    assert settled.sessions.find(cookie) is None


@given(st.integers(0, 400), st.characters(codec="ascii", categories=("L", "N")))
def test_no_letter_of_it_may_be_another(settled, at, letter):
    cookie = settled.sessions.begun(settled.owner)
    at %= len(cookie) - 1  # the last one has bits that mean nothing
    if cookie[at] != letter:
        assert settled.sessions.find(cookie[:at] + letter + cookie[at + 1 :]) is None


def test_who_knows_the_key_file_but_not_the_secret_can_sign_nothing(house):
    genuine = house.sessions.begun(house.owner)
    told = ["owner", house.owner.digest[:32], int(START)]
    for secret in (b"", b"\0" * 32, house.owner.digest.encode(), COOKIE.encode()):
        assert house.sessions.find(URLSafeSerializer(secret, salt=COOKIE).dumps(told)) is None
    body = urlsafe_b64encode(json.dumps(told).encode()).decode().rstrip("=")
    for forged in (body, f"{body}.", f".{body}", f"{body}.{genuine.split('.')[1]}", genuine.split(".")[0]):
        assert house.sessions.find(forged) is None


def test_the_secret_is_for_its_owner_alone_and_made_when_it_is_first_needed(house):
    assert not (house.folder / FILE).exists()
    house.sessions.begun(house.kitchen)

    assert (house.folder / FILE).stat().st_mode & 0o777 == 0o600
    assert len((house.folder / FILE).read_bytes()) == 32
    assert [each.name for each in house.folder.iterdir() if each.name.startswith(".")] == []


@pytest.mark.parametrize("damage", ["opened", "short", "long", "empty"])
def test_a_secret_that_others_may_know_is_replaced(house, damage):
    file = house.folder / FILE
    cookie = house.sessions.begun(house.kitchen)
    known = file.read_bytes()
    if damage == "opened":
        file.chmod(0o644)
    else:
        file.write_bytes({"short": known[:8], "long": known * 2, "empty": b""}[damage])

    assert house.started().find(cookie) is None
    assert file.read_bytes() != known
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_link_is_not_followed(house, tmp_path):
    known = tmp_path / "known"
    known.write_bytes(b"k" * 32)
    known.chmod(0o600)
    (house.folder / FILE).symlink_to(known)
    cookie = house.sessions.begun(house.owner)

    signed = URLSafeSerializer(known.read_bytes(), salt=COOKIE).dumps(["owner", "x", 0])
    assert cookie.split(".")[1] != signed.split(".")[1]
    assert house.sessions.find(cookie) == house.owner, "it works, until the gateway ends"
    assert known.read_bytes() == b"k" * 32


def test_without_a_folder_it_works_until_the_gateway_ends(house):
    sessions = Sessions(None, house.keys, lambda: START)
    cookie = sessions.begun(house.kitchen)

    assert sessions.find(cookie) == house.kitchen
    assert Sessions(None, house.keys, lambda: START).find(cookie) is None


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ([f"{COOKIE}=abc"], "abc"),
        ([f"theme=dark; {COOKIE}=abc; lang=en"], "abc"),
        (["theme=dark", f"{COOKIE}=abc"], "abc"),
        ([f"{COOKIE}=abc; {COOKIE}=def"], None),
        ([f"{COOKIE}=abc; {COOKIE}=abc"], None),
        ([f"{COOKIE}=abc", f"{COOKIE}=def"], None),
        ([f"x{COOKIE}=abc; {COOKIE}x=abc; {COOKIE.upper()}=abc"], None),
        (["", ";;=;", COOKIE], ""),
        ([], None),
    ],
)
def test_of_two_cookies_neither_counts(lines, found):
    assert shown_cookie(Headers(raw=[(b"cookie", line.encode()) for line in lines])) == found


@pytest.mark.parametrize("secure", [False, True])
def test_no_script_reads_it_and_no_other_site_has_it_sent(house, secure):
    for put in (
        lambda answer: keep(answer, "abc", secure=secure),
        lambda answer: forget(answer, secure=secure),
    ):
        answer = Response()
        put(answer)
        attributes = {each.strip().lower() for each in answer.headers["set-cookie"].split(";")}
        assert {"httponly", "samesite=strict", "path=/"} <= attributes
        assert ("secure" in attributes) is secure
        assert not any(each.startswith("domain") for each in attributes)
