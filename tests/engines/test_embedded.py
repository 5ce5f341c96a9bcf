from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path

import httpx
import pytest

from spark_control.engines.embedded import EmbeddedEngine, EmbeddedEngines, NotRestarted
from tests.processes import children, lives

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")


def pid_of(engine: EmbeddedEngine) -> int:
    assert engine.process is not None
    return engine.process.pid


def processes_of(engine: EmbeddedEngine) -> list[int]:
    """All that could answer on the engine's socket."""
    option = f"\0--fd\0{engine._socket.fileno()}\0"
    return [pid for pid in children(os.getpid()) if option in command_of(pid)]


def command_of(pid: int) -> str:
    """A process that has only just been started has none yet: the kernel ends the wait for it a moment earlier."""
    command = ""
    while lives(pid) and not command:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            command = Path(f"/proc/{pid}/cmdline").read_text()
    return command


def speak(engine: EmbeddedEngine) -> httpx.Response:
    return httpx.post(f"{engine.url}/v1/audio/synthesize", files={"text": (None, "Hello.")}, timeout=20)


def wedge(engine: EmbeddedEngine, fault: str) -> None:
    assert httpx.post(f"{engine.url}/control/fault", json={"fault": fault}, timeout=20).status_code == 200


def test_a_restart_cures_a_wedge_and_keeps_the_address():
    async def story():
        async with EmbeddedEngines(["magpie"], faults=True) as engines:
            (engine,) = engines.engines
            await asyncio.to_thread(wedge, engine, "w1")
            wedged = await asyncio.to_thread(speak, engine)
            before = pid_of(engine)
            await engine.restart()
            return wedged.status_code, before, pid_of(engine), (await asyncio.to_thread(speak, engine))

    wedged, before, after, spoken = asyncio.run(story())
    assert (wedged, spoken.status_code) == (500, 200)
    assert after != before
    assert not lives(before)


def test_it_says_what_it_is():
    async def story():
        async with EmbeddedEngines(["magpie"]) as engines:
            (engine,) = engines.engines
            return engine.what, engine.kind

    assert asyncio.run(story()) == ("embedded magpie engine", "magpie")


def test_one_that_does_not_listen_is_ended_all_the_same():
    async def story():
        async with EmbeddedEngines(["magpie"]) as engines:
            (engine,) = engines.engines
            await engine.ready()
            before = pid_of(engine)
            os.kill(before, signal.SIGSTOP)  # it hears nothing any more, SIGTERM included
            await engine.restart()
            await engine.ready()
            return before, processes_of(engine) == [pid_of(engine)]

    before, alone = asyncio.run(story())
    assert not lives(before)
    assert alone


def test_restarts_that_come_together_are_one(monkeypatch):
    async def story():
        async with EmbeddedEngines(["magpie"]) as engines:
            (engine,) = engines.engines
            before = pid_of(engine)
            spawned = []
            spawn = engine._spawn

            async def counted(lifeline):
                spawned.append(lifeline)
                await spawn(lifeline)

            monkeypatch.setattr(engine, "_spawn", counted)
            await asyncio.gather(*(engine.restart() for _ in range(5)))
            return before, pid_of(engine), len(spawned), len(processes_of(engine))

    before, after, spawned, alive = asyncio.run(story())
    assert after != before
    assert (spawned, alive) == (1, 1)


def test_restarts_one_after_the_other_are_a_process_each():
    async def story():
        async with EmbeddedEngines(["magpie"]) as engines:
            (engine,) = engines.engines
            pids = [pid_of(engine)]
            for _ in range(3):
                await engine.restart()
                pids.append(pid_of(engine))
            return pids, processes_of(engine) == pids[-1:]

    pids, alone = asyncio.run(story())
    assert len(set(pids)) == 4
    assert alone


def test_one_that_has_just_died_is_started_at_once(monkeypatch):
    async def story():
        async with EmbeddedEngines(["magpie"]) as engines:
            (engine,) = engines.engines
            paused = Pause(engine._pause)
            monkeypatch.setattr(engine, "_pause", paused)
            os.kill(pid_of(engine), signal.SIGKILL)
            await paused.begun.wait()
            before = pid_of(engine)
            await engine.restart()
            return before, pid_of(engine), processes_of(engine) == [pid_of(engine)]

    before, after, alone = asyncio.run(story())
    assert after != before
    assert alone


class Pause:
    """The engine's own pause, a thousand times as long."""

    def __init__(self, pause):
        self.begun = asyncio.Event()
        self._pause = pause

    async def __call__(self, seconds):
        self.begun.set()
        return await self._pause(seconds * 1000)


def test_a_restart_that_does_not_start_anything_says_why(monkeypatch):
    async def story():
        async with EmbeddedEngines(["magpie"]) as engines:
            (engine,) = engines.engines

            async def fails(lifeline):
                raise OSError(12, "Cannot allocate memory")

            monkeypatch.setattr(engine, "_spawn", fails)
            with pytest.raises(NotRestarted, match=r"could not be started again: .*Cannot allocate memory"):
                await engine.restart()
            monkeypatch.undo()
            await engine.restart()
            return processes_of(engine) == [pid_of(engine)]

    assert asyncio.run(story())


def test_one_that_is_being_stopped_is_not_restarted():
    async def story():
        async with EmbeddedEngines(["magpie"]) as engines:
            (engine,) = engines.engines
            await engine.ready()
            os.kill(pid_of(engine), signal.SIGSTOP)
            restarting = asyncio.create_task(engine.restart())
            await asyncio.sleep(0)
        with pytest.raises(NotRestarted, match="the gateway is stopping"):
            await restarting
        with pytest.raises(NotRestarted, match="is not running"):
            await engine.restart()
        return pid_of(engine)

    assert not lives(asyncio.run(story()))


def test_one_that_never_ran_is_not_restarted():
    async def story():
        engine = EmbeddedEngine("magpie")
        with pytest.raises(NotRestarted, match="The embedded magpie engine is not running"):
            await engine.restart()
        await engine.stop()

    asyncio.run(story())


def test_only_engines_that_were_started_so_have_a_switch():
    async def story():
        async with EmbeddedEngines(["magpie"]) as engines:
            (engine,) = engines.engines
            url = f"{engine.url}/control/fault"
            return (await asyncio.to_thread(httpx.get, url, timeout=20)).status_code

    assert asyncio.run(story()) == 404


def test_a_restart_that_does_not_help_can_be_played_too():
    async def story():
        async with EmbeddedEngines(["magpie"], faults=True) as engines:
            (engine,) = engines.engines
            order = {"fault": "w1", "restarts_needed": 1}
            statuses = []
            async with httpx.AsyncClient(base_url=engine.url, timeout=20) as client:
                assert (await client.post("/control/fault", json=order)).status_code == 200
                for _ in range(3):
                    form = {"text": (None, "Good morning.")}
                    statuses.append((await client.post("/v1/audio/synthesize", files=form)).status_code)
                    await engine.restart()
            return statuses

    assert asyncio.run(story()) == [500, 500, 200]
