"""The switch itself: an ASGI application around an engine's.

    GET  /control/fault     how it is set
    POST /control/fault     {"fault": "w1"}, {"fault": "ok"}, {"trigger": "none"}: the fields of `Plan`

A wedge concerns work only. What an engine says about its health stays good, as that of real ones does.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from spark_control.engines.faults.answers import ANSWERS, loading
from spark_control.engines.faults.plan import BadOrder, Plan
from spark_control.engines.faults.triggers import pulled
from spark_control.engines.faults.work import Work

CONTROL = "/control/fault"
_LIVE = "/v1/health/live"
_DEADLY = ("w12", "crash_loop")


class _Wedged(Exception):
    """The engine has wedged while it did this work."""


class FaultSwitch:
    """Stands before `app`. What must survive a restart is kept in `file`, if there is one."""

    def __init__(
        self,
        app: ASGIApp,
        file: Path | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        die: Callable[[int], object] = os._exit,
    ) -> None:
        self._app = app
        self._file = file
        self._clock = clock
        self._die = die
        self._began = clock()
        self._set(_left_over(file))
        self._start_takes = self._plan.start_takes
        if self._plan.fault == "crash_loop":
            die(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif scope["path"] == CONTROL:
            response = await self._controlled(Request(scope, receive))
            await response(scope, receive, send)
        elif (progress := self._progress()) is not None and scope["path"] != _LIVE:
            await loading(progress)(scope, receive, send)
        elif scope["method"] == "POST" and scope["path"].startswith("/v1/audio/"):
            await self._work(Work(self._app, scope, receive, send))
        else:
            await self._app(scope, receive, send)

    async def _controlled(self, request: Request) -> Response:
        if request.method == "POST":
            if "origin" in request.headers:  # browsers send it, for whatever page tells them to post
                return JSONResponse({"detail": "No page may order faults here."}, 403)
            try:
                self._set(self._ordered(await request.body()))
            except BadOrder as exc:
                return JSONResponse({"detail": str(exc)}, 400)
        return JSONResponse({**self._plan.model_dump(by_alias=True), "pid": os.getpid()})

    def _ordered(self, body: bytes) -> Plan:
        try:
            order = json.loads(body)
        except ValueError:
            raise BadOrder("That is no JSON.") from None
        plan = self._plan.changed(order)
        if plan.lasting and not self._file:
            raise BadOrder("What is to outlive the process needs a --fault-file.")
        return plan

    def _set(self, plan: Plan) -> None:
        self._plan = plan
        self._broken = plan.sticky and not plan.after_requests
        if self._file:
            draft = self._file.with_suffix(".draft")  # a process may be killed while it writes
            draft.write_text(plan.model_dump_json(by_alias=True))
            draft.replace(self._file)

    def _progress(self) -> float | None:
        """How far the model has been loaded, from 0 to 1; None once it is."""
        if self._plan.fault == "loading":
            return 0.5
        passed = self._clock() - self._began
        return passed / self._start_takes if passed < self._start_takes else None

    async def _work(self, work: Work) -> None:
        try:
            body = await work.read()
        except ClientDisconnect:
            return
        if not self._plan.wedged and await pulled(work, body, self._plan.trigger):
            self._set(self._plan.wedge())
        self._plan, met = self._plan.met()
        if met:
            self._broken = self._broken or met.sticky
            await self._fail(work, met)
        else:
            await self._do(work)

    async def _do(self, work: Work) -> None:
        """A wedge fails not only the work that caused it: all that the engine has in hand goes with it."""
        begun = False

        async def send(message: Message) -> None:
            nonlocal begun
            if self._broken and not begun:
                raise _Wedged
            begun = True
            await work.send(message)

        try:
            await work.do(send)
        except _Wedged:
            await self._fail(work, self._plan)

    async def _fail(self, work: Work, plan: Plan) -> None:
        if plan.fault in _DEADLY:
            self._die(1)
        else:
            await ANSWERS[plan.fault](work, plan)


def _left_over(file: Path | None) -> Plan:
    """What the last process left for this one."""
    if file is None or not file.exists():
        return Plan()
    return Plan.model_validate_json(file.read_bytes()).restarted()
