"""How long a language model may take before it is called hung: slow ones are left alone."""

from __future__ import annotations

import asyncio
import json
import math
from contextlib import suppress

import httpx
import pytest

from spark_control.chat_body import read_chat_body
from spark_control.patience import Errands
from spark_control.settings import DeepHealthSettings, TrafficSettings
from spark_control.supervision.lane import Lane
from spark_control.supervision.replay import Replay
from spark_control.supervision.work import Errand
from spark_control.thinking import Thinking
from spark_control.upstreams.client import Upstream, open_client
from spark_control.upstreams.models import ChatModel
from spark_control.upstreams.openai_chat import OpenAIChat

CHAT = "/v1/chat/completions"
EVENT = b'data: {"choices": []}\n\n'


class OneModel:
    def chat_model(self, asked):
        return ChatModel("qwen3", {"llm": 0})


def engine(answer, clock):
    """An engine's lane, and the way to it."""
    client = open_client(httpx.MockTransport(answer))
    lane = Lane(Upstream("llm", OpenAIChat("http://llm"), client), clock)
    errands = Errands(DeepHealthSettings(), TrafficSettings())
    return lane, Thinking(Replay([lane], clock), OneModel(), errands)


def flight_of(**asked):
    """How the request looks in its engine's lane while no answer comes, after a hundred quick ones."""

    async def never(_):
        await asyncio.sleep(3600)

    async def scenario():
        lane, thinking = engine(never, lambda: 1000.0)
        for _ in range(100):
            lane.pace.took(0.1, 100.0)
        body = read_chat_body(json.dumps(asked).encode())
        working = asyncio.create_task(thinking.start(CHAT, body, {}, Errand(1)))
        while not lane.flights:
            await asyncio.sleep(0)
        (flight,) = lane.flights
        working.cancel()
        with suppress(asyncio.CancelledError):
            await working
        return flight, lane

    flight, lane = asyncio.run(scenario())
    assert not lane.flights
    return flight


def test_two_minutes_may_pass_before_the_first_event():
    assert flight_of(stream=True).due == 1000 + 120


def test_a_whole_answer_may_take_as_long_as_the_engine_s_timeout():
    """It says nothing until its end, so nobody can tell a long answer from none."""
    assert flight_of(stream=False).due == math.inf


@pytest.mark.parametrize("stream", [False, True])
def test_long_prompts_and_whole_answers_are_more_work(stream):
    short, long = flight_of(stream=stream, prompt="a"), flight_of(stream=stream, prompt="a" * 100_000)

    assert long.work.size > short.work.size + 40
    assert flight_of(stream=stream, prompt="a" * 10_000_000).work.size < 500
    assert flight_of(stream=False).work.size > flight_of(stream=True).work.size


def test_every_event_is_a_sign_of_life_for_those_who_wait_behind_it():
    now = 1000.0

    async def events():
        for _ in range(3):
            yield EVENT

    async def scenario():
        nonlocal now
        headers = {"content-type": "text/event-stream"}
        lane, thinking = engine(lambda _: httpx.Response(200, headers=headers, content=events()), lambda: now)
        thought = await thinking.start(CHAT, read_chat_body(b'{"stream": true}'), {}, Errand(1))
        signs = []
        async for piece in thought.pieces():
            assert piece == EVENT
            signs.append(lane.last_success)
            now += 60.0
        await thought.aclose()
        return signs

    assert asyncio.run(scenario()) == [1000.0, 1060.0, 1120.0]
