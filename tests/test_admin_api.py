"""What a person sees of the engines, and can have done to them, through the gateway."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Generator, Iterator
from datetime import datetime
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.responses import Response
from starlette.routing import Route

from spark_control import news
from spark_control.lifecycle import Lifecycle
from spark_control.news import News
from spark_control.server import create_app
from spark_control.settings import Settings
from spark_control.store import Store, StoreError
from spark_control.supervision.chronicle import Announcements
from tests.fakes.faults import Fault
from tests.fakes.supervised import SupervisedEngine
from tests.live import eventually, serving, unused_port
from tests.processes import serve

BROKEN = Fault(500, b'{"detail": "CUDA error: CUBLAS_STATUS_EXECUTION_FAILED"}')
WRITING = ("drain", "probe", "restart", "maintenance", "fault")


class Nurse:
    """Restarts a fake engine's process, as systemd or Docker would."""

    kind = "process"
    what = "the fake"

    def __init__(self, engine: SupervisedEngine) -> None:
        self._engine = engine

    async def restart(self) -> None:
        await asyncio.to_thread(self._engine.restart, 0.2)


@pytest.fixture
def engine(tmp_path):
    with SupervisedEngine("parakeet", tmp_path) as engine:
        yield engine


@pytest.fixture
def cured(engine):
    """Makes gateways whose one engine can be wedged, and restarted."""

    @contextlib.contextmanager
    def build(**care: Any) -> Iterator[httpx.Client]:
        settings = Settings(upstreams={"ear": {"kind": "parakeet", "url": engine.url}}, deep_health=care)
        app = create_app(settings, restarters={"ear": Nurse(engine)})
        with serving(app) as url, httpx.Client(base_url=url, timeout=30) as client:
            client.post("/api/upstreams/ear/probe")
            yield client

    return build


def entry(client: httpx.Client, name: str) -> dict[str, Any]:
    return next(each for each in client.get("/api/status").json()["upstreams"] if each["name"] == name)


def state(client: httpx.Client, name: str = "ear") -> str:
    return str(entry(client, name)["state"])


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def told(client: httpx.Client) -> Generator[tuple[str, dict[str, Any]], None, None]:
    """The (name, data) of each event, as a browser's EventSource reads them."""
    with client.stream("GET", "/api/events") as answer:
        name = "message"
        for line in answer.iter_lines():
            field, _, value = line.partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                yield name, json.loads(value)
                name = "message"


def test_the_status_tells_how_every_engine_is(gateway):
    answer = gateway.get("/api/status")
    shown = answer.json()

    assert shown["sentence"] == "Both engines are working."
    assert [(each["name"], each["task"], each["state"]) for each in shown["upstreams"]] == [
        ("parakeet", "speech-to-text", "healthy"),
        ("magpie", "text-to-speech", "healthy"),
    ]
    assert answer.headers["cache-control"] == "no-store"


def test_a_probe_has_the_engine_do_real_work_and_tells_how_it_is_then(gateway, magpie):
    answer = gateway.post("/api/upstreams/magpie/probe")

    assert answer.status_code == 200
    assert answer.json()["name"] == "magpie"
    assert answer.json()["last_probe"]["passed"]


def test_a_probe_of_a_sick_engine_tells_so(gateway_with, parakeet):
    with gateway_with() as gateway:
        parakeet.fault = BROKEN
        shown = gateway.post("/api/upstreams/parakeet/probe").json()

        assert not shown["last_probe"]["passed"]
        assert "CUBLAS_STATUS_EXECUTION_FAILED" in shown["last_probe"]["detail"]


def test_a_probe_that_does_not_come_back_is_not_waited_for_for_ever(gateway, monkeypatch):
    monkeypatch.setattr("spark_control.admin_api._PROBE_SECONDS", 0.0)

    assert code(gateway.post("/api/upstreams/magpie/probe")) == (504, "probe_timeout")


@pytest.mark.parametrize("what", WRITING)
def test_who_names_an_engine_that_is_not_there_is_told_which_are(gateway, what):
    answer = gateway.post(f"/api/upstreams/nobody/{what}")

    assert code(answer) == (404, "upstream_not_found")
    assert "'nobody'; those of this gateway: parakeet, magpie." in answer.json()["error"]["message"]


