"""Running one engine as a process: the socket it answers on, and the parent it must not outlive."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

import uvicorn

from spark_control.engines import ENGINES, EngineUnavailable
from spark_control.engines.lifeline import die_with_parent, end_when_closed

if TYPE_CHECKING:
    from pathlib import Path

    from fastapi import FastAPI
    from starlette.types import ASGIApp

MISSING_EXTRA = """The embedded engines need the "engines" extra: pip install 'spark-control[engines]'"""
LIBRARIES = ("av", "espeakng_loader", "numpy", "pocketsphinx")


def run_engine(
    kind: str,
    *,
    host: str,
    port: int | None,
    fd: int | None,
    lifeline: int | None,
    faults: bool = False,
    fault_file: Path | None = None,
) -> None:
    """Serve the engine named `kind` until a signal ends it, or until its parent is gone.

    It answers on the listening socket inherited as `fd`, or on `host` and `port` (0: any free port).
    `lifeline` is the reading end of a pipe whose other end the parent holds and never writes to.
    With `faults` it can be made to fail; `fault_file` keeps what is to fail beyond a restart.
    """
    if lifeline is not None:
        end_when_closed(lifeline)
        die_with_parent()
    # The socket listens before the model is loaded: early clients wait in its backlog and are not refused.
    with socket.socket(fileno=fd) if fd is not None else _listen(host, port or 0) as listener:
        app: ASGIApp = _build(kind)
        if faults:
            from spark_control.engines.faults.switch import FaultSwitch  # which needs the extra

            app = FaultSwitch(app, fault_file)
        if fd is None:
            sys.stdout.write(f"{kind} engine listening on {_url(listener)}\n")
            sys.stdout.flush()
        _serve(app, listener)


def _build(kind: str) -> FastAPI:
    if kind not in ENGINES:
        raise EngineUnavailable(f"There is no engine {kind!r}; there are {', '.join(ENGINES)}")
    try:
        return ENGINES[kind]()
    except ImportError as missing:
        if missing.name not in LIBRARIES:
            raise
        raise EngineUnavailable(MISSING_EXTRA) from missing


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=128)


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _serve(app: ASGIApp, listener: socket.socket) -> None:
    _Server(uvicorn.Config(app, log_level="warning", access_log=False)).run(sockets=[listener])


class _Server(uvicorn.Server):
    """One that a signal ends at once: whoever stops an engine has stopped asking it, or wants it gone."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        for signum in (signal.SIGINT, signal.SIGTERM):
            signal.signal(signum, _die)
        yield


def _die(signum: int, _: FrameType | None) -> None:
    signal.signal(signum, signal.SIG_DFL)
    os.kill(os.getpid(), signum)
    os._exit(128 + signum)  # still here: the first process of a container, which no signal kills
