from __future__ import annotations

import asyncio
import json
import os
import socket
from pathlib import Path

import jsonschema_rs
import pytest
import uvloop

from spark_control import __version__
from spark_control.api_description import document
from spark_control.history import History
from spark_control.machine import Machines
from spark_control.machine.machines import Machine
from spark_control.machine.seen import Gpu, Gpus, Look, Memory, Xid
from spark_control.settings import MachineSettings, OtherMachineSettings
from spark_control.store import Store
from tests.conftest import engines
from tests.fakes.faults import Fault
from tests.live import eventually
from tests.machine.test_xid import LOST
from tests.test_admin_api import told

GIB = 1024**3
SICK = Fault(500, b'{"detail": "CUDA error: CUBLAS_STATUS_EXECUTION_FAILED"}')
MEMORY = Memory(128 * GIB, 80 * GIB, 0.1, 0, 0)
HOT = Gpu("NVIDIA GB10", 90.0, 80.0, 100.0, None, None)
CALM = Gpu("NVIDIA GB10", 10.0, 40.0, None, None, None)


def xid(number: int, mark: str = "1.0") -> Xid:
    return Xid(number, "", mark, 1000.0)


class Spark:
    """A machine of which the test says how it is."""

    def __init__(self) -> None:
        self.seen = Look(memory=MEMORY, load=(1.5, 1.0, 0.5))
        self.faults: list[tuple[str, int, str]] = []
        self.history = History(Store.open(None), lambda: 1_000_000.0)
        self._machine = Machine(
            "spark-2", "machine/spark-2", self._look, self.history, lambda: 1_000_000.0, self._fault
        )

    async def _look(self) -> Look:
        return self.seen

    def _fault(self, *fault: object) -> None:
        self.faults.append(fault)  # type: ignore[arg-type]

    def look(self, **seen: object) -> dict[str, object]:
        self.seen = Look(**{"memory": MEMORY, "load": (1.5, 1.0, 0.5), **seen})  # type: ignore[arg-type]
        asyncio.run(self._machine.look())
        return self._machine.shown()


@pytest.fixture
def spark():
    return Spark()


def test_the_figures_of_a_day_are_kept(spark):
    shown = spark.look(graphics=Gpus((HOT, CALM)))
    assert {name: each[-1] for name, each in shown["history"].items() if name != "hours"} == {
        "memory_used": 48.0 * GIB,
        "gpu": 90.0,
        "temperature": 80.0,
        "power": 100.0,
        "load": 1.5,
    }


def test_what_nobody_tells_leaves_a_gap_and_no_0(spark):
    shown = spark.look(graphics=Gpus(problem="No GPU was found."), load=None)
    assert shown["history"]["gpu"] == shown["history"]["power"] == shown["history"]["load"] == [None] * 96


def test_a_machine_that_is_gone_shows_nothing_of_what_it_was(spark):
    spark.look(graphics=Gpus((HOT,)))
    shown = spark.look(problem="ssh failed.", memory=None, load=None)
    assert shown["problem"] == "ssh failed."
    assert (shown["memory"], shown["load"], shown["gpus"]) == (None, None, [])
    assert shown["history"]["gpu"][-1] == 90.0


def test_an_xid_that_was_there_before_is_listed_and_one_that_comes_is_told(spark):
    spark.look(xids=(xid(31),))
    assert spark.faults == []
    spark.look(xids=(xid(31), xid(79, "2.0")))
    shown = spark.look(xids=(xid(31), xid(79, "2.0")))
    assert [(machine, number) for machine, number, _ in spark.faults] == [("spark-2", 79)]
    assert [each["number"] for each in shown["xids"]] == [79, 31]


def test_the_latest_xids_are_listed_and_not_all(spark):
    spark.look()
    for number in range(100):
        shown = spark.look(xids=(xid(number, f"{number}.0"),))
    assert [each["number"] for each in shown["xids"]] == list(range(99, 79, -1))


