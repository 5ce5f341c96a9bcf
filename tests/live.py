"""Real servers on real sockets, in a thread of the test process."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from spark_control.guarded_http import GuardedHttp


@contextmanager
def serving(app: Any, port: int = 0) -> Iterator[str]:
    """Run an ASGI application on a loopback port, a free one unless it is named; the value is its base URL."""
    with socket.create_server(("127.0.0.1", port), backlog=256) as listening:
        config = uvicorn.Config(
            app, log_config=None, access_log=False, timeout_graceful_shutdown=1, http=GuardedHttp
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        eventually(lambda: server.started)
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(10)


def eventually(is_so: Callable[[], object], within: float = 10.0) -> None:
    """Wait until something that happens elsewhere has happened."""
    end = time.monotonic() + within
    while not is_so():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.005)


def unused_port() -> int:
    """A port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])
