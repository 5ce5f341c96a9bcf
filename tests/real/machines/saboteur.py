"""The gateway's command line, with two levers for a test: files whose coming makes its loop hang, or its watcher die.

It is put into the service's own environment, where the tests are not, so it imports none of them.
"""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path

from spark_control.cli import main
from spark_control.deep_health import DeepHealth

_LEVERS = Path("/var/lib/spark-control")
_FOR_EVER = 3600.0

_run_forever = DeepHealth.run_forever


def _is_pulled(lever: str) -> bool:
    """Whether it is; the next process finds it released."""
    try:
        (_LEVERS / lever).unlink()
    except FileNotFoundError:
        return False
    return True


def _wait_for_the_lever(loop: asyncio.AbstractEventLoop) -> None:
    while not _is_pulled("hang"):
        time.sleep(0.02)
    loop.call_soon_threadsafe(time.sleep, _FOR_EVER)


async def _run_with_levers(self: DeepHealth) -> None:
    threading.Thread(target=_wait_for_the_lever, args=(asyncio.get_running_loop(),), daemon=True).start()
    async with asyncio.TaskGroup() as together:
        together.create_task(_run_forever(self))
        together.create_task(_die_with_the_lever())


async def _die_with_the_lever() -> None:
    while not _is_pulled("die"):
        await asyncio.sleep(0.02)
    raise RuntimeError("the lever was pulled")


if __name__ == "__main__":
    DeepHealth.run_forever = _run_with_levers  # type: ignore[method-assign]
    main()