def test_everything_that_writes_is_this_machines_own(gateway):
    paths = create_app(Settings()).openapi()["paths"]
    writing = [
        (verb, path)
        for path, verbs in paths.items()
        for verb in verbs.keys() - {"get"}
        if path.startswith("/api/")
    ]
    assert {path.rpartition("/")[2] for _, path in writing} == {*WRITING, "reload", "speech-cache"}

    for verb, path in writing:
        address = path.replace("{name}", "magpie")
        for headers in ({"host": "evil.com"}, {"x-forwarded-for": "10.0.0.1"}):
            assert code(gateway.request(verb, address, headers=headers)) == (403, "local_only")
        assert gateway.request(verb, address, content=b"on=true").status_code == 415
    assert gateway.get("/api/status", headers={"host": "evil.com"}).status_code == 200


def test_an_engine_that_nobody_can_restart_is_not_restarted(gateway):
    assert code(gateway.post("/api/upstreams/magpie/restart")) == (409, "no_restarter")


def test_a_restart_begins_at_once_and_only_one_at_a_time(cured, engine):
    with cured() as gateway:
        answer = gateway.post("/api/upstreams/ear/restart")
        assert (answer.status_code, answer.json()["state"]) == (202, "restarting")
        assert code(gateway.post("/api/upstreams/ear/restart")) == (409, "restart_under_way")
        eventually(lambda: state(gateway) == "healthy", within=30)

        assert engine.restarts == 1
        assert entry(gateway, "ear")["budget"]["left"] == 2


@pytest.mark.parametrize("how", [{"params": {"force": "true"}}, {"json": {"force": True}}])
def test_beyond_the_budget_a_person_has_to_insist(cured, engine, how):
    with cured(restart_limit=1) as gateway:
        gateway.post("/api/upstreams/ear/restart")
        eventually(lambda: state(gateway) == "healthy", within=30)
        assert code(gateway.post("/api/upstreams/ear/restart")) == (409, "budget_spent")

        assert gateway.post("/api/upstreams/ear/restart", **how).status_code == 202
        eventually(lambda: state(gateway) == "healthy", within=30)
        assert engine.restarts == 2


def test_maintenance_is_switched_on_and_off(gateway_with):
    with gateway_with() as gateway:
        assert gateway.post("/api/upstreams/magpie/maintenance", json={"on": True}).json()["maintenance"]
        assert not entry(gateway, "parakeet")["maintenance"]
        answer = gateway.post("/api/upstreams/magpie/maintenance", json={"on": False})
        assert not answer.json()["maintenance"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"{", (400, "invalid_json")),
        (b"\xff", (400, "invalid_json")),
        (b"[" * 10_000, (400, "invalid_json")),
        (b"[]", (400, "invalid_type")),
        (b"true", (400, "invalid_type")),
        (b"", (422, "invalid_parameter")),
        (b"{}", (422, "invalid_parameter")),
        (b'{"on": "yes"}', (422, "invalid_parameter")),
        (b'{"on": 1}', (422, "invalid_parameter")),
        (b'{"on": true, "off": true}', (422, "unknown_parameter")),
        (b" " * 20_000, (413, "request_too_large")),
    ],
)
def test_what_is_no_order_is_refused(gateway, body, expected):
    answer = gateway.post(
        "/api/upstreams/magpie/maintenance", content=body, headers={"content-type": "application/json"}
    )

    assert code(answer) == expected
    assert not entry(gateway, "magpie")["maintenance"]


@pytest.mark.parametrize("what", ["maintenance", "drain"])
def test_an_order_that_cannot_be_kept_is_not_carried_out_and_says_so(gateway_with, monkeypatch, what):
    def full(*_: object) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(Store, "set_maintenance", full)
    monkeypatch.setattr(Store, "set_drained", full)
    with gateway_with() as gateway:
        answer = gateway.post(f"/api/upstreams/magpie/{what}", json={"on": True})
        assert code(answer) == (503, "service_unavailable")
        assert "was not done" in answer.json()["error"]["message"]
        assert "disk" not in answer.text
        assert not entry(gateway, "magpie")["maintenance"]
        assert not entry(gateway, "magpie")["drained"]


def test_a_query_that_makes_no_sense_is_refused(gateway):
    assert gateway.post("/api/upstreams/magpie/restart", params={"force": "perhaps"}).status_code == 422
    for limit in ("0", "-1", "201", "many"):
        assert code(gateway.get("/api/incidents", params={"limit": limit})) == (422, "invalid_parameter")


