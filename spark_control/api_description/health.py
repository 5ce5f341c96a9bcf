"""Whether the gateway lives and takes work."""

from __future__ import annotations

from spark_control.api_description.operations import Paths, answer, operation, told
from spark_control.api_description.shapes import Schemas, always, thing

SCHEMAS: Schemas = {
    "Alive": thing("The process lives.", {"status": always("ok")}),
    "Ready": thing("New work is welcome.", {"status": always("ready")}),
}

PATHS: Paths = {
    "/health": {
        "get": operation(
            "health",
            "Tell that it lives, in a word",
            {"200": answer("The text `OK`.", {"text/plain": always("OK")})},
            open_=True,
        )
    },
    "/healthz": {
        "get": operation(
            "healthz", "Tell that it lives", {"200": told("The process lives.", "Alive")}, open_=True
        )
    },
    "/readyz": {
        "get": operation(
            "readyz",
            "Tell whether it takes work",
            {"200": told("New work is welcome.", "Ready")},
            fails=(503,),
            open_=True,
        )
    },
}
