"""Virtual time: an engine's hours in a moment, a machine that reboots, a gateway that is killed at any await."""

from __future__ import annotations

import asyncio
import selectors
from asyncio import events
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, TypeVar, TypeVarTuple

import httpx

from spark_control.store.records import Stamp
from spark_control.upstreams.base import TranscriptionDialect
from spark_control.upstreams.client import Upstream
from spark_control.upstreams.parakeet import Parakeet

ResultT = TypeVar("ResultT")
ArgsT = TypeVarTuple("ArgsT")

_CLIENT = httpx.AsyncClient(transport=httpx.MockTransport(lambda request: httpx.Response(599)))


class Machine:
    """A machine's clocks. `true` is the time that passes in the world, which only tests can read."""

    def __init__(self, up: float = 1024.0) -> None:
        self.true = up
        self.wall_is_off_by = 1_700_000_000.0
        self._booted = 0.0
        self._boots = 1

    @property
    def since_boot(self) -> float:
        return self.true - self._booted

    @property
    def wall(self) -> float:
        return self.true + self.wall_is_off_by

    def stamp(self) -> Stamp:
        return Stamp(f"boot {self._boots}", self.since_boot, self.wall)

    def reboot(self, down: float) -> None:
        """Go down, and be up again `down` seconds later, with the clock on the wall as it was set."""
        self.true += down
        self._boots += 1
        self._booted = self.true


class VirtualLoop(asyncio.SelectorEventLoop):
    """Where waiting takes no time: the machine's clock jumps to what comes next. Threads' work is done in between."""

    def __init__(self, machine: Machine | None = None) -> None:
        self.machine = machine or Machine()
        self.mishaps: list[dict[str, Any]] = []
        """What nobody has caught or awaited."""
        self.left: int | None = None
        self._killed = False
        super().__init__(_Winding(self))

    def time(self) -> float:
        return self.machine.since_boot

    def run_for(self, seconds: float) -> None:
        """Let that much time pass."""
        self.call_later(seconds, self.stop)
        self.run_forever()

    def run_iterations(self, count: int) -> None:
        """Go round `count` times, and no further: in the middle of whatever is under way then."""
        if count:
            self.left = count
            self.run_forever()

    def kill(self) -> None:
        """End as a process does by kill -9: nothing of it runs any more.

        Python frees a coroutine by running its `finally` blocks. They run here,
        where they reach nothing: no task begins, no callback is called.
        """
        self._killed = True
        tasks = asyncio.all_tasks(self)
        events._set_running_loop(self)
        try:
            for task in tasks:
                _bury(task)
        finally:
            events._set_running_loop(None)
        self.close()

    # What asyncio calls.

    def run_in_executor(
        self, executor: object, func: Callable[[*ArgsT], ResultT], *args: *ArgsT
    ) -> asyncio.Future[ResultT]:
        done: asyncio.Future[ResultT] = self.create_future()
        self.call_soon(_do, done, func, args)
        return done

    def call_soon(
        self, callback: Callable[[*ArgsT], object], *args: *ArgsT, context: Context | None = None
    ) -> asyncio.Handle:
        if self._killed:
            return asyncio.Handle(callback, args, self)
        return super().call_soon(callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[*ArgsT], object],
        *args: *ArgsT,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        if self._killed:
            return asyncio.TimerHandle(when, callback, args, self)
        return super().call_at(when, callback, *args, context=context)

    def create_task(self, coro: Any, **options: Any) -> Any:
        if self._killed:
            coro.close()
            return self.create_future()
        return super().create_task(coro, **options)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if not self._killed:
            self.mishaps.append(context)


class _Winding(selectors.SelectSelector):
    """Winds the clock on instead of waiting."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        loop = self._loop
        if timeout is None:
            raise AssertionError("all wait for something that will never happen")
        loop.machine.true += timeout
        if loop.left is not None:
            loop.left -= 1
            if not loop.left:
                loop.left = None
                loop.stop()
        return []


def virtually(main: Coroutine[Any, Any, ResultT], machine: Machine | None = None) -> ResultT:
    """Run `main` in virtual time. Nothing may be left over: no task, and no error that nobody has seen."""
    loop = VirtualLoop(machine)
    try:
        result = loop.run_until_complete(main)
        assert not asyncio.all_tasks(loop)
        assert loop.mishaps == []
    finally:
        loop.kill()
    return result


def upstream_named(name: str, priority: int = 0, concurrency: int = 1000) -> Upstream[TranscriptionDialect]:
    """An engine for those who only ever ask its name."""
    dialect = Parakeet(f"http://{name}", model=f"model-of-{name}")
    return Upstream(name, dialect, _CLIENT, priority=priority, concurrency=concurrency)


def _do(done: asyncio.Future[Any], func: Callable[..., Any], args: tuple[Any, ...]) -> None:
    """What a thread would do, and who waited for it may have gone meanwhile."""
    try:
        value = func(*args)
    except Exception as exc:  # noqa: BLE001 (it is for who waits)
        if not done.done():
            done.set_exception(exc)
    else:
        if not done.done():
            done.set_result(value)


def _bury(task: asyncio.Task[Any]) -> None:
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    coroutine = task.get_coro()
    assert coroutine is not None
    for _ in range(10):
        try:
            coroutine.close()
        except RuntimeError:  # it awaits something as its last deed, and is asked once more
            continue
        except Exception:  # noqa: BLE001, S110 (it cannot reach what it wanted to tidy up)
            pass
        return