def machines(**others: list[str]) -> Machines:
    return Machines(
        MachineSettings(gpu=False),
        {name: OtherMachineSettings(command=command) for name, command in others.items()},
        History(Store.open(None), lambda: 1_000_000.0),
        lambda *_: None,
    )


def test_an_engine_runs_on_the_gateways_machine_unless_it_names_another():
    here = socket.gethostname()
    both = machines(far=["true"])
    assert [both.of(name) for name in ("", "some-name", "far")] == [here, here, "far"]
    assert [(each["name"], each["local"]) for each in both.snapshot()] == [(here, True), ("far", False)]


def test_another_machine_may_have_the_same_name():
    assert [each["name"] for each in machines(**{socket.gethostname(): ["true"]}).snapshot()] == [
        "this machine",
        socket.gethostname(),
    ]


def test_all_are_looked_at_and_one_that_stumbles_is_looked_at_again(monkeypatch):
    both = machines(far=["sh", "-s"])

    async def until_seen() -> list[object]:
        looking = asyncio.create_task(both.look_forever())
        async with asyncio.timeout(10):
            while any(each["problem"] for each in both.snapshot()):
                await asyncio.sleep(0.01)
        looking.cancel()
        await asyncio.wait([looking])
        return [each["cpus"] for each in both.snapshot()]

    assert uvloop.run(until_seen()) == [os.cpu_count()] * 2


# A gateway.


def test_the_gateway_tells_of_its_machine(gateway_with, nvidia_smi):
    schemas = {"components": {"schemas": document(__version__)["components"]["schemas"]}}
    whole = {"$ref": "#/components/schemas/MachineList", **schemas}
    with gateway_with(machines={"far": {"command": ["false"]}}) as client:
        eventually(lambda: client.get("/api/machine").json()["machines"][0]["gpus"])
        eventually(lambda: "ended" in client.get("/api/machine").json()["machines"][1]["problem"])
        shown = client.get("/api/machine").json()
    jsonschema_rs.validator_for(whole).validate(shown)
    here, far = shown["machines"]
    assert here["local"]
    assert here["memory"]["available"] < here["memory"]["total"]
    assert here["gpus"][0]["memory_used"] is None
    assert here["processes"][1] == {"pid": 4712, "name": "python3", "bytes": None}
    assert here["history"]["temperature"][-1] == 61.0
    assert (far["memory"], far["local"]) == (None, False)


@pytest.mark.timeout(30)
def test_a_fault_of_the_gpu_is_news_and_stands_in_the_incident(
    gateway_with, parakeet, nvidia_smi, tmp_path, monkeypatch
):
    kmsg = tmp_path / "kmsg"
    os.mkfifo(kmsg)
    holding = os.open(kmsg, os.O_RDWR)
    os.write(holding, f"3,1,1,-;{LOST}\n".encode())
    monkeypatch.setattr("spark_control.machine.machines._KMSG", kmsg)
    try:
        with gateway_with() as client:
            parakeet.fault = SICK
            client.post("/api/upstreams/parakeet/probe")
            assert engines(client)[0]["incident"]
            [old] = client.get("/api/machine").json()["machines"][0]["xids"]
            events = told(client)
            assert next(events)[0] == "status"
            uptime = float(Path("/proc/uptime").read_text().split()[0])
            os.write(holding, f"3,2,{int((uptime + 5) * 1e6)},-;{LOST}\n".encode())
            event = next(event for _, event in events if event["what"] == "xid")
            events.close()
            assert (event["number"], event["machine"]) == (79, socket.gethostname())
            assert "fallen off the bus" in event["detail"]
            new, same = client.get("/api/machine").json()["machines"][0]["xids"]
            assert same == old
            assert new["at"] > old["at"]
            [incident] = client.get("/api/incidents").json()["incidents"]
            assert "Xid 79" in json.dumps(incident["timeline"])
    finally:
        os.close(holding)
