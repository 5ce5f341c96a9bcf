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
            "showHealth",
            "Whether the gateway is there, in one word.",
            {"200": answer("The text `OK`.", {"text/plain": always("OK")})},
            tag="health",
            open_=True,
        )
    },
    "/healthz": {
        "get": operation(
            "showLife",
            "Whether the gateway lives, and what looks after the engines in it.",
            {"200": told("It lives.", "Alive")},
            fails=(503,),
            tag="health",
            open_=True,
        )
    },
    "/readyz": {
        "get": operation(
            "showReadiness",
            "Whether new work is welcome. A sick engine does not count.",
            {"200": told("New work is welcome.", "Ready")},
            fails=(503,),
            tag="health",
            open_=True,
        )
    },
}
