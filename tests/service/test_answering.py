"""Whether what was started answers, is asked patiently, and told as it is."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, repeat

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from spark_control.service import no_good_answer
from tests.live import serving, unused_port


class Answering:
    """A program that answers with one status after the other."""

    def __init__(self, statuses: Iterator[int]) -> None:
        self.asked = 0
        self._statuses = statuses
        self.app = Starlette(routes=[Route("/healthz", self._answer)])

    async def _answer(self, _: Request) -> Response:
        self.asked += 1
        return Response(status_code=next(self._statuses))


def test_one_that_becomes_well_is_waited_for():
    program = Answering(chain([503, 503], repeat(200)))
    with serving(program.app) as url:
        assert no_good_answer(url) is None
    assert program.asked == 3


def test_one_that_stays_unwell_is_told_as_such_and_not_hammered():
    program = Answering(repeat(503))
    with serving(program.app) as url:
        assert no_good_answer(url, within=1.0) == f"{url}/healthz answers 503"
    assert program.asked <= 6


def test_where_nobody_is_that_is_told():
    url = f"http://127.0.0.1:{unused_port()}"
    assert no_good_answer(url, within=0.3) == f"nobody answers at {url}"
