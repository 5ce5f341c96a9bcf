"""CPU engines that speak the upstreams' own wire formats: the embedded default, and an honest test.

They are strangers to the rest of the package on purpose. A dialect that only met doubles written beside it
would be tested against its own misunderstandings; these answer as the real services do, as processes of their
own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi import FastAPI


class EngineUnavailable(RuntimeError):
    """An engine that cannot run on this machine, in a sentence for the person who asked for it."""


def _magpie() -> FastAPI:
    from spark_control.engines.espeak import build_app

    return build_app()


def _parakeet() -> FastAPI:
    from spark_control.engines.pocketsphinx import build_app

    return build_app()


# Builders, imported when called: a gateway whose engines are elsewhere needs neither library.
ENGINES: dict[str, Callable[[], FastAPI]] = {"magpie": _magpie, "parakeet": _parakeet}