def test_a_wedge_is_told_as_an_incident(cured, engine):
    with cured() as gateway:
        assert gateway.get("/api/incidents").json() == {"incidents": []}
        ordered = gateway.post("/api/upstreams/ear/fault", json={"fault": "w1"})
        assert ordered.json()["upstream"] == "ear"
        assert ordered.json()["switch"]["fault"] == "w1"
        gateway.post("/api/upstreams/ear/probe")
        eventually(lambda: state(gateway) == "healthy", within=30)

        [incident] = gateway.get("/api/incidents", params={"limit": 1}).json()["incidents"]
        assert (incident["service"], incident["verdict"], incident["restarts"]) == ("ear", "sticky", 1)
        times = [incident["opened"], *(each["at"] for each in incident["timeline"]), incident["closed"]]
        assert all(datetime.fromisoformat(time).tzinfo for time in times)
        assert gateway.get(f"/api/incidents/{incident['id']}").json() == incident
    assert engine.restarts == 1


def test_an_incident_that_never_was_is_not_found(gateway):
    assert code(gateway.get("/api/incidents/inc_none")) == (404, "not_found")


def test_a_real_engine_has_no_fault_switch(gateway):
    answer = gateway.post("/api/upstreams/magpie/fault", json={"fault": "w1"})

    assert code(answer) == (409, "no_fault_switch")
    assert "serve --demo" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "order", [{"fault": "w99"}, {"fault": "w1", "file": "/etc/passwd"}, {"fault": 1}, {"seconds": -1}]
)
def test_an_order_that_no_switch_knows_does_not_reach_the_engine(gateway, order):
    assert code(gateway.post("/api/upstreams/magpie/fault", json=order)) == (422, "invalid_parameter")


def test_what_the_switch_itself_refuses_is_told_in_its_words(cured, tmp_path):
    with cured() as gateway:
        order = {"fault": "w1", "restarts_needed": 1}
        assert gateway.post("/api/upstreams/ear/fault", json=order).status_code == 200
        assert (
            gateway.post("/api/upstreams/ear/fault", json={"fault": "ok"}).json()["switch"]["fault"] == "ok"
        )


@pytest.mark.parametrize(
    "answer",
    [
        Response(b"<html>"),
        Response(b"[]"),
        Response(b'{"hello": "world"}'),
        Response(b"[" * 60_000),
        Response(b'{"fault": "' + bytes(100_000) + b'"}'),
        Response(status_code=401),
        Response(status_code=500),
        Response(status_code=302, headers={"location": "http://127.0.0.1/"}),
    ],
    ids=["page", "list", "else", "deep", "long", "401", "500", "302"],
)
def test_what_answers_there_and_is_no_switch_is_not_taken_for_one(answer: Response):
    async def switch(_: object) -> Response:
        return answer

    with serving(FastAPI(routes=[Route("/control/fault", switch, methods=["POST"])])) as engine:
        app = create_app(Settings(upstreams={"ear": {"kind": "parakeet", "url": engine}}))
        with serving(app) as url:
            refused = httpx.post(f"{url}/api/upstreams/ear/fault", json={"fault": "w1"})
    assert code(refused) == (409, "no_fault_switch")


def test_an_engine_that_is_not_there_is_told_so(gateway_with):
    upstreams = {"ear": {"kind": "parakeet", "url": f"http://127.0.0.1:{unused_port()}"}}
    with gateway_with(upstreams=upstreams) as gateway:
        assert gateway.post("/api/upstreams/ear/fault", json={"fault": "w1"}).status_code == 503


def test_events_begin_with_how_everything_is(gateway_with):
    with gateway_with() as gateway, gateway.stream("GET", "/api/events") as answer:
        lines = answer.iter_lines()
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-cache"
        assert next(lines) == "event: status"
        assert json.loads(next(lines).removeprefix("data: "))["upstreams"]


def test_what_happens_is_told_as_it_happens(gateway_with):
    with gateway_with() as gateway, contextlib.closing(told(gateway)) as events:
        assert next(events)[0] == "status"
        gateway.post("/api/upstreams/magpie/maintenance", json={"on": True})
        name, event = next(each for each in events if each[1]["what"] == "maintenance on")

        assert name == "message"
        assert event["upstream"] == "magpie"


def test_a_quiet_line_is_kept_alive(gateway_with, monkeypatch):
    monkeypatch.setattr("spark_control.news._STILL_HERE", 0.02)
    with gateway_with() as gateway, gateway.stream("GET", "/api/events") as answer:
        assert ": still here" in answer.iter_lines()


# The rest concerns what a reader does to the gateway, and is asked of the answer alone.


class Watched:
    """As much of the watcher as the news needs."""

    def __init__(self) -> None:
        self.announcements = Announcements()
        self.subscribe = self.announcements.subscribe

    def snapshot(self) -> dict[str, object]:
        return {"sentence": "All is well."}

    @property
    def listeners(self) -> list[Any]:
        return list(self.announcements._listeners)


class Reader:
    """The client's end of an answer, as the server shows it to an ASGI application."""

    def __init__(self, takes: int = 10**9) -> None:
        self.takes = takes
        self.got: list[dict[str, Any]] = []
        self.left = asyncio.Event()

    async def receive(self) -> dict[str, Any]:
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        if len(self.got) >= self.takes:
            await asyncio.Event().wait()
        self.got.append(message)


async def reading(watched: Watched, lifecycle: Lifecycle, reader: Reader) -> asyncio.Task[None]:
    answer = News(watched, lifecycle)  # type: ignore[arg-type]
    task = asyncio.create_task(answer({}, reader.receive, reader.send))
    while not watched.listeners:
        await asyncio.sleep(0)
    return task


def test_a_reader_who_leaves_is_forgotten():
    async def leave() -> None:
        watched, reader = Watched(), Reader()
        task = await reading(watched, Lifecycle(), reader)
        reader.left.set()
        await task
        assert not watched.listeners

    asyncio.run(leave())


def test_a_reader_who_takes_nothing_costs_no_more_than_a_bounded_queue():
    async def sleep() -> None:
        watched, reader = Watched(), Reader(takes=3)
        task = await reading(watched, Lifecycle(), reader)
        for number in range(5000):
            watched.announcements.announce({"number": number})
            await asyncio.sleep(0)
        [queue] = watched.listeners
        assert queue.qsize() <= 1000
        assert len(reader.got) == 3
        task.cancel()
        await asyncio.wait([task])
        assert not watched.listeners

    asyncio.run(sleep())


@pytest.mark.parametrize("takes", [10**9, 2], ids=["awake", "asleep"])
def test_a_reader_does_not_keep_a_draining_gateway_alive(takes, monkeypatch):
    monkeypatch.setattr("spark_control.news._LAST_WORD", 0.05)

    async def drain() -> None:
        watched, lifecycle, reader = Watched(), Lifecycle(), Reader(takes)
        task = await reading(watched, lifecycle, reader)
        lifecycle.draining = True
        await task
        assert not watched.listeners
        if takes > 2:
            assert reader.got[-1] == {"type": "http.response.body", "body": b"", "more_body": False}

    asyncio.run(drain())


def test_a_gateway_that_is_told_to_end_does_not_wait_for_those_who_watch(tmp_path, upstreams):
    """It would for as long as it waits for answers, which is more than this test does."""
    state = f'drain = 600\nstate = "{tmp_path}/state"\n'
    (tmp_path / "spark-control.toml").write_text(
        f'{state}[upstreams.ear]\nkind = "parakeet"\nurl = "{upstreams["parakeet"]["url"]}"\n'
    )
    with serve(tmp_path) as running:
        running.wait_until_ready()
        with running.client() as client, contextlib.closing(told(client)) as events:
            assert next(events)[0] == "status"
            assert running.end() == 0
            assert [event for _, event in events if "what" not in event] == []


def test_a_connection_that_breaks_while_it_is_told_is_no_secret():
    async def break_off() -> None:
        watched, reader = Watched(), Reader()
        task = await reading(watched, Lifecycle(), reader)
        watched.announcements.announce({"what": {1, 2}})  # no JSON: a bug, which the doorway logs
        with pytest.raises(TypeError):
            await task
        assert not watched.listeners

    asyncio.run(break_off())


def test_many_readers_hear_the_same(gateway_with):
    with gateway_with() as gateway, contextlib.ExitStack() as open_:
        readers = []
        for _ in range(5):
            client = open_.enter_context(httpx.Client(base_url=gateway.base_url, timeout=20))
            readers.append(open_.enter_context(contextlib.closing(told(client))))
        assert {next(reader)[0] for reader in readers} == {"status"}
        posting = threading.Thread(
            target=gateway.post, args=("/api/upstreams/magpie/maintenance",), kwargs={"json": {"on": True}}
        )
        posting.start()
        open_.callback(posting.join)
        for reader in readers:
            assert any(event["what"] == "maintenance on" for _, event in reader)


def test_every_field_of_an_announcement_is_on_one_line():
    assert news._written({"detail": "two\nlines"}) == b'data: {"detail":"two\\nlines"}\n\n'
